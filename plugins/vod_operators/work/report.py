"""The source report: read from what an encoding task wrote, kept in its marker, joined in ``publish``."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from vod_operators.errors import InvalidInputError, VerificationError
from vod_operators.media import ffmpeg_report, report_pictures, report_sound, source_report
from vod_operators.media.models import AudioRendition, Chunk, Plan, Timeline
from vod_operators.media.report_pictures import Edges, Grids, PictureFacts, Window
from vod_operators.media.report_sound import TrackFacts
from vod_operators.media.source_report import SourceReport
from vod_operators.storage.checkpoint import Marker

REPORT = "report"
"""Fact of a marker: what the source report says of a chunk or a track."""


def picture_facts(folder: Path, plan: Plan, chunk: Chunk) -> PictureFacts | None:
    """The facts of a chunk's pictures, whose files are removed; None if the preset does not look for any.

    :param folder: where the chunk was encoded.
    :raises VerificationError: the files do not hold the planned frames.
    """
    policy = plan.preset.source_report
    edges = _edges(folder, plan, chunk) if policy.bars != "off" else None
    if not policy.pictures:
        return PictureFacts(edges=edges) if edges else None
    window = Window(
        begin=chunk.first - chunk.lead_in, first=chunk.first, last=chunk.last, rate=plan.frame_rate
    )
    planned = chunk.lead_in + chunk.frames + plan.lead_out(chunk)
    columns, rows = ffmpeg_report.GRID
    coarse_columns, coarse_rows = ffmpeg_report.COARSE
    paths = [folder / ffmpeg_report.GRID_FILE, folder / ffmpeg_report.COARSE_FILE]
    with ExitStack() as files:
        grids, coarse = (
            Grids(files.enter_context(_mapped(path)), cells)
            for path, cells in zip(paths, (columns * rows, 3 * coarse_columns * coarse_rows), strict=True)
        )
        if {grids.count, coarse.count} != {planned}:
            raise VerificationError(f"{chunk.name}: {grids.count} pictures to report on, planned {planned}")
        facts = report_pictures.look(grids, coarse, window, edges)
    for path in paths:
        path.unlink()
    return facts


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _edges(folder: Path, plan: Plan, chunk: Chunk) -> Edges | None:
    rows, columns = folder / ffmpeg_report.ROWS_FILE, folder / ffmpeg_report.COLUMNS_FILE
    if not rows.exists():  # a chunk shorter than a second, or one of which nothing can be decoded
        return None
    edges = report_pictures.edges(
        rows.read_bytes(), columns.read_bytes(), ffmpeg_report.source_size(plan), ffmpeg_report.EDGE_CELLS
    )
    rows.unlink()
    columns.unlink()
    return edges


def track_facts(folder: Path, audio: AudioRendition, seconds: float) -> TrackFacts:
    """The facts of a sound track that was encoded in ``folder``.

    :param seconds: its length.
    """
    names = (ffmpeg_report.SILENCE_FILE, ffmpeg_report.CLIPPED_FILE, ffmpeg_report.LOUDNESS_FILE)
    with ExitStack() as files:
        silence, clipped, loudness = (_lines(files, folder / name) for name in names)
        return report_sound.read(silence, clipped, loudness, sample_rate=audio.sample_rate, seconds=seconds)


def _lines(files: ExitStack, path: Path) -> Iterable[str]:
    """The lines of a file; of an empty track there is none."""
    return files.enter_context(path.open("r", encoding="ascii")) if path.exists() else ()


def of_markers(plan: Plan, timeline: Timeline, markers: Sequence[Marker | None]) -> SourceReport | None:
    """The report of a whole source; None if no step recorded any facts.

    :param markers: of all chunks, in order, and then of all sound tracks.
    """
    facts = [marker.facts.get(REPORT) if marker else None for marker in markers]
    count = len(timeline.chunks)
    pictures = [PictureFacts.model_validate(found) if found else None for found in facts[:count]]
    sounds = {
        audio.track: TrackFacts.model_validate(found)
        for audio, found in zip(plan.audio, facts[count:], strict=True)
        if found
    }
    if not any(pictures) and not sounds:
        return None
    return source_report.make(plan, timeline, pictures, sounds)


def refuse(
    plan: Plan, timeline: Timeline, facts: PictureFacts | None, sounds: Mapping[str, TrackFacts]
) -> None:
    """Refuse a source as soon as one task is certain, before more of it is encoded.

    :param facts: of one chunk. Its still pictures, its bars, and black that leaves the chunk, are judged when
        all chunks are known.
    :param sounds: track of the source -> its facts.
    :raises InvalidInputError: the source has what the preset refuses.
    """
    certain = facts and source_report.certain(facts, timeline.frames)
    warnings_of(source_report.make(plan, timeline, [certain], sounds), plan, timeline)


def warnings_of(report: SourceReport | None, plan: Plan, timeline: Timeline) -> tuple[str, ...]:
    """The warnings of a report.

    :raises InvalidInputError: the source has what the preset refuses.
    """
    if report is None:
        return ()
    policy = plan.preset.source_report
    warnings, refusals = source_report.judge(report, policy, timeline.seconds(plan.frame_rate))
    if refusals:
        raise InvalidInputError(f"source: the preset {plan.preset.name!r} refuses it: {'; '.join(refusals)}")
    return tuple(warnings)
