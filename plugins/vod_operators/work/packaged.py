"""Runs the packager on one chunk or on a sound track, and measures and stores the segments it writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from pathlib import Path

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.hdr import boxes_of
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.media import captions, ffmpeg, measure
from vod_operators.media.encryption import ContentKey, TrackKeys
from vod_operators.media.key_rotation import with_key, with_keys
from vod_operators.media.models import AudioRendition, Chunk, Plan, Rendition
from vod_operators.media.pieces import Part, Piece, own_fragments, renumber, with_boxes, with_speakers
from vod_operators.media.track import segment_number
from vod_operators.runners.base import Runner
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Stored
from vod_operators.storage.keys import WorkKeys

TRACK = "track.mp4"
INIT = "init.mp4"

FLAGS = "packager.flags"
"""File with the content key for the packager. It exists only while the packager runs."""

SOUND = "audio"
"""Folder of the sound tracks' segments, in place of a chunk's."""

TRANSFERS = 8
"""Segments stored or copied at once: enough to hide a store's latency."""


def package(
    runner: Runner,
    tool: str,
    plan: Plan,
    rendition: Rendition | AudioRendition,
    folder: Path,
    *,
    first: int = 0,
    keys: TrackKeys | None = None,
    place: str = "",
) -> list[Path]:
    """Cut the folder's ``track.mp4`` into segments beside it, and delete it; returns their paths in order.

    :param first: number of the segments of the whole track that come before.
    :param keys: with which the packager encrypts; None if it does not.
    :param place: as for ``TrackKeys.packager_flags``.
    :raises VerificationError: the packager wrote no segment.
    """

    def run(key: ContentKey | None) -> list[Path]:
        return _run(runner, tool, plan, rendition, folder, first=first, keys=keys, key=key, place=place)

    files = run(keys.of_segment(first) if keys else None)
    if not files:
        raise VerificationError(f"{rendition.name}: the packager wrote no segment")
    if keys and keys.segments:
        _rotate(files, keys, rendition.name, run)
    (folder / TRACK).unlink()
    return files


def _rotate(
    files: Sequence[Path], keys: TrackKeys, track: str, run: Callable[[ContentKey], list[Path]]
) -> None:
    """Encrypt each segment with its own key, and let it and the init segment name that.

    The packager knows one key: it runs once for each, and of each run the segments of its key are kept.
    """
    init = files[0].with_name(INIT)
    own = {path: keys.of_segment(segment_number(path.name) - 1) for path in files}
    for number, key in enumerate(dict.fromkeys(own.values())):
        if number:  # the first has been used already
            run(key)
        described = init.read_bytes()
        for path in files:
            if own[path] is key:
                if key is not keys.first:
                    path.write_bytes(with_key(path.read_bytes(), described, key.facts.key_id))
                path.rename(path.with_name(f"own-{path.name}"))
    ids = [key.facts.key_id for key in keys.keys]
    init.write_bytes(with_keys(init.read_bytes(), ids, keys.vector(keys.first, track)))
    for path in files:
        path.with_name(f"own-{path.name}").replace(path)


def _run(
    runner: Runner,
    tool: str,
    plan: Plan,
    rendition: Rendition | AudioRendition,
    folder: Path,
    *,
    first: int,
    keys: TrackKeys | None,
    key: ContentKey | None,
    place: str,
) -> list[Path]:
    """Run the packager; returns the segments' paths."""
    is_video, flags = isinstance(rendition, Rendition), folder / FLAGS
    argv = ffmpeg.package(
        tool,
        TRACK,
        kind="video" if is_video else "audio",
        segment=plan.seconds(plan.segment_frames),
        fragment=plan.seconds(
            plan.gop_of(rendition) if isinstance(rendition, Rendition) else plan.segment_frames
        ),
        first=first,
        transport=plan.preset.container == "ts",
        flags=FLAGS if key else None,
        indexed=not (keys and keys.segments),
    )
    try:
        if keys is not None and key is not None:
            scheme = plan.preset.scheme or "cbcs"
            _write_secret(flags, keys.packager_flags(key, rendition.name, scheme, place=place))
        runner.run(argv, folder=folder)
    finally:
        flags.unlink(missing_ok=True)
    return sorted(folder.glob("seg-*"))


