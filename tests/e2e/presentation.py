"""What must be true of every video that the DAG published."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest

from support.tools import FFMPEG, decode, ffprobe


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Path (a version's with its name) -> what changes when a file is written."""
    below = folder.parent if folder.name.startswith("v-") else folder
    return {
        str(path.relative_to(below)): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_presentation(folder: Path, *, frames: int, rate: Fraction, audio: bool = True) -> dict[str, Any]:
    """All that must be true of a published video, asked of ffprobe, ffmpeg and m3u8. Its ``video.json``."""
    video: dict[str, Any] = json.loads((folder / "video.json").read_text("utf-8"))
    stable = m3u8.load(str(folder / "index.m3u8"))
    assert stable.is_variant and len(stable.media) == int(audio)
    boundaries = set()
    for playlist in stable.playlists:
        media = folder / playlist.uri
        assert decode(media, "-map", "0:v") == (frames, "")
        stream = ffprobe(media, "-show_streams", "-allowed_extensions", "ALL")["streams"][0]
        assert Fraction(stream["avg_frame_rate"]) == rate
        assert (stream["width"], stream["height"]) == playlist.stream_info.resolution
        assert stream["sample_aspect_ratio"] == "1:1"
        assert stream["mime_codec_string"] in playlist.stream_info.codecs
        segments = m3u8.load(str(media)).segments
        assert sum(Fraction(str(s.duration)) for s in segments) == pytest.approx(
            float(frames / rate), abs=1e-4
        )
        boundaries.add(tuple(s.duration for s in segments))
        for segment in segments:
            assert starts_with_idr(media.parent / "init.mp4", media.parent / segment.uri)
    assert len(boundaries) == 1, "segments end at different frames in different renditions"
    assert len(stable.iframe_playlists) == len(stable.playlists)
    for listed in stable.iframe_playlists:
        pictures = m3u8.load(str(folder / listed.uri))
        assert pictures.is_i_frames_only
        for picture in pictures.segments:
            size, offset = map(int, picture.byterange.split("@"))
            data = (folder / listed.uri).with_name(picture.uri).read_bytes()[offset : offset + size]
            assert len(data) == size and data[4:8] == b"moof"
    for media in (folder / item.uri for item in stable.media):
        assert decode(media, "-map", "0:a")[1] == ""
    return video


def starts_with_idr(init: Path, segment: Path) -> bool:
    """Whether the segment's first slice is of an IDR picture, in the Annex B that ffmpeg makes of it."""
    data = subprocess.run(
        [FFMPEG, "-v", "error", "-nostdin", "-i", "-", "-c", "copy",
         "-bsf:v", "h264_mp4toannexb,filter_units=pass_types=1-5", "-frames:v", "1", "-f", "h264", "-"],
        input=init.read_bytes() + segment.read_bytes(), check=True, capture_output=True,
    ).stdout  # fmt: skip
    start = data.index(b"\x00\x00\x01") + 3
    return data[start] & 0x1F == 5
