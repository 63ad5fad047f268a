"""Portraits that talk."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from bench.scenes.parts import Frame, Photos, Scene, cover, grain_planes, noisy, textured, view
from PIL import Image, ImageDraw, ImageFilter


def _speaker(
    name: str, background: str, noise: float, mouth: tuple[float, float], seed: int, shake: float = 0
) -> Scene:
    """A portrait that talks and nods before a soft background, as a camera with some noise sees it."""

    def draw(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
        rng = np.random.default_rng(seed)
        wall = cover(photos[background].convert("RGB"), width, height).filter(
            ImageFilter.GaussianBlur(height / 40)
        )
        face = photos[name].convert("RGB")
        side = min(width, height) if width < height else height
        portrait = textured(cover(face, side, side), photos, 0.25)
        mask = Image.new("L", (side, side), 0)
        ImageDraw.Draw(mask).rounded_rectangle(
            (side * 0.04, side * 0.04, side * 0.96, side * 1.2), side * 0.3, fill=255
        )
        mask = mask.filter(ImageFilter.GaussianBlur(side / 30))
        planes = grain_planes(height, width, noise, False, seed)
        phases = rng.uniform(0, 2 * math.pi, 8)
        cells = 16
        for n in range(frames):
            t = n / 25
            nod = 0.006 * math.sin(1.9 * t + phases[0]) + 0.003 * math.sin(4.3 * t + phases[1])
            turn = 0.008 * math.sin(1.1 * t + phases[2]) + 0.002 * math.sin(5.1 * t + phases[3])
            talk = max(0.0, math.sin(9 * t + phases[4]) * math.sin(2.3 * t + phases[5])) * 0.025
            mesh = []
            for row in range(cells):
                for column in range(cells):
                    box = tuple(round(v * side / cells) for v in (column, row, column + 1, row + 1))
                    corners = []
                    for x, y in ((box[0], box[1]), (box[0], box[3]), (box[2], box[3]), (box[2], box[1])):
                        u, v = x / side, y / side
                        head = math.exp(-(((u - mouth[0]) / 0.28) ** 2) - ((v - mouth[1] + 0.12) / 0.34) ** 2)
                        lips = math.exp(-(((u - mouth[0]) / 0.09) ** 2) - ((v - mouth[1] - 0.03) / 0.05) ** 2)
                        corners += [x - side * turn * head, y - side * (nod * head + talk * lips)]
                    mesh.append((box, tuple(corners)))
            moved = portrait.transform((side, side), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
            picture = wall.copy()
            at = (width - side) // 2
            picture.paste(moved, (at, height - side), mask)
            if shake:
                x = 0.5 + shake * (math.sin(2.1 * t + phases[6]) + 0.4 * math.sin(7.7 * t))
                y = 0.5 + shake * (math.sin(1.7 * t + phases[7]) + 0.4 * math.sin(6.1 * t))
                picture = view(picture, x, y, 1.08, width, height)
            yield noisy(picture, planes, n)

    return draw


talking_head = _speaker("astronaut", "coffee", 2.2, (0.43, 0.36), 1)
interview = _speaker("hopper", "china", 3.5, (0.5, 0.42), 2)
phone = _speaker("astronaut", "rocket", 4.5, (0.43, 0.36), 3, shake=0.012)
