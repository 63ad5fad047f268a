"""How a container says that a stored picture is turned, mirrored and cropped when shown.

The matrix is the one that ffmpeg's ``-autorotate`` reads, and the filters are those that it inserts. So the
result is that of one ffmpeg pass.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_ROW = re.compile(r"^[0-9a-f]+:\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\s*$", re.M)
"""One row of ffprobe's ``displaymatrix``."""


class DisplayMatrix(NamedTuple):
    """The four numbers of a display matrix that turn and mirror, in 1/65536 (ISO 14496-12, 8.3.2)."""

    a: int
    b: int
    c: int
    d: int

    @property
    def degrees(self) -> int:
        """Clockwise rotation that shows the picture upright, 0 to 359."""
        columns = math.hypot(self.a, self.c), math.hypot(self.b, self.d)
        if not all(columns):
            return 0
        turned = math.atan2(self.b / columns[1], self.a / columns[0])
        return round(math.degrees(turned)) % 360

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height are swapped."""
        return self.degrees in (90, 270)

    @property
    def filters(self) -> tuple[tuple[str, ...], ...]:
        """Filters, each with its arguments, that show the picture upright; empty if it is."""
        if self.degrees == 90:
            return (("transpose", "cclock_flip" if self.c > 0 else "clock"),)
        if self.degrees == 270:
            return (("transpose", "clock_flip" if self.c < 0 else "cclock"),)
        if self.degrees == 180:
            flips = ("hflip",) if self.a < 0 else (), ("vflip",) if self.d < 0 else ()
            return tuple(flip for flip in flips if flip)
        if self.degrees == 0:
            return (("vflip",),) if self.d < 0 else ()
        return (("rotate", f"{self.degrees}*PI/180"),)

    @property
    def words(self) -> tuple[str, ...]:
        """What the filters do, in words for a person."""
        names = [name for name, *_ in self.filters]
        if names == ["vflip"]:
            return ("flipped vertically",)
        if names == ["hflip"]:
            return ("mirrored",)
        if self.a * self.d - self.b * self.c < 0:  # a transposition with a flip
            return (f"rotated {self.degrees}", "mirrored")
        return (f"rotated {self.degrees}",) if names else ()


def parse_matrix(text: str) -> DisplayMatrix | None:
    """The matrix that ffprobe prints as ``displaymatrix``; None if there is none, or it is all zeros."""
    rows = _ROW.findall(text)
    if len(rows) < 2:
        return None
    (a, b, _), (c, d, _) = (tuple(map(int, row)) for row in rows[:2])
    matrix = DisplayMatrix(a, b, c, d)
    return matrix if any(matrix) else None


class Crop(NamedTuple):
    """Pixels that are hidden at each side of a stored picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
