"""Figures with outlines and flat colours, as an animator draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from bench.scenes.parts import Frame, Photos
from PIL import Image, ImageDraw

INK = (28, 24, 32)


class _Cel:
    """A drawing surface, four times as fine as the frame, with units of a thousandth of its height."""

    def __init__(self, width: int, height: int, colour: tuple[int, int, int]) -> None:
        self.size = (width, height)
        self.unit = 2 * height / 1000
        self.image = Image.new("RGB", (2 * width, 2 * height), colour)
        self.draw = ImageDraw.Draw(self.image)

    def at(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * self.unit, y * self.unit) for x, y in points]

    def blob(
        self, x: float, y: float, rx: float, ry: float, fill: tuple[int, int, int], ink: float = 5
    ) -> None:
        box = self.at((x - rx, y - ry), (x + rx, y + ry))
        self.draw.ellipse([*box[0], *box[1]], fill=fill, outline=INK if ink else None,
                          width=max(1, round(ink * self.unit)))  # fmt: skip

    def shape(
        self, points: Sequence[tuple[float, float]], fill: tuple[int, int, int], ink: float = 5
    ) -> None:
        there = self.at(*points)
        self.draw.polygon(there, fill=fill)
        if ink:
            self.draw.line(
                [*there, there[0], there[1]], fill=INK, width=round(ink * self.unit), joint="curve"
            )

    def limb(self, points: Sequence[tuple[float, float]], fill: tuple[int, int, int], thick: float) -> None:
        there = self.at(*points)
        for colour, width in ((INK, thick + 10), (fill, thick)):
            self.draw.line(there, fill=colour, width=round(width * self.unit), joint="curve")
            for x, y in (there[0], there[-1]):
                r = width * self.unit / 2
                self.draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def done(self) -> Frame:
        return np.asarray(self.image.resize(self.size, Image.Resampling.BOX))


def _hero(
    cel: _Cel, x: float, ground: float, phase: float, look: str, facing: int = 1, leap: float = 0
) -> None:
    """A figure of 400 units that walks: legs and arms swing with the phase (radians)."""
    skin, shirt, trousers, hair = {
        "girl": ((255, 206, 168), (222, 54, 72), (48, 66, 140), (120, 62, 28)),
        "boy": ((198, 134, 92), (250, 190, 40), (60, 110, 70), (30, 26, 30)),
        "robot": ((176, 196, 206), (92, 150, 178), (70, 84, 100), (210, 90, 40)),
    }[look]
    bounce = 8 * abs(math.sin(phase)) + leap
    hip, neck = ground - 150 - bounce, ground - 285 - bounce
    for swing in (math.sin(phase + math.pi), math.sin(phase)):
        knee = (x + facing * (60 * swing + 10), hip + 75)
        foot = (x + facing * (95 * swing - 20 * max(0, -swing)), ground - leap - 30 * max(0, -swing))
        cel.limb([(x, hip), knee, foot], trousers, 34)
        toe, heel = foot[0] + facing * 52, foot[0] - 22
        sole = [(heel, foot[1] - 14), (toe, foot[1] - 8), (toe, foot[1] + 10), (heel, foot[1] + 10)]
        cel.shape(sole, (240, 240, 236))
    cel.limb([(x, neck + 20), (x - facing * 50 * math.sin(phase), neck + 85),
              (x - facing * 80 * math.sin(phase) + facing * 20, neck + 140)], shirt, 26)  # fmt: skip
    cel.shape([(x - 48, neck + 8), (x + 48, neck + 8), (x + 56, hip + 24), (x - 56, hip + 24)], shirt)
    head = neck - 62
    if look == "robot":
        cel.shape([(x - 70, head - 62), (x + 70, head - 62), (x + 70, head + 58), (x - 70, head + 58)], skin)
        cel.limb([(x, head - 64), (x, head - 104)], hair, 6)
        cel.blob(x, head - 112, 14, 14, hair)
    else:
        cel.blob(x - facing * 8, head - 16, 86, 84, hair)
        cel.blob(x + facing * 8, head, 74, 72, skin)
        cel.shape([(x - 74, head - 20), (x - 40, head - 74), (x + 40, head - 78), (x + 74, head - 24),
                   (x + 20, head - 42), (x - 10, head - 30)], hair)  # fmt: skip
    blink = 3 if math.sin(phase * 0.37) > 0.97 else 17
    for side in (-1, 1):
        eye = x + facing * 22 + side * 27
        cel.blob(eye, head - 4, 14, blink, (255, 255, 255), 4)
        cel.blob(eye + facing * 4, head - 2, 6, min(8, blink), INK, 0)
    cel.blob(x + facing * 24, head + 36, 18, 4 + 9 * abs(math.sin(phase * 0.7)), (150, 40, 50), 4)
    cel.limb([(x, neck + 20), (x + facing * 50 * math.sin(phase), neck + 88),
              (x + facing * 84 * math.sin(phase) + facing * 18, neck + 146)], skin, 22)  # fmt: skip


def _meadow(cel: _Cel, shift: float, wide: float) -> None:
    """Sky, clouds, hills, trees and a fence: four layers that move at their own speeds."""
    for band in range(12):
        y = band * 52
        cel.draw.rectangle(
            [0, y * cel.unit, cel.image.width, (y + 52) * cel.unit],
            fill=(120 + 9 * band, 190 + 4 * band, 250 - band),
        )
    cel.blob(wide - 320, 170, 86, 86, (255, 232, 130), 0)
    for n in range(6):
        x = (n * 420 - shift * 0.15) % (wide + 500) - 250
        for dx, dy, r in ((0, 0, 62), (70, -22, 76), (150, 4, 60)):
            cel.blob(x + dx, 140 + 60 * (n % 3) + dy, r, r * 0.62, (250, 252, 255), 0)
    for layer, (colour, top, size, speed) in enumerate(
        (((140, 196, 150), 560, 300, 0.25), ((104, 172, 96), 640, 380, 0.5))
    ):
        for n in range(9):
            x = (n * 360 + 170 * layer - shift * speed) % (wide + 900) - 450
            cel.blob(x, top + 240, size, 260, colour, 4)
    for n in range(8):
        x = (n * 330 - shift * 0.8) % (wide + 700) - 350
        cel.shape([(x - 18, 790), (x + 18, 790), (x + 12, 600), (x - 12, 600)], (126, 84, 52))
        for dx, dy, r in ((-50, 590, 74), (50, 580, 78), (0, 520, 84)):
            cel.blob(x + dx, dy, r, r, (58, 142, 70))
    cel.draw.rectangle([0, 780 * cel.unit, cel.image.width, cel.image.height], fill=(150, 206, 92))
    cel.draw.rectangle([0, 860 * cel.unit, cel.image.width, 1000 * cel.unit], fill=(222, 190, 138))
    for n in range(24):
        x = (n * 130 - shift) % (wide + 260) - 130
        cel.shape([(x, 840), (x, 740), (x + 18, 722), (x + 36, 740), (x + 36, 840)], (244, 238, 220))
        cel.shape([(x - 50, 770), (x + 80, 770), (x + 80, 788), (x - 50, 788)], (244, 238, 220))


def cartoon_walk(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """Two figures walk through a meadow, drawn on twos."""
    wide = 1000 * width / height
    drawing: Frame | None = None
    for n in range(frames):
        if n % 2 == 0 or drawing is None:
            cel, shift = _Cel(width, height, (255, 255, 255)), n * 7.0
            _meadow(cel, shift, wide)
            _hero(cel, wide * 0.36 + 20 * math.sin(n / 30), 930, n * 0.26, "girl")
            _hero(cel, wide * 0.58 + 26 * math.sin(n / 21), 945, n * 0.24 + 1, "boy")
            drawing = cel.done()
        yield drawing


def cartoon_talk(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A robot and a girl talk in a room, cut between two angles; only mouths, eyes and arms move."""
    wide = 1000 * width / height
    drawing: Frame | None = None
    for n in range(frames):
        if n % 2 == 0 or drawing is None:
            near = n // 62 % 2 == 1
            cel = _Cel(width, height, (236, 208, 170) if not near else (196, 214, 226))
            for k in range(9):
                cel.draw.rectangle([k * 240 * cel.unit, 0, (k * 240 + 110) * cel.unit, 800 * cel.unit],
                                   fill=(228, 196, 154) if not near else (184, 204, 220))  # fmt: skip
            cel.shape([(160, 120), (620, 120), (620, 520), (160, 520)], (150, 206, 240), 8)
            cel.limb([(390, 120), (390, 520)], (250, 250, 250), 12)
            cel.draw.rectangle([0, 800 * cel.unit, cel.image.width, cel.image.height], fill=(146, 96, 64))
            cel.shape(
                [(wide * 0.62, 640), (wide * 0.95, 640), (wide * 0.93, 830), (wide * 0.64, 830)],
                (96, 60, 110),
            )
            still = 0.12 * math.sin(n * 0.22)
            if near:
                _hero(cel, wide * 0.5, 960, still + n * 0.01, "girl")
            else:
                _hero(cel, wide * 0.35, 940, still, "robot")
                _hero(cel, wide * 0.6, 930, 0.1 * math.sin(n * 0.31) + n * 0.008, "girl", -1)
            drawing = cel.done()
        yield drawing


