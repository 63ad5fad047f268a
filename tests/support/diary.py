"""Which chunks were encoded, and how often."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.tools import FFMPEG


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

    def begins(self) -> list[float]:
        """Seconds of the video at which each encode begins, with its lead-in."""
        lines = (self.folder / "encodes").read_text().splitlines()
        return [float(re.findall(r"start_time=([0-9.]+)", line)[0]) for line in lines]

    def total(self) -> int:
        return sum(self.encodes().values())

    def forget(self) -> None:
        (self.folder / "encodes").unlink(missing_ok=True)
