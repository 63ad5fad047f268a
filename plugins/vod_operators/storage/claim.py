"""The claim on a video: a lease in one small object, taken, renewed and released by conditional writes.

All times are by the store's clock, which hosts with differing clocks share, so they agree about when a lease
expires. The token grows with every new owner. It tells a run's present claim from one that the run lost
before, even if the run took the video again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from vod_operators import processes
from vod_operators.errors import ClaimedError, ObjectNotFoundError, StorageError
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import get_bytes

ATTEMPTS = 10
"""Writes that may fail before giving up: tasks of one run renew the same claim at the same time."""

NOBODY = ""
"""Owner of a released claim. The object stays, because its token must never start again."""


class Claim(BaseModel):
    """A lease on a video."""

    # A later release may add fields. They must not count as damage, because a damaged claim has no owner.
    model_config = ConfigDict(frozen=True, extra="ignore")

    owner: str
    """The run, as ``dag_id/run_id``, or another program that changes the video's files."""
    since: datetime
    expires_at: datetime
    token: int
    """One more than the previous owner's."""
    brief: bool = False
    """Held for moments only, by the janitor or a rollback, so others should wait instead of giving up."""
    holder: str = ""
    """The process or the Airflow run whose end frees the claim; empty if it is not known."""


Verdict = Callable[[Claim], bool]
"""Returns whether a claim's owner is known to have ended."""


def process_holder(process: str) -> str:
    """The holder of a claim whose owner ends with a process of this host.

    :param process: as ``processes.number`` names it.
    :returns: empty if this host cannot be identified.
    """
    host = processes.host()
    return f"process {process} of {host}" if host else ""


def is_process_dead(claim: Claim) -> bool:
    """Whether the claim's holder is a process of this host that has ended. The usual ``Verdict``."""
    words, _, host = claim.holder.removeprefix("process ").partition(" of ")
    return claim.holder.startswith("process ") and host == processes.host() and processes.is_dead(words)


def read_claim(storage: Storage, uri: str) -> Claim | None:
    """The claim, expired or not; None if there is none, it was released, or it is damaged."""
    claim, _ = _read(storage, uri)
    return claim if claim is not None and claim.owner != NOBODY else None


def is_held(storage: Storage, uri: str) -> bool:
    """Whether there is a claim that has not expired."""
    claim = read_claim(storage, uri)
    return claim is not None and claim.expires_at > storage.now(uri)


def hold(
    storage: Storage,
    uri: str,
    *,
    owner: str,
    ttl_s: int,
    brief: bool = False,
    holder: str = "",
    is_dead: Verdict = is_process_dead,
) -> Claim:
    """Take the claim, renew it if ``owner`` has it, or take it over if it expired or its owner ended.

    Every task of a run calls this before it works. So a cleared task of a failed run, which has released its
    claim, takes it again, or learns who has it now.

    :param ttl_s: seconds from now until the claim expires.
    :param brief: whether the claim will be released in a moment.
    :param holder: as ``Claim.holder``.
    :param is_dead: asked about another owner whose claim has not expired.
    :raises ClaimedError: another run has the claim; the message names it and says since when.
    :raises StorageError: the claim is held briefly, or too many writes failed.
    """
    for _ in range(ATTEMPTS):
        now = storage.now(uri)
        present, version = _read(storage, uri)
        is_owner = present is not None and present.owner == owner
        remaining_s = (present.expires_at - now).total_seconds() if present else 0
        if present and is_owner and present.holder == holder and remaining_s > 2 / 3 * ttl_s:
            return present  # still fresh, so the tasks of one run do not compete to renew it
        # An ended run may be cleared and continue. It has another holder then, so it writes the claim before
        # it works. Its write and ours depend on the same version, so the store accepts only one.
        is_of_another = present and not is_owner and present.owner != NOBODY and present.expires_at > now
        if present and is_of_another and not is_dead(present):
            raise _refusal(present)
        claim = Claim(
            owner=owner,
            since=present.since if present and is_owner else now,
            expires_at=now + timedelta(seconds=ttl_s),
            token=present.token if present and is_owner else _next_token(present, version, now),
            brief=brief,
            holder=holder,
        )
        if _write(storage, uri, claim, version):
            return claim
    raise _restless(uri)


def check(storage: Storage, uri: str, claim: Claim) -> None:
    """Check that a claim is still held.

    :param claim: what ``hold`` returned.
    :raises ClaimedError: the claim was lost, even if the same owner took it again meanwhile.
    """
    present = read_claim(storage, uri)
    if present is None or (present.owner, present.token) != (claim.owner, claim.token):
        raise ClaimedError(
            f"video_id: {claim.owner!r} (token {claim.token}) no longer holds the claim on this video; "
            + (f"{present.owner!r} (token {present.token}) does" if present else "nobody does")
            + "; nothing was published"
        )


def release(storage: Storage, uri: str, *, owner: str) -> bool:
    """Release the claim if ``owner`` has it; returns whether it had.

    The claim is overwritten, not deleted: S3 servers support conditional writes, but few support conditional
    deletes, and an unconditional delete could remove the claim of a new owner.
    """
    for _ in range(ATTEMPTS):
        claim, version = _read(storage, uri)
        if claim is None or claim.owner != owner:
            return False
        released = claim.model_copy(update={"owner": NOBODY, "brief": False, "holder": ""})
        if _write(storage, uri, released, version):
            return True
    raise _restless(uri)


def _read(storage: Storage, uri: str) -> tuple[Claim | None, str | None]:
    """The claim, None also if it is damaged, and the version of its object."""
    info = storage.stat(uri)  # before the read, so that the content is at least as new as the version
    if info is None:
        return None, None
    try:
        return Claim.model_validate_json(get_bytes(storage, uri)), info.version
    except ObjectNotFoundError:
        return None, None
    except ValidationError:
        return None, info.version


def _next_token(claim: Claim | None, version: str | None, now: datetime) -> int:
    if claim is None and version is not None:
        return int(now.timestamp())  # the claim is damaged; seconds since 1970 exceed any number of owners
    return 1 + (claim.token if claim else 0)


def _write(storage: Storage, uri: str, claim: Claim, version: str | None) -> bool:
    data = claim.model_dump_json().encode()
    if version is None:
        return storage.create(uri, data, content_type="application/json") is not None
    return storage.replace(uri, data, version, content_type="application/json") is not None


def _refusal(claim: Claim) -> Exception:
    owner = f"{claim.owner!r} since {claim.since:%Y-%m-%d %H:%M:%S} UTC"
    if claim.brief:
        return StorageError(
            f"video_id: this video's files are being changed by {owner}; try again in a moment"
        )
    return ClaimedError(
        f"video_id: this video is being worked on by run {owner}; wait for it, or stop it "
        f"(if the run shows no sign of life, its claim expires at {claim.expires_at:%H:%M:%S} UTC)"
    )


def _restless(uri: str) -> StorageError:
    return StorageError(f"{uri}: could not be written: others changed it {ATTEMPTS} times meanwhile")
