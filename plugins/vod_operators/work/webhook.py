"""Callbacks to the CMS: one signed JSON document for each event, sent until it is accepted or time is up.

The signature is Stripe's scheme: ``X-Vod-Signature: t=UNIX_TIME,v1=HEX``, where HEX is the HMAC-SHA256
of ``UNIX_TIME.BODY`` with the shared secret. The time is that of sending, so a receiver can refuse old
messages. The event's id is the same in every attempt, so a receiver can drop duplicates.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from vod_operators.errors import NotAllowedError
from vod_operators.storage.allow import AllowList
from vod_operators.storage.redact import RedactedUrls, redact
from vod_operators.work.failure import Failure

if TYPE_CHECKING:
    from vod_operators.storage.guard import Credentials

SIGNATURE_HEADER = "X-Vod-Signature"

STARTED_LIMIT_S = 4.0
"""The longest that the work is delayed by the ``started`` event."""

SILENCE_S = 6.0
"""How long an outcome (``done`` or ``failed``) is sent to a CMS that gives no answer at all. With
``STARTED_LIMIT_S``, a CMS that is down delays a run by 10 s."""

FIRST_WAIT_S, MAX_WAIT_S = 1.0, 15.0

LATER = (408, 425, 429)
"""Client errors that are worth another attempt; any other 3xx or 4xx would be repeated."""

EventKind = Literal["started", "done", "failed", "estimated"]

# httpx logs whole URLs, and a callback URL may hold a token.
logging.getLogger("httpx").addFilter(RedactedUrls())


class Event(BaseModel):
    """The body of a callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: EventKind
    event_id: str
    """The same in every attempt to send this event."""
    video_id: str
    run_id: str
    run_url: str
    """The run in Airflow's UI."""
    result: dict[str, Any] | None = None
    """Of ``done``: the fields of ``video.json``, and ``playlist``."""
    estimate: dict[str, Any] | None = None
    """Of ``estimated``: what the run would take, and ``words``, the same in a line."""
    failure: Failure | None = None
    """Of ``failed``: the first failure."""
    failed_tasks: list[str] | None = None
    """Of ``failed``: all failed tasks."""

    def body(self) -> bytes:
        """The JSON that is signed and sent."""
        return self.model_dump_json(exclude_none=True).encode()


def event_id(run_name: str, clear_number: int, event: EventKind) -> str:
    """The same for each attempt to send an event; another one after the run has been cleared."""
    return hashlib.sha256(f"{run_name}\n{clear_number}\n{event}".encode()).hexdigest()[:32]


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """The signature header's value."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def deliver(
    url: str,
    event: Event,
    *,
    allow: AllowList,
    credentials: Credentials | None = None,
    secret: str | None,
    limit_s: float,
    silence_s: float = SILENCE_S,
    log: Callable[..., None],
) -> bool:
    """POST the event until it is accepted (2xx), refused for good, or time is up.

    Never raises: a video must not fail because its CMS is down.

    :param allow: where callbacks may go.
    :param credentials: for the CMS's server, if it needs any.
    :param secret: None to send the event without a signature.
    :param limit_s: how long to retry while the CMS answers "not now".
    :param silence_s: how long to retry while the CMS gives no answer at all.
    :param log: takes a message and its arguments.
    :returns: whether the CMS accepted the event.
    """
    hosts = (allow, credentials)
    begin, wait_s, body = time.monotonic(), FIRST_WAIT_S, event.body()
    until, quiet_since = begin + limit_s, begin
    while True:
        headers = {"Content-Type": "application/json", "User-Agent": "vod-operators"}
        if secret is not None:
            headers[SIGNATURE_HEADER] = sign(body, secret, int(time.time()))
        end = min(until, quiet_since + silence_s)
        answer = _post(url, body, headers, hosts, timeout_s=max(0.1, end - time.monotonic()))
        if answer.taken:
            return True
        pause_s = wait_s * random.uniform(0.5, 1.5)
        if answer.heard:
            end, quiet_since = until, time.monotonic() + pause_s
        if not answer.may_change or time.monotonic() + pause_s >= end:
            log("callback_url: %s was not told: %s; given up", redact(url), answer.words)
            return False
        log("callback_url: %s was not told: %s; again in %.0f s", redact(url), answer.words, pause_s)
        time.sleep(pause_s)
        wait_s = min(2 * wait_s, MAX_WAIT_S)


@dataclass(frozen=True)
class _Answer:
    words: str
    taken: bool = False
    heard: bool = False
    """Whether it came from the CMS."""
    may_change: bool = True


def _post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    hosts: tuple[AllowList, Credentials | None],
    timeout_s: float,
) -> _Answer:
    import httpx  # here, because the DAG file is parsed again for every task

    from vod_operators.storage.guard import GuardedTransport

    answers: list[_Answer] = []

    def post() -> None:
        try:
            # Streamed, because only the status counts, and the body may be endless.
            with (
                httpx.Client(transport=GuardedTransport(*hosts), timeout=timeout_s) as client,
                client.stream("POST", url, content=body, headers=headers) as response,
            ):
                status = response.status_code
            later = status >= 500 or status in LATER
            answers.append(_Answer(f"HTTP {status}", taken=status < 300, heard=True, may_change=later))
        except NotAllowedError as error:
            answers.append(_Answer(str(error), may_change=False))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            answers.append(_Answer(type(error).__name__, may_change=False))
        except Exception as error:  # a thread's exception would reach nobody
            # The error's text is left out: it quotes the URL, which may hold a token.
            answers.append(_Answer(type(error).__name__))

    # In a thread, because the client's timeouts cover neither name resolution nor an answer that trickles in.
    thread = threading.Thread(target=post, name="callback", daemon=True)
    thread.start()
    thread.join(timeout_s + 0.2)
    return answers[0] if answers else _Answer(f"no answer in {timeout_s:.0f} s")
