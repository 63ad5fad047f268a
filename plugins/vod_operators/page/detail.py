"""One video: what is published of it, its versions and its runs."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy.orm import Session

from vod_operators.errors import CorruptObjectError, ObjectNotFoundError
from vod_operators.page.models import Bitrates, Check, Place, RenditionBits, RunRow, VersionRow, Video
from vod_operators.page.runs import RunFacts, conf_of, runs_of, since_deleted, unpublished_of
from vod_operators.page.videos import entry_of, shown, with_run_facts
from vod_operators.settings import VodSettings
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.redact import redact
from vod_operators.work.bitrates import bitrates
from vod_operators.work.index import Row
from vod_operators.work.result import VideoResult
from vod_operators.work.stable import VERSION_NAME, complete_version, read_result, versions
from vod_operators.work.worker import open_stores

REQUEST_FIELDS = ("video_id", "source", "preset", "chunk_seconds", "subtitles", "roles", "source_conn_id")
"""What of a run's ``conf`` asks for the video again: not the callback, whose URL may hold a secret."""

LISTS = ("downloads", "chapters")
"""The same, of which an empty list means none, where the preset has some."""

STABLE = "index.m3u8"

DAMAGED = "What is recorded of this video is damaged: verify and repair it."


def video_of(session: Session, results: Storage, settings: VodSettings, video_id: str) -> Video | None:
    """A video; None if nothing of it is published, and no run is making it or has failed.

    :raises StorageError: the store failed.
    """
    keys = ResultKeys(results_uri=settings.results_uri, video_id=video_id)
    runs = runs_of(session, video_id)
    encoding = since_deleted(runs)
    current = unpublished_of(encoding)
    try:
        published = _published(results, keys, settings)
        row = _row(published["result"], encoding) if published else None
    except CorruptObjectError:
        published, row = {"remarks": [DAMAGED]}, None
    if row is None and current is None:
        return None
    (about,) = with_run_facts(session, [shown(entry_of(row, current))])
    known: dict[str, Any] = {**NOTHING, **(published or {})}
    known |= {"runs": [_run_row(run) for run in runs], "request": _request(session, encoding)}
    return Video(**about.model_dump(), **known)


NOTHING: Mapping[str, Any] = {
    "result": None,
    "playlist": None,
    "manifest": None,
    "storyboard": None,
    "urls": [],
    "embed": "",
    "versions": [],
    "remarks": [],
    "check": None,
}
"""What is known of a video of which nothing is published."""


def _published(results: Storage, keys: ResultKeys, settings: VodSettings) -> dict[str, Any] | None:
    """The fields of what is published; None if nothing is.

    :raises CorruptObjectError: what is recorded of it is damaged.
    """
    stable = read_result(results, keys.metadata)
    if stable is None:
        return None
    has_manifest = results.stat(keys.version_manifest(stable.version)) is not None
    return {
        "result": stable,
        "playlist": STABLE,
        "manifest": "manifest.mpd" if has_manifest else None,
        "storyboard": stable.storyboard.uri if stable.storyboard else None,
        "urls": _places(keys, settings, has_manifest=has_manifest),
        "embed": _embed(settings, stable),
        "versions": [
            VersionRow(
                version=version.name,
                preset=version.result.preset,
                published_at=version.since,
                is_current=version.is_shown,
                playlist=f"{version.name}/master.m3u8",
                poster=version.result.poster,
            )
            for version in versions(results, keys, read=partial(_version_or_none, settings, keys.video_id))
        ],
        "remarks": [
            *stable.source.normalised,
            *stable.source.skipped,
            *stable.source.damage,
            *stable.warnings,
        ],
        "check": Check(**stable.check.model_dump()) if stable.check else None,
    }


def _row(stable: VideoResult, encoding: Sequence[RunFacts]) -> Row:
    by = next((run for run in encoding if run.state == "success"), None)
    return Row.of(stable, dag_id=by.dag_id, run_id=by.run_id, by=by.by) if by else Row.of(stable)