def _write_secret(path: Path, text: str) -> None:
    """Write a file that is created with mode 0600, so that no other user can ever read it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def package_chunk(
    runner: Runner,
    tool: str,
    plan: Plan,
    chunk: Chunk,
    rendition: Rendition,
    part: Part,
    folder: Path,
    keys: TrackKeys | None,
    *,
    place: str = "",
) -> Piece:
    """Write a chunk's segments into the folder, numbered as in the whole track; returns their facts.

    :param part: the chunk's encoded fragments, beginning at the chunk's decode time.
    :param keys: as for ``package``, likewise ``place``.
    :raises VerificationError: the segments are not as planned.
    """
    digest = hashlib.sha256()
    with (folder / TRACK).open("wb") as file:
        for number, block in enumerate(own_fragments(part)):
            if number == 0:
                digest.update(block)
            file.write(block)
    # Read before packaging, because MPEG-TS splits the caption data across packets.
    channels = captions.channels_of(folder / TRACK)
    first = chunk.first // plan.segment_frames
    files = package(runner, tool, plan, rendition, folder, first=first, keys=keys, place=place)
    if rendition.hdr and (boxes := boxes_of(rendition.hdr.metadata)):
        init = folder / INIT
        init.write_bytes(with_boxes(init.read_bytes(), boxes))
    if plan.preset.container == "fmp4":
        number = chunk.first // plan.gop_of(rendition) + 1
        for path in files:
            with path.open("r+b") as made, mmap(made.fileno(), 0) as segment:
                number = renumber(segment, number)
    piece = _piece(files, encoder_init=digest.hexdigest(), captions=channels)
    measure.check_pictures(piece.segments, plan, rendition, chunk.first)
    return piece


def package_sound(
    runner: Runner, tool: str, plan: Plan, audio: AudioRendition, folder: Path, keys: TrackKeys | None,
    *, place: str = "",
) -> Piece:  # fmt: skip
    """Cut a whole sound track, the folder's ``track.mp4``, into segments; returns their facts.

    :param keys: as for ``package``, likewise ``place``.
    :raises VerificationError: the segments are not as planned.
    """
    piece = _piece(package(runner, tool, plan, audio, folder, keys=keys, place=place))
    measure.check_sound(piece.segments, audio)
    coded = piece.segments[0].streams[0].coded
    if audio.codec == "eac3" and coded is not None:
        init = with_speakers(bytes.fromhex(piece.init), coded.speakers)
        piece = piece.model_copy(update={"init": init.hex()})
    return piece


def _piece(files: Sequence[Path], *, encoder_init: str = "", captions: tuple[str, ...] = ()) -> Piece:
    """All facts of a folder's segments. Deletes the init segment, whose bytes the facts hold."""
    init = files[0].with_name(INIT)
    piece = Piece(
        encoder_init=encoder_init,
        init=init.read_bytes().hex() if init.exists() else "",
        segments=tuple(measured(files)),
        captions=captions,
    )
    init.unlink(missing_ok=True)
    return piece


def store_piece(
    temp: Storage, keys: WorkKeys, chunk: str, rendition: str, piece: Piece, folder: Path
) -> dict[str, Stored]:
    """Store the segments in the temp store, and then their facts.

    :param chunk: the chunk's name; ``SOUND`` for a sound track.
    :returns: the objects for a marker, by names such as ``1080p/seg-00003.m4s`` and ``1080p/facts``.
    """

    def store(path: Path) -> tuple[str, Stored]:
        uri = keys.segment(chunk, rendition, path.name)
        return f"{rendition}/{path.name}", checkpoint.put(temp, path, uri)

    with ThreadPoolExecutor(TRANSFERS) as pool:
        stored = dict(pool.map(store, sorted(folder.glob("seg-*"))))
    facts = checkpoint.write_hashed(temp, keys.piece(chunk, rendition), [checkpoint.seal(piece)])
    return stored | {f"{rendition}/facts": facts}


def measured(files: Sequence[Path]) -> Iterator[SegmentFacts]:
    """The validator's facts of segments beside their ``init.mp4``; ``publish`` judges them."""
    init = files[0].with_name(INIT)
    tracks = read_init(init.read_bytes())[1] if init.exists() else {}
    for path in files:
        data = path.read_bytes()
        yield measure_segment(data, tracks, len(data))
