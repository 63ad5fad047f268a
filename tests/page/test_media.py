"""Media of the results store: ranges, versions, types; never a byte from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from support.settings import configure
from vod_operators.settings import get_settings
from vod_operators.work.worker import open_stores

VERSION = "v-0123456789ab-012345"
SEGMENT = f"{VERSION}/360p/seg-00001.m4s"
DATA = bytes(range(256)) * 40

Publish = Callable[..., None]


@pytest.fixture(params=["file", "s3"])
def publish(request: pytest.FixtureRequest, stores: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Puts a file into the results store."""
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        configure(monkeypatch, results_uri=f"{bucket.uri}/results", aws_conn_id=bucket.conn_id)
    settings = get_settings()
    results = open_stores(settings)[1]

    def put(path: str, data: bytes = DATA, video_id: str = "film") -> None:
        results.write(f"{settings.results_uri}/{video_id}/{path}", [data])

    put(SEGMENT)
    return put


def test_a_whole_file(viewer: TestClient, publish: Publish) -> None:
    answer = viewer.get(f"/vod/media/film/{SEGMENT}")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    # Airflow's API server compresses answers unless they have this header.
    assert answer.headers["Content-Encoding"] == "identity"
    head = viewer.head(f"/vod/media/film/{SEGMENT}")
    assert (head.status_code, head.content) == (200, b"")
    same = ("Content-Length", "Content-Type", "ETag", "Accept-Ranges")
    assert [head.headers[name] for name in same] == [answer.headers[name] for name in same]


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10000, len(DATA)),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        ("bytes=-99999", 0, len(DATA)),
        ("bytes=10-99999", 10, len(DATA)),
    ],
)
def test_a_range(viewer: TestClient, publish: Publish, asked: str, begin: int, end: int) -> None:
    answer = viewer.get(f"/vod/media/film/{SEGMENT}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[begin:end])
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(DATA)}"
    assert answer.headers["Content-Length"] == str(end - begin)


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_behind_the_end(viewer: TestClient, publish: Publish, asked: str) -> None:
    answer = viewer.get(f"/vod/media/film/{SEGMENT}", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=5-2", "bytes=0-1,4-5", "pages=1-2", "bytes=a-b", "bytes=1-" + "9" * 5000]
)
def test_what_is_no_range_gets_all(viewer: TestClient, publish: Publish, asked: str) -> None:
    answer = viewer.get(f"/vod/media/film/{SEGMENT}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


def test_versions_of_a_file(viewer: TestClient, publish: Publish) -> None:
    publish("index.m3u8", b"#EXTM3U one\n")
    first = viewer.get("/vod/media/film/index.m3u8")
    assert first.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert first.headers["Cache-Control"] == "private, no-cache"
    etag = first.headers["ETag"]
    assert viewer.get("/vod/media/film/index.m3u8", headers={"If-None-Match": etag}).status_code == 304
    part = {"Range": "bytes=0-6", "If-Range": etag}
    assert viewer.get("/vod/media/film/index.m3u8", headers=part).content == b"#EXTM3U"

    publish("index.m3u8", b"#EXTM3U other\n")
    again = viewer.get("/vod/media/film/index.m3u8", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (200, b"#EXTM3U other\n")
    # A part of the new version would not fit to what the player has of the old one.
    assert viewer.get("/vod/media/film/index.m3u8", headers=part).content == b"#EXTM3U other\n"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("manifest.mpd", "application/dash+xml"),
        (f"{VERSION}/pictures/poster.jpg", "image/jpeg"),
        (f"{VERSION}/pictures/storyboard.vtt", "text/vtt; charset=utf-8"),
        (f"{VERSION}/audio-0/seg-00001.aac", "audio/aac"),
        (f"{VERSION}/SHA256SUMS", "application/octet-stream"),
        ("trap.html", "application/octet-stream"),
        ("trap.svg", "application/octet-stream"),
    ],
)
def test_types(viewer: TestClient, publish: Publish, name: str, kind: str) -> None:
    publish(name)
    assert viewer.get(f"/vod/media/film/{name}").headers["Content-Type"] == kind


@pytest.mark.parametrize(
    "path",
    [
        "film/../other/index.m3u8",
        "film/..%2Fother%2Findex.m3u8",
        "film/%2e%2e/other/index.m3u8",
        "film/%2e%2e%2fother%2findex.m3u8",
        "film/%252e%252e%252fother/index.m3u8",
        "film/..%5cother/index.m3u8",
        "film//index.m3u8",
        "film/./index.m3u8",
        "film/.hidden",
        "film/a%00b",
        "film/v%0ab",
        "film/",
        "..%2f/index.m3u8",
        "%2e%2e/tmp/_index/00.json",
        "_index/00.json",
        "../tmp/film/claim.json",
        f"film/{VERSION}",
        "film/no-such-file",
        "nobody/index.m3u8",
        "film/%c3%a9.m3u8",
    ],
)
def test_nothing_else_is_read(viewer: TestClient, publish: Publish, stores: Path, path: str) -> None:
    publish("index.m3u8", b"other", video_id="other")
    for name in (".hidden", "\u00e9.m3u8"):
        publish(name, b"hidden")
    secret = stores / "tmp" / "film" / "claim.json"
    secret.parent.mkdir(parents=True)
    secret.write_text("claim")
    answer = viewer.get(f"http://testserver/vod/media/{path}", follow_redirects=False)
    # The client itself resolves plain dots, and Airflow's page answers what is not below /vod/media.
    assert answer.status_code in (307, 400, 404) or path == "film/../other/index.m3u8", answer.text
    for words in ("hidden", "claim"):
        assert words not in answer.text


def test_links_do_not_lead_out(viewer: TestClient, stores: Path) -> None:
    folder = stores / "results" / "film" / VERSION
    folder.mkdir(parents=True)
    secret = stores / "secret.txt"
    secret.write_text("secret")
    (folder / "link.m4s").symlink_to(secret)
    (folder / "folder").symlink_to(stores)
    (folder / "inside.m4s").write_text("inside")
    (folder / "alias.m4s").symlink_to(folder / "inside.m4s")
    assert viewer.get(f"/vod/media/film/{VERSION}/link.m4s").status_code == 404
    assert viewer.get(f"/vod/media/film/{VERSION}/folder/secret.txt").status_code == 404
    assert viewer.get(f"/vod/media/film/{VERSION}/alias.m4s").text == "inside"
    (stores / "results" / "linked").symlink_to(stores)
    assert viewer.get("/vod/media/linked/secret.txt").status_code == 404
