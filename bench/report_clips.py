"""Clips that the source report's thresholds were not chosen on, and defects seeded into them.

Kinds of picture that people have, among them those that look like a defect and are none. Each is 4 s long,
640x360, and of one of the clips of ``quality_clips`` or of the real ones, changed by filters of ffmpeg.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from bench import quality_clips, report_sounds
from bench.media import ffmpeg

SECONDS = 4
SIZE = (640, 360)
LEAST_S = 0.52

_HOLD = "select='not(mod(n,{0}))',fps={1}"
_CARD = (
    "split[a][b];[b]trim=end_frame=1,drawbox=t=fill:c=0x203040,drawbox=120:130:400:24:0xe0e0e0:fill,"
    "drawbox=180:190:280:14:0xb0b0b0:fill,loop=loop=-1:size=1,fps=25,setpts=N/25/TB[c];"
    "[a][c]overlay=shortest=1:enable='between(t,1.4,2.6)'"
)  # fmt: skip
_POINTER = (
    "trim=end_frame=1,loop=loop=-1:size=1,setpts=N/25/TB,trim=duration=4[s];color=black:s=8x12:r=25:d=4[p];"
    "[s][p]overlay=x='100+if(lt(t,1.2),t*150,180)+gt(t,2)*(t-2)*90':y='80+if(lt(t,1.2),t*60,72)'"
)  # fmt: skip
_FILM = (0, 40, 0, 40)
"""The bars of the clip ``film``."""
_STARS = (
    "drawbox=t=fill:c=black,"
    + ",".join(f"drawbox='mod({97 * n}+{3 + n % 4}*t,640)':{53 * n % 357}:2:2:white@{0.5 + n % 5 / 10:g}"
               for n in range(60))
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """How a clip is made of another one."""

    base: str
    """Name of a clip of ``quality_clips``, or of a real one."""
    picture: str = "null"
    """Filters, before the defects."""
    delivery: str = "plain"
    """``plain``, ``interlaced``, ``pq`` or ``variable``."""
    bars: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Bars that it has: left, top, right, bottom."""
    rate: int = 0
    """Pictures a second, where that is not the base's."""


KINDS: dict[str, Kind] = {name: Kind(name) for name in quality_clips.CLIPS} | {
    "match-576i": Kind("match-576i", delivery="interlaced"),
    "water-hdr": Kind("water-hdr", delivery="pq"),
    "bbb-720p-5s": Kind("bbb-720p-5s"),
    "bikes-640x272-10s": Kind("bikes-640x272-10s"),
    "fades": Kind("street-pan", "fade=in:d=0.5,fade=out:st=3.2:d=0.7:c=white"),
    "fade through black": Kind("interview", "fade=out:st=1:d=0.8:enable='lt(t,1.9)',"
                               "fade=in:st=1.9:d=0.8:enable='gte(t,1.9)'"),
    "flashes of cameras": Kind("interview", "drawbox=c=white@0.9:t=fill:enable='lt(mod(n,17),1)',"
                               "drawbox=c=white@0.4:t=fill:enable='eq(mod(n,17),1)'"),
    "lightning at night": Kind("night", "drawbox=c=white@0.7:t=fill:"
                               "enable='lt(mod(n,29),2)+eq(mod(n,29),5)'"),
    "lights of a concert": Kind("dusk", "eq=brightness='0.15*sin(2*PI*2.4*t)':eval=frame"),
    "dark with noise": Kind("night", "lutyuv=y='16+(val-16)*0.35',noise=alls=18:allf=t"),
    "very dark": Kind("film", bars=_FILM, picture="lutyuv=y='16+(val-16)*0.14',noise=alls=5:allf=t"),
    "stars": Kind("dusk", _STARS),
    "small words on black": Kind("dusk", "drawbox=t=fill:c=black,drawbox=250:300:140:3:gray:fill,"
                                 "drawbox=250:308:'20+20*t':3:gray:fill"),
    "letterbox, dark": Kind("dusk", "lutyuv=y='16+(val-16)*0.4',drawbox=0:0:640:46:black:fill,"
                            "drawbox=0:314:640:46:black:fill", bars=(0, 46, 0, 46)),
    "letterbox, film": Kind("film", "drawbox=0:0:640:46:black:fill,drawbox=0:314:640:46:black:fill",
                            bars=(0, 46, 0, 46)),
    "film": Kind("film", bars=_FILM),
    "dark at the sides": Kind("night", "vignette=a=1.2"),
    "a still and a pointer": Kind("editor", _POINTER),
    "title card": Kind("interview", _CARD),
    "title over motion": Kind("match", "drawbox=100:120:440:100:black@0.8:fill:enable='between(t,1,3)'"),
    "24 in 30": Kind("film", bars=_FILM, picture="fps=30", rate=30),
    "15 in 30": Kind("match", "fps=15,fps=30", rate=30),
    "telecined": Kind("cartoon-walk", "fps=24,telecine", delivery="interlaced", rate=30),
    "on twos": Kind("cartoon-chase", _HOLD.format(2, 24)),
    "on threes": Kind("cartoon-walk", _HOLD.format(3, 24)),
    "5 a second": Kind("talking-head", "fps=5,fps=25"),
    "slow motion": Kind("water", "setpts=4*PTS,fps=25"),
    "slow zoom on a photo": Kind("zoom", "trim=end_frame=1,zoompan=z='1+0.0006*on':d=100:s=640x360:fps=25"),
    "screen, variable rate": Kind("desktop", delivery="variable"),
    "phone, variable rate": Kind("phone", "select='gt(random(1),0.15)',fps=30", delivery="variable"),
    "strong grain": Kind("film", bars=_FILM, picture="noise=alls=24:allf=t"),
    "hand-held, noisy": Kind("bikes-640x272-10s", "noise=alls=12:allf=t,eq=brightness=-0.15"),
}  # fmt: skip

