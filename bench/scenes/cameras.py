"""Scenes before a camera that pans, zooms or cuts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from bench.scenes.parts import Frame, Photos, cover, font_of, grain_planes, noisy, panorama, textured, view
from PIL import Image, ImageDraw, ImageFilter


def match(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A match: players on grass before a crowd; the camera follows with quick pans and motion blur."""
    rng, unit = np.random.default_rng(21), height / 1080
    wide = 3 * width
    grass = textured(Image.new("RGB", (wide, height), (74, 130, 52)), photos, 1.6)
    field = np.asarray(grass, np.float32).copy()
    for stripe in range(0, wide, round(240 * unit)):
        if stripe // round(240 * unit) % 2:
            field[:, stripe : stripe + round(240 * unit)] *= 0.88
    crowd = Image.new("RGB", (wide, round(400 * unit)), (40, 42, 54))
    draw = ImageDraw.Draw(crowd)
    for row in range(26):
        for column in range(round(wide / (22 * unit))):
            x, y = (column * 22 + rng.uniform(-6, 6)) * unit, (row * 15.5 + rng.uniform(-3, 3)) * unit
            shirt = tuple(int(v) for v in rng.integers(30, 235, 3))
            draw.ellipse([x - 8 * unit, y + 6 * unit, x + 8 * unit, y + 24 * unit], fill=shirt)
            draw.ellipse([x - 4 * unit, y - 3 * unit, x + 4 * unit, y + 6 * unit], fill=(210, 160, 130))
    field[: crowd.height] = np.asarray(crowd.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    ground = Image.fromarray(field.clip(0, 255).astype(np.uint8))
    lines = ImageDraw.Draw(ground)
    lines.line([0, 440 * unit, wide, 440 * unit], fill=(236, 240, 232), width=round(8 * unit))
    lines.line(
        [wide / 2, 440 * unit, wide / 2 - 300 * unit, height], fill=(236, 240, 232), width=round(8 * unit)
    )
    lines.ellipse(
        [wide / 2 - 500 * unit, 560 * unit, wide / 2 + 300 * unit, 900 * unit],
        outline=(236, 240, 232),
        width=round(7 * unit),
    )
    still = np.asarray(ground)
    players = rng.uniform(0, 1, (14, 4))
    planes = grain_planes(height, width, 2.5, False, 21)
    for n in range(frames):
        t = n / 50
        middle = 0.5 + 0.3 * math.sin(1.15 * t) + 0.12 * math.sin(2.9 * t + 1)
        speed = (0.3 * 1.15 * math.cos(1.15 * t) + 0.12 * 2.9 * math.cos(2.9 * t + 1)) / 50 * (wide - width)
        left = middle * (wide - width)
        smear = np.zeros((height, width, 3), np.float32)
        for step in (-0.25, 0, 0.25):
            at = min(max(round(left + step * speed), 0), wide - width)
            smear += still[:, at : at + width]
        picture = Image.fromarray((smear / 3).astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        for k, (x, y, pace, phase) in enumerate(players):
            px = (x * wide + 500 * unit * math.sin(0.8 * t * (1 + pace) + 6 * phase)) - left
            if not -100 <= px <= width + 100:
                continue
            py, size = (520 + 430 * y) * unit, (0.6 + 0.5 * y) * unit
            colour = (210, 30, 40) if k % 2 else (240, 240, 250)
            for sign in (-1, 1):
                swing = 26 * math.sin(9 * t + 6 * phase) * sign
                draw.line(
                    [(px, py), (px + swing * size, py + 60 * size)], fill=(40, 40, 50), width=round(15 * size)
                )
                draw.line(
                    [(px, py - 70 * size), (px - swing * size, py - 20 * size)],
                    fill=(200, 150, 120),
                    width=round(11 * size),
                )
            draw.rounded_rectangle(
                [px - 20 * size, py - 84 * size, px + 20 * size, py + 4 * size], 8 * size, fill=colour
            )
            draw.text(
                (px - 8 * size, py - 70 * size), str(k), font=font_of(round(24 * size)), fill=(20, 20, 20)
            )
            draw.ellipse(
                [px - 13 * size, py - 112 * size, px + 13 * size, py - 84 * size], fill=(205, 155, 125)
            )
        yield noisy(picture, planes, n)


def street_pan(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A fast pan back and forth over joined photos by a hand-held camera, with motion blur."""
    whole = panorama(photos, ("china", "coffee", "rocket", "flower"), round(height * 1.1))
    planes, room = grain_planes(height, width, 2.0, False, 31), whole.shape[1] - width
    for n in range(frames):
        t = n / 25
        smear = np.zeros((height, width, 3), np.float32)
        for step in range(4):
            moment = t + step / 100
            x = 0.5 - 0.5 * math.cos(0.9 * moment) + 0.004 * math.sin(8 * moment)
            y = 0.5 + 0.3 * math.sin(5.3 * moment) + 0.15 * math.sin(11 * moment)
            left, top = round(x * room), round(y * (whole.shape[0] - height))
            left, top = min(max(left, 0), room), min(max(top, 0), whole.shape[0] - height)
            smear += whole[top : top + height, left : left + width]
        yield noisy((smear / 4).astype(np.uint8), planes, n)


def zoom(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """Slowly into a field of galaxies."""
    picture, planes = photos["hubble"].convert("RGB"), grain_planes(height, width, 1.2, False, 41)
    for n in range(frames):
        yield noisy(view(picture, 0.42, 0.55, 1.0 * 1.006**n, width, height), planes, n)


def film(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A slow dolly with strong, coarse grain, flicker, and bars above and below, as of a scanned film."""
    picture = textured(cover(photos["coffee"].convert("RGB"), width * 5 // 4, height * 5 // 4), photos, 0.3)
    planes, rng = grain_planes(height, width, 9, True, 51), np.random.default_rng(51)
    bar = height // 9
    for n in range(frames):
        x, y = 0.42 + 0.16 * n / frames, 0.5 + 0.0008 * float(rng.normal())
        moved = np.asarray(view(picture, x, y, 1.15, width, height), np.float32)
        flicker = np.clip(moved * (1 + 0.015 * float(rng.normal())), 0, 255).astype(np.uint8)
        frame = noisy(flicker, planes, n)
        frame[:bar] = frame[-bar:] = 2
        yield frame


def night(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A city at night: lit windows, glows, passing headlights, deep shadows with a sensor's noise."""
    rng, unit = np.random.default_rng(61), height / 720
    base = np.zeros((height, width, 3), np.float32)
    base += np.linspace(10, 26, height, dtype=np.float32)[:, None, None] * np.array(
        [0.5, 0.6, 1.0], np.float32
    )
    city = Image.fromarray(base.astype(np.uint8))
    draw = ImageDraw.Draw(city)
    for k in range(22):
        x, w = k * 62 * unit + rng.uniform(-20, 20), rng.uniform(50, 110) * unit
        top = rng.uniform(150, 430) * unit
        tone = int(rng.integers(8, 20))
        draw.rectangle([x, top, x + w, 560 * unit], fill=(tone, tone, tone + 4))
        for wy in range(round(top + 8 * unit), round(540 * unit), max(6, round(16 * unit))):
            for wx in range(round(x + 6 * unit), round(x + w - 8 * unit), max(5, round(13 * unit))):
                if rng.uniform() < 0.22:
                    draw.rectangle(
                        [wx, wy, wx + 6 * unit, wy + 9 * unit],
                        fill=(int(rng.integers(90, 190)), int(rng.integers(80, 140)), 60),
                    )
    planes, lamps = grain_planes(height, width, 3.2, False, 62), rng.uniform(0, 1, (9, 3))
    still = np.asarray(city, np.float32)
    glow = np.asarray(city.filter(ImageFilter.GaussianBlur(14 * unit)), np.float32)
    still = still + 0.8 * glow
    ys, xs = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    for n in range(frames):
        light = np.zeros((*xs.shape, 3), np.float32)
        for x, pace, side in lamps:
            direction = 1 if side > 0.5 else -1
            at = (x * 1.4 * width + direction * n * (4 + 9 * pace) * unit) % (1.4 * width) - 0.2 * width
            y = (610 + 60 * side) * unit
            spot = 5200 * unit**2 / ((xs - at) ** 2 + ((ys - y) * 1.8) ** 2 + 40 * unit**2)
            colour = (1.0, 0.92, 0.75) if direction > 0 else (1.0, 0.18, 0.1)
            light += spot[..., None] * np.array(colour, np.float32)
        large = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        yield noisy(np.clip(still + np.asarray(large, np.float32), 0, 255).astype(np.uint8), planes, n)


def trailer(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """Photos of every kind, cut every half to two seconds, with fades from and to black and white flashes."""
    rng, planes = np.random.default_rng(71), grain_planes(height, width, 2, False, 71)
    names = ("rocket", "chelsea", "china", "astronaut", "flower", "coffee", "hubble", "retina")
    pictures = [
        textured(cover(photos[name].convert("RGB"), width * 6 // 5, height * 6 // 5), photos, 0.4)
        for name in names
    ]
    begin, length, shot = 0, 30, 0
    drift = rng.uniform(0.4, 0.6, 4)
    for n in range(frames):
        if n - begin >= length:
            begin, length, shot = n, int(rng.integers(12, 48)), shot + 1
            drift = rng.uniform(0.35, 0.65, 4)
        part = (n - begin) / length
        x, y = drift[0] + (drift[2] - drift[0]) * part, drift[1] + (drift[3] - drift[1]) * part
        picture = view(pictures[shot % len(pictures)], x, y, 1.1 + 0.1 * part, width, height)
        level, white = 1.0, 0.0
        if shot % 3 == 0:
            level = min(1.0, (n - begin) / 12, (begin + length - n) / 12)
        elif shot % 3 == 2 and n - begin < 3:
            white = 0.8 - 0.25 * (n - begin)
        pixels = np.asarray(picture, np.float32) * level * (1 - white) + 255 * white
        yield noisy(np.clip(pixels, 0, 255).astype(np.uint8), planes, n)