def _places(keys: ResultKeys, settings: VodSettings, *, has_manifest: bool) -> list[Place]:
    places = [
        Place(place="results", hls=keys.playlist, dash=keys.manifest if has_manifest else None),
    ]
    for edge, url in zip(settings.edges, settings.playlist_urls(keys.video_id), strict=True):
        # An edge that names the playlist otherwise may name the manifest in any way.
        base, _, name = url.rpartition("/")
        dash = f"{base}/manifest.mpd" if has_manifest and name == STABLE else None
        places.append(Place(place=edge, hls=url, dash=dash))
    return places


def _embed(settings: VodSettings, stable: VideoResult) -> str:
    """HTML of a ``<video>`` with the HLS playlist at the first edge; empty without an edge.

    It plays in browsers that play HLS themselves. Desktop Firefox does not: a page for it needs a player such
    as hls.js.
    """
    urls = settings.playlist_urls(stable.video_id)
    if not urls:
        return ""
    base, _, name = urls[0].rpartition("/")
    poster = f' poster="{html.escape(f"{base}/{stable.poster}")}"' if stable.poster and name == STABLE else ""
    return f'<video controls playsinline src="{html.escape(urls[0])}"{poster}></video>'


def _run_row(run: RunFacts) -> RunRow:
    return RunRow(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=run.state,
        begun_at=run.begun_at,
        ended_at=run.ended_at,
        by=run.by,
        preset=run.preset,
        note=run.note,
    )


def _request(session: Session, encoding: Sequence[RunFacts]) -> dict[str, Any] | None:
    """What asks for the video again: the newest run's ``conf``; None if a URI of it may hold a secret."""
    if not encoding:
        return None
    conf = conf_of(session, encoding[0].name)
    subtitles = conf.get("subtitles")
    files = subtitles if isinstance(subtitles, list) else []
    uris = [conf.get("source"), *(file.get("uri") for file in files if isinstance(file, dict))]
    if any(redact(str(uri)) != str(uri) for uri in uris):
        return None
    fields = {name: conf[name] for name in REQUEST_FIELDS if conf.get(name)}
    return fields | {name: conf[name] for name in LISTS if conf.get(name) is not None}


@lru_cache(maxsize=256)
def _version(settings: VodSettings, video_id: str, version: str) -> VideoResult:
    """A version's own ``video.json``. A version is immutable, so it is read once, though a page polls it.

    One that is being removed is therefore listed until its folder is gone.

    :raises ObjectNotFoundError: it is not complete. That is not remembered, because it may become so.
    """
    keys = ResultKeys(results_uri=settings.results_uri, video_id=video_id)
    result = complete_version(open_stores(settings)[1], keys, version)
    if result is None:
        raise ObjectNotFoundError(f"{keys.version(version, '')} has no complete version")
    return result


def _version_or_none(settings: VodSettings, video_id: str, version: str) -> VideoResult | None:
    try:
        return _version(settings, video_id, version)
    except ObjectNotFoundError:
        return None


@lru_cache(maxsize=64)
def _bitrates(settings: VodSettings, video_id: str, version: str) -> Bitrates:
    """As ``bitrates_of``. A version is immutable, so it is read once.

    :raises ObjectNotFoundError: there is no such version. It is not remembered, because it may appear.
    """
    result = _version(settings, video_id, version)
    keys = ResultKeys(results_uri=settings.results_uri, video_id=video_id)
    tracks = bitrates(open_stores(settings)[1], keys, result, settings)
    return Bitrates(renditions=[RenditionBits(**track.model_dump()) for track in tracks])


def bitrates_of(settings: VodSettings, video_id: str, version: str) -> Bitrates | None:
    """The bitrates of a version; None if there is no such version.

    :raises CorruptObjectError: files of it are missing or damaged.
    :raises StorageError: the store failed.
    """
    if not VERSION_NAME.fullmatch(version):
        return None
    try:
        return _bitrates(settings, video_id, version)
    except ObjectNotFoundError:
        return None