KEPT_ASIDE = frozenset(sorted(KINDS)[1::3])
"""No threshold was looked at with these until the end."""


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One seeded defect: frames ``[first, last)``, or for bars, all."""

    kind: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file, with all that should be told of it."""

    name: str
    kind: str
    path: Path
    rate: Fraction
    defects: tuple[Defect, ...]
    bars: tuple[int, int, int, int]


def rate_of(name: str) -> Fraction:
    """Pictures a second, before any is left out for a variable rate."""
    kind, drawn = KINDS[name], quality_clips.CLIPS.get(KINDS[name].base)
    if kind.rate or drawn is None:
        return Fraction(kind.rate or 25)
    if drawn.delivery == "interlaced" or "=25" in kind.picture or "/25" in kind.picture:
        return Fraction(25)
    return Fraction(drawn.rate)


def cases(
    folder: Path, bases: dict[str, Path], names: Sequence[str] | None = None, *, seeds: int = 2
) -> list[Case]:
    """The files, made where they are missing: each kind clean, and twice with defects.

    :param bases: name -> file of ``quality_clips`` and of the real clips; kinds without one are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, name in enumerate(KINDS):
        if KINDS[name].base not in bases or (names is not None and name not in names):
            continue
        voice = folder / f"{(voices := list(report_sounds.VOICES))[number % len(voices)]}.wav"
        if not voice.exists():
            report_sounds.write(voice, voice.stem, SECONDS)
        for turn in range(seeds + 1):
            rng = random.Random(f"{name} {turn}")
            found.append(_case(folder, bases[KINDS[name].base], voice, name, turn, rng))
    return found


def _defects(turn: int, rate: Fraction, rng: random.Random) -> list[Defect]:
    """Two of the picture and two of the sound, of random lengths at random places."""
    if not turn:
        return []
    found = []
    for kinds in (["black", "frozen", "flashes"], ["silent", "clipped"]):
        rng.shuffle(kinds)
        spans = []
        for begin, end in ((0.0, 1.7), (2.1, float(SECONDS))):
            length = rng.uniform(LEAST_S, 1.1)
            start = rng.uniform(begin + (0.6 if begin == 0 else 0), end - length)
            if rng.random() < 0.2:
                start = begin if begin == 0 else end - length
            first = round(start * rate)
            spans.append((first, min(first + -(-int(length * 1000) * rate // 1000), int(SECONDS * rate))))
        found += [Defect(kind=kind, first=a, last=int(b)) for kind, (a, b) in zip(kinds, spans, strict=False)]
    return found


def _seed(
    defects: Sequence[Defect], rate: Fraction, rng: random.Random
) -> tuple[str, str, tuple[Defect, ...]]:
    """Filters of the picture and of the sound, and what they make: flashes end with their last change."""
    picture, sound, made = [], [], []
    for number, defect in enumerate(defects):
        first, last = defect.first, defect.last - 1
        within = f"enable='between(n,{first},{last})'"
        spoken = f"enable='between(t,{float(first / rate):.4f},{float((last + 1) / rate):.4f})'"
        if defect.kind != "flashes":
            made.append(defect)
        if defect.kind == "black":
            grain = f",noise=c0s={rng.choice((0, 4, 8))}:c0f=t:{within}"
            picture.append(f"drawbox=c=black:t=fill:{within}{grain}")
        elif defect.kind == "frozen":
            held = f"split[f{number}][g{number}];[f{number}][g{number}]freezeframes"
            picture.append(f"{held}=first={first}:last={last}:replace={first}")
        elif defect.kind == "flashes":
            period = rng.choice((2, 3, 4, 5))
            lit = rng.randint(1, max(1, period // 2))
            made += _dangerous(defect, period, lit)
            picture.append(
                f"drawbox=c=white:t=fill:enable='between(n,{first},{last})*lt(mod(n-{first},{period}),{lit})'"
            )
        elif defect.kind == "silent":
            sound.append(f"volume=0:{spoken}")
        else:
            sound.append(f"volume={rng.uniform(9, 23):.1f}dB:{spoken}")
    return ",".join(picture) or "null", ",".join(sound) or "anull", tuple(made)


def _dangerous(defect: Defect, period: int, lit: int) -> list[Defect]:
    """The flashes from their first to their last change, if there are more than three: seven changes."""
    starts = range(defect.first, defect.last, period)
    changes = sorted({*starts, *(min(start + lit, defect.last) for start in starts)} - {0})
    if len(changes) < 7:
        return []
    return [replace(defect, first=changes[0], last=changes[-1])]


def _case(folder: Path, base: Path, voice: Path, name: str, turn: int, rng: random.Random) -> Case:
    kind, rate = KINDS[name], rate_of(name)
    picture, sound, made = _seed(_defects(turn, rate, rng), rate, rng)
    bars = kind.bars
    if turn == 2 and bars != (0, 46, 0, 46):
        bars = rng.choice(((0, 40, 0, 40), (80, 0, 80, 0), (0, 22, 0, 22)))
        left, top, right, bottom = bars
        if top:
            picture += f",drawbox=0:0:640:{top}:black:fill,drawbox=0:{360 - bottom}:640:{bottom}:black:fill"
        else:
            picture += f",drawbox=0:0:{left}:360:black:fill,drawbox={640 - right}:0:{right}:360:black:fill"
        bars = tuple(map(max, bars, kind.bars))
    path = folder / f"{''.join(letter if letter.isalnum() else '-' for letter in name)}-{turn}.mkv"
    if not path.exists():
        width, height = SIZE
        size = f"crop='min(iw,ih*16/9)':'min(ih,iw*9/16)',scale={width}:{height}:interl=-1,setsar=1"
        encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "48", "-pix_fmt", "yuv420p"]
        if kind.delivery == "interlaced":
            encode += ["-flags", "+ildct+ilme", "-x264-params", "tff=1"]
            picture += ",setfield=tff"
        elif kind.delivery == "pq":
            encode = ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "16", "-pix_fmt", "yuv420p10le",
                      "-x265-params", "log-level=error", "-color_primaries", "bt2020",
                      "-color_trc", "smpte2084",
                      "-colorspace", "bt2020nc"]  # fmt: skip
        elif kind.delivery == "variable":
            picture += ",mpdecimate"
            encode += ["-fps_mode", "vfr"]
        graph = f"[0:v]trim=duration={SECONDS},setpts=PTS-STARTPTS,{size},{kind.picture},{picture}[v]"
        loop = ["-stream_loop", "1"] if name == "telecined" else []
        part = path.with_suffix(".part.mkv")
        ffmpeg(
            *loop, "-i", str(base), "-i", str(voice),
            "-filter_complex", f"{graph};[1:a]{sound},aformat=s16[a]",
            "-map", "[v]", "-map", "[a]", "-t", str(SECONDS), *encode,
            "-c:a", rng.choice(("aac", "ac3", "libmp3lame", "flac")),
            "-b:a", rng.choice(("128k", "192k", "256k")),
            str(part),
        )  # fmt: skip
        part.replace(path)
    return Case(name=f"{name} {turn}", kind=name, path=path, rate=rate, defects=made, bars=bars)
