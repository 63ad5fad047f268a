"""MPEG-TS: the same pictures and sound, in segments for old players."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from exact.publisher import Publisher
from support.clips import SOUND, clip, run_ffmpeg
from support.published import Published
from support.tools import decode, ffprobe
from vod_operators.check.rules import check, failed
from vod_operators.storage.stores import storage_for
from vod_operators.work.reader import StoreReader


def packets(path: Path) -> list[tuple[int, int, bool, int]]:
    """PID, continuity counter, whether a payload unit starts and first byte of each packet."""
    data = path.read_bytes()
    assert len(data) % 188 == 0
    return [
        ((data[at + 1] & 0x1F) << 8 | data[at + 2], data[at + 3] & 15, bool(data[at + 1] & 0x40), at)
        for at in range(0, len(data), 188)
        if data[at + 3] & 0x10
    ]


def check_segments(video: Published, name: str) -> None:
    """Each segment begins with its tables and decodes alone; the counters run on from one to the next."""
    playlist = video.playlist(name)
    last: dict[int, int] = {}
    for segment in m3u8.load(str(playlist)).segments:
        path = playlist.parent / segment.uri
        found = packets(path)
        assert [pid for pid, _, _, _ in found[:2]] == [0, 32]  # PAT, PMT
        for pid, counter, _, _ in found:
            assert pid not in last or counter == (last[pid] + 1) % 16
            last[pid] = counter
        assert decode(path, "-map", "0:v") == (round(Fraction(str(segment.duration)) * video.rate), "")


@pytest.mark.parametrize("rate", ["25", "30000/1001", "24000/1001"])
def test_transport_stream(publish: Publisher, rate: str) -> None:
    video = publish(clip("clip.mp4", rate=rate), preset={"container": "ts"})

    video.check_clip(rate=rate)
    folder = video.playlist("full").parent
    assert {path.suffix for path in folder.iterdir()} == {".ts", ".m3u8"}
    assert {path.suffix for path in video.playlist("audio-0").parent.iterdir()} == {".aac", ".m3u8"}
    check_segments(video, "half")
    check_segments(video, "full")
    text = video.playlist("full").read_text("utf-8")
    assert "#EXT-X-VERSION:3\n" in text and "EXT-X-MAP" not in text
    assert "#EXT-X-VERSION:4\n" in (folder / "iframes.m3u8").read_text("utf-8")
    for picture in m3u8.load(str(folder / "iframes.m3u8")).segments:
        size, offset = map(int, picture.byterange.split("@"))
        data = (folder / picture.uri).read_bytes()
        alone = folder / "alone.ts"
        alone.write_bytes(data[:376] + data[offset : offset + size])  # behind PAT and PMT
        shown = ffprobe(alone, "-show_frames")["frames"]
        assert [frame["pict_type"] for frame in shown] == ["I"]
        alone.unlink()


def test_our_validator_agrees(publish: Publisher) -> None:
    preset = {"container": "ts", "gop_seconds": 2, "segment_gops": 3}
    video = publish(clip("clip.mp4", frames=400), preset=preset, chunk_seconds=6)

    location = (video.folder / "index.m3u8").as_uri()
    reader = StoreReader(location, lambda uri: storage_for(uri, "aws_default"))
    assert failed(check(reader, location)) == []


def test_sound_alone(publish: Publisher, tmp_path: Path) -> None:
    source = tmp_path / "sound.m4a"
    run_ffmpeg("-i", str(clip("clip.mp4")), "-vn", "-c", "copy", str(source))

    video = publish(source, preset={"container": "ts"})

    assert video.tracks("video") == []
    video.check_clicks(SOUND.schedule(4.4))
