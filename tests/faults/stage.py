"""What the faults happen to: a numbered clip, an ffmpeg that keeps a diary; what must be true in the end."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import m3u8

from exact.clips import clip, x264
from exact.published import LADDER, PRESET, Published
from tools import FFMPEG

FRAMES_A_CHUNK = 25
"""Chunks of 1 s at 25 pictures a second."""


def numbered_clip(chunks: int) -> Path:
    """A clip that makes so many chunks of one second; its pictures carry their numbers."""
    file = f"faults-{chunks}.mp4"
    return clip(file, frames=chunks * FRAMES_A_CHUNK, video=x264(gop=25, open_gop=False))


def write_preset(folder: Path, name: str = "tiny", **changes: Any) -> Path:
    """Two tiny renditions, chunks of one second."""
    folder.mkdir(parents=True, exist_ok=True)
    ladder = LADDER | {"rungs": LADDER["rungs"][:2]}
    preset = PRESET | {"title": name, "ladders": [ladder]} | changes
    (folder / f"{name}.json").write_text(json.dumps(preset), "utf-8")
    return folder


@dataclass(frozen=True)
class Diary:
    """An ffmpeg that writes down each chunk that it begins to encode, and then is the real one (``exec``)."""

    folder: Path
    speed: float | None = None
    """Times real time at which chunks are read, so that kills find them at work without using a CPU."""

    @property
    def tool(self) -> Path:
        path = self.folder / "ffmpeg"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            pace = f"-readrate {self.speed} -readrate_initial_burst 0.1" if self.speed else ""
            path.write_text(
                "#!/bin/sh\n"
                'case "$*" in *chunk.nut*)\n'
                f"""printf '%s\\n' "$*" >> '{self.folder}/encodes'\n"""
                f'exec {FFMPEG} {pace} "$@";;\n'
                "esac\n"
                f'exec {FFMPEG} "$@"\n'
            )
            path.chmod(0o755)
        return path

    def encodes(self) -> Counter[str]:
        """First frame of a chunk, with its lead-in -> how often ffmpeg was started for it."""
        try:
            lines = (self.folder / "encodes").read_text().splitlines()
        except FileNotFoundError:
            return Counter()
        return Counter(self._place(line) for line in lines)

    @staticmethod
    def _place(line: str) -> str:
        found = re.search(r"trim=[^,\]\[;]*", line)
        moved = re.search(r"setpts=PTS-\d+", line)
        return " ".join(match[0] for match in (moved, found) if match) or line

    def total(self) -> int:
        return sum(self.encodes().values())

    def forget(self) -> None:
        (self.folder / "encodes").unlink(missing_ok=True)


# --- what was published ---------------------------------------------------------------------


def named_files(folder: Path) -> set[str]:
    """All that the stable playlist leads to, and the metadata; relative paths.

    Fails if a playlist names what is not there.
    """
    stable = {"index.m3u8", "manifest.mpd", "video.json"}
    video = json.loads((folder / "video.json").read_text("utf-8"))
    version = video["version"]
    names = stable | {f"{version}/{name}" for name in ("master.m3u8", "manifest.mpd", "video.json")}
    if video["poster"]:
        board = video["storyboard"]["uri"]
        names |= {video["poster"], board}
        sheets = re.findall(r"^(\S+)#xywh", (folder / board).read_text("utf-8"), re.MULTILINE)
        names |= {f"{board.rpartition('/')[0]}/{sheet}" for sheet in sheets}
    master = m3u8.load(str(folder / "index.m3u8"))
    listed = [*master.playlists, *master.iframe_playlists, *(item for item in master.media if item.uri)]
    for item in listed:
        names.add(item.uri)
        media = m3u8.load(str(folder / item.uri))
        below = item.uri.rpartition("/")[0]
        names |= {f"{below}/{segment.uri}" for segment in media.segments}
        names |= {f"{below}/{part.uri}" for part in media.segment_map if part}
    missing = sorted(name for name in names if not (folder / name).is_file())
    assert not missing, f"named, but not there: {missing}"
    assert {name.partition("/")[0] for name in names} == stable | {version}
    return names


def check_no_strays(folder: Path) -> None:
    """Results hold what the stable playlist leads to, and nothing else."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    # Copies of the stable objects in their version, for a rollback, are nobody's to name; nor are checksums.
    kept = ("/stable.m3u8", "/stable.mpd", "/SHA256SUMS")
    strays = sorted(name for name in found - named_files(folder) if not name.endswith(kept))
    assert not strays, f"stray files in results: {strays}"


def check_published(folder: Path, *, frames: int) -> None:
    """Whole, in order, with nothing beside it."""
    Published(folder).check_pictures(range(frames), "25")
    check_no_strays(folder)


def media_digests(folder: Path) -> dict[str, str]:
    """Segment -> its SHA-256: one thread of x264 writes equal bytes. Init segments tell a time."""
    version = json.loads((folder / "video.json").read_text("utf-8"))["version"]
    return {
        str(path.relative_to(folder / version)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / version).rglob("*"))
        if path.suffix == ".m4s"
    }


def download(client: Any, bucket: str, prefix: str, folder: Path) -> Path:
    """A folder of an S3 store, here."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for item in page.get("Contents", ()):
            path = folder / item["Key"].removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
    return folder
