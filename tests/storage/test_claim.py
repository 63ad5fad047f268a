"""The claim of a video: one owner, renewed, given back, and lost after its time by the store's clock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from vod_operators.errors import ClaimedError, StorageError
from vod_operators.storage import claim
from vod_operators.storage.base import Storage
from vod_operators.storage.claim import Claim
from vod_operators.storage.stores import storage_for


@dataclass(frozen=True)
class Place:
    storage: Storage
    uri: str

    def put(self, owner: str, *, ends_in_s: float, token: int = 7, brief: bool = False) -> datetime:
        """A claim as another run left it."""
        now = self.storage.now(self.uri)
        held = Claim(
            owner=owner,
            since=now - timedelta(hours=1),
            expires_at=now + timedelta(seconds=ends_in_s),
            token=token,
            brief=brief,
        )
        self.storage.write(self.uri, [held.model_dump_json().encode()])
        return held.since

    def held(self) -> Claim:
        found = claim.read_claim(self.storage, self.uri)
        assert found is not None
        return found

    def hold(self, owner: str, ttl_s: int = 600) -> Claim:
        return claim.hold(self.storage, self.uri, owner=owner, ttl_s=ttl_s)


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "file":
        return Place(storage_for("file:///", "unused"), (tmp_path / "claim.json").as_uri())
    bucket = request.getfixturevalue("s3_bucket")
    return Place(storage_for(bucket.uri, bucket.conn_id), f"{bucket.uri}/claim.json")


def test_a_free_video_is_taken_and_given_back(place: Place) -> None:
    mine = place.hold("a")
    assert (place.held().owner, mine.token) == ("a", 1)
    claim.check(place.storage, place.uri, mine)
    assert claim.is_held(place.storage, place.uri)
    assert claim.release(place.storage, place.uri, owner="a")
    assert claim.read_claim(place.storage, place.uri) is None
    assert not claim.is_held(place.storage, place.uri)
    with pytest.raises(ClaimedError, match=r"'a' .token 1. no longer holds .*; nobody does"):
        claim.check(place.storage, place.uri, mine)
    assert place.hold("b").token == 2


def test_a_live_claim_is_not_taken(place: Place) -> None:
    since = place.put("a", ends_in_s=60)
    with pytest.raises(ClaimedError, match=f"worked on by run 'a' since {since:%Y-%m-%d %H:%M:%S} UTC"):
        place.hold("b")
    assert not claim.release(place.storage, place.uri, owner="b")
    assert place.held().owner == "a"


def test_a_dead_claim_is_taken_over(place: Place) -> None:
    place.put("a", ends_in_s=600)
    lost = place.held()
    place.put("a", ends_in_s=-1)
    assert not claim.is_held(place.storage, place.uri)
    taken = place.hold("b")
    assert (place.held().owner, taken.token) == ("b", lost.token + 1)
    with pytest.raises(ClaimedError, match=r"'a' .token 7. no longer holds .*; 'b' .token 8. does"):
        claim.check(place.storage, place.uri, lost)
    assert not claim.release(place.storage, place.uri, owner="a")
    assert place.held() == taken


def test_an_owner_that_had_lost_the_video_does_not_pass_for_the_one_that_has_it_again(place: Place) -> None:
    before = place.hold("a")
    for owner in ("b", "a"):
        place.put(place.held().owner, ends_in_s=-1, token=place.held().token)
        place.hold(owner)
    assert place.held().owner == "a"
    with pytest.raises(ClaimedError):
        claim.check(place.storage, place.uri, before)


def test_an_old_claim_is_renewed_and_a_fresh_one_left(place: Place) -> None:
    since = place.put("a", ends_in_s=100)
    renewed = place.hold("a")
    assert (renewed.since, renewed.token) == (since, 7)
    assert renewed.expires_at > place.storage.now(place.uri) + timedelta(seconds=500)
    assert place.hold("a") == renewed == place.held()


def test_an_ended_claim_of_ones_own_is_not_lost(place: Place) -> None:
    place.put("a", ends_in_s=-1)
    assert (place.hold("a").token, place.held().owner) == (7, "a")


def test_many_contenders_have_one_winner(place: Place) -> None:
    def contend(i: int) -> int | None:
        try:
            return place.hold(f"run-{i}").token
        except ClaimedError as error:
            assert "is being worked on by run 'run-" in str(error)
            return None

    for round_ in (1, 2):
        with ThreadPoolExecutor(10) as pool:
            tokens = list(pool.map(contend, range(10)))
        assert [token for token in tokens if token] == [round_]
        claim.release(place.storage, place.uri, owner=place.held().owner)


def test_who_meets_the_janitor_tries_again(place: Place) -> None:
    place.put("vod_janitor/x", ends_in_s=60, brief=True)
    with pytest.raises(StorageError, match=r"files are being changed by 'vod_janitor/x' since .* a moment"):
        place.hold("a")


def test_a_damaged_claim_is_nobodys(place: Place) -> None:
    lost = place.hold("a")
    place.storage.write(place.uri, [b'{"owner": "a'])
    assert not claim.release(place.storage, place.uri, owner="a")
    assert place.hold("b").token > 1_000_000_000
    with pytest.raises(ClaimedError):
        claim.check(place.storage, place.uri, lost)


def test_release_leaves_a_claim_that_was_taken_over_while_it_looked(place: Place) -> None:
    place.put("a", ends_in_s=-1)

    class Slow:
        """Between the look and the write, another run takes over."""

        def __getattr__(self, name: str) -> Callable[..., object]:
            if name == "replace" and place.held().owner == "a":
                place.hold("b")
            return getattr(place.storage, name)

    assert not claim.release(Slow(), place.uri, owner="a")  # type: ignore[arg-type]
    assert place.held().owner == "b"


CONTENDER = """
import datetime, sys, time
skew = float(sys.argv[2])
def skewed(real): return lambda *a: real(*a) + skew
time.time, time.time_ns = skewed(time.time), lambda real=time.time_ns: real() + int(skew * 1e9)
class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return super().now(tz) + datetime.timedelta(seconds=skew)
datetime.datetime = Skewed
from vod_operators.errors import ClaimedError
from vod_operators.storage import claim
from vod_operators.storage.stores import storage_for
uri = sys.argv[1]
try:
    held = claim.hold(storage_for(uri, "vod_test_s3"), uri, owner=sys.argv[3], ttl_s=300)
    print(held.owner, held.token)
