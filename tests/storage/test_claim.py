"""The claim of a video: one owner, renewed, given back, and lost after its time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from vod_operators.errors import ClaimedError
from vod_operators.storage import claim
from vod_operators.storage.claim import Claim
from vod_operators.storage.local import LocalStorage

STORE = LocalStorage()


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "claim.json").as_uri()


def put(uri: str, owner: str, *, ends_in_s: float) -> datetime:
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    held = Claim(
        owner=owner, since=since, expires_at=datetime.now(timezone.utc) + timedelta(seconds=ends_in_s)
    )
    STORE.write(uri, [held.model_dump_json().encode()])
    return since


def held(uri: str) -> Claim:
    found = claim.read_claim(STORE, uri)
    assert found is not None
    return found[0]


def test_a_free_video_is_taken_and_given_back(uri: str) -> None:
    claim.hold(STORE, uri, owner="a", ttl_s=600)
    assert held(uri).owner == "a"
    claim.check(STORE, uri, owner="a")
    assert claim.release(STORE, uri, owner="a")
    assert claim.read_claim(STORE, uri) is None


def test_a_live_claim_is_not_taken(uri: str) -> None:
    put(uri, "a", ends_in_s=60)
    with pytest.raises(ClaimedError, match="worked on by run 'a' since"):
        claim.hold(STORE, uri, owner="b", ttl_s=600)
    assert not claim.release(STORE, uri, owner="b")
    assert held(uri).owner == "a"


def test_a_dead_claim_is_taken_over(uri: str) -> None:
    put(uri, "a", ends_in_s=-1)
    claim.hold(STORE, uri, owner="b", ttl_s=600)
    assert held(uri).owner == "b"
    with pytest.raises(ClaimedError, match="no longer held by 'a', but by 'b'"):
        claim.check(STORE, uri, owner="a")


def test_an_old_claim_is_renewed_and_a_fresh_one_left(uri: str) -> None:
    since = put(uri, "a", ends_in_s=100)
    claim.hold(STORE, uri, owner="a", ttl_s=600)
    renewed = held(uri)
    assert renewed.since == since
    assert renewed.expires_at > datetime.now(timezone.utc) + timedelta(seconds=500)
    claim.hold(STORE, uri, owner="a", ttl_s=600)
    assert held(uri) == renewed


def test_an_ended_claim_of_ones_own_is_not_lost(uri: str) -> None:
    put(uri, "a", ends_in_s=-1)
    claim.hold(STORE, uri, owner="a", ttl_s=600)
    assert held(uri).owner == "a"
