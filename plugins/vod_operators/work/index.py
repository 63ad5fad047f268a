"""The index of published videos: one row for each, so that a list of thousands reads no video's folder.

The rows are in shards, ``{temp}/_index/NN.json``, chosen by a hash of the video id. They are in the temp
store, because results are public. A shard is replaced on condition, so concurrent publications lose no row. A
row that is missing or wrong hides or shows a video in lists only; the janitor rebuilds the index from the
results store.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from vod_operators.errors import CorruptObjectError, ObjectNotFoundError, VodError
from vod_operators.formats.base import Model
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys, index_folder, is_video_id
from vod_operators.storage.replacing import replace_document
from vod_operators.work.result import VideoResult
from vod_operators.work.stable import publications, read_result

SHARDS = 64
"""10,000 videos are 156 rows of about 300 bytes in each: 47 kB, read and replaced in one request."""

RECENT = timedelta(hours=1)
"""Rows of this age are kept by a rebuild that did not find their video, which may be newer than its listing.
Much longer than a rebuild takes, so that the clocks of worker and store may differ."""

log = logging.getLogger(__name__)


class Row(Model):
    """A published video in lists."""

    video_id: str
    title: str
    """File name of the source."""
    preset: str
    duration_s: float
    version: str
    poster: str | None
    """URI of a JPEG, relative to the video's folder."""
    updated_at: datetime
    """When its stable playlist was last written."""
    since: datetime
    """Since when its stable playlist has pointed to this version, by the results store's clock."""
    dag_id: str | None = None
    run_id: str | None = None
    """The run that did; None if no run did, or it is not known."""
    by: str | None = None
    """Who asked for that run."""

    @classmethod
    def of(
        cls,
        result: VideoResult,
        *,
        dag_id: str | None = None,
        run_id: str | None = None,
        by: str | None = None,
    ) -> Row:
        """The row of a stable ``video.json``."""
        since = publications(result)[0].since
        return cls(
            video_id=result.video_id,
            title=result.source.name,
            preset=result.preset,
            duration_s=result.duration_s,
            version=result.version,
            poster=result.poster,
            # A rollback leaves the timings, and a publication of the same version leaves the history.
            updated_at=max(result.timings.published_at, since),
            since=since,
            dag_id=dag_id,
            run_id=run_id,
            by=by,
        )


class Shard(Model):
    """The content of one object of the index."""

    videos: dict[str, Row]


