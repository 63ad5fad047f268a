"""Levels, tags and colours of published pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from support.clips import blocks_of, run_ffmpeg
from support.published import Published

LUMA_WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt470bg": (0.299, 0.114)}
"""Of red and of blue."""


def levels(video: Published, name: str = "full") -> tuple[float, float]:
    """The darkest and the brightest block of a rendition's pictures, in 8-bit codes."""
    blocks = blocks_of(video.pictures(name))
    return float(blocks.min()), float(blocks.max())


def tags(video: Published, name: str) -> dict[str, str | None]:
    stream = video.stream(name)
    keys = ("color_space", "color_primaries", "color_transfer", "color_range")
    return {key: stream.get(key) for key in keys}


def rgb(y: float, cb: float, cr: float, space: str) -> NDArray[np.float64]:
    """Limited-range samples as red, green, blue of 0 to 1."""
    red_weight, blue_weight = LUMA_WEIGHTS[space]
    light, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = light + 2 * (1 - red_weight) * red, light + 2 * (1 - blue_weight) * blue
    return np.array([r, (light - red_weight * r - blue_weight * b) / (1 - red_weight - blue_weight), b])


def mean_samples(video: Published, name: str) -> tuple[float, float, float]:
    """Y of the block that is always white, Cb and Cr of the whole picture, from the first frame."""
    track = next(track for track in video.tracks("video") if track["name"] == name)
    width, height = track["width"], track["height"]
    raw = run_ffmpeg(
        "-i", str(video.playlist(name)), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"
    )
    data = np.frombuffer(raw, np.uint8).astype(float)
    size = width * height
    white = blocks_of(data[:size].reshape(1, height, width))[0, -1]
    return white, data[size : size * 5 // 4].mean(), data[size * 5 // 4 :].mean()