def cartoon_chase(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A chase on ones: the background flies by, with speed lines, leaps, dust and quick cuts."""
    wide, rng = 1000 * width / height, np.random.default_rng(7)
    lines = rng.uniform(0, 1, (60, 3))
    for n in range(frames):
        cel, shift = _Cel(width, height, (255, 255, 255)), n * 46.0
        if n // 40 % 3 == 2:
            cel.draw.rectangle([0, 0, cel.image.width, cel.image.height], fill=(250, 214, 60))
            for k in range(40):
                angle = k * math.pi / 20 + n * 0.03
                ray = [(wide / 2, 500)]
                for side in (angle, angle + 0.06):
                    ray.append((wide / 2 + 1400 * math.cos(side), 500 + 1400 * math.sin(side)))
                cel.shape(ray, (244, 140, 40), 0)
            _hero(cel, wide * 0.5 + 60 * math.sin(n), 980, n * 0.9, "robot")
        else:
            _meadow(cel, shift, wide)
            leap = max(0.0, 160 * math.sin(n * 0.16))
            for k in range(5):
                cel.blob(
                    wide * 0.2 - k * 40 + 12 * math.sin(n * 2 + k),
                    930 - 8 * k,
                    46 - 6 * k,
                    36 - 5 * k,
                    (236, 222, 196),
                    3,
                )
            _hero(cel, wide * 0.32, 930, n * 0.7, "boy")
            _hero(cel, wide * 0.68, 930, n * 0.66, "girl", leap=leap)
            for x, y, long in lines:
                begin = (x * wide * 2 - n * 130) % (wide * 1.5) - wide * 0.25
                cel.limb(
                    [(begin, y * 760), (begin + 120 + 200 * long, y * 760)], (255, 255, 255), 2 + 3 * long
                )
        yield cel.done()
