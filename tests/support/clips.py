"""Test media whose every picture carries its number and whose sound clicks on a known schedule.

A picture is 8 x 2 blocks, black or white: 14 bits of its number in Gray code, then one block that is always
black and one that is always white, which tell what black and white have become on the way. Gray code,
because neighbouring pictures then differ in one block, so that a blend of the two is read as neither; and
because in two fields of one frame a plain binary number's last bit would be a still comb to a deinterlacer.

A click is a short sweep: it correlates sharply with itself and survives every lossy codec.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from support.tools import FFMPEG, ROOT

CACHE = Path(os.environ.get("EXACT_MEDIA") or ROOT / "tests" / ".media-cache")
"""Not ``VOD_...``: the tests remove those variables from the environment."""

COLUMNS, ROWS = 8, 2
BITS = COLUMNS * ROWS - 2
WIDTH, HEIGHT = 128, 72

SAMPLE_RATE = 48_000
CLICK_S = 0.02


def run_ffmpeg(*options: str, stdin: bytes | None = None) -> bytes:
    command = [FFMPEG, "-hide_banner", "-loglevel", "error", "-y", *options]
    if stdin is None:
        command.insert(1, "-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr.decode()}"
    return done.stdout


# --- the cache ------------------------------------------------------------------------------


MAKERS = [Path(__file__).with_name(name).read_text("utf-8") for name in ("clips.py", "isobmff.py", "ebml.py")]


def media(file: str, build: Callable[[Path], None], *recipe: object) -> Path:
    """The file that ``build`` writes, made once for each recipe.

    :param recipe: what ``build`` depends on. Its text, the makers' and ffmpeg's version count too.
    """
    facts = (file, recipe, inspect.getsource(build), MAKERS, Path(FFMPEG).name)
    folder = CACHE / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))
        try:
            build(scratch / file)
            for other in scratch.iterdir():
                if other.name != file:
                    other.unlink()
            with contextlib.suppress(OSError):  # another process has been quicker
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder / file


# --- pictures -------------------------------------------------------------------------------


def _edges(length: int, parts: int) -> list[int]:
    return [length * part // parts for part in range(parts + 1)]


def luma(
    numbers: Iterable[int], width: int = WIDTH, height: int = HEIGHT, black: int = 16, white: int = 235
) -> NDArray[np.uint8]:
    """Pictures that carry these numbers."""
    n = np.array(list(numbers))
    gray = n ^ (n >> 1)
    bits = np.array([[*(g >> bit & 1 for bit in range(BITS)), 0, 1] for g in gray], np.uint8)
    blocks = (black + (white - black) * bits).astype(np.uint8).reshape(-1, ROWS, COLUMNS)
    heights, widths = np.diff(_edges(height, ROWS)), np.diff(_edges(width, COLUMNS))
    return blocks.repeat(heights, 1).repeat(widths, 2)


def blocks_of(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean of the middle of each block: pictures x 16."""
    _, height, width = pictures.shape
    found = []
    for top, bottom in pairwise(_edges(height, ROWS)):
        for left, right in pairwise(_edges(width, COLUMNS)):
            down, across = (bottom - top) // 4, (right - left) // 4
            middle = pictures[:, top + down : bottom - down, left + across : right - across]
            found.append(middle.mean(axis=(1, 2)))
    return np.stack(found, axis=1)


def numbers_in(pictures: NDArray[np.uint8]) -> list[int]:
    """The numbers that pictures of any size carry; -1 where a block is neither black nor white."""
    if not len(pictures):
        return []
    blocks = blocks_of(pictures)
    black, white = blocks[:, -2:-1], blocks[:, -1:]
    level = (blocks[:, :BITS] - black) / np.maximum(white - black, 1)
    bits = level > 0.5
    clear = (np.abs(level - 0.5) > 0.2).all(axis=1) & (white - black > 60)[:, 0]
    number = np.zeros(len(bits), int)
    for bit in reversed(range(BITS)):  # back from Gray code
        number |= ((number >> (bit + 1) & 1) ^ bits[:, bit]) << bit
    return [int(n) if ok else -1 for n, ok in zip(number, clear, strict=True)]


