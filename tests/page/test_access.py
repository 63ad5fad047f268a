"""Who may read: Airflow's users, from the page or a program, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.page import HEADERS, ROLES, Runs
from support.tools import ROOT
from vod_operators.settings import get_settings

PATHS = (
    "/vod/api/me",
    "/vod/api/videos",
    "/vod/api/videos/film",
    "/vod/api/videos/film/bitrates?version=v-0123456789ab-012345",
    "/vod/api/runs/vod_transcode/a-run",
)

MEDIA = "/vod/media/film/index.m3u8"


@pytest.fixture
def film(stores: Path) -> bytes:
    """A file of the results store."""
    playlist = stores / "results" / "film" / "index.m3u8"
    playlist.parent.mkdir(parents=True)
    playlist.write_bytes(b"#EXTM3U\n")
    return playlist.read_bytes()


@pytest.mark.parametrize("path", [*PATHS, MEDIA])
def test_without_a_session(api_app: FastAPI, film: bytes, path: str) -> None:
    client = TestClient(api_app, headers=HEADERS)
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer made.up.token"}).status_code == 403
    assert client.get(path, cookies={"_token": "made.up.token"}).status_code == 403


@pytest.mark.parametrize("role", ROLES)
def test_all_users_read_and_some_act(
    as_role: Callable[[str], TestClient], film: bytes, runs: Runs, role: str
) -> None:
    client = as_role(role)
    assert client.get(MEDIA).content == film
    assert client.get("/vod/api/videos").status_code == 200
    assert client.get("/vod/api/me").json()["can_act"] is (role != "viewer")


def test_only_those_who_act_upload(
    as_role: Callable[[str], TestClient], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOD_UPLOADS_URI", (stores / "in").as_uri())
    get_settings.cache_clear()
    asked = {"name": "film.mp4", "size_bytes": 10}
    assert as_role("user").get("/vod/api/me").json()["uploads"] is True
    assert as_role("viewer").post("/vod/api/uploads", json=asked).status_code == 403
    begun = as_role("user").post("/vod/api/uploads", json=asked)
    assert begun.status_code == 201
    foreign = {"Origin": "https://evil.example"}
    assert as_role("user").post("/vod/api/uploads", json=asked, headers=foreign).status_code == 403


def test_a_program_with_a_token_reads(api_app: FastAPI, stores: Path) -> None:
    headers = HEADERS | {"Authorization": f"Bearer {api_app.state.tokens['viewer']}"}
    assert TestClient(api_app, headers=headers).get("/vod/api/videos").status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_without_the_header(viewer: TestClient, path: str) -> None:
    del viewer.headers["X-Requested-With"]
    answer = viewer.get(path)
    assert answer.status_code == 403 and "X-Requested-With" in answer.json()["detail"]
    assert viewer.get(path, headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 403


def test_media_needs_no_header(viewer: TestClient, film: bytes) -> None:
    """Video elements and images cannot send it."""
    del viewer.headers["X-Requested-With"]
    assert viewer.get(MEDIA).content == film


@pytest.mark.parametrize("path", ["/vod/api/videos", MEDIA])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://testserver", 200),
        ("https://evil.example", 403),
        ("http://testserver.evil.example", 403),
        ("http://testserver:81", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_a_foreign_origin(viewer: TestClient, film: bytes, path: str, origin: str, status: int) -> None:
    assert viewer.get(path, headers={"Origin": origin}).status_code == status


def test_the_public_address_is_an_own_origin(viewer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may hand on another Host than the browser asked for."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/team")
    assert viewer.get("/vod/api/videos", headers={"Origin": "https://airflow.example"}).status_code == 200


@pytest.mark.parametrize(
    "path", [*PATHS, MEDIA, "/vod/api/nothing", "/vod/static/nothing.js", "/vod/media/film/no"]
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_every_answer_has_the_security_headers(
    viewer: TestClient, film: bytes, path: str, signed_in: bool
) -> None:
    if not signed_in:
        viewer.cookies.clear()
    headers = viewer.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


def test_a_bug_has_the_security_headers_and_tells_nothing(
    api_app: FastAPI, viewer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("vod_operators.page.videos.unpublished", fail)
    client = TestClient(
        api_app, cookies=viewer.cookies, headers=viewer.headers, raise_server_exceptions=False
    )
    answer = client.get("/vod/api/videos")
    assert answer.status_code == 500 and "s3cret" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "docs/oauth2-redirect", ""])
def test_there_is_no_open_page_of_documentation(viewer: TestClient, path: str) -> None:
    assert viewer.get(f"/vod/{path}").status_code == 404


def test_nothing_but_uploads_changes_anything(viewer: TestClient) -> None:
    for path in ("/vod/api/videos", "/vod/api/videos/film", MEDIA):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert viewer.request(method, path).status_code == 405


def test_a_store_that_fails_is_no_secret_and_no_500(
    viewer: TestClient, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vod_operators.errors import StorageError
    from vod_operators.storage.local import LocalStorage

    def fail(self: LocalStorage, prefix: str) -> None:
        raise StorageError(f"{prefix} is on a disk that is gone")

    monkeypatch.setattr(LocalStorage, "list", fail)
    answer = viewer.get("/vod/api/videos")
    assert answer.status_code == 503 and str(stores) not in answer.text


def test_the_api_is_as_documented() -> None:
    from vod_operators.page.schema import schema

    documented = json.loads((ROOT / "docs" / "page-api.json").read_text("utf-8"))
    assert documented == schema(), "write it anew: make schemas"
