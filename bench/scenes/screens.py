"""What a screen recorder delivers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from bench.scenes.parts import Frame, Photos, cover, font_of, textured
from PIL import Image, ImageDraw

_WORDS = [
    "def", "frames", "rendition", "window", "return", "chunk", "segment", "for", "in", "if", "not",
    "None", "self", "plan", "source", "yield", "bitrate", "import", "from", "numpy", "as", "np", "path",
    "open", "read", "write", "assert", "raise", "with", "while", "try", "except", "lambda", "True",
    "False", "encoder", "vmaf", "quality", "ladder", "target", "measure", "publish", "index",
    "playlist", "grid", "range", "length", "offset",
]  # fmt: skip


def _pointer(draw: ImageDraw.ImageDraw, x: float, y: float, unit: float) -> None:
    outline = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
    draw.polygon(
        [(x + a * unit, y + b * unit) for a, b in outline], fill=(20, 20, 20), outline=(255, 255, 255)
    )


def editor(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A dark editor: somebody types, scrolls a page, waits, and moves the pointer."""
    rng, unit = np.random.default_rng(11), height / 1080
    font, line = font_of(round(22 * unit), mono=True), round(32 * unit)
    colours = [
        (212, 212, 212),
        (86, 156, 214),
        (206, 145, 120),
        (106, 153, 85),
        (220, 220, 170),
        (197, 134, 192),
    ]
    text = Image.new("RGB", (width, line * 150), (30, 30, 30))
    draw = ImageDraw.Draw(text)
    for row in range(150):
        draw.text((16 * unit, row * line), f"{row + 1:4}", font=font, fill=(110, 110, 110))
        x = (110 + 45 * int(rng.integers(0, 4))) * unit
        for _ in range(int(rng.integers(0, 11))):
            word = (
                _WORDS[int(rng.integers(len(_WORDS)))] + ["", "(", ")", ":", ",", " ="][int(rng.integers(6))]
            )
            draw.text((x, row * line), word, font=font, fill=colours[int(rng.integers(len(colours)))])
            x += draw.textlength(word + " ", font=font)
    side, bar = round(300 * unit), round(48 * unit)
    scroll = 0
    typed = ""
    for n in range(frames):
        beat = n % 150
        if 60 <= beat < 84:
            scroll += round(18 * unit)
        elif beat % 3 == 0 and beat < 50:
            typed += "while rendition in ladder: measure(window)"[len(typed) % 42]
        picture = Image.new("RGB", (width, height), (37, 37, 38))
        picture.paste(text.crop((0, scroll, width - side, scroll + height - bar)), (side, bar))
        draw = ImageDraw.Draw(picture)
        draw.rectangle([side, height - 5 * line, width, height], fill=(24, 24, 24))
        draw.text((side + 20, height - 4 * line), "$ " + typed[-60:], font=font, fill=(200, 220, 200))
        if n // 13 % 2:
            x = side + 20 + draw.textlength("$ " + typed[-60:], font=font)
            draw.rectangle([x, height - 4 * line, x + 10 * unit, height - 3.1 * line], fill=(230, 230, 230))
        for k, name in enumerate(
            ("plan.py", "result.py", "choice.py", "vmaf.py", "presets", "tests", "docs")
        ):
            draw.text((24 * unit, bar + (14 + 38 * k) * unit), name, font=font, fill=(190, 190, 190))
        draw.rectangle([0, 0, width, bar], fill=(60, 60, 62))
        draw.text((20 * unit, 10 * unit), "vod_operators: plan.py", font=font, fill=(235, 235, 235))
        glide = min(1.0, beat / 50)
        _pointer(draw, (500 + 900 * glide) * unit, (700 - 400 * glide * (2 - glide)) * unit, 1.4 * unit)
        yield np.asarray(picture)


