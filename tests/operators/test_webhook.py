"""Callbacks against a real server that is well, away, slow, refusing or endless."""

from __future__ import annotations

import hashlib
import hmac
import logging
import socket
import time

import pytest

from support.cms import Cms, snippet_of_the_page
from vod_operators.storage.allow import AllowList
from vod_operators.work import webhook
from vod_operators.work.webhook import (
    SIGNATURE_HEADER,
    SILENCE_S,
    STARTED_LIMIT_S,
    Event,
    deliver,
    event_id,
    sign,
)

SECRET = "s3cret-öäü"

EVENT = Event(
    event="done",
    event_id="1",
    video_id="film",
    run_id="run",
    run_url="http://airflow/run",
    result={"title": "Ödland"},
)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "FIRST_WAIT_S", 0.05)


def send(
    url: str, *, secret: str | None = SECRET, limit_s: float = 20, silence_s: float = 20
) -> tuple[bool, list[str]]:
    said: list[str] = []
    return deliver(
        url,
        EVENT,
        allow=AllowList("VOD_CALLBACK_ALLOW", ("public", "127.0.0.1")),
        secret=secret,
        limit_s=limit_s,
        silence_s=silence_s,
        log=lambda text, *args: said.append(text % args),
    ), said


def test_the_signature_by_hand() -> None:
    by_hand = hmac.new(b"key", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert sign(b'{"a":1}', "key", 1_700_000_000) == f"t=1700000000,v1={by_hand}"


def test_the_snippet_verifies_what_is_signed_and_nothing_else() -> None:
    verified, now = snippet_of_the_page(), int(time.time())
    body = EVENT.body()
    assert verified(body, sign(body, SECRET, now), SECRET)
    assert not verified(body + b" ", sign(body, SECRET, now), SECRET)
    assert not verified(body, sign(body, "other", now), SECRET)
    assert not verified(body, sign(body, SECRET, now - 301), SECRET)
    assert not verified(body, sign(body, SECRET, now).replace(f"t={now}", f"t={now + 1}"), SECRET)
    for header in ("", "v1=", "t=1", "t=,v1=", "t=x,v1=é", "=,=,"):
        assert not verified(body, header, SECRET)


def test_an_event_id_is_of_the_run_the_clear_and_the_event() -> None:
    assert event_id("dag/run", 0, "done") == event_id("dag/run", 0, "done")
    others = [("dag/run", 1, "done"), ("dag/run", 0, "failed"), ("dag/run0", 0, "done")]
    assert event_id("dag/run", 0, "done") not in {event_id(*other) for other in others}  # type: ignore[arg-type]


def test_taken_at_once(cms: Cms) -> None:
    assert send(cms.url) == (True, [])
    (request,) = cms.requests
    assert request.headers["Content-Type"] == "application/json"
    assert snippet_of_the_page()(request.body, request.headers[SIGNATURE_HEADER], SECRET)
    assert request.json() == {
        "event": "done",
        "event_id": "1",
        "video_id": "film",
        "run_id": "run",
        "run_url": "http://airflow/run",
        "result": {"title": "Ödland"},
    }


def test_without_a_secret_there_is_no_signature(cms: Cms) -> None:
    assert send(cms.url, secret=None)[0]
    assert SIGNATURE_HEADER not in cms.requests[0].headers


def test_a_cms_that_fails_at_first_gets_the_same_event_again(cms: Cms) -> None:
    cms.answers = [500, 429, 503, 200]
    taken, said = send(cms.url)
    assert taken and len(said) == 3
    assert "was not told: HTTP 500; again in" in said[0]
    assert len({request.body for request in cms.requests}) == 1 and len(cms.requests) == 4
    assert all(
        snippet_of_the_page()(request.body, request.headers[SIGNATURE_HEADER], SECRET)
        for request in cms.requests
    )


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
def test_a_refusal_is_final(cms: Cms, status: int) -> None:
    cms.answers = [status]
    taken, (said,) = send(cms.url)
    assert not taken and len(cms.requests) == 1
    assert said.endswith(f"was not told: HTTP {status}; given up")


def test_a_cms_that_is_away_then_back(cms: Cms, monkeypatch: pytest.MonkeyPatch) -> None:
    cms.answers = ["drop", "drop", 204]
    assert send(cms.url)[0] and len(cms.requests) == 3


class Clock:
    """Stands still, but for what is slept: so the waits can be counted, however slow this host is."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    time = staticmethod(time.time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(webhook, "time", clock)
    monkeypatch.setattr(webhook, "FIRST_WAIT_S", 1.0)
    return clock


def refusing() -> str:
    """The URL of a port that nobody listens at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/"


def test_a_cms_that_is_gone_holds_a_run_for_ten_seconds_in_all(clock: Clock) -> None:
    assert not send(refusing(), limit_s=STARTED_LIMIT_S, silence_s=SILENCE_S)[0]
    taken, said = send(refusing(), limit_s=60, silence_s=SILENCE_S)
    assert not taken and len(said) >= 2 and said[-1].endswith("ConnectError; given up")
    assert clock.now_s < STARTED_LIMIT_S + SILENCE_S == 10


def test_a_cms_that_answers_not_now_is_told_for_the_whole_limit(cms: Cms, clock: Clock) -> None:
    cms.answers = [503] * 50
    assert not send(cms.url, limit_s=60, silence_s=SILENCE_S)[0]
    assert SILENCE_S < 30 < clock.now_s < 60


@pytest.mark.parametrize("answer", ["silence", "trickle"])
def test_a_cms_without_an_answer_is_asked_once(cms: Cms, answer: str) -> None:
    cms.answers = [answer] * 50
    taken, said = send(cms.url, limit_s=1000, silence_s=1)
    assert not taken and len(cms.requests) == 1
    assert len(said) == 1 and said[0].endswith("; given up")


def test_an_answer_without_an_end_is_taken(cms: Cms) -> None:
    cms.answers = ["endless body"]
    begin = time.monotonic()
    assert send(cms.url)[0] and time.monotonic() - begin < 5


@pytest.mark.parametrize("url", ["http://", "http://[::1", "https://host:99999/", "gopher://host/", "x"])
def test_what_is_no_url_is_given_up(url: str) -> None:
    taken, said = send(url, limit_s=2)
    assert not taken and said


def test_no_secret_is_logged(cms: Cms, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "httpx")
    cms.answers = [500, 404]
    url = cms.url.replace("http://", "http://user:pa55word@") + "?token=t0ken"
    _, said = send(url)
    text = caplog.text + "".join(said)
    assert "127.0.0.1" in text
    assert not any(secret in text for secret in ("pa55word", "t0ken", SECRET))
