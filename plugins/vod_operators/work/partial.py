"""What an unfinished encode of a chunk has stored, and how the task's next try goes on behind it.

While ffmpeg runs, the GOPs that all its outputs hold are copied to the temp store every few seconds, as one
object: a *span* of frames. A try that finds spans encodes only the frames behind them, after a lead-in as
each chunk has, and joins the files before anything reads them. So nothing else knows of it.

Each try names its objects by a token of its own, and the list of spans is replaced as a whole. So a try that
was given up but still lives cannot mix its frames with those of the next.
"""

from __future__ import annotations

import logging
import struct
import time
import uuid
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

from vod_operators.errors import (
    CorruptObjectError,
    ObjectNotFoundError,
    ToolError,
    VerificationError,
    VodError,
)
from vod_operators.formats.base import Model
from vod_operators.formats.isobmff import read_fragments
from vod_operators.media import ffmpeg_report, pictures
from vod_operators.media.models import Chunk, Plan, Rendition
from vod_operators.media.pictures import Still
from vod_operators.media.pieces import Part, own_fragments, whole_samples
from vod_operators.media.plan import LEAD_IN_GOPS
from vod_operators.runners.progress import Progress
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Stored
from vod_operators.work.job import Job
from vod_operators.work.worker import Worker

STORE_EVERY_S = 10.0
"""Least time between two spans. A kill costs what was encoded since the last one, and the lead-in; a chunk
that takes less time than this stores none."""

MAX_INIT_BYTES = 1 << 16

FULL = 0.9
"""Part of the decoder's buffer that encoders begin with (x264's ``vbv-init``)."""

EARLIER = "earlier-"
"""Begins the names of files with the output of earlier tries."""

log = logging.getLogger(__name__)


class Span(Model):
    """Encoded frames ``[first, last)``, numbered in the video, of all outputs."""

    first: int
    last: int
    stored: Stored
    files: dict[str, int]
    """File -> how many of the object's bytes are its, in the object's order."""


class Partial(Model):
    """The spans of a chunk, without a gap from its lead-in on."""

    crfs: dict[str, float]
    """Rendition -> CRF that it was encoded with, where that is chosen."""
    joins: tuple[int, ...] = ()
    """Frames at which a try went on behind another."""
    spans: tuple[Span, ...] = ()


class _File(Protocol):
    """An output of an encode that grows at its end only."""

    @property
    def name(self) -> str:
        """Its file name."""

    def ready(self, path: Path, chunk: Chunk) -> int:
        """Number of the first frame that the file does not hold yet."""

    def cut(self, path: Path, chunk: Chunk, first: int, last: int) -> Iterator[bytes]:
        """The bytes of frames ``[first, last)``."""


@dataclass(frozen=True, kw_only=True)
class _Rendition:
    """Fragmented MP4, a fragment a GOP. Spans have the decode times of one file from the lead-in on."""

    name: str
    begin: int
    """First frame of the lead-in of the first try."""
    frame_ticks: int

    def ready(self, path: Path, chunk: Chunk) -> int:
        return _begin(chunk) + (whole_samples(path) if path.exists() else 0)

    def cut(self, path: Path, chunk: Chunk, first: int, last: int) -> Iterator[bytes]:
        part = Part(
            name=self.name,
            path=path,
            decode_time=(first - self.begin) * self.frame_ticks,
            samples=last - first,
            sample_ticks=self.frame_ticks,
            before=first - _begin(chunk),
            after=None if last < chunk.last else 0,
        )
        # The first block is the init segment, which stands at the beginning of the first span only.
        return islice(own_fragments(part), 0 if first == self.begin else 1, None)