def yuv420p(pictures: NDArray[np.uint8], chroma: tuple[int, int] = (128, 128)) -> bytes:
    """Raw frames of this luma, all of one colour."""
    count, height, width = pictures.shape
    plane = ((height + 1) // 2) * ((width + 1) // 2)
    colours = np.broadcast_to(np.array(chroma, np.uint8).repeat(plane), (count, 2 * plane))
    return np.concatenate([pictures.reshape(count, -1), colours], axis=1).tobytes()


# --- sound ----------------------------------------------------------------------------------


def click(sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """One click; its place is that of its first sample."""
    t = np.arange(round(CLICK_S * sample_rate)) / sample_rate
    sweep = np.sin(2 * np.pi * (500 * t + 3500 / (2 * CLICK_S) * t**2))
    return (0.8 * sweep * np.hanning(len(t))).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound track of a clip."""

    seconds: float | None = None
    """As long as the pictures if absent."""
    start: float = 0
    channels: int = 2
    sample_rate: int = SAMPLE_RATE
    only: int | None = None
    """The one channel that clicks; all if absent."""
    offset: float = 0
    """Added to the schedule, so that tracks can be told apart."""
    options: tuple[str, ...] = ("-c:a", "aac", "-b:a", "128k")

    def schedule(self, seconds: float) -> list[float]:
        """Where it clicks, if it lasts so long: at the start, at every whole second, between, at the end."""
        length = self.seconds or seconds
        places = {0.1, *(n + 0.0 for n in range(1, int(length) + 1)), 1.37, 2.61, length - 0.15}
        found: list[float] = []
        for place in sorted(round(place + self.offset, 6) for place in places):
            if 0.05 <= place <= length - 0.1 and (not found or place - found[-1] > 5 * CLICK_S):
                found.append(place)
        return found

    def pcm(self, seconds: float) -> NDArray[np.float32]:
        """Samples x channels."""
        length = self.seconds or seconds
        out = np.zeros((round(length * self.sample_rate), self.channels), np.float32)
        shape = click(self.sample_rate)
        for place in self.schedule(seconds):
            at = round(place * self.sample_rate)
            heard = slice(None) if self.only is None else slice(self.only, self.only + 1)
            out[at : at + len(shape), heard] += shape[: len(out) - at, None]
        return out


SOUND = Sound()
"""What clips have if nothing else is asked for."""

PCM = Sound(options=("-c:a", "pcm_s16le"))


def clicks_in(samples: NDArray[np.float32], sample_rate: int = SAMPLE_RATE) -> list[float]:
    """Where one channel of sound clicks, in seconds."""
    shape = click(sample_rate)
    size = 1 << (len(samples) + len(shape)).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(shape, size))
    match = np.fft.irfft(spectrum, size)[: len(samples)] / float((shape**2).sum())
    places: list[int] = []
    for place in np.flatnonzero(match > 0.3):
        if places and place - places[-1] < len(shape):
            if match[place] > match[places[-1]]:
                places[-1] = int(place)
        else:
            places.append(int(place))
    return [place / sample_rate for place in places]


def write_wav(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


# --- clips ----------------------------------------------------------------------------------


def x264(*, gop: int = 40, b_frames: int = 3, open_gop: bool = True, more: str = "") -> tuple[str, ...]:
    params = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:b-pyramid=normal"
    params += f":open-gop={int(open_gop)}{more}"
    return ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-x264-params", params)


def clip(
    file: str,
    *options: str,
    frames: int = 110,
    first: int = 0,
    rate: str = "25",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    video: Sequence[str] | None = None,
    pixel_format: str = "yuv420p",
    levels: tuple[int, int] = (16, 235),
    chroma: tuple[int, int] = (128, 128),
    turned: int = 0,
    fields: str | None = None,
    pts: Sequence[int] | None = None,
    filters: str = "",
    sound: Sound | Sequence[Sound] | None = SOUND,
    video_start: float = 0,
) -> Path:
    """Numbered pictures and clicking sound, encoded into a file of that name.

    :param first: number of the first picture.
    :param size: of the upright picture.
    :param chroma: Cb and Cr of the whole picture.
    :param turned: how far the stored picture is turned, counter-clockwise, away from upright.
    :param fields: ``tff`` or ``bff``: pictures are woven of two fields, each with a number of its own.
    :param pts: when each picture is shown, in milliseconds; regular at ``rate`` if absent.
    :param video_start: seconds by which the pictures begin late, against the sound.
    """
    encoder = tuple(video or x264())
    sounds = tuple([sound] if isinstance(sound, Sound) else sound or ())
    seconds = float(frames / Fraction(rate)) if pts is None else (pts[-1] + 40) / 1000

    def build(path: Path) -> None:
        if fields:
            pictures = luma(range(first, first + 2 * frames), *size, *levels).reshape(
                frames, 2, size[1], size[0]
            )
            shown = pictures[:, 0].copy()
            top = 0 if fields == "tff" else 1
            shown[:, top::2] = pictures[:, 0, top::2]
            shown[:, 1 - top :: 2] = pictures[:, 1, 1 - top :: 2]
        else:
            shown = luma(range(first, first + frames), *size, *levels)
        shown = np.rot90(shown, turned // 90, axes=(1, 2))
        height, width = shown.shape[1:]
        args = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
        args += ["-framerate", rate]
        if levels == (0, 255):
            args += ["-color_range", "pc"]
        args += [*(["-itsoffset", str(video_start)] if video_start else []), "-i", "-"]
        maps = ["-map", "0:v"]
        for number, track in enumerate(sounds, start=1):
            wav = path.with_name(f"sound-{number}.wav")
            write_wav(wav, track.pcm(seconds), track.sample_rate)
            args += [*(["-itsoffset", str(track.start)] if track.start else []), "-i", str(wav)]
            maps += ["-map", f"{number}:a"]
        wanted = filters
        if pts is not None:
            wanted = f"settb=1/1000,setpts={_lookup(pts, 0)}"
            maps += ["-enc_time_base:v", "1/1000", "-fps_mode", "passthrough"]
        if fields:
            wanted = f"setfield={fields}"
        args += maps + (["-vf", wanted] if wanted else []) + ["-pix_fmt", pixel_format, *encoder]
        args += sounds[0].options if sounds else ()
        run_ffmpeg(*args, *options, str(path), stdin=yuv420p(shown, chroma))

    facts = (options, frames, first, rate, size, encoder, pixel_format, levels, chroma, turned, fields)
    return media(file, build, *facts, tuple(pts or ()), filters, sounds, video_start)


def _lookup(values: Sequence[int], first: int) -> str:
    """``values[N - first]`` as an ffmpeg expression; a tree, because its depth is limited."""
    if len(values) == 1:
        return str(values[0])
    half = len(values) // 2
    upper = first + half
    return f"if(lt(N\\,{upper})\\,{_lookup(values[:half], first)}\\,{_lookup(values[half:], upper)})"


def remuxed(file: str, source: Path, *options: str, before: Sequence[str] = ()) -> Path:
    """The same packets in another container, or otherwise copied."""

    def build(path: Path) -> None:
        run_ffmpeg(*before, "-i", str(source), "-map", "0", "-c", "copy", *options, str(path))

    return media(file, build, str(source), options, tuple(before))


def patched(file: str, source: Path, change: Callable[[Path], bytes]) -> Path:
    """The same file with other bytes."""

    def build(path: Path) -> None:
        path.write_bytes(change(source))

    return media(file, build, str(source), inspect.getsource(change))


# --- what one ffmpeg makes of it ------------------------------------------------------------


def decoded(
    source: Path | str,
    width: int,
    height: int,
    *filters: str,
    before: Sequence[str] = (),
    stream: str = "0:v:0",
) -> NDArray[np.uint8]:
    """The luma of all pictures that ffmpeg decodes: pictures x height x width."""
    chain = ",".join([*filters, "format=yuv420p"])
    raw = run_ffmpeg(
        *before, "-i", str(source), "-map", stream, "-vf", chain, "-fps_mode", "passthrough",
        "-f", "rawvideo", "-",
    )  # fmt: skip
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, width * height * 3 // 2)
    return pictures[:, : width * height].reshape(-1, height, width)


def one_pass(
    source: Path, rate: Fraction, *filters: str, before: Sequence[str] = (), stream: str = "0:v:0"
) -> list[int]:
    """The numbers that one ffmpeg over the whole clip shows on the grid of ``rate``.

    :param filters: put before the grid.
    """
    grid = [*filters, "setpts=PTS-STARTPTS", f"fps={rate.numerator}/{rate.denominator}:round=near"]
    scaled = [*grid, f"scale={WIDTH}:{HEIGHT}"]
    return numbers_in(decoded(source, WIDTH, HEIGHT, *scaled, before=before, stream=stream))


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A sound track as ffmpeg plays it."""

    sample_rate: int
    frames: list[tuple[int, int]]
    """First sample on the clock and count of samples of each decoded frame."""
    samples: NDArray[np.float32]
    """Samples x channels, without the gaps."""

    def on_the_clock(self, channel: int = 0) -> NDArray[np.float32]:
        """One channel from time 0 on: what is before it is left out, and gaps are silent."""
        out = np.zeros(max(0, *(first + count for first, count in self.frames)), np.float32)
        at = 0
        for first, count in self.frames:
            hidden = max(0, -first)
            out[max(0, first) : max(0, first + count)] = self.samples[at + hidden : at + count, channel]
            at += count
        return out


def hear(source: Path, *before: str) -> tuple[Heard, Fraction | None]:
    """The sound of a file, and when its first picture is shown, if it has any.

    :param before: options of the input.
    """
    with tempfile.TemporaryDirectory() as folder:
        sound, pictures = Path(folder, "sound"), Path(folder, "pictures")
        # Always all streams, because a time that leaps in one of them is mended in all.
        raw = run_ffmpeg(
            *before, "-i", str(source),
            "-map", "0:v:0?", "-map", "0:a:0", "-fps_mode", "passthrough", "-enc_time_base:v", "demux",
            "-f", "framecrc", str(pictures),
            "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "framecrc", str(sound),
            "-map", "0:a:0", "-f", "f32le", "-",
        )  # fmt: skip
        shown, heard = _frame_times(pictures, "video"), _frame_times(sound, "audio")
    (base, frames) = heard
    return (
        Heard(
            sample_rate=int(1 / base),
            frames=frames,
            samples=np.frombuffer(raw, np.float32).reshape(sum(count for _, count in frames), -1),
        ),
        shown[1][0][0] * shown[0] if shown[1] else None,
    )


def _frame_times(path: Path, kind: str) -> tuple[Fraction, list[tuple[int, int]]]:
    """Time base; time and duration of each frame of the first stream of that kind."""
    lines = path.read_text().splitlines()
    streams = {line.split()[1]: line.split()[2] for line in lines if line.startswith("#media_type")}
    bases = {line.split()[1]: line.split()[2] for line in lines if line.startswith("#tb")}
    number = next((number for number, found in streams.items() if found == kind), None)
    if number is None:
        return Fraction(1), []
    fields = [line.replace(",", " ").split() for line in lines if not line.startswith("#")]
    frames = [(int(field[2]), int(field[3])) for field in fields if f"{field[0]}:" == number]
    return Fraction(bases[number]), frames


def one_pass_clicks(source: Path) -> list[float]:
    """Where one ffmpeg over the whole clip clicks, in seconds from the first picture (or sample) it has."""
    heard, shown = hear(source)
    start = float(shown) if shown is not None else heard.frames[0][0] / heard.sample_rate
    return [place - start for place in clicks_in(heard.on_the_clock(), heard.sample_rate)]


FRAMES_A_CHUNK = 25
"""Chunks of 1 s at 25 pictures a second."""


def numbered_clip(chunks: int) -> Path:
    """A clip that makes so many chunks of one second; its pictures carry their numbers."""
    file = f"faults-{chunks}.mp4"
    return clip(file, frames=chunks * FRAMES_A_CHUNK, video=x264(gop=25, open_gop=False))
