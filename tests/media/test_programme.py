"""An MPEG-TS whose streams get other PIDs in mid-file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.tools import FFPROBE, generate
from vod_operators.errors import InvalidInputError
from vod_operators.media.programme import PADDING, changes_of, under_first_pids

VIDEO, SOUND = 0x100, 0x101
TABLES = {0: PADDING, 0x1000: PADDING}


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

    changes = changes_of(data, {VIDEO, SOUND})

    assert len(changes) == 1 and len(first) <= changes[0].at < len(first) + 4 * 192
    assert changes[0].pids == {0x300: VIDEO, 0x301: SOUND} | TABLES
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
    assert changes_of(data + data, {VIDEO, SOUND}) == []
    assert changes_of(data, {VIDEO, SOUND}) == []
    assert changes_of(b"no transport stream" * 1000, {VIDEO}) == []


def test_another_programme_may_change(tmp_path: Path) -> None:
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", "-mpegts_start_pid", "0x300", "-tables_version", "3")
    assert changes_of(first + later, {0x500}) == []


MOVED = ("-mpegts_start_pid", "0x300", "-tables_version", "3")


def test_the_map_may_change_its_pid_too(tmp_path: Path) -> None:
    """As when a multiplexer is started again with other settings."""
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", *MOVED, "-mpegts_pmt_start_pid", "0x1200")

    (change,) = changes_of(first + later, {VIDEO, SOUND})

    assert change.pids == {0x300: VIDEO, 0x301: SOUND, 0x1200: PADDING} | TABLES
    assert data_at(first + later, change.at) == 0, "it begins with the list of programmes"


def data_at(data: bytes, at: int) -> int:
    """The PID of the packet there."""
    return (data[at + 1] & 0x1F) << 8 | data[at + 2]


def test_a_map_alone_that_changes_its_pid_is_left_alone(tmp_path: Path) -> None:
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", "-mpegts_pmt_start_pid", "0x1200", "-tables_version", "3")
    assert changes_of(first + later, {VIDEO, SOUND}) == []


def two_sounds(path: Path, *options: str, languages: str) -> bytes:
    """Each map tells two tracks, which are of these languages: ``de en``."""
    first, second = languages.split()
    sounds = ["-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=800:d=1", "-map", "0", "-map", "1"]
    told = ["-metadata:s:a:0", f"language={first}", "-metadata:s:a:1", f"language={second}", "-c:a", "mp2"]
    return generate(path, *sounds, *told, *options, "-f", "mpegts").read_bytes()


def test_sounds_go_on_by_their_language(tmp_path: Path) -> None:
    first = two_sounds(tmp_path / "a.ts", languages="deu eng")
    later = two_sounds(tmp_path / "b.ts", *MOVED, languages="eng deu")

    (change,) = changes_of(first + later, {0x100, 0x101})

    assert change.pids == {0x300: 0x101, 0x301: 0x100} | TABLES


def test_a_sound_that_ends_does_not_move_the_other(tmp_path: Path) -> None:
    first = two_sounds(tmp_path / "a.ts", languages="deu eng")
    later = recording(tmp_path / "b.ts", "-map", "1", "-tables_version", "3", "-streamid", "0:0x101")
    assert changes_of(first + later, {0x100, 0x101}) == []


@pytest.mark.parametrize("pid", ["0x100", "0x300"], ids=["same-pid", "other-pid"])
def test_a_picture_that_goes_on_in_another_coding_is_refused(tmp_path: Path, pid: str) -> None:
    first = recording(tmp_path / "a.ts")
    options = ["-c:v", "libx264", "-mpegts_start_pid", pid, "-tables_version", "3"]
    later = recording(tmp_path / "b.ts", *options)

    with pytest.raises(
        InvalidInputError, match=r"its picture \(PID 0x100, stream type 0x02\) continues in another"
    ):
        changes_of(first + later, {VIDEO, SOUND})


def test_a_sound_that_goes_on_in_another_coding_is_refused(tmp_path: Path) -> None:
    """DVB tells AC-3 by a descriptor alone."""
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", "-c:a", "ac3", "-tables_version", "3", "-mpegts_flags", "system_b")
    with pytest.raises(InvalidInputError, match="its sound"):
        changes_of(first + later, {VIDEO, SOUND})
    assert changes_of(first + later, {VIDEO}) == []  # nobody hears it