@dataclass(frozen=True, kw_only=True)
class _Jpegs:
    """Concatenated JPEGs."""

    name: str
    still: Still

    def ready(self, path: Path, chunk: Chunk) -> int:
        numbers = self.still.frames(chunk)
        whole = [p for p in self._pictures(path) if p.endswith(pictures.JPEG_END)]
        return numbers[len(whole)] if len(whole) < len(numbers) else chunk.last

    def cut(self, path: Path, chunk: Chunk, first: int, last: int) -> Iterator[bytes]:
        numbers = self.still.frames(chunk)
        yield from self._pictures(path)[bisect_left(numbers, first) : bisect_left(numbers, last)]

    def _pictures(self, path: Path) -> list[bytes]:
        return pictures.split_jpegs(path.read_bytes()) if path.exists() else []


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """Raw pictures of one size: of each frame, or of some."""

    name: str
    picture_bytes: int
    plan: Plan
    is_of_edges: bool = False

    def _numbers(self, chunk: Chunk) -> range:
        if self.is_of_edges:
            return ffmpeg_report.edge_frames(self.plan, chunk)
        return range(_begin(chunk), chunk.last + self.plan.lead_out(chunk))

    def ready(self, path: Path, chunk: Chunk) -> int:
        numbers = self._numbers(chunk)
        whole = path.stat().st_size // self.picture_bytes if path.exists() else 0
        return numbers[whole] if whole < len(numbers) else chunk.last

    def cut(self, path: Path, chunk: Chunk, first: int, last: int) -> Iterator[bytes]:
        numbers = self._numbers(chunk)
        places = bisect_left(numbers, first), bisect_left(numbers, last)
        if path.exists():
            with path.open("rb") as file:
                file.seek(places[0] * self.picture_bytes)
                yield file.read((places[1] - places[0]) * self.picture_bytes)


def _begin(chunk: Chunk) -> int:
    """The first frame that is encoded."""
    return chunk.first - chunk.lead_in


