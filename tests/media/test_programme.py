"""An MPEG-TS whose streams get other PIDs in mid-file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools import FFPROBE, generate
from vod_operators.media.programme import new_pids, under_first_pids

VIDEO, SOUND = 0x100, 0x101


def recording(path: Path, *options: str) -> bytes:
    picture = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1"]
    sound = ["-f", "lavfi", "-i", "sine=d=1", "-c:v", "mpeg2video", "-c:a", "mp2"]
    return generate(path, *picture, *sound, *options, "-f", "mpegts").read_bytes()


def packets(path: Path) -> list[tuple[str, str, str]]:
    """PID, time and flags of each packet."""
    command = [FFPROBE, "-v", "error", "-show_entries", "stream=index,id:packet=stream_index,dts_time,flags"]
    done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    ids = {stream["index"]: stream["id"] for stream in found["streams"]}
    return [(ids[p["stream_index"]], p["dts_time"], p["flags"]) for p in found["packets"]]


def with_clocks(data: bytes) -> bytes:
    """The same as M2TS: four bytes before each packet."""
    return b"".join(bytes(4) + data[at : at + 188] for at in range(0, len(data), 188))


@pytest.mark.parametrize("is_m2ts", [False, True], ids=["ts", "m2ts"])
def test_streams_go_on_under_their_first_pids(tmp_path: Path, is_m2ts: bool) -> None:
    moved = ["-mpegts_start_pid", "0x300", "-tables_version", "3", "-output_ts_offset", "1"]
    first, later = recording(tmp_path / "a.ts"), recording(tmp_path / "b.ts", *moved)
    if is_m2ts:
        first, later = with_clocks(first), with_clocks(later)
    data = first + later

    changes = new_pids(data, {VIDEO, SOUND})

    assert len(changes) == 1 and len(first) <= changes[0][0] < len(first) + 4 * 192
    assert changes[0][1] == {0x300: VIDEO, 0x301: SOUND}
    (tmp_path / "joined.ts").write_bytes(b"".join(under_first_pids(data, changes)))
    joined = packets(tmp_path / "joined.ts")
    alone = packets(tmp_path / "a.ts") + packets(tmp_path / "b.ts")
    assert len({pid for pid, _, _ in joined}) == 2
    assert sorted(time for _, time, _ in joined) == sorted(time for _, time, _ in alone)
    assert not any("C" in flags for _, _, flags in joined), "a counter does not run on"
    video = [float(time) for pid, time, _ in joined if int(pid, 16) == VIDEO]
    assert video == sorted(video), "a picture comes out of its order"


def test_a_recording_that_keeps_its_pids_is_left_alone(tmp_path: Path) -> None:
    data = recording(tmp_path / "a.ts")
    assert new_pids(data + data, {VIDEO, SOUND}) == []
    assert new_pids(data, {VIDEO, SOUND}) == []
    assert new_pids(b"no transport stream" * 1000, {VIDEO}) == []


def test_another_programme_may_change(tmp_path: Path) -> None:
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", "-mpegts_start_pid", "0x300", "-tables_version", "3")
    assert new_pids(first + later, {0x500}) == []
