"""The stable playlist of a video: points it to a version, and lists the versions that it can point to.

Shared by the publishing task, ``vod rollback`` and the janitor.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pydantic import ValidationError

from vod_operators.errors import CorruptObjectError, InvalidInputError, ObjectNotFoundError, StorageError
from vod_operators.storage.base import ObjectInfo, Storage
from vod_operators.storage.keys import ResultKeys, steering_key
from vod_operators.storage.stores import get_bytes
from vod_operators.work.result import Publication, VideoResult
from vod_operators.work.steering import Steering, steering_manifest

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
JSON_TYPE = "application/json"
MANIFEST_TYPE = "application/dash+xml"

IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of all files of a version."""

SHORT_LIVED = "public, max-age=2"
"""Cache-Control of files that are replaced when a video is published again."""

HISTORY = 100
"""Publications remembered: more than the versions within a grace period."""

ATTEMPTS = 5
"""Tries to write, each of which fails if another writer changed an object meanwhile."""

VERSION_NAME = re.compile(r"v-([0-9a-f]{12})-[0-9a-f]{6}")
"""A version's folder; the group is its workspace's fingerprint."""


def version_name(work_fingerprint: str, chance: str) -> str:
    """Folder name of a new version.

    :param chance: six random hex digits.
    """
    return f"v-{work_fingerprint}-{chance}"


def point_to(
    results: Storage,
    keys: ResultKeys,
    result: VideoResult,
    playlist: bytes,
    manifest: bytes | None,
    *,
    steering: Steering | None = None,
    still_owner: Callable[[], None],
) -> VideoResult:
    """Publish a version: write ``video.json``, the DASH manifest, and the stable playlist last.

    All three are conditional writes. If the process is killed between them, players still get a whole
    version, and ``video.json`` names the newer one.

    The objects' versions are read before the ownership is checked. So if this process sleeps in between, for
    however long, and another one publishes meanwhile, the store refuses this one's writes.

    :param manifest: None if the version has none. An earlier version's manifest is then emptied by the same
        conditional write. It is not deleted: few S3 servers support conditional deletes, and a late
        unconditional one could delete a newer manifest.
    :param steering: edges that are added to playlist and manifest; None: none are.
    :param still_owner: raises if another run has the video's claim.
    :returns: the new content of ``video.json``.
    :raises ClaimedError: from ``still_owner``; nothing of the other owner's was changed.
    :raises StorageError: other writers came first each time.
    """
    if steering:
        _ensure_steering(results, keys, steering)
        playlist, manifest = steering.playlist(playlist), manifest and steering.manifest(manifest)
    for _ in range(ATTEMPTS):
        metadata, stable = results.stat(keys.metadata), results.stat(keys.playlist)
        listed = results.stat(keys.manifest)
        history = _history(results, keys) if metadata else ()
        still_owner()
        shown = result.model_copy(
            update={
                "history": _continued(history, result.version, results.now(keys.playlist)),
                "steering": steering,
            }
        )
        document = shown.model_dump_json(indent=2).encode()
        # S3's ETags are hashes of the content. A random mark makes each write unique, so that an old ETag
        # never comes back, for instance after a rollback.
        mark = secrets.token_hex(8)
        written = _put(results, keys.metadata, document, metadata, JSON_TYPE)
        if written and (manifest is not None or listed is not None):
            unlike = (manifest or b"") + f"<!-- {mark} -->\n".encode()
            written = _put(results, keys.manifest, unlike, listed, MANIFEST_TYPE)
        if written and _put(results, keys.playlist, playlist + f"# {mark}\n".encode(), stable, PLAYLIST_TYPE):
            return shown
        # Another writer came first. If it owns the video now, the next check of the ownership raises;
        # if it was late itself, its objects are overwritten.
    raise StorageError(
        f"{keys.playlist}: could not be written, because it changed {ATTEMPTS} times in between"
    )


def _ensure_steering(results: Storage, keys: ResultKeys, steering: Steering) -> None:
    """Write the steering manifest if there is none: another order may have been put there since."""
    data = steering_manifest(list(steering.pathways))
    uri = steering_key(keys.results_uri)
    results.create(uri, data, content_type=JSON_TYPE, cache_control=SHORT_LIVED)


def shown_version(results: Storage, keys: ResultKeys) -> str | None:
    """The version that the stable playlist points to; None if there is no playlist.

    :raises CorruptObjectError: it names no version, or several.
    """
    try:
        text = get_bytes(results, keys.playlist).decode("utf-8", "replace")
    except ObjectNotFoundError:
        return None
    named = {match[0] for match in re.finditer(rf"\b{VERSION_NAME.pattern}(?=/)", text)}
    if len(named) != 1:
        raise CorruptObjectError(f"{keys.playlist} points to {sorted(named) or 'no version'}")
    return str(named.pop())


def read_result(results: Storage, uri: str) -> VideoResult | None:
    """A parsed ``video.json``; None if it does not exist.

    :raises CorruptObjectError: it is not a valid ``video.json``.
    """
    try:
        return VideoResult.model_validate_json(get_bytes(results, uri))
    except ObjectNotFoundError:
        return None
    except ValidationError as error:
        raise CorruptObjectError(f"{uri} is not what this package writes: {error}") from error


