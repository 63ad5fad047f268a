"""What a CMS hears of a run, and that a CMS in trouble is no trouble for a video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.cms import Cms, snippet_of_the_page
from support.settings import configure
from support.tools import CLIP, FFMPEG
from vod_operators.work.webhook import SIGNATURE_HEADER

SECRET = "the CMS knows it too"
ASKED = {"video_id": "told", "source": CLIP.as_uri(), "preset": "h264_small"}


@pytest.fixture
def signed(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VOD_CMS", f'{{"conn_type": "http", "password": "{SECRET}"}}')
    configure(monkeypatch, callback_conn_id="vod_cms")


def test_started_and_done(run_dag, signed: None, cms: Cms, capfd: pytest.CaptureFixture[str]) -> None:
    cms.answers = [500, 200, "drop"]

    run = run_dag(**ASKED, callback_url=f"{cms.url}?token=t0ken")

    assert run.state == "success"
    assert cms.events() == ["started", "started", "done", "done"]
    for request in cms.requests:
        assert snippet_of_the_page()(request.body, request.headers[SIGNATURE_HEADER], SECRET)
    again, started, _, done = (request.json() for request in cms.requests)
    assert again == started and started["event_id"] != done["event_id"]
    assert set(started) == {"event", "event_id", "video_id", "run_id", "run_url"}
    assert done["result"]["playlist"].endswith("/results/told/index.m3u8")
    assert done["result"]["renditions"]
    assert done["run_url"].startswith("http://localhost:8080/dags/vod_transcode/runs/manual__")
    assert "+" not in done["run_url"], "a plus of a run id is a space to some"
    log = run.log + capfd.readouterr().out
    assert "the CMS was told 'done'" in log
    assert SECRET not in log and "t0ken" not in log


def test_a_failed_chunk_says_which_and_why(run_dag, signed: None, stores: Path, cms: Cms) -> None:
    broken = stores / "ffmpeg"
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *chunk.nut*) echo "no more" >&2; exit 7;; esac\nexec {FFMPEG} "$@"\n'
    )
    broken.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, ffmpeg=str(broken))
        run = run_dag(retries=0, **ASKED, callback_url=cms.url)

    assert run.state == "failed" and cms.events() == ["started", "failed"]
    told = cms.requests[-1].json()
    assert told["failed_tasks"] == ["transcode_0"]
    assert told["failure"]["step"] == "transcode"
    assert told["failure"]["item"] == "chunk 1/1 · 0:00-0:05"
    assert told["failure"]["reason"] == "ffmpeg failed with exit code 7: its log says why"
    assert (told["failure"]["code"], told["failure"]["retry"]) == ("internal", "changed")
    assert "/tasks/transcode/mapped/0?try_number=1" in told["failure"]["log_url"]
    assert "result" not in told


def test_a_refused_request_is_told_with_its_reason(run_dag, signed: None, stores: Path, cms: Cms) -> None:
    missing = (stores / "none.mp4").as_uri()

    run = run_dag(**ASKED | {"source": missing}, callback_url=cms.url)

    assert run.state == "failed" and cms.events() == ["failed"]
    told = cms.requests[0].json()
    assert told["failure"]["step"] == "prepare"
    assert told["failure"]["reason"] == f"source: {missing} does not exist"
    assert (told["failure"]["code"], told["failure"]["retry"]) == ("source_unusable", "changed")


def test_without_a_connection_it_is_sent_unsigned_and_logged(run_dag, cms: Cms) -> None:
    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "success" and cms.events() == ["started", "done"]
    assert not any(SIGNATURE_HEADER in request.headers for request in cms.requests)
    assert "not signed: VOD_CALLBACK_CONN_ID names no Airflow connection" in run.log


@pytest.mark.parametrize("connection", [None, '{"conn_type": "http"}'])
def test_a_missing_secret_fails_no_video(
    run_dag,
    stores: Path,
    cms: Cms,
    monkeypatch: pytest.MonkeyPatch,
    connection: str | None,
) -> None:
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_VOD_CMS", connection)
    configure(monkeypatch, callback_conn_id="vod_cms")

    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "success" and cms.requests == []
    assert "the CMS is not told 'done'" in run.log


def test_a_dead_cms_delays_a_video_for_seconds(
    run_dag, stores: Path, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many seconds, tests/operators/test_webhook.py counts."""
    cms.answers = ["silence", "trickle"]
    configure(monkeypatch, callback_limit_s="2")

    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "success"
    assert (stores / "results" / "told" / "index.m3u8").is_file()
    assert cms.events() == ["started", "done"], "each is tried once"
    assert run.log.count("given up") == 2


def test_secrets_stay_in_the_connection(
    run_dag: Any, stores: Path, cms: Cms, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = {"conn_type": "http", "host": f"{cms.url}?token=t0ken-1", "extra": {"X-Key": "s3cret-key"}}
    monkeypatch.setenv("AIRFLOW_CONN_CMS", json.dumps(connection))
    configure(monkeypatch, request_conn_ids='["cms"]')

    run = run_dag(**ASKED | {"source": (stores / "none.mp4").as_uri()}, callback_conn_id="cms")

    assert run.state == "failed" and cms.events() == ["failed"]
    assert cms.requests[0].headers["X-Key"] == "s3cret-key"
    log = capfd.readouterr().out + run.log
    assert "t0ken-1" not in log and "s3cret-key" not in log


def test_a_callback_that_is_not_allowed_is_refused_at_once(
    run_dag: Any, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, callback_allow='["public"]')

    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "failed" and cms.requests == []
    assert str(run.errors["prepare"]) == (
        f"callback_url: its host is not named in VOD_CALLBACK_ALLOW, and has no public address ({cms.url})"
    )