except ClaimedError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("skew_s", [-600, 600])
def test_hosts_ten_minutes_apart_do_not_both_own_a_video(place: Place, skew_s: int) -> None:
    """A lease of five minutes, seen from hosts that are ten minutes ahead or behind."""

    def contend(skew: int, owner: str) -> str:
        argv = [sys.executable, "-c", CONTENDER, place.uri, str(skew), owner]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]

    begin = place.storage.now(place.uri)
    assert contend(skew_s, "skewed") == "skewed 1"
    # Its lease ends when it ends for everyone, whatever its clock says...
    assert timedelta(seconds=298) < place.held().expires_at - begin < timedelta(seconds=330)
    with pytest.raises(ClaimedError):
        place.hold("right")
    # ... and the other way round.
    place.put("skewed", ends_in_s=-1)
    place.hold("right", ttl_s=300)
    assert contend(skew_s, "skewed").startswith(
        "refused: video_id: this video is being worked on by run 'right'"
    )


def dead_process() -> str:
    """A process of this host that has ended, as its claim named it."""
    from vod_operators import processes

    ended = subprocess.Popen(["sleep", "60"])
    name = processes.number(ended.pid)
    ended.kill()
    ended.wait()
    return claim.process_holder(name)


def test_an_owner_whose_process_has_ended_loses_the_video_at_once_and_to_one(place: Place) -> None:
    claim.hold(place.storage, place.uri, owner="dead", ttl_s=600, holder=dead_process())

    def contend(i: int) -> int | None:
        try:
            return place.hold(f"run-{i}").token
        except ClaimedError:
            return None

    with ThreadPoolExecutor(10) as pool:
        tokens = [token for token in pool.map(contend, range(10)) if token]
    assert tokens == [2]
    assert place.held().owner.startswith("run-") and place.held().holder == ""


def test_two_processes_at_once_have_one_heir_of_the_dead(place: Place) -> None:
    claim.hold(place.storage, place.uri, owner="dead", ttl_s=600, holder=dead_process())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    contenders = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, place.uri, "0", owner],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for owner in ("a", "b")
    ]
    said = [contender.communicate()[0].splitlines()[-1] for contender in contenders]
    heir = place.held().owner
    assert heir in ("a", "b")
    assert sorted(line.startswith("refused: ") for line in said) == [False, True]
    assert f"{heir} 2" in said


@pytest.mark.parametrize("how", ["it lives", "another host", "another start", "nothing is said"])
def test_only_the_provably_dead_lose_it(place: Place, how: str) -> None:
    from vod_operators import processes

    lives = processes.number(os.getpid())
    holder = {
        "it lives": claim.process_holder(lives),
        "another host": dead_process() + "0",
        "another start": claim.process_holder(lives + "0"),  # the number was given to another process
        "nothing is said": "",
    }[how]
    claim.hold(place.storage, place.uri, owner="a", ttl_s=600, holder=holder)
    if how == "another start":
        assert place.hold("b").token == 2
    else:
        with pytest.raises(ClaimedError):
            place.hold("b")


def test_one_that_rises_while_it_is_taken_for_dead_keeps_the_video(place: Place) -> None:
    """A run that had ended is cleared after it was asked about, and before its claim was written over."""
    before = claim.hold(place.storage, place.uri, owner="a", ttl_s=600, holder="run X 0")
    asked: list[str] = []

    def is_dead(found: Claim) -> bool:
        asked.append(found.holder)
        if found.holder == "run X 1":
            return False
        claim.hold(place.storage, place.uri, owner="a", ttl_s=600, holder="run X 1")
        return True

    with pytest.raises(ClaimedError, match="worked on by run 'a'"):
        claim.hold(place.storage, place.uri, owner="b", ttl_s=600, is_dead=is_dead)
    assert asked == ["run X 0", "run X 1"]
    assert (place.held().owner, place.held().token) == ("a", before.token)
