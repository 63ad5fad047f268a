"""What the scenes share: enlarged photos, moving views, grain, fonts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageFont

Frame = NDArray[np.uint8]
Photos = Mapping[str, Image.Image]
Scene = Callable[[Photos, int, int, int], Iterator[Frame]]


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scaled to fill the size, cut in the middle."""
    ratio = max(width / picture.width, height / picture.height)
    large = picture.resize(
        (math.ceil(picture.width * ratio), math.ceil(picture.height * ratio)), Image.Resampling.LANCZOS
    )
    left, top = (large.width - width) // 2, (large.height - height) // 2
    return large.crop((left, top, left + width, top + height))


def textured(picture: Image.Image, photos: Photos, amount: float = 0.5) -> Image.Image:
    """With the detail of fine textures, which an enlarged photo has lost."""
    pixels = np.asarray(picture, np.float32)
    height, width = pixels.shape[:2]
    detail = np.zeros((height, width), np.float32)
    for name, share in (("grass", 0.6), ("gravel", 0.4)):
        tile = np.asarray(photos[name].convert("L"), np.float32)
        tile -= np.asarray(photos[name].convert("L").filter(ImageFilter.GaussianBlur(3)), np.float32)
        tiled = np.tile(tile, (-(-height // tile.shape[0]), -(-width // tile.shape[1])))
        detail += share * tiled[:height, :width]
    bright = pixels.mean(axis=2)
    weight = np.clip(bright / 128, 0.2, 1) * amount
    return Image.fromarray(np.clip(pixels + (detail * weight)[..., None], 0, 255).astype(np.uint8))


def panorama(photos: Photos, names: Sequence[str], height: int) -> Frame:
    """Photos side by side, their seams blended, with fine texture."""
    overlap = height // 8
    parts = []
    for name in names:
        photo = photos[name]
        width = round(height * photo.width / photo.height)
        parts.append(
            np.asarray(photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), np.float32)
        )
    whole = parts[0]
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)[None, :, None]
    for part in parts[1:]:
        blended = whole[:, -overlap:] * (1 - ramp) + part[:, :overlap] * ramp
        whole = np.concatenate([whole[:, :-overlap], blended, part[:, overlap:]], axis=1)
    return np.asarray(textured(Image.fromarray(whole.astype(np.uint8)), photos, 0.5))


def view(picture: Image.Image, x: float, y: float, zoom: float, width: int, height: int) -> Image.Image:
    """Of the picture around a point (parts of its size), enlarged so that zoom 1 just covers the frame."""
    scale = max(width / picture.width, height / picture.height) * zoom
    left, top = x * picture.width - width / scale / 2, y * picture.height - height / scale / 2
    left = min(max(left, 0), picture.width - width / scale)
    top = min(max(top, 0), picture.height - height / scale)
    return picture.transform(
        (width, height),
        Image.Transform.AFFINE,
        (1 / scale, 0, left, 0, 1 / scale, top),
        Image.Resampling.BICUBIC,
    )


def grain_planes(height: int, width: int, sigma: float, coarse: bool, seed: int) -> list[NDArray[np.int16]]:
    """Four planes of noise with this standard deviation, of single pixels or coarse as film's.

    They are larger than the frame: each frame takes another part of one, so that none looks like the last.
    """
    rng = np.random.default_rng(seed)
    planes = []
    for _ in range(4):
        plane = rng.normal(size=(height + 64, width + 64)).astype(np.float32)
        for axis in (0, 1) if coarse else ():
            plane = plane + np.roll(plane, 1, axis) + np.roll(plane, -1, axis)
        planes.append(np.rint(plane * (sigma / plane.std())).astype(np.int16))
    return planes


def noisy(picture: Image.Image | Frame, planes: list[NDArray[np.int16]], frame: int) -> Frame:
    """With grain; the same for red, green and blue, as most of what an eye sees of it is brightness."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    y, x = frame * 37 % 64, frame * 91 % 64
    grain = planes[frame % len(planes)][y : y + height, x : x + width]
    noisy: Frame = np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8)
    return noisy


def font_of(size: int, mono: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which matplotlib brings."""
    family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
    return ImageFont.truetype(font_manager.findfont(family, fallback_to_default=False), size)