class Index:
    """The index of one deployment. ``rows`` remembers the shards that have not changed.

    :param temp: the temp store.
    """

    def __init__(self, temp: Storage, temp_uri: str) -> None:
        self._temp = temp
        self._folder = index_folder(temp_uri)
        self._known: dict[str, tuple[str, dict[str, Row]]] = {}

    def put(self, row: Row) -> None:
        """Add a video's row, or replace it unless the present one is newer.

        :raises StorageError: the store failed, or other writers came first each time.
        """

        def add(videos: dict[str, Row]) -> dict[str, Row]:
            present = videos.get(row.video_id)
            return videos if present and present.since > row.since else videos | {row.video_id: row}

        self._replace(shard_of(row.video_id), add)

    def remove(self, video_id: str) -> None:
        """Remove a video's row; no error if there is none.

        :raises StorageError: the store failed, or other writers came first each time.
        """
        self._replace(
            shard_of(video_id), lambda v: {name: row for name, row in v.items() if name != video_id}
        )

    def rows(self) -> list[Row]:
        """The rows of all published videos, in no particular order. One listing, and the shards that changed.

        :raises StorageError: the store failed.
        """
        present = [info for info in self._temp.list(self._folder) if info.uri.endswith(".json")]
        changed = [info for info in present if self._known.get(info.uri, ("",))[0] != info.version]
        with ThreadPoolExecutor(checkpoint.READS) as pool:
            read = list(pool.map(lambda info: self._read(info.uri), changed))
        for info, videos in zip(changed, read, strict=True):
            # If the shard changed since the listing, the next one has another version, and it is read again.
            self._known[info.uri] = (info.version, videos)
        return [row for info in present for row in self._known[info.uri][1].values()]

    def rebuild(self, results: Storage, results_uri: str) -> int:
        """Add the videos of the results store that have no row, and remove rows without a video.

        :returns: how many videos there are.
        :raises StorageError: a store failed; shards may have been replaced.
        """
        begun = results.now(f"{results_uri}/_now")
        names = (name for name in results.folders(f"{results_uri}/") if is_video_id(name))
        found: list[dict[str, Row | None]] = [{} for _ in range(SHARDS)]

        def read(video_id: str) -> Row | None:
            """The row of what is published now; None if nothing is.

            :raises CorruptObjectError: ``video.json`` is damaged.
            """
            keys = ResultKeys(results_uri=results_uri, video_id=video_id)
            result = read_result(results, keys.metadata)
            return Row.of(result) if result else None

        def look_at(video_id: str) -> None:
            number = shard_of(video_id)
            try:
                if row := read(video_id):
                    found[number][video_id] = row
            except CorruptObjectError as error:
                log.warning("the index keeps what it knows of %s: %s", video_id, error)
                found[number][video_id] = None

        with ThreadPoolExecutor(checkpoint.READS) as pool:
            for _ in pool.map(look_at, names):
                pass
        for number, videos in enumerate(found):
            self._replace(number, partial(_merged, found=videos, recent=begun - RECENT, read=read))
        return sum(map(len, found))

    def _uri(self, number: int) -> str:
        return f"{self._folder}{number:02}.json"

    def _read(self, uri: str) -> dict[str, Row]:
        """A shard's rows; empty if it is missing or damaged, until the janitor rebuilds it."""
        try:
            return checkpoint.read_document(self._temp, uri, Shard).videos
        except ObjectNotFoundError:
            return {}
        except CorruptObjectError as error:
            log.warning("the index has lost rows until the janitor runs: %s", error)
            return {}

    def _replace(self, number: int, change: Callable[[dict[str, Row]], dict[str, Row]]) -> None:
        uri = self._uri(number)

        def changed(is_there: bool) -> Shard | None:
            present = self._read(uri) if is_there else {}
            wanted = change(present)
            return None if wanted == present else Shard(videos=wanted)

        replace_document(self._temp, uri, changed)


def shard_of(video_id: str) -> int:
    """The number of a video's shard."""
    return zlib.crc32(video_id.encode()) % SHARDS


def note_published(
    temp: Storage,
    temp_uri: str,
    result: VideoResult,
    *,
    dag_id: str | None = None,
    run_id: str | None = None,
    by: str | None = None,
) -> None:
    """Put a video's row into the index after its stable playlist was written. Never raises ``VodError``.

    :param result: the stable ``video.json``.
    :param by: who asked for the run.
    """
    try:
        Index(temp, temp_uri).put(Row.of(result, dag_id=dag_id, run_id=run_id, by=by))
    except VodError as error:
        log.warning("%s is missing in lists until the janitor runs: %s", result.video_id, error)


def note_deleted(temp: Storage, temp_uri: str, video_id: str) -> None:
    """Remove a video's row after its stable playlist was deleted. Never raises ``VodError``."""
    try:
        Index(temp, temp_uri).remove(video_id)
    except VodError as error:
        log.warning("%s remains in lists until the janitor runs: %s", video_id, error)


def _merged(
    present: dict[str, Row],
    found: dict[str, Row | None],
    recent: datetime,
    read: Callable[[str], Row | None],
) -> dict[str, Row]:
    """A shard's rows after a rebuild.

    :param found: rows by the results store; None: there is a video, but its ``video.json`` is damaged.
    :param recent: rows of videos that were not found are kept if they are newer.
    :param read: reads the results store again. What was found may have changed since; and what changes from
        now on also changes the shard, so that this is done again.
    """
    kept = {name: row for name, row in present.items() if name in found or row.updated_at > recent}
    for name, row in found.items():
        known = kept.get(name)
        # A row of the same publication is kept, because it also knows the run.
        if row is None or (known and known.version == row.version and known.updated_at >= row.updated_at):
            continue
        if fresh := read(name):
            kept[name] = fresh
    return kept