def desktop(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """A white sheet of numbers and a chart; a window is dragged, a menu opens, the page scrolls by wheel."""
    rng, unit = np.random.default_rng(12), height / 720
    font, bold = font_of(round(14 * unit)), font_of(round(17 * unit))
    sheet = Image.new("RGB", (width, height * 2), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    cell = (round(104 * unit), round(24 * unit))
    for row in range(height * 2 // cell[1]):
        if row % 2:
            draw.rectangle([0, row * cell[1], width, (row + 1) * cell[1]], fill=(243, 246, 250))
        for column in range(width // cell[0] + 1):
            draw.text(
                (column * cell[0] + 8, row * cell[1] + 4),
                f"{rng.uniform(0, 9999):,.2f}",
                font=font,
                fill=(40, 40, 46),
            )
    for column in range(width // cell[0] + 1):
        draw.line([column * cell[0], 0, column * cell[0], height * 2], fill=(206, 210, 216))
    window = Image.new("RGB", (round(460 * unit), round(300 * unit)), (250, 250, 250))
    draw = ImageDraw.Draw(window)
    draw.rectangle([0, 0, window.width, 32 * unit], fill=(52, 101, 164))
    draw.text((12 * unit, 6 * unit), "Rate over quality", font=bold, fill=(255, 255, 255))
    for k, colour in enumerate(((33, 102, 172), (178, 24, 43), (90, 174, 97))):
        points = [
            ((30 + 40 * i) * unit, (260 - 9 * i - 40 * k - 30 * rng.uniform()) * unit) for i in range(11)
        ]
        draw.line(points, fill=colour, width=round(3 * unit), joint="curve")
    draw.rectangle([0, 0, window.width - 1, window.height - 1], outline=(60, 60, 60))
    scroll = 0
    for n in range(frames):
        beat = n % 120
        if beat in (70, 73, 76, 79, 82):
            scroll = (scroll + 3 * cell[1]) % height
        picture = sheet.crop((0, scroll, width, scroll + height))
        drag = 0.5 - 0.5 * math.cos(math.pi * min(1, beat / 45))
        x, y = round((120 + 520 * drag) * unit), round((90 + 200 * drag) * unit)
        shade = picture.crop((x, y, x + window.width + 8, y + window.height + 8)).point(lambda v: v * 0.7)
        picture.paste(shade, (x + 4, y + 4))
        picture.paste(window, (x, y))
        draw = ImageDraw.Draw(picture)
        if 92 <= beat < 114:
            draw.rectangle(
                [40 * unit, 40 * unit, 260 * unit, 250 * unit], fill=(248, 248, 248), outline=(120, 120, 120)
            )
            for k in range(7):
                chosen = k == (beat - 92) // 4
                if chosen:
                    draw.rectangle(
                        [44 * unit, (48 + 28 * k) * unit, 256 * unit, (74 + 28 * k) * unit],
                        fill=(200, 220, 245),
                    )
                draw.text(
                    (56 * unit, (51 + 28 * k) * unit),
                    f"{_WORDS[k * 3]} {_WORDS[k * 5 + 2]}",
                    font=bold,
                    fill=(20, 20, 20),
                )
        _pointer(draw, x + 200 * unit, y + 14 * unit, unit)
        yield np.asarray(picture)


def slides(photos: Photos, width: int, height: int, frames: int) -> Iterator[Frame]:
    """Four slides with photos, titles and lists, each still for two seconds, dissolved into the next."""
    unit = height / 1080
    title, font = font_of(round(64 * unit)), font_of(round(34 * unit))
    made = []
    for k, (name, colour) in enumerate(
        (
            ("coffee", (250, 248, 244)),
            ("rocket", (18, 32, 58)),
            ("chelsea", (244, 250, 246)),
            ("china", (60, 20, 24)),
        )
    ):
        slide = Image.new("RGB", (width, height), colour)
        draw, ink = ImageDraw.Draw(slide), (24, 24, 24) if sum(colour) > 380 else (240, 240, 240)
        draw.text((90 * unit, 70 * unit), f"{k + 1}. What a slide says at once", font=title, fill=ink)
        for line in range(6):
            words = " ".join(_WORDS[(7 * k + 5 * line + j * 3) % len(_WORDS)] for j in range(5))
            draw.text((110 * unit, (230 + 110 * line) * unit), f"•  {words}", font=font, fill=ink)
        photo = textured(
            cover(photos[name].convert("RGB"), round(760 * unit), round(700 * unit)), photos, 0.3
        )
        slide.paste(photo, (round(1070 * unit), round(230 * unit)))
        made.append(slide)
    each, soft = 50, 12
    for n in range(frames):
        k, beat = n // each % 4, n % each
        picture = made[k]
        if beat >= each - soft:
            picture = Image.blend(picture, made[(k + 1) % 4], (beat - each + soft + 1) / (soft + 1))
        yield np.asarray(picture)
