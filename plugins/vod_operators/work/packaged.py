"""Runs the packager on a track or on one chunk of it, and measures the segments it writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from pathlib import Path
from typing import Any

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Codec, SegmentFacts
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.media import captions, ffmpeg, measure
from vod_operators.media.join import Part, join
from vod_operators.media.models import Chunk, Plan, Rendition
from vod_operators.media.pieces import Piece, renumber
from vod_operators.media.track import KeyFrame, Segment
from vod_operators.runners.base import Runner
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Stored
from vod_operators.storage.keys import WorkKeys
from vod_operators.storage.stores import sha256_of

TRACK = "track.mp4"
INIT = "init.mp4"

SOUND = "audio"
"""Folder of the sound tracks' segments, in place of a chunk's."""

TRANSFERS = 8
"""Segments stored or copied at once: enough to hide a store's latency."""


def package(
    runner: Runner,
    tool: str,
    plan: Plan,
    rendition: Rendition | None,
    folder: Path,
    *,
    first: int = 0,
    flags: str | None = None,
) -> list[Path]:
    """Cut the folder's ``track.mp4`` into segments beside it; returns their paths in order.

    :param rendition: None for sound.
    :param first: number of the first segment in the whole track.
    :param flags: file with more options for the packager.
    :raises VerificationError: the packager wrote no segment.
    """
    argv = ffmpeg.package(
        tool,
        TRACK,
        kind="video" if rendition else "audio",
        segment=plan.seconds(plan.segment_frames),
        fragment=plan.seconds(plan.gop_of(rendition) if rendition else plan.segment_frames),
        first=first,
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
) -> Piece:
    """Write a chunk's segments into the folder, numbered as in the whole track; returns their facts.

    :param part: the chunk's encoded fragments, beginning at the chunk's decode time.
    """
    digest = hashlib.sha256()
    with (folder / TRACK).open("wb") as file:
        for number, block in enumerate(join([part])):
            if number == 0:
                digest.update(block)
            file.write(block)
    first = chunk.first // plan.segment_frames
    files = package(runner, tool, plan, rendition, folder, first=first)
    number, digests = chunk.first // plan.gop_of(rendition) + 1, []
    for path in files:
        with path.open("r+b") as made, mmap(made.fileno(), 0) as segment:
            number = renumber(segment, number)
            digests.append(hashlib.sha256(segment).hexdigest())
    channels = captions.channels_of(folder / TRACK)
    (folder / TRACK).unlink()
    facts = fragments_facts(files, rendition.codec, start=chunk.first * plan.frame_ticks, first=first)
    return _piece(files, digests, facts, encoder_init=digest.hexdigest(), captions=channels)


def package_sound(runner: Runner, tool: str, plan: Plan, folder: Path) -> Piece:
    """Cut a whole sound track, the folder's ``track.mp4``, into segments; returns their facts."""
    files = package(runner, tool, plan, None, folder)
    (folder / TRACK).unlink()
    return _piece(files, [sha256_of(path) for path in files], fragments_facts(files, None))


def _piece(
    files: Sequence[Path],
    digests: Sequence[str],
    facts: dict[str, Any],
    *,
    encoder_init: str = "",
    captions: tuple[str, ...] = (),
) -> Piece:
    """All facts of a folder's segments. Deletes the init segment, whose bytes the facts hold.

    :param facts: what ``fragments_facts`` returned; emptied of segments and key frames.
    """
    init = files[0].with_name(INIT)
    piece = Piece(
        encoder_init=encoder_init,
        init=init.read_bytes().hex(),
        segments=facts.pop("segments"),
        digests=tuple(digests),
        key_frames=facts.pop("key_frames"),
        described=facts,
        checked=tuple(checked_facts(files)),
        captions=captions,
    )
    init.unlink()
    return piece


def store_piece(
    temp: Storage, keys: WorkKeys, chunk: str, rendition: str, piece: Piece, folder: Path
) -> dict[str, Stored]:
    """Store the segments in the temp store, and then their facts.

    :param chunk: the chunk's name; ``SOUND`` for a sound track.
    :returns: the objects for a marker, by names such as ``1080p/seg-3.m4s`` and ``1080p/facts``.
    """

    def store(segment: Stored) -> tuple[str, Stored]:
        file = Path(segment.uri).name
        stored = checkpoint.put(temp, folder / file, segment.uri, sha256=segment.sha256)
        return f"{rendition}/{file}", stored

    with ThreadPoolExecutor(TRANSFERS) as pool:
        stored = dict(pool.map(store, segments_of(piece, keys, chunk, rendition)))
    facts = checkpoint.write_hashed(temp, keys.piece(chunk, rendition), [checkpoint.seal(piece)])
    return stored | {f"{rendition}/facts": facts}


def segments_of(piece: Piece, keys: WorkKeys, chunk: str, rendition: str) -> list[Stored]:
    """The stored objects of a chunk's segments, in order."""
    return [
        Stored(uri=keys.segment(chunk, rendition, segment.name), size_bytes=segment.size_bytes, sha256=digest)
        for segment, digest in zip(piece.segments, piece.digests, strict=True)
    ]


def fragments_facts(
    files: Sequence[Path], codec: Codec | None, *, start: int = 0, first: int = 0
) -> dict[str, Any]:
    """Facts of fragmented MP4 segments beside their ``init.mp4``, as fields of ``Track``.

    :param codec: of the video; None for sound.
    :param start: decode time of the first segment, in ticks.
    :param first: number of the first segment in the whole track.
    """
    segments: list[Segment] = []
    key_frames: list[KeyFrame] = []
    for index, path in enumerate(files, start=first):
        with path.open("rb") as file:
            segment, keys = measure.measure_segment(
                file,
                index=index,
                name=path.name,
                size_bytes=path.stat().st_size,
                start=start,
                codec=codec,
            )
        segments.append(segment)
        key_frames += keys
        start += segment.ticks
    described = measure.init_facts(files[0].with_name(INIT).read_bytes())
    return described | {"segments": tuple(segments), "key_frames": tuple(key_frames)}


def checked_facts(files: Sequence[Path]) -> Iterator[SegmentFacts]:
    """What the validator reads in each segment; ``publish`` judges it."""
    init = files[0].with_name(INIT)
    tracks = read_init(init.read_bytes())[1] if init.exists() else {}
    for _, data in contents(files):
        yield measure_segment(data, tracks, len(data))


def contents(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file."""
    for path in files:
        yield path.name, path.read_bytes()
