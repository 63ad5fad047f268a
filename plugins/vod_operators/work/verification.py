"""Finds stored objects that are lost or damaged: of the published version, and of work that a run continues.

Shared by ``prepare``, the scrub and ``vod verify``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vod_operators.errors import (
    CorruptObjectError,
    InvalidInputError,
    NoSuchVideoError,
    ObjectNotFoundError,
)
from vod_operators.media.downloads import step_of
from vod_operators.media.models import Timeline
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.catalog import load_preset
from vod_operators.pipeline import SPLIT
from vod_operators.settings import VodSettings
from vod_operators.storage import checkpoint, checksums
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Damage
from vod_operators.storage.keys import MARKER, ResultKeys, WorkKeys
from vod_operators.storage.stores import get_bytes
from vod_operators.work.job import PICTURES, Job, read_job, track_names
from vod_operators.work.result import VideoResult
from vod_operators.work.stable import VERSION_NAME, read_result, shown_version


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The state of the version that the stable playlist points to."""

    version: str
    result: VideoResult | None
    """Its ``video.json``; None if that is damaged."""
    objects: int
    """How many were read."""
    size_bytes: int
    """Size of those objects."""
    damage: tuple[Damage, ...]
    """Empty if all objects are as they were written."""

    def report(self, most: int | None = None) -> dict[str, Any]:
        """For JSON: ``{"version", "objects", "size_bytes", "damage": [{"uri", "found"}]}``.

        :param most: how many damaged objects are listed; None for all.
        """
        return {
            "version": self.version,
            "objects": self.objects,
            "size_bytes": self.size_bytes,
            "damage": [{"uri": item.uri, "found": item.found} for item in self.damage[:most]],
        }


def verify(
    results: Storage, keys: ResultKeys, *, progress: Callable[[float], object] = lambda _: None
) -> Verification:
    """Compare the published version with its checksums, and the stable objects with their copies in it.

    :param progress: called with the percentage that has been read, after each object.
    :raises InvalidInputError: there is no such video, or its version has no checksums.
    """
    try:
        version = shown_version(results, keys)
    except CorruptObjectError as error:
        return _unreadable(results, keys, str(error))
    if version is None:
        if results.stat(keys.metadata) is None:
            raise NoSuchVideoError(keys.video_id, keys.results_uri)
        return _unreadable(results, keys, "it is not there")
    folder, sums = keys.version(version, ""), keys.version_checksums(version)
    there = {info.uri: info.size for info in results.list(folder)}
    if sums not in there:
        raise InvalidInputError(
            f"video_id: version {version} of {keys.video_id!r} has no {checksums.FILE}: it was made before "
            "there were any, or lost it; ask for the video again to have it"
        )
    damage: list[Damage] = []
    digests: dict[str, str] = {}
    try:
        digests = {folder + path: found for path, found in checksums.read(results, sums).items()}
    except CorruptObjectError as error:
        damage.append(Damage(uri=sums, found=str(error)))
    done, total = 0, max(1, sum(there.values()))
    for uri, found in _compared(results, digests):
        done += there.get(uri, 0)
        progress(100 * done / total)
        damage += [found] if found else []
    result, broken = _metadata(results, keys, version)
    damage += broken
    damage += _stable(results, keys, version)
    if result is not None and digests:
        listed = sum(path.removeprefix(folder).rpartition("/")[2].startswith("seg-") for path in digests)
        if listed != (made := sum(track.segments for track in result.renditions)):
            damage.append(Damage(uri=sums, found=f"it lists {listed} segments instead of {made}"))
    return Verification(
        version=version,
        result=result,
        objects=len(digests),
        size_bytes=sum(there.get(uri, 0) for uri in digests),
        damage=tuple(damage),
    )


def _unreadable(results: Storage, keys: ResultKeys, why: str) -> Verification:
    """The state of a video whose stable playlist is lost or damaged; ``video.json`` names its version."""
    result, damage = _read_metadata(results, keys.metadata)
    return Verification(
        version=result.version if result else "",
        result=result,
        objects=1,
        size_bytes=0,
        damage=(Damage(uri=keys.playlist, found=why.removeprefix(f"{keys.playlist} ")), *damage),
    )


def _compared(results: Storage, digests: Mapping[str, str]) -> Iterator[tuple[str, Damage | None]]:
    """Each object's URI, and its damage, if any."""
    with ThreadPoolExecutor(checkpoint.READS) as pool:
        found = pool.map(lambda item: checkpoint.compare(results, *item), digests.items())
        yield from zip(digests, found, strict=True)


def _metadata(results: Storage, keys: ResultKeys, version: str) -> tuple[VideoResult | None, list[Damage]]:
    """A version's own ``video.json``, and the damage of it and of the stable one."""
    own: VideoResult | None = None
    damage: list[Damage] = []
    for uri in (keys.version_metadata(version), keys.metadata):
        result, broken = _read_metadata(results, uri)
        damage += broken
        if result is None and not broken:
            damage.append(Damage(uri=uri, found="it is not there"))
        elif result is not None and result.version != version:
            # Also if a publisher was killed between two writes: another run of the video mends it.
            damage.append(Damage(uri=uri, found=f"it is of another version, {result.version}"))
        elif uri != keys.metadata:
            own = result
    return own, damage


def _read_metadata(results: Storage, uri: str) -> tuple[VideoResult | None, list[Damage]]:
    """A ``video.json``, None if it is missing or damaged; and its damage, if it is damaged."""
    try:
        return read_result(results, uri), []
    except CorruptObjectError as error:
        return None, [Damage(uri=uri, found=str(error))]


