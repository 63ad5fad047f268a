"""The small edge: what a player needs of it, and what nobody may get from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_server import create_app

PLAYLIST = "#EXTM3U\n" + "#EXTINF:6.0,\nseg.m4s\n" * 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    version = root / "film" / "v1"
    version.mkdir(parents=True)
    (root / "film" / "index.m3u8").write_text(PLAYLIST)
    (version / "360p.m3u8").write_text(PLAYLIST)
    (version / "manifest.mpd").write_text("<MPD/>")
    for name in ("init.mp4", "seg.m4s", "old.ts", "en.vtt", "data.json", "other.bin"):
        (version / name).write_bytes(bytes(range(100)))
    (root / "film" / ".index.m3u8.part").write_text("half")
    (root / ".claims").mkdir()
    (root / ".claims" / "film.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def edge(root: Path) -> TestClient:
    return TestClient(create_app(root))


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("360p.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
        ("init.mp4", "video/mp4"),
        ("seg.m4s", "video/iso.segment"),
        ("old.ts", "video/mp2t"),
        ("en.vtt", "text/vtt; charset=utf-8"),
        ("data.json", "application/json"),
        ("other.bin", "application/octet-stream"),
    ],
)
def test_mime_types(edge: TestClient, name: str, mime_type: str) -> None:
    assert edge.get(f"/film/v1/{name}").headers["content-type"] == mime_type


def test_a_range_is_answered_with_those_bytes(edge: TestClient) -> None:
    answer = edge.get("/film/v1/seg.m4s", headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert answer.content == bytes(range(10, 20))
    assert answer.headers["content-range"] == "bytes 10-19/100"


def test_a_range_behind_the_end_is_refused(edge: TestClient) -> None:
    assert edge.get("/film/v1/seg.m4s", headers={"Range": "bytes=100-"}).status_code == 416


def test_a_player_on_another_site_may_read(edge: TestClient) -> None:
    answer = edge.get("/film/index.m3u8", headers={"Origin": "https://player.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = {
        "Origin": "https://player.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range",
    }
    assert edge.options("/film/v1/seg.m4s", headers=asked).status_code == 200


def test_playlists_are_compressed_and_media_is_not(edge: TestClient) -> None:
    playlist = edge.get("/film/index.m3u8", headers={"Accept-Encoding": "gzip"})
    assert playlist.headers["content-encoding"] == "gzip"
    assert int(playlist.headers["content-length"]) < len(PLAYLIST) / 10
    assert playlist.text == PLAYLIST
    plain = edge.get("/film/index.m3u8", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    assert plain.text == PLAYLIST
    assert plain.headers["etag"] != playlist.headers["etag"]
    media = edge.get("/film/v1/seg.m4s", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in media.headers


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_an_unchanged_playlist_is_not_sent_again(edge: TestClient, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    tag = edge.get("/film/index.m3u8", headers=headers).headers["etag"]
    assert edge.get("/film/index.m3u8", headers=headers | {"If-None-Match": tag}).status_code == 304


def test_what_is_replaced_is_cached_for_seconds_and_a_version_for_ever(edge: TestClient) -> None:
    assert edge.get("/film/index.m3u8").headers["cache-control"] == "public, max-age=2"
    for name in ("360p.m3u8", "seg.m4s"):
        assert edge.get(f"/film/v1/{name}").headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "/film/.index.m3u8.part",
        "/.claims/film.json",
        "/%2e%2e/secret.txt",
        "/film/%2e%2e/%2e%2e/secret.txt",
        "/film%2f..%2f..%2fsecret.txt",
        "/%2fetc/passwd",
        "/film/%00",
        "/film",
        "/film/watch",
        "/",
        f"/{'x' * 300}/index.m3u8",
    ],
)
def test_nothing_hidden_and_nothing_outside(edge: TestClient, path: str) -> None:
    assert edge.get(path, follow_redirects=False).status_code == 404


def test_a_link_out_of_the_folder_leads_nowhere(edge: TestClient, root: Path) -> None:
    (root / "film" / "link.json").symlink_to(root.parent / "secret.txt")
    assert edge.get("/film/link.json").status_code == 404


def test_the_edge_is_read_only(edge: TestClient) -> None:
    assert edge.put("/film/index.m3u8", content=b"x").status_code == 405
    assert edge.delete("/film/index.m3u8").status_code == 405
