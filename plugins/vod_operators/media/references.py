"""The pictures that encoded ones are compared with: raw files of *triples*.

A triple is a frame that is measured, with the frame before it and the frame after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vod_operators.media.filters import Output, Stream
from vod_operators.media.models import Rendition

TRIPLE = 3
"""Frames of the reference for each point; also the least distance of two points."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A file of raw pictures."""

    file: str
    width: int
    height: int
    pixel_format: str = "yuv420p"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def pixels(self) -> int:
        """Of a picture."""
        return self.width * self.height

    @property
    def frame_bytes(self) -> int:
        """Of a picture in 4:2:0."""
        chroma = 2 * (-(-self.width // 2) * -(-self.height // 2))
        return (self.pixels + chroma) * (1 if self.pixel_format == "yuv420p" else 2)


@dataclass(frozen=True, kw_only=True)
class References:
    """The references of a chunk's renditions."""

    points: tuple[int, ...]
    """Numbers in the video of the frames that are measured."""
    at_screen: tuple[int, ...]
    """Those of them that ``screen`` holds."""
    native: Mapping[str, Raw]
    """Rendition -> what its encoder is given. Renditions of the same size and depth share a file."""
    screen: Raw | None
    """At the size of a screen of 1920x1080; None if all renditions have that size."""
    of_source: bool
    """Whether ``screen`` is made of the source, because all encoded renditions are smaller; else of the
    largest."""

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        pictures = sum(raw.frame_bytes for raw in set(self.native.values())) * len(self.points)
        return TRIPLE * (pictures + (self.screen.frame_bytes * len(self.at_screen) if self.screen else 0))

    def of(self, rendition: Rendition, *, is_largest: bool) -> list[tuple[Raw, tuple[int, ...]]]:
        """The files that are written of a rendition's pictures, with the points of each."""
        raw = self.native.get(rendition.name)
        first = next((name for name, other in self.native.items() if other == raw), None)
        own = [(raw, self.points)] if raw and rendition.name == first else []
        if is_largest and self.screen and not self.of_source:
            own.append((self.screen, self.at_screen))
        return own


def triples(stream: Stream, chosen: Sequence[int]) -> Stream:
    """The frames of a stream, numbered from 0, that a reference for these points holds."""
    return stream.filter("select", "+".join(f"between(n,{n - 1},{n + 1})" for n in chosen))


def write_reference(stream: Stream, raw: Raw, chosen: Sequence[int]) -> Output:
    """Write the reference for these points, which are numbers of the stream's frames from 0 on."""
    taken = triples(stream, chosen).filter("scale", raw.width, raw.height, flags="bicubic")
    return write_raw(taken, raw)


def write_raw(stream: Stream, raw: Raw) -> Output:
    """Write pictures of that size as they are."""
    return stream.filter("format", raw.pixel_format).output(
        raw.file, format="rawvideo", fps_mode="passthrough",
        **{"c:v": "rawvideo", "pix_fmt": raw.pixel_format},
    )  # fmt: skip