@dataclass(kw_only=True)
class PartialEncode:
    """One try at a chunk: what earlier ones left, and what this one leaves.

    As a context manager, it stores nothing any more at the end.

    :param place: folder of the chunk's objects.
    :param outputs: rendition -> file.
    :param crfs: as ``Partial.crfs``.
    :param folder: where the outputs are written.
    :param is_secret: whether the temp store may not have what is encoded, because segments are encrypted.
    """

    worker: Worker
    job: Job
    chunk: Chunk
    place: str
    outputs: Mapping[str, str]
    stills: Sequence[Still]
    crfs: Mapping[str, float]
    folder: Path
    is_secret: bool
    rest: Chunk = field(init=False)
    """What this try encodes: the chunk, or the end of it."""
    joins: list[int] = field(init=False, default_factory=list)
    """Frames at which a try went on behind another."""
    _spans: list[Span] = field(init=False, default_factory=list)
    """Those that are stored, with those of earlier tries."""
    _token: str = field(init=False, default_factory=lambda: uuid.uuid4().hex[:8])
    _pool: ThreadPoolExecutor = field(init=False, default_factory=lambda: ThreadPoolExecutor(1))
    _storing: Future[None] | None = field(init=False, default=None)
    _stored_at: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.rest = self.chunk

    def __enter__(self) -> PartialEncode:
        uri = self.job.work_keys.partial(self.place)
        with suppress(ObjectNotFoundError):
            try:
                self._fetch(checkpoint.read_document(self.worker.temp, uri, Partial))
            except (CorruptObjectError, VerificationError) as error:
                log.warning("%s begins anew: %s", self.place, error)
                self._forget()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        is_answer = isinstance(error, ToolError) and error.is_answer
        if self.is_resumed and (
            is_answer or isinstance(error, VerificationError | ValueError | struct.error)
        ):
            self._forget()  # the next try begins anew: perhaps what was stored is at fault

    @property
    def is_resumed(self) -> bool:
        """Whether this try goes on behind an earlier one."""
        return self.rest is not self.chunk

    @property
    def objects_in(self) -> str:
        """Folder for the segments: this try's own where tries were joined, because each makes others."""
        return f"{self.place}/{self._token}" if self.is_resumed else self.place

    def _fetch(self, partial: Partial) -> None:
        """Fetch what earlier tries left, and encode only the rest from now on.

        :raises VerificationError: it is of another encode.
        :raises CorruptObjectError: a span is missing or damaged.
        """
        begin, names = _begin(self.chunk), {file.name for file in self._possible}
        renditions = set(self.outputs.values())
        for span in partial.spans:
            if span.first != begin or not renditions <= span.files.keys() <= names:
                raise VerificationError("what an earlier try left is of another encode")
            begin = span.last
        if partial.crfs != dict(self.crfs) or not self.chunk.first < begin < self.chunk.last:
            raise VerificationError("what an earlier try left is of another encode")
        for span in partial.spans:
            self._unpack(span)
        lead_in = self._lead_in_gops() * self.job.plan.gop_frames
        self.rest = self.chunk.model_copy(
            update={"first": begin, "lead_in": min(begin - _begin(self.chunk), lead_in)}
        )
        self._spans, self.joins = list(partial.spans), [*partial.joins, begin]
        log.info("%s goes on at frame %d", self.place, begin)

    def _unpack(self, span: Span) -> None:
        """Append a span to the files of earlier tries.

        :raises CorruptObjectError: it is missing or damaged.
        """
        if sum(span.files.values()) != span.stored.size_bytes:
            raise CorruptObjectError(f"{span.stored.uri} has another size than its files")
        with ExitStack() as opened:
            left = deque(
                (opened.enter_context((self.folder / f"{EARLIER}{name}").open("ab")), size)
                for name, size in span.files.items()
            )
            try:
                for block in checkpoint.read_checked(self.worker.temp, span.stored):
                    at = 0
                    while at < len(block):
                        file, size = left.popleft()
                        taken = file.write(block[at : at + size])
                        at += taken
                        if taken < size:
                            left.appendleft((file, size - taken))
            except ObjectNotFoundError as error:
                raise CorruptObjectError(str(error)) from error

    def _lead_in_gops(self) -> int:
        """How many GOPs before the rest are encoded with it: fewer than of a chunk where that is enough.

        One makes a join invisible, if encoders then begin with as full a buffer as one that encodes on.
        """
        plan, most = self.job.plan, LEAD_IN_GOPS
        fills = [
            fills_before_gops(
                self.folder / f"{EARLIER}{file}", plan.rendition(name), plan.frame_rate, plan.gop_frames
            )[-most:]
            for name, file in self.outputs.items()
        ]
        enough = (
            gops
            for gops in range(1, most)
            if all(len(fill) >= gops and fill[-gops] >= FULL for fill in fills)
        )
        return next(enough, most)

    @property
    def _possible(self) -> list[_File]:
        """All outputs that an encode may have."""
        plan = self.job.plan
        width, height = ffmpeg_report.source_size(plan)
        raw = {
            ffmpeg_report.GRID_FILE: (ffmpeg_report.GRID_BYTES, False),
            ffmpeg_report.COARSE_FILE: (ffmpeg_report.COARSE_BYTES, False),
            ffmpeg_report.ROWS_FILE: (ffmpeg_report.EDGE_CELLS * height, True),
            ffmpeg_report.COLUMNS_FILE: (ffmpeg_report.EDGE_CELLS * width, True),
        }
        files: list[_File] = [
            _Rendition(name=file, begin=_begin(self.chunk), frame_ticks=plan.frame_ticks)
            for file in self.outputs.values()
        ]
        files += [_Jpegs(name=still.file, still=still) for still in self.stills]
        files += [
            _Raw(name=name, picture_bytes=size, plan=plan, is_of_edges=of_edges)
            for name, (size, of_edges) in raw.items()
        ]
        return files

    @property
    def _files(self) -> list[_File]:
        """Those that this try writes, or an earlier one wrote."""
        return [
            file
            for file in self._possible
            if not isinstance(file, _Raw)
            or any((self.folder / f"{prefix}{file.name}").exists() for prefix in ("", EARLIER))
        ]

    # --- while it is encoded ----------------------------------------------------------------

    def reporting(self, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """A function to call with the encode's progress: it stores spans, and reports that of the chunk."""
        done = (self.rest.first - self.chunk.first) / self.chunk.frames

        def report_chunk(progress: Progress) -> None:
            self._look()
            report(replace(progress, percent=100 * done + progress.percent * (1 - done)))

        return report_chunk

    def _look(self) -> None:
        """Begin to store what has been encoded since the last span, unless it was a moment ago."""
        now = time.monotonic()
        if self.is_secret:
            return
        if now - self._stored_at >= STORE_EVERY_S and (self._storing is None or self._storing.done()):
            self._stored_at, self._storing = now, self._pool.submit(self._store)

    def _store(self) -> None:
        try:
            self._store_span()
        except Exception as error:  # only costs time, if the task is killed
            log.warning("%s: what is encoded so far could not be stored: %s", self.place, error)

    def _store_span(self) -> None:
        files, gop = self._files, self.job.plan.gop_frames
        first = self._spans[-1].last if self._spans else _begin(self.chunk)
        ready = min(self.chunk.last - 1, *(file.ready(self.folder / file.name, self.rest) for file in files))
        last = first + (ready - first) // gop * gop
        if last <= max(first, self.chunk.first):
            return
        sizes: dict[str, int] = {}

        def blocks() -> Iterator[bytes]:
            for file in files:
                sizes[file.name] = 0
                for block in file.cut(self.folder / file.name, self.rest, first, last):
                    sizes[file.name] += len(block)
                    yield block

        temp, keys = self.worker.temp, self.job.work_keys
        stored = checkpoint.write_hashed(temp, keys.span(self.place, f"{self._token}-{first:08d}"), blocks())
        self._spans.append(Span(first=first, last=last, stored=stored, files=sizes))
        partial = Partial(crfs=dict(self.crfs), joins=tuple(self.joins), spans=tuple(self._spans))
        temp.write(keys.partial(self.place), [checkpoint.seal(partial)])

    # --- afterwards -------------------------------------------------------------------------

    def join(self) -> None:
        """Put what earlier tries encoded before each file of this one.

        :raises VerificationError: the files do not fit together.
        """
        self._pool.shutdown()
        if not self.is_resumed:
            return
        end = self.chunk.last + self.job.plan.lead_out(self.chunk)
        for file in self._files:
            output, earlier = self.folder / file.name, self.folder / f"{EARLIER}{file.name}"
            if isinstance(file, _Rendition) and _init(output) != _init(earlier):
                raise VerificationError(f"{self.place}/{file.name}: tries have different codec parameters")
            with earlier.open("ab") as joined:
                joined.writelines(file.cut(output, self.rest, self.rest.first, end))
            earlier.replace(output)

    def end(self) -> None:
        """Delete the spans, because the chunk's marker is stored."""
        if self._spans:
            self._forget()

    def _forget(self) -> None:
        """Delete the list and the spans; if that fails, it only costs space."""
        with suppress(VodError, OSError):
            self.worker.temp.delete(self.job.work_keys.partial(self.place))
            self.worker.temp.delete_folder(self.job.work_keys.span(self.place, ""))
        for path in self.folder.glob(f"{EARLIER}*"):
            path.unlink()


def fills_before_gops(path: Path, rendition: Rendition, rate: Fraction, gop_frames: int) -> list[float]:
    """How full the decoder's buffer is before each GOP of an encoded file: 1 is full.

    It is the bucket that ``max_bitrate_bps`` fills, and that every picture empties at once.
    """
    buffer, each = rendition.buffer_bits, float(rendition.max_bitrate_bps / rate)
    fills, fill = [], FULL * buffer
    with path.open("rb") as file:
        sizes = [8 * sample.size for fragment in read_fragments(file) for sample in fragment.samples]
    for number, bits in enumerate(sizes):
        if number % gop_frames == 0:
            fills.append(fill / buffer)
        fill = min(max(fill - bits, 0) + each, buffer)
    return fills


def _init(path: Path) -> bytes:
    """The init segment of a fragmented MP4."""
    with path.open("rb") as file:
        return file.read(MAX_INIT_BYTES).partition(b"moof")[0]
