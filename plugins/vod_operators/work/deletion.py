"""Removes all files of a video. ``management.py`` holds the claim meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from vod_operators.errors import InvalidInputError, NoSuchVideoError
from vod_operators.storage.base import ObjectInfo, Storage
from vod_operators.storage.keys import ResultKeys, WorkKeys, claim_key, is_workspace

log = logging.getLogger(__name__)


@dataclass
class Removed:
    """What was removed of a video. After a deletion that was killed, the next one counts only the rest."""

    versions: int = 0
    workspaces: int = 0
    unfinished: int = 0
    """Writes of killed processes."""
    objects: int = 0
    size_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if not (self.objects or self.unfinished):
            return "nothing was left of it"
        return (
            f"{self.versions} versions and {self.workspaces} workspaces, {self.objects} files, "
            f"{self.size_bytes} bytes"
        )


def require_confirmation(video_id: str, confirm: str | None) -> None:
    """Check that whoever deletes a video has named it.

    :raises InvalidInputError: ``confirm`` is not the video's id.
    """
    if confirm != video_id:
        raise InvalidInputError(
            f"confirm: to delete {video_id!r}, give its id here too, exactly so; it was "
            + ("empty" if not confirm else "something else")
        )


def require_known(temp: Storage, results: Storage, temp_uri: str, keys: ResultKeys) -> None:
    """Check that there is such a video, or was: its claim outlives it, so a deletion may be repeated.

    :raises NoSuchVideoError: neither store has anything of it.
    """
    for storage, folder in ((temp, f"{temp_uri}/{keys.video_id}/"), (results, f"{keys.folder}/")):
        if next(iter(storage.list(folder)), None) is not None:
            return
    raise NoSuchVideoError(keys.video_id, keys.results_uri)


def delete_video(
    temp: Storage, results: Storage, temp_uri: str, keys: ResultKeys, *, hold: Callable[[], object]
) -> Removed:
    """Remove all objects of a video from both stores, except its claim; returns what was removed.

    The stable playlist goes first, so that no player starts on half a version. Then, of each version and each
    workspace, the object without which the rest is not used. So if this is killed half-way, nothing uses what
    is left, and the next call removes it. The claim stays, because its token must never start again.

    :param hold: renews the claim, called before each step. It raises if another run has the claim.
    """
    removed = Removed()

    def remove(storage: Storage, uri: str) -> None:
        if found := storage.stat(uri):
            hold()
            storage.delete(uri)
            removed.objects += 1
            removed.size_bytes += found.size

    def remove_folder(storage: Storage, folder: str, first: str = "") -> int:
        """Returns how many objects it had, of which ``first`` is removed before all others."""
        hold()
        objects, size_bytes = _measured(storage.list(folder))
        if first:
            storage.delete(folder + first)
        storage.delete_folder(folder)
        removed.objects += objects
        removed.size_bytes += size_bytes
        if objects:
            log.info("removed %s: %d bytes in %d objects", folder, size_bytes, objects)
        return objects

    for uri in (keys.playlist, keys.manifest, keys.metadata):
        remove(results, uri)
    root = f"{keys.folder}/"
    for name in list(results.folders(root)):
        metadata = keys.version_metadata(name).removeprefix(keys.version(name, ""))
        removed.versions += remove_folder(results, keys.version(name, ""), metadata) > 0
    remove_folder(results, root)  # what else is there, such as a file that somebody has added

    work = f"{temp_uri}/{keys.video_id}/"
    for name in list(temp.folders(work)):
        first = WorkKeys.PLAN if is_workspace(name) else ""
        removed.workspaces += remove_folder(temp, f"{work}{name}/", first) > 0
    claim = claim_key(temp_uri, keys.video_id)
    for found in list(temp.list(work)):
        if found.uri != claim:
            remove(temp, found.uri)

    for storage, folder in ((results, root), (temp, work)):
        for left in list(storage.unfinished(folder)):
            hold()
            storage.discard(left)
            removed.unfinished += 1
            removed.size_bytes += left.size
    return removed


def _measured(listing: Iterable[ObjectInfo]) -> tuple[int, int]:
    """Number and size of the objects of a listing, which is not held in memory."""
    objects = size_bytes = 0
    for found in listing:
        objects += 1
        size_bytes += found.size
    return objects, size_bytes
