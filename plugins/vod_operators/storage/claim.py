"""Who works on a video: one small object, taken and renewed by conditional writes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict, ValidationError

from vod_operators.errors import ClaimedError, ObjectNotFoundError, StorageError
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import get_bytes

ATTEMPTS = 10
"""Races lost before giving up: tasks of one run renew the same claim at the same time."""


class Claim(BaseModel):
    """A lease on a video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str
    """The run, as ``dag_id/run_id``."""
    since: datetime
    expires_at: datetime


def _now() -> datetime:
    return datetime.now(timezone.utc)


def read_claim(storage: Storage, uri: str) -> tuple[Claim, str] | None:
    """The claim and its object's version, or None if nobody holds one."""
    info = storage.stat(uri)
    if info is None:
        return None
    try:
        return Claim.model_validate_json(get_bytes(storage, uri)), info.version
    except ObjectNotFoundError:
        return None
    except ValidationError as error:
        raise StorageError(f"{uri} is not a claim: {error}") from error


def hold(storage: Storage, uri: str, *, owner: str, ttl_s: int) -> None:
    """Take the claim, or renew it if ``owner`` has it; an expired one is taken over.

    Every task of a run calls this before it works, so a cleared task of a failed run, which has
    released its claim, takes it again or finds out who has it now.

    :param ttl_s: seconds from now that the claim lasts.
    :raises ClaimedError: another run has it; the message names it and says since when.
    """
    for _ in range(ATTEMPTS):
        now = _now()
        found = read_claim(storage, uri)
        if found and found[0].owner == owner and (found[0].expires_at - now).total_seconds() > 2 / 3 * ttl_s:
            return  # fresh: the tasks of one run need not race to renew it
        since = found[0].since if found and found[0].owner == owner else now
        mine = Claim(owner=owner, since=since, expires_at=now + timedelta(seconds=ttl_s))
        data = mine.model_dump_json().encode()
        if found is None:
            taken = storage.create(uri, data)
        elif found[0].owner == owner or found[0].expires_at <= now:
            taken = storage.replace(uri, data, found[1])
        else:
            raise ClaimedError(
                f"video_id: this video is being worked on by run {found[0].owner!r} since "
                f"{found[0].since:%Y-%m-%d %H:%M:%S} UTC; wait for it, or stop it "
                f"(a run that shows no life loses the video at {found[0].expires_at:%H:%M:%S} UTC)"
            )
        if taken is not None:
            return
    raise StorageError(f"{uri}: could not be written, because it changed {ATTEMPTS} times in between")


def check(storage: Storage, uri: str, *, owner: str) -> None:
    """:raises ClaimedError: ``owner`` does not have the claim (any more)."""
    found = read_claim(storage, uri)
    if found is None or found[0].owner != owner:
        raise ClaimedError(
            f"video_id: this video is no longer held by {owner!r}, but by "
            f"{found[0].owner if found else 'nobody'!r}; nothing was published"
        )


def release(storage: Storage, uri: str, *, owner: str) -> bool:
    """Give the claim back if ``owner`` has it. Whether it had."""
    found = read_claim(storage, uri)
    if found is None or found[0].owner != owner:
        return False
    storage.delete(uri)
    return True
