"""What the CMS is told: one JSON document for each event, signed, sent until it is taken or time is up.

The signature is Stripe's scheme: ``X-Vod-Signature: t=UNIX_TIME,v1=HEX``, where HEX is the HMAC-SHA256
of ``UNIX_TIME.BODY`` with the shared secret. The time is of the sending, so a receiver can refuse what
is old; the event's id stays the same however often it is sent, so a receiver can drop what it has seen.
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
"""All that the work waits until the CMS has taken that it began."""

SILENCE_S = 6.0
"""How long an outcome waits for any answer, whatever it says. Both limits together are the 10 s that a CMS
which is gone holds a run."""

FIRST_WAIT_S, MAX_WAIT_S = 1.0, 15.0

LATER = (408, 425, 429)
"""Of the refusals, those that say "not now"; all other 3xx and 4xx would be given again."""

EventKind = Literal["started", "done", "failed"]

# httpx logs whole URLs, and a callback URL may hold a token.
logging.getLogger("httpx").addFilter(RedactedUrls())


class Event(BaseModel):
    """The body of a callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: EventKind
    event_id: str
    """The same each time that this event is sent."""
    video_id: str
    run_id: str
    run_url: str
    """The run in Airflow's UI."""
    result: dict[str, Any] | None = None
    """Of ``done``: what ``video.json`` says, and ``playlist``."""
    failure: Failure | None = None
    """Of ``failed``: what failed first."""
    failed_tasks: list[str] | None = None
    """Of ``failed``: all that failed."""

    def body(self) -> bytes:
        """The JSON that is signed and sent."""
        return self.model_dump_json(exclude_none=True).encode()


def event_id(run_name: str, clear_number: int, event: EventKind) -> str:
    """The same for each retry of an event; another when somebody has cleared the run and it begins anew."""
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
    """POST the event until it is taken (2xx), refused for good, or time is up. Whether it was taken.

    Never raises: a CMS that is away is not a reason to fail a video.

    :param allow: where callbacks may go.
    :param credentials: of the CMS's server, if it wants some.
    :param secret: None to send it without a signature.
    :param limit_s: how long a CMS that answers "not now" is asked again.
    :param silence_s: how long one that gives no answer at all is.
    :param log: takes a message and its arguments.
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
            # A stream, because only the status counts: the rest of the answer may be without an end.
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
        except Exception as error:  # whatever it is, it ends here
            # Not the error's text: it quotes the URL, which may hold a token.
            answers.append(_Answer(type(error).__name__))

    # In a thread, because no timeout of a client's covers name resolution or an answer that trickles in.
    thread = threading.Thread(target=post, name="callback", daemon=True)
    thread.start()
    thread.join(timeout_s + 0.2)
    return answers[0] if answers else _Answer(f"no answer in {timeout_s:.0f} s")
