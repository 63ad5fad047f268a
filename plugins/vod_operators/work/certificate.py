"""The quality of what was encoded: measured in each chunk's task, merged and judged at the end."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vod_operators.errors import InvalidInputError, ToolError, VerificationError
from vod_operators.formats.isobmff import read_fragments
from vod_operators.media import certificate, vmaf
from vod_operators.media.certificate import Sample
from vod_operators.media.models import Chunk, Plan, Rendition
from vod_operators.media.references import Raw
from vod_operators.media.vmaf import Quality, WindowScore
from vod_operators.settings import VodSettings
from vod_operators.work.result import RenditionResult
from vod_operators.work.worker import Worker

QUALITY = "quality"
"""Field of a chunk's facts: rendition -> windows, as ``WindowScore``."""

UNMEASURED = "unmeasured"
"""Field of a chunk's facts: why it lacks scores, in words; absent if it does not."""

THREADS = 4
"""Most threads that score frames; each holds some tens of megabytes at 1080p."""

log = logging.getLogger(__name__)


def is_asked(settings: VodSettings, plan: Plan) -> bool:
    """Whether quality is measured: by the deployment's setting, or because the preset relies on it."""
    relied_on = plan.preset.min_vmaf is not None or bool(plan.targets)
    return bool(plan.renditions) and (settings.certificate or relied_on)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Compares a chunk's encoded renditions with their references, in the folder that holds both."""

    worker: Worker
    plan: Plan
    chunk: Chunk
    sample: Sample
    folder: Path

    def scores(self, rendition: Rendition, file: str) -> list[WindowScore]:
        """The scores of a rendition's windows.

        :param file: fragmented MP4 as encoded, with lead-in and lead-out.
        :raises ToolError: ffmpeg failed.
        :raises ValueError: it measured something else.
        """
        wanted = self._wanted(rendition)
        if not wanted:
            return []
        chosen = max((points for _, points in wanted.values()), key=len)
        begin = self.chunk.first - self.chunk.lead_in
        copied = cut_out(self.folder / file, self.folder / CLIP, [n - begin for n in chosen])
        place = dict(zip(chosen, copied, strict=True))
        argv = vmaf.compare(
            self.worker.tools.ffmpeg,
            CLIP,
            copied,
            {log: raw for log, (raw, _) in wanted.items()},
            only={log: [place[n] for n in points] for log, (_, points) in wanted.items()},
            threads=min(THREADS, os.cpu_count() or 1),
        )
        self.worker.runner.run(argv, folder=self.folder)
        found: dict[str, dict[int, float]] = {}
        for log, (_, points) in wanted.items():
            values = vmaf.scores((self.folder / log).read_text("utf-8"))
            if len(values) != len(points):
                raise ValueError(f"{len(values)} of {len(points)} frames were compared")
            found[log] = dict(zip(points, values, strict=True))
        native = found.get(NATIVE, {})
        screen = found.get(SCREEN, {}) if certificate.needs_screen(rendition, self.plan) else native
        return [
            WindowScore(
                first=window.first,
                frames=window.frames,
                native=tuple(_short(native.get(n)) for n in window.points),
                at_1080p=tuple(_short(screen.get(n)) for n in window.points),
            )
            for window in self.sample.windows
        ]

    def _wanted(self, rendition: Rendition) -> dict[str, tuple[Raw, tuple[int, ...]]]:
        """Log -> the reference, and the points that it is for; only those that can be measured."""
        references = self.sample.references
        wanted: dict[str, tuple[Raw, tuple[int, ...]]] = {}
        if rendition.name in references.native:
            wanted[NATIVE] = (references.native[rendition.name], references.points)
        if references.screen and references.at_screen and certificate.needs_screen(rendition, self.plan):
            wanted[SCREEN] = (references.screen, references.at_screen)
        return wanted

    def clean(self) -> None:
        """Delete what was only needed for one rendition's comparison."""
        for name in (CLIP, NATIVE, SCREEN):
            (self.folder / name).unlink(missing_ok=True)


CLIP, NATIVE, SCREEN = "compared.mp4", "native.json", "screen.json"
"""The frames to compare, and the logs."""


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def cut_out(source: Path, target: Path, numbers: Sequence[int]) -> list[int]:
    """Copy the GOPs of a fragmented MP4 that hold these frames; returns the frames' numbers in the copy.

    :param numbers: in the order that frames are shown. A GOP refers to no other, and is a fragment.
    """
    places: list[int] = []
    begin = kept = 0
    with source.open("rb") as file, target.open("wb") as copy:
        fragments = list(read_fragments(file))
        file.seek(0)
        copy.write(file.read(fragments[0].offset))
        for fragment in fragments:
            count = len(fragment.samples)
            inside = [n for n in numbers if begin <= n < begin + count]
            if inside:
                file.seek(fragment.offset)
                copy.write(file.read(fragment.extent[1] - fragment.offset))
                places += [kept + n - begin for n in inside]
                kept += count
            begin += count
    return places


