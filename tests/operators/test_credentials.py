"""Secrets of a request: in connections of Airflow, or hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.settings import configure
from vod_operators.errors import InvalidInputError
from vod_operators.operators.credentials import callback_of, credentials_of, secrets_in
from vod_operators.settings import get_settings

BASIC = ("Authorization", "Basic bWU6czNjcmV0LW9uZQ==")
"""Of ``me:s3cret-one``."""


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIA", json.dumps({"conn_type": "http", **connection}))
    configure(monkeypatch, request_conn_ids='["media"]')


@pytest.mark.parametrize(
    ("connection", "base", "headers"),
    [
        ({"host": "media.internal", "login": "me", "password": "s3cret-one"}, "https://media.internal",
         (BASIC,)),
        ({"host": "media.internal", "schema": "http", "port": 8080, "extra": {"X-Api-Key": "s3cret-two"}},
         "http://media.internal:8080", (("X-Api-Key", "s3cret-two"),)),
        ({"host": "https://media.internal/films", "port": 8443, "extra": {"Authorization": "Bearer x"}},
         "https://media.internal:8443/films", (("Authorization", "Bearer x"),)),
        ({"host": "media.internal", "extra": {"verify": False, "Bad Name": "x", "X-Line": "a\nb",
                                                "X-Ok": "1"},
          },
         "https://media.internal", (("X-Ok", "1"),)),
    ],
)  # fmt: skip
def test_what_a_connection_says(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], base: str, headers: Any
) -> None:
    connect(monkeypatch, **connection)
    found = credentials_of(get_settings(), "media", "source")
    assert found is not None and (found.base_url, found.headers) == (base, headers)


def test_only_those_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host="media.internal")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "http", "host": "other.internal"}))
    refusals = set()
    for name in ("other", "nothing", "../media", "media ", "MEDIA"):
        with pytest.raises(InvalidInputError, match="source: requests may not name this") as refusal:
            credentials_of(get_settings(), name, "source")
        refusals.add(str(refusal.value))
    assert len(refusals) == 1
    assert credentials_of(get_settings(), "", "source") is None


@pytest.mark.parametrize(
    "connection",
    [
        {"conn_type": "postgres", "host": "db"},
        {},
        {"host": "ftp://x"},
        {"host": "a@b"},
        {"host": "https:///x"},
    ],
)
def test_it_must_be_of_a_web_server(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any]) -> None:
    connect(monkeypatch, **connection)
    with pytest.raises(
        InvalidInputError, match="source: the Airflow connection 'media' must be of type HTTP"
    ):
        credentials_of(get_settings(), "media", "source")


def test_a_callback_goes_to_the_connection_or_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host="https://cms.internal/hook?token=s3cret-one", extra={"X-Key": "k"})
    url, credentials = callback_of(get_settings(), "", "media")
    assert url == "https://cms.internal/hook?token=s3cret-one"
    assert credentials is not None and credentials.base_url == "https://cms.internal/hook"
    assert (
        callback_of(get_settings(), "https://cms.internal/hook/42", "media")[0]
        == "https://cms.internal/hook/42"
    )
    assert callback_of(get_settings(), "https://elsewhere/", "") == ("https://elsewhere/", None)


def test_secrets_of_urls_are_found() -> None:
    text = json.dumps(
        [
            {"uri": "https://me:pass%20word@host/a?X-Amz-Signature=abcdef012345&x=1"},
            {"uri": "http://t0ken-alone@host/"},
            {"uri": "https://host/plain.mp4"},
            {"uri": "s3://bucket/a?version=abcdefgh"},
        ]
    )
    assert secrets_in(text) == {"pass%20word", "pass word", "abcdef012345", "t0ken-alone"}
    assert secrets_in("https://[::1/?q=abcdefgh") == set()


def test_rendered_fields_show_asterisks() -> None:
    from airflow.sdk.log import redact

    from vod_operators.operators.release import VodReleaseOperator

    task = VodReleaseOperator(
        task_id="release", video_id="film", callback_url="{{ params.callback_url }}", callback_conn_id=""
    )
    url = "https://me:s3cret-pass@cms.example.com/hook?token=s3cret-t0ken&n=1"
    task.render_template_fields({"params": {"callback_url": url}})

    assert task.callback_url == url
    shown = str(redact(task.callback_url, "callback_url"))
    assert "s3cret" not in shown and "cms.example.com/hook" in shown
