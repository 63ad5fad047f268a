"""Paper, water and sky: many small things, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from bench.scenes.parts import Frame, Photos, cover, font_of, grain_planes, noisy
from PIL import Image, ImageDraw, ImageFilter


def confetti(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """1500 turning slips of paper fall before a stage."""
    rng, unit = np.random.default_rng(81), height / 720
    stage = cover(photos["rocket"].convert("RGB"), width, height).filter(ImageFilter.GaussianBlur(6 * unit))
    slips = rng.uniform(0, 1, (1500, 6))
    colours = [(230, 60, 70), (250, 200, 50), (70, 160, 230), (90, 200, 110), (240, 240, 245), (190, 90, 210)]
    planes = grain_planes(height, width, 1.8, False, 81)
    for n in range(frames):
        picture = stage.copy()
        draw = ImageDraw.Draw(picture)
        for k, (x, y, pace, size, spin, phase) in enumerate(slips):
            near = 0.4 + 1.2 * size
            px = ((x + 0.03 * math.sin(n * 0.09 * (0.5 + spin) + 6 * phase)) * width) % width
            py = (y * height * 1.1 + n * (3 + 6 * pace) * near * unit) % (height * 1.1) - 0.05 * height
            angle, tilt = n * 0.25 * (spin - 0.5) * 2 + 6 * phase, math.cos(n * 0.3 * spin + 6 * phase)
            a, b = 7 * near * unit, 4 * near * unit * tilt
            c, s = math.cos(angle), math.sin(angle)
            shade = 0.65 + 0.35 * abs(tilt)
            fill = tuple(int(v * shade) for v in colours[k % len(colours)])
            corners = ((a, b), (-a, b), (-a, -b), (a, -b))
            draw.polygon([(px + u * c - v * s, py + u * s + v * c) for u, v in corners], fill=fill)
        yield noisy(picture, planes, n)


def water(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A sea of many small waves with glints, under a low sun."""
    rng = np.random.default_rng(91)
    h, w = height // 2, width // 2
    ys = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    xs = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    far = 1 / (0.06 + ys)
    px, pz = xs * far * 3, far * 6
    waves = rng.uniform(-1, 1, (26, 4))
    planes = grain_planes(height, width, 1.5, False, 91)
    for n in range(frames):
        t = n / 25
        slope_x, slope_z = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
        for k, (dx, dz, pace, phase) in enumerate(waves):
            long = 0.7 * 1.16**k
            wave = np.cos(long * (dx * px + dz * pz) + (1.5 + pace) * math.sqrt(long) * t * 1.6 + 6 * phase)
            slope_x += wave * dx * 0.55 / (1 + 0.1 * k)
            slope_z += wave * dz * 0.55 / (1 + 0.1 * k)
        facing = np.exp(-((xs * 2.2 + slope_x * 0.55) ** 2) * 3) * np.clip(0.4 + 0.6 * slope_z, 0, 2) ** 3
        body = 52 + 46 * np.tanh(slope_z) + 26 * ys
        frame = np.stack(
            [body * 0.55 + 210 * facing, body * 0.85 + 170 * facing, body * 1.15 + 110 * facing], axis=2
        )
        picture = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        yield noisy(picture, planes, n)


def dusk(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A clear evening sky, soft glows that drift, and a title that fades in: nothing but gradients."""
    h, w = height // 4, width // 4
    ys, xs = np.linspace(0, 1, h, dtype=np.float32)[:, None], np.linspace(0, 1, w, dtype=np.float32)[None, :]
    rng, font = np.random.default_rng(101), font_of(height // 9)
    title = Image.new("L", (width, height), 0)
    ImageDraw.Draw(title).text((width * 0.24, height * 0.4), "The last hour", font=font, fill=255)
    dither = [rng.uniform(0, 1, (height, width, 1)).astype(np.float32) for _ in range(3)]
    for n in range(frames):
        t = n / 25
        sun = np.exp(-((xs - 0.3 - 0.02 * t) ** 2 + (ys - 0.9 + 0.01 * t) ** 2) * 7)
        veil = np.exp(-((ys - 0.35 - 0.05 * np.sin(3 * xs + 0.4 * t)) ** 2) * 30)
        parts = [
            30 + 150 * ys + 70 * sun + 20 * veil,
            40 + 70 * ys + 60 * sun + 14 * veil,
            90 + 20 * ys + 10 * sun + 24 * veil,
        ]
        large = [
            np.asarray(
                Image.fromarray(np.broadcast_to(part, (h, w)).astype(np.float32)).resize(
                    (width, height), Image.Resampling.BICUBIC
                )
            )
            for part in parts
        ]
        frame = Image.fromarray(np.clip(np.stack(large, axis=2) + dither[n % 3], 0, 255).astype(np.uint8))
        shown = min(1.0, max(0.0, (t - 1) / 2))
        frame.paste(
            Image.new("RGB", frame.size, (255, 244, 226)), (0, 0), title.point(lambda v, k=shown: v * k)
        )
        yield np.asarray(frame)