def publications(shown: VideoResult) -> tuple[Publication, ...]:
    """The history of a stable ``video.json``; its own version if it was written before histories existed."""
    return shown.history or (Publication(version=shown.version, since=shown.timings.published_at),)


def _history(results: Storage, keys: ResultKeys) -> tuple[Publication, ...]:
    try:
        shown = read_result(results, keys.metadata)
    except CorruptObjectError:
        return ()  # a damaged history must not prevent a publication
    return publications(shown) if shown else ()


def _continued(history: tuple[Publication, ...], version: str, now: datetime) -> tuple[Publication, ...]:
    if history and history[0].version == version:
        return history
    return (Publication(version=version, since=now), *history)[:HISTORY]


def _put(results: Storage, uri: str, data: bytes, found: ObjectInfo | None, content_type: str) -> bool:
    if found is None:
        written = results.create(uri, data, content_type=content_type, cache_control=SHORT_LIVED)
    else:
        written = results.replace(
            uri, data, found.version, content_type=content_type, cache_control=SHORT_LIVED
        )
    return written is not None


# --- versions -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Version:
    """A complete version, to which the stable playlist can point."""

    name: str
    result: VideoResult
    """Its own ``video.json``."""
    since: datetime | None
    """When it was last published; None: never, or before histories existed."""
    is_shown: bool


def complete_version(results: Storage, keys: ResultKeys, name: str) -> VideoResult | None:
    """A version's own ``video.json``; None if the version is not complete.

    :raises CorruptObjectError: it is not a valid ``video.json``.
    """
    if results.stat(keys.version_playlist(name)) is None:
        return None
    return read_result(results, keys.version_metadata(name))


def versions(
    results: Storage, keys: ResultKeys, *, read: Callable[[str], VideoResult | None] | None = None
) -> list[Version]:
    """The versions that the stable playlist can point to, the latest published one first.

    :param read: what ``complete_version`` returns of a version's name, for callers that remember it.
    """
    read = read or partial(complete_version, results, keys)
    shown = shown_version(results, keys)
    stable = read_result(results, keys.metadata)
    since: dict[str, datetime] = {}  # newest publication first
    for publication in publications(stable) if stable else ():
        since.setdefault(publication.version, publication.since)
    order = list(since)
    found = []
    for name in results.folders(f"{keys.folder}/"):
        if VERSION_NAME.fullmatch(name) and (result := read(name)):
            found.append(Version(name=name, result=result, since=since.get(name), is_shown=name == shown))
    # Not sorted by time, because a store's clock may have a resolution of seconds.
    return sorted(found, key=lambda v: order.index(v.name) if v.name in since else len(order))


def roll_back(
    results: Storage,
    keys: ResultKeys,
    to: str | None,
    *,
    steering: Steering | None = None,
    still_owner: Callable[[], None],
) -> VideoResult:
    """Point the stable playlist to an earlier version again.

    :param to: the version; None for the one that was published before the current one.
    :param steering: as for ``point_to``.
    :param still_owner: raises if another run has the video's claim.
    :returns: the new content of ``video.json``.
    :raises InvalidInputError: there is no such version, or segments of it are missing.
    :raises ClaimedError: from ``still_owner``.
    """
    there = versions(results, keys)
    if to is None:
        shown = next((i for i, v in enumerate(there) if v.is_shown), -1)
        earlier = there[shown + 1 :]
        chosen = next((v for v in earlier if v.since), None)
    else:
        chosen = next((v for v in there if v.name == to), None)
    if chosen is None:
        names = ", ".join(v.name + " (shown)" * v.is_shown for v in there) or "none"
        raise InvalidInputError(
            f"video_id: {keys.video_id!r} has no version {to or 'before this one'}; there are: {names}"
        )
    _require_whole(results, keys, chosen)
    playlist = get_bytes(results, keys.version_playlist(chosen.name))
    try:
        manifest = get_bytes(results, keys.version_manifest(chosen.name))
    except ObjectNotFoundError:
        manifest = None
    return point_to(
        results, keys, chosen.result, playlist, manifest, steering=steering, still_owner=still_owner
    )


def _require_whole(results: Storage, keys: ResultKeys, version: Version) -> None:
    segments: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    files: dict[str, int] = {}
    for info in results.list(keys.version(version.name, "")):
        files[info.uri] = info.size
        _, track, name = info.uri.rsplit("/", 2)
        if name.startswith(("init.", "seg-")):
            segments[track] += name.startswith("seg-")
            sizes[track] += info.size
    for made in version.result.renditions:
        if (segments[made.name], sizes[made.name]) != (made.segments, made.size_bytes):
            raise InvalidInputError(
                f"video_id: version {version.name} is not whole: {made.name} has "
                f"{segments[made.name]} segments and {sizes[made.name]} bytes instead of {made.segments} "
                f"and {made.size_bytes}"
            )
    for file in version.result.downloads:
        if files.get(f"{keys.folder}/{file.uri}") != file.size_bytes:
            raise InvalidInputError(
                f"video_id: version {version.name} is not whole: {file.uri} is not there with its "
                f"{file.size_bytes} bytes"
            )
