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

POINTS_OF_THREAD = 24
"""Each thread has at least about so many points: its start costs as much as one."""

log = logging.getLogger(__name__)


def is_asked(settings: VodSettings, plan: Plan) -> bool:
    """Whether quality is measured: by the deployment's setting, or because the preset relies on it."""
    relied_on = plan.preset.min_vmaf is not None or bool(plan.targets)
    return bool(plan.renditions) and (settings.certificate or relied_on)


Scores = dict[str, dict[int, float]]
"""``native`` and ``screen`` -> number of a frame in the video -> its VMAF."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Compares a chunk's encoded renditions with their references, in the folder that holds both."""

    worker: Worker
    plan: Plan
    chunk: Chunk
    sample: Sample
    folder: Path

    def measured(self, outputs: Mapping[str, str]) -> tuple[dict[str, list[WindowScore]], str]:
        """The scores of renditions, and why some have none. A video never fails for its measurement.

        :param outputs: rendition name -> fragmented MP4 as encoded, with lead-in and lead-out.
        """
        points = self.sample.references.points
        found, unmeasured = self._compared(outputs, [n for n in points if n in self.sample.first])
        others = [n for n in points if n not in self.sample.first]
        doubtful = {name: outputs[name] for name, own in found.items() if others and self._is_in_doubt(own)}
        if doubtful:
            more, why = self._compared(doubtful, others)
            unmeasured = unmeasured or why
            for name in doubtful:
                # The first points alone would tell too little.
                first = found.pop(name)
                if name in more:
                    found[name] = {what: values | more[name].get(what, {}) for what, values in first.items()}
        return {name: self._in_windows(name, own) for name, own in found.items()}, unmeasured

    def _is_in_doubt(self, own: Scores) -> bool:
        keys = {window.first for window in self.sample.windows}
        return any(
            vmaf.doubt([value for n, value in sorted(values.items()) if n not in keys])
            > self.sample.most_doubt
            for values in own.values()
        )

    def _compared(self, outputs: Mapping[str, str], points: Sequence[int]) -> tuple[dict[str, Scores], str]:
        """The scores of these points, and why some renditions have none."""
        found: dict[str, Scores] = {}
        unmeasured = ""
        for group in self._groups(outputs, points):
            scores = self._tried(group, outputs, points)
            if isinstance(scores, str) and len(group) > 1:
                for rendition in group:
                    alone = self._tried([rendition], outputs, points)
                    if isinstance(alone, str):
                        unmeasured = f"{rendition.name}: {alone}"
                    else:
                        found |= alone
            elif isinstance(scores, str):
                unmeasured = f"{group[0].name}: {scores}"
            else:
                found |= scores
        return found, unmeasured

    def _groups(self, outputs: Mapping[str, str], points: Sequence[int]) -> list[list[Rendition]]:
        """The renditions that are compared by one command."""
        groups: list[list[Rendition]] = []
        references, pixels = self.sample.references, 0
        screen = references.screen
        waiting = len(set(points).intersection(references.at_screen)) * screen.frame_bytes if screen else 0
        most = max(1, certificate.MAX_WAITING // waiting) if waiting else len(outputs)
        for made in (made for made in self.plan.sdr if made.name in outputs):
            own = made.width * made.height
            if not groups or len(groups[-1]) == most or pixels + own > certificate.MAX_TOGETHER:
                groups.append([])
                pixels = screen.pixels if screen else 0
            pixels += own
            groups[-1].append(made)
        return groups

    def _tried(
        self, group: Sequence[Rendition], outputs: Mapping[str, str], points: Sequence[int]
    ) -> dict[str, Scores] | str:
        names = ", ".join(rendition.name for rendition in group)
        try:
            return self._scores(group, outputs, points)
        except ToolError as error:
            if self.worker.is_stopped:
                raise  # the task is, and measures when it is tried again
            lines = error.stderr_tail.splitlines()
            words = "this ffmpeg has no libvmaf" if vmaf.lacks_libvmaf(lines) else error.describe()
            log.warning("%s/%s: %s", self.chunk.name, names, error)
        except (ValueError, OSError, VerificationError) as error:
            words = f"{type(error).__name__}" if isinstance(error, OSError) else str(error)
            log.warning("%s/%s: its quality cannot be measured: %s", self.chunk.name, names, error)
        finally:
            for path in (*self.folder.glob("compared-*.mp4"), *self.folder.glob("*.vmaf.json")):
                path.unlink()
        return words

    def _scores(
        self, group: Sequence[Rendition], outputs: Mapping[str, str], chosen: Sequence[int]
    ) -> dict[str, Scores]:
        """
        :raises ToolError: ffmpeg failed.
        :raises ValueError: it measured something else.
        """
        wanted: dict[Raw, tuple[tuple[int, ...], list[str]]] = {}
        for rendition in group:
            for raw, written in self._wanted(rendition).values():
                if not set(written).isdisjoint(chosen):
                    wanted.setdefault(raw, (written, []))[1].append(rendition.name)
        compared = {name for _, names in wanted.values() for name in names}
        if not compared:
            return {rendition.name: {} for rendition in group}
        begin = self.chunk.first - self.chunk.lead_in
        places = {n: place for place, n in enumerate(chosen)}
        clips = {name: f"compared-{name}.mp4" for name in sorted(compared)}
        encoded = {
            clip: cut_out(self.folder / outputs[name], self.folder / clip, [n - begin for n in chosen])
            for name, clip in clips.items()
        }
        instances = {
            raw: vmaf.Instance(
                log=f"{raw.file}.vmaf.json",
                raw=raw,
                places=tuple(places[n] for n in written if n in places),
                of=tuple(clips[name] for name in names),
                triples=None
                if places.keys() >= set(written)
                else tuple(number for number, n in enumerate(written) if n in places),
            )
            for raw, (written, names) in wanted.items()
        }
        argv = vmaf.compare_together(
            self.worker.tools.ffmpeg,
            encoded,
            list(instances.values()),
            threads=min(THREADS, os.cpu_count() or 1, 1 + len(chosen) // POINTS_OF_THREAD),
        )
        self.worker.runner.run(argv, folder=self.folder)
        found: dict[Raw, dict[str, dict[int, float]]] = {}
        for raw, (written, names) in wanted.items():
            points = [n for n in written if n in places]
            values = vmaf.scores((self.folder / instances[raw].log).read_text("utf-8"))
            if len(values) != len(points) * len(names):
                raise ValueError(f"{len(values)} of {len(points) * len(names)} frames were compared")
            found[raw] = {
                name: dict(zip(points, values[turn :: len(names)], strict=True))
                for turn, name in enumerate(names)
            }
        return {
            rendition.name: {
                what: found[raw][rendition.name]
                for what, (raw, _) in self._wanted(rendition).items()
                if rendition.name in found.get(raw, {})
            }
            for rendition in group
        }

    def _in_windows(self, name: str, own: Scores) -> list[WindowScore]:
        if not own:
            return []
        native = own.get("native", {})
        needs_screen = certificate.needs_screen(self.plan.rendition(name), self.plan)
        screen = own.get("screen", {}) if needs_screen else native
        return [
            WindowScore(
                first=window.first,
                frames=window.frames,
                native=tuple(_short(native.get(n)) for n in window.points),
                at_1080p=tuple(_short(screen.get(n)) for n in window.points),
                of_key=window.of_key,
            )
            for window in self.sample.windows
        ]

    def _wanted(self, rendition: Rendition) -> dict[str, tuple[Raw, tuple[int, ...]]]:
        """The references, and the points that they are for; only those that can be measured."""
        references = self.sample.references
        wanted: dict[str, tuple[Raw, tuple[int, ...]]] = {}
        if rendition.name in references.native:
            wanted["native"] = (references.native[rendition.name], references.points)
        if references.screen and references.at_screen and certificate.needs_screen(rendition, self.plan):
            wanted["screen"] = (references.screen, references.at_screen)
        return wanted


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
        for rendition in plan.sdr
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
    sdr = {made.name for made in plan.sdr}  # VMAF judges nothing else
    judged = [made for made in renditions if made.name in sdr]
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
