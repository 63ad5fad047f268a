"""What the packager makes of a track or of one chunk of it, and what is measured of that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vod_operators.errors import VerificationError
from vod_operators.media import captions, ffmpeg, measure
from vod_operators.media.check.facts import SegmentFacts
from vod_operators.media.check.load import measure_segment
from vod_operators.media.check.mp4 import read_init
from vod_operators.media.encoders import Codec
from vod_operators.media.isobmff import Part, join
from vod_operators.media.models import Chunk, Plan, Rendition
from vod_operators.media.pieces import Piece, renumbered
from vod_operators.media.track import KeyFrame, Segment
from vod_operators.runners.base import Runner

TRACK = "track.mp4"


def package(
    runner: Runner,
    tool: str,
    plan: Plan,
    rendition: Rendition | None,
    folder: Path,
    *,
    flags: str | None = None,
) -> list[Path]:
    """Cut the folder's ``track.mp4`` into segments beside it; returns them in order.

    :param rendition: None for sound.
    :param flags: file with more options.
    :raises VerificationError: there are none.
    """
    argv = ffmpeg.package(
        tool,
        TRACK,
        kind="video" if rendition else "audio",
        segment=plan.seconds(plan.segment_frames),
        fragment=plan.seconds(plan.gop_of(rendition) if rendition else plan.segment_frames),
        transport=plan.preset.container == "ts",
        flags=flags,
    )
    runner.run(argv, folder=folder)
    files = sorted(folder.glob("seg-*"))
    if not files:
        raise VerificationError(f"{rendition.name if rendition else 'sound'}: the packager wrote no segment")
    return files


def package_chunk(
    runner: Runner, tool: str, plan: Plan, chunk: Chunk, rendition: Rendition, part: Part, folder: Path
) -> tuple[Piece, Iterator[bytes]]:
    """A chunk's own segments, numbered as in the whole track; returns the bytes of their object too.

    The bytes are read from the folder as they are taken; when all are, it is as it was before.

    :param part: of what was encoded, beginning at the chunk's decode time.
    """
    digest = hashlib.sha256()
    with (folder / TRACK).open("wb") as file:
        for number, block in enumerate(join([part])):
            if number == 0:
                digest.update(block)
            file.write(block)
    files = package(runner, tool, plan, rendition, folder)
    number, digests = chunk.first // plan.gop_of(rendition) + 1, []
    for path in files:
        data, number = renumbered(path.read_bytes(), number)
        path.write_bytes(data)
        digests.append(hashlib.sha256(data).hexdigest())
    facts = fragments_facts(
        files,
        rendition.codec,
        start=chunk.first * plan.frame_ticks,
        first=chunk.first // plan.segment_frames,
    )
    piece = Piece(
        encoder_init=digest.hexdigest(),
        segments=facts.pop("segments"),
        digests=tuple(digests),
        key_frames=facts.pop("key_frames"),
        described=facts,
        checked=tuple(checked_facts(files)),
        captions=captions.channels_of(folder / TRACK),
    )
    (folder / TRACK).unlink()

    def blocks() -> Iterator[bytes]:
        for path in (folder / "init.mp4", *files):
            yield path.read_bytes()
            path.unlink()

    return piece, blocks()


def fragments_facts(
    files: Sequence[Path], codec: Codec | None, *, start: int = 0, first: int = 0
) -> dict[str, Any]:
    """Facts of segments of fragmented MP4 beside their ``init.mp4``, as fields of ``Track``.

    :param codec: of the pictures; None for sound.
    :param start: ticks at which the first one begins.
    :param first: how many segments of the track come before it.
    """
    segments: list[Segment] = []
    key_frames: list[KeyFrame] = []
    for index, path in enumerate(files, start=first):
        with path.open("rb") as file:
            segment, keys = measure.measure_segment(
                file,
                index=index,
                name=f"seg-{index + 1:05d}{path.suffix}",
                size_bytes=path.stat().st_size,
                start=start,
                codec=codec,
            )
        segments.append(segment)
        key_frames += keys
        start += segment.ticks
    described = measure.init_facts(files[0].with_name("init.mp4").read_bytes())
    return described | {"segments": tuple(segments), "key_frames": tuple(key_frames)}


def checked_facts(files: Sequence[Path]) -> Iterator[SegmentFacts]:
    """What the validator sees in each segment; ``publish`` judges it."""
    init = files[0].with_name("init.mp4")
    tracks = read_init(init.read_bytes())[1] if init.exists() else {}
    for _, data in contents(files):
        yield measure_segment(data, tracks, len(data))


def contents(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    for path in files:
        yield path.name, path.read_bytes()
