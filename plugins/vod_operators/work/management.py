"""Changes of a published video that are no publication: rollback and deletion, each under the video's claim.

Shared by ``vod_manage`` and the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from vod_operators.errors import NoSuchVideoError
from vod_operators.settings import VodSettings
from vod_operators.storage import claim
from vod_operators.storage.base import Storage
from vod_operators.storage.claim import Claim, Verdict, is_process_dead
from vod_operators.storage.keys import ResultKeys, check_video_id, claim_key
from vod_operators.work.deletion import Removed, delete_video, require_confirmation, require_known
from vod_operators.work.index import note_deleted, note_published
from vod_operators.work.result import VideoResult
from vod_operators.work.stable import roll_back, versions
from vod_operators.work.steering import steering_of

ROLLBACK_S = 300
"""Longer than it takes to list a version's files and to write the stable objects."""

DELETION_S = 1800
"""Much longer than removing one folder takes: one request deletes a thousand objects."""


@dataclass(frozen=True, kw_only=True)
class Manager:
    """Changes videos on behalf of one owner of claims.

    :param owner: names the owner to whoever meets its claim.
    :param holder: as ``Claim.holder``.
    :param is_dead: asked about another owner of the claim.
    """

    settings: VodSettings
    temp: Storage
    results: Storage
    owner: str
    holder: str
    is_dead: Verdict = is_process_dead

    def keys(self, video_id: str) -> ResultKeys:
        """Where the video is published.

        :raises InvalidInputError: the id is none.
        """
        return ResultKeys(results_uri=self.settings.results_uri, video_id=check_video_id(video_id))

    def roll_back(self, video_id: str, to: str | None) -> VideoResult:
        """Point the stable playlist to another version; returns the new ``video.json``.

        :param to: the version; None for the one before the current one.
        :raises InvalidInputError: there is no such video or version, or it is not whole.
        :raises ClaimedError: a run works on the video.
        """
        keys = self.keys(video_id)
        if not versions(self.results, keys):  # first, so that no video gets a claim by mistake
            raise NoSuchVideoError(video_id, keys.results_uri)
        with self._claimed(video_id, ROLLBACK_S) as hold:
            mine = hold()
            uri = claim_key(self.settings.temp_uri, video_id)
            shown = roll_back(
                self.results,
                keys,
                to,
                steering=steering_of(self.settings, video_id),
                still_owner=lambda: claim.check(self.temp, uri, mine),
            )
            note_published(self.temp, self.settings.temp_uri, shown)
            return shown

    def delete(self, video_id: str, confirm: str | None) -> Removed:
        """Remove everything of a video but its claim; returns what was removed. May be repeated.

        :param confirm: the video's id once more.
        :raises InvalidInputError: ``confirm`` differs, or there is no such video.
        :raises ClaimedError: a run works on the video.
        """
        keys = self.keys(video_id)
        require_confirmation(video_id, confirm)
        require_known(self.temp, self.results, self.settings.temp_uri, keys)
        with self._claimed(video_id, DELETION_S) as hold:
            removed = delete_video(self.temp, self.results, self.settings.temp_uri, keys, hold=hold)
            note_deleted(self.temp, self.settings.temp_uri, video_id)
            return removed

    @contextmanager
    def _claimed(self, video_id: str, ttl_s: int) -> Iterator[Callable[[], Claim]]:
        """Hold the claim; yields what renews it."""
        uri = claim_key(self.settings.temp_uri, video_id)
        hold = partial(
            claim.hold,
            self.temp,
            uri,
            owner=self.owner,
            ttl_s=ttl_s,
            brief=True,
            holder=self.holder,
            is_dead=self.is_dead,
        )
        hold()
        try:
            yield hold
        finally:
            claim.release(self.temp, uri, owner=self.owner)