def measured(comparison: Comparison, rendition: Rendition, file: str) -> list[WindowScore] | str:
    """The scores of a rendition, or why there are none. A video never fails for its measurement."""
    try:
        return comparison.scores(rendition, file)
    except ToolError as error:
        lines = error.stderr_tail.splitlines()
        words = "this ffmpeg has no libvmaf" if vmaf.lacks_libvmaf(lines) else error.describe()
        log.warning("%s/%s: %s", comparison.chunk.name, rendition.name, error)
    except (ValueError, OSError, VerificationError) as error:
        words = f"{type(error).__name__}" if isinstance(error, OSError) else str(error)
        log.warning("%s/%s: its quality cannot be measured: %s", comparison.chunk.name, rendition.name, error)
    finally:
        comparison.clean()
    return words


# --- the whole video ------------------------------------------------------------------------


def merged(plan: Plan, facts: Sequence[Mapping[str, Any]]) -> dict[str, Quality]:
    """Rendition -> its quality, from the facts of all chunks; without those of which nothing is known.

    Facts of before quality was measured, and damaged ones, count as nothing.
    """
    windows: dict[str, list[WindowScore]] = {}
    for chunk in facts:
        try:
            for name, found in dict(chunk.get(QUALITY) or {}).items():
                windows.setdefault(name, []).extend(map(WindowScore.model_validate, found))
        except (ValidationError, TypeError, ValueError):
            log.warning("chunk %s: its measured quality cannot be read", chunk.get("chunk"))
    found = {
        rendition.name: vmaf.merge(windows.get(rendition.name, []), plan.frame_rate)
        for rendition in plan.renditions
    }
    return {name: quality for name, quality in found.items() if quality is not None}


def unmeasured(plan: Plan, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why quality is not known where it should be, in sentences."""
    reasons = {
        str(chunk[UNMEASURED]): chunk.get("chunk") for chunk in reversed(facts) if chunk.get(UNMEASURED)
    }
    sentences = [f"quality of chunk {chunk} is not known: {words}" for words, chunk in reasons.items()]
    small = [
        f"{rendition.name} ({rendition.width}x{rendition.height})"
        for rendition in plan.renditions
        if not certificate.is_measurable(rendition)
    ]
    if small:
        sentences.append(f"too small for VMAF at their own size: {', '.join(small)}")
    return sentences


def misses(plan: Plan, renditions: Sequence[RenditionResult]) -> list[str]:
    """Where the preset's ``min_vmaf`` is missed or cannot be judged, in sentences; empty if it is kept.

    :raises InvalidInputError: it is missed, and the preset refuses that.
    """
    wanted = plan.preset.min_vmaf
    if wanted is None:
        return []
    judged = [made for made in renditions if made.kind == "video"]
    if wanted.at == "at_1080p":
        codecs = {
            plan.rendition(made.name).codec: made for made in judged
        }  # from the smallest to the largest
        judged = list(codecs.values())
    found = [words for made in judged if (words := _miss(plan, made))]
    if found and wanted.on_miss == "refuse":
        raise InvalidInputError(f"preset: min_vmaf: {'; '.join(found)}; it is not published")
    return [f"min_vmaf: {words}" for words in found]


def _miss(plan: Plan, made: RenditionResult) -> str | None:
    wanted, planned = plan.preset.min_vmaf, plan.rendition(made.name)
    assert wanted is not None
    quality = made.quality
    score = None if quality is None else quality.native if wanted.at == "native" else quality.at_1080p
    where = "at its own size" if wanted.at == "native" else "at 1080p"
    if score is None:
        return f"the VMAF of {made.name} {where} is not known, {wanted.vmaf:g} is asked"
    if score.mean >= wanted.vmaf:
        return None
    if made.average_bps >= AT_CAP * planned.max_bitrate_bps:
        help_words = f"raise its max_bitrate_bps of {planned.max_bitrate_bps}"
    elif planned.target_vmaf is not None:
        help_words = f"raise its quality.vmaf of {planned.target_vmaf:g}"
    elif wanted.at == "at_1080p" and planned.width * planned.height < certificate.SCREEN_PIXELS:
        help_words = f"a larger rung than {planned.width}x{planned.height}, or a lower crf, would help"
    else:
        help_words = f"lower its crf of {planned.crf:g}"
    return f"{made.name} reaches VMAF {score.mean} {where}, {wanted.vmaf:g} is asked: {help_words}"


AT_CAP = 0.85
"""Share of the cap that an average bitrate has where the cap, not the CRF, determines the quality."""