def _stable(results: Storage, keys: ResultKeys, version: str) -> list[Damage]:
    """Damage of the stable playlist and manifest, which must be the version's copies followed by a mark.

    If players are steered, the edges that ``video.json`` names are added to the copies."""
    damage = []
    shown, _ = _read_metadata(results, keys.metadata)
    steering = shown.steering if shown else None
    copies = [
        (keys.playlist, keys.version_playlist(version), steering and steering.playlist),
        (keys.manifest, keys.version_manifest(version), steering and steering.manifest),
    ]
    for uri, copy, with_edges in copies:
        try:
            wanted = get_bytes(results, copy)
            wanted = with_edges(wanted) if with_edges else wanted
        except ObjectNotFoundError:
            continue  # no manifest; a lost playlist is among the version's damage
        try:
            found = get_bytes(results, uri)
        except ObjectNotFoundError:
            damage.append(Damage(uri=uri, found="it is not there"))
            continue
        if not found.startswith(wanted):
            damage.append(Damage(uri=uri, found=f"it is not the version's {copy.rpartition('/')[2]}"))
    return damage


# --- before a run continues -----------------------------------------------------------------


def damage_of_version(results: Storage, temp: Storage, job: Job, *, read: bool) -> list[Damage]:
    """The damaged objects of a job's version, which may be unfinished.

    :param read: whether to read all objects. Otherwise sizes and store versions are compared, and only small
        objects and those whose store version has changed are read.
    """
    keys = job.result_keys
    names = [*track_names(job.plan), PICTURES]
    if job.plan.downloads:
        names += [step_of(name) for name in track_names(job.plan)]
    uris = [job.segmented(name) for name in names]
    damage: list[Damage] = []
    for uri, marker in zip(uris, checkpoint.load_markers(temp, uris), strict=True):
        if marker is None:
            continue
        there = checkpoint.look_at(results, marker)
        found = checkpoint.damaged(results, marker, there, read=read)
        if not found and any(stored.version for stored in marker.objects.values()):
            checkpoint.note_versions(temp, uri, marker, there)
        damage += found
    try:
        digests = checksums.read(results, keys.version_checksums(job.version))
    except ObjectNotFoundError:
        return damage
    except CorruptObjectError as error:
        return [*damage, Damage(uri=keys.version_checksums(job.version), found=str(error))]
    small = {keys.version(job.version, path): sha256 for path, sha256 in digests.items() if "/" not in path}
    damage += [found for _, found in _compared(results, small) if found]
    return damage + _read_metadata(results, keys.version_metadata(job.version))[1]


def discard_damaged_work(temp: Storage, job: Job) -> list[Damage]:
    """Read all objects of a job's workspace, and delete the markers of steps with damaged ones.

    So those steps, and only those, are done again. Returns the damage.
    """
    damage = []
    keys = job.source_keys
    for folder in (keys.folder, job.work_keys.folder):
        for uri in sorted(_markers(temp, folder)):
            marker = checkpoint.load_marker(temp, uri)
            found = [Damage(uri=uri, found="it cannot be read")]
            if marker is not None:
                found = checkpoint.damaged(temp, marker, checkpoint.look_at(temp, marker), read=True)
            if found:
                temp.delete(uri)
                damage += found
    try:
        checkpoint.read_document(temp, keys.timeline, Timeline)
    except CorruptObjectError as error:
        temp.delete(keys.marker(SPLIT))
        damage.append(Damage(uri=keys.timeline, found=str(error)))
    except ObjectNotFoundError:
        pass
    return damage


def _markers(temp: Storage, folder: str) -> Iterator[str]:
    """URIs of the markers that name objects of the workspace itself; those of tracks name a version's."""
    for info in temp.list(f"{folder}/"):
        name = info.uri[len(folder) + 1 :]
        if name.endswith(MARKER) and "/" not in name and not name.startswith(WorkKeys.SEGMENTED):
            yield info.uri


def repair_request(
    temp: Storage, settings: VodSettings, video_id: str, damaged: Verification
) -> dict[str, Any]:
    """The ``conf`` of a run that repairs a video: what was asked for, and ``verify``.

    :param temp: the temp store.
    :raises InvalidInputError: the request is not known any more, or its preset has changed since.
    """
    job: Job | None = None
    if match := VERSION_NAME.fullmatch(damaged.version):
        keys = WorkKeys(temp_uri=settings.temp_uri, video_id=video_id, fingerprint=match[1])
        with suppress(CorruptObjectError, ObjectNotFoundError):
            job = read_job(temp, keys.plan, settings)
    source = damaged.result.source.name if damaged.result else "its source"
    again = f"ask for the whole video again, with {source}: vod submit SOURCE --video-id {video_id}"
    if job is None or job.version != damaged.version:  # it may have got another version since
        raise InvalidInputError(
            f"video_id: the workspace of {video_id} in {settings.temp_uri} is gone, so nothing can be copied "
            f"from it; {again}"
        )
    if job.request is None:
        raise InvalidInputError(
            f"video_id: {video_id} was made of a URL with credentials, which is not kept; {again} --verify"
        )
    preset = load_preset(job.request["preset"], settings.presets_dir)
    if fingerprint(preset) != fingerprint(job.plan.preset):
        raise InvalidInputError(
            f"video_id: the preset {preset.name} has changed since {video_id} was made; {again}"
        )
    return job.request | {"verify": True}
