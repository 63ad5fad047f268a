"""The page's upload routes: a file in parts, resumed; who may, how much, and what is answered."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from support.settings import configure
from vod_operators.page.uploads import uploads_api
from vod_operators.settings import get_settings
from vod_operators.storage import uploads
from vod_operators.storage.uploads import MIB, Upload

PART = 5 * MIB
DATA = random.Random(7).randbytes(2 * PART + 99)


@pytest.fixture(params=["file", "s3"])
def root(request: pytest.FixtureRequest, stores: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where uploads go."""
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    if request.param == "file":
        uri, conn_id = f"{stores.as_uri()}/in", "aws_default"
    else:
        bucket = request.getfixturevalue("s3_bucket")
        uri, conn_id = f"{bucket.uri}/in", bucket.conn_id
    configure(monkeypatch, uploads_uri=uri, aws_conn_id=conn_id)
    return uri


def client_of(guard: Callable[[], Any]) -> TestClient:
    app = FastAPI()
    app.include_router(uploads_api([Depends(guard)]), prefix="/api")
    return TestClient(app, base_url="http://airflow")


@pytest.fixture
def client(root: str) -> Iterator[TestClient]:
    with client_of(lambda: None) as made:
        yield made


def begin(client: TestClient, name: str = "My film.mp4", size: int = len(DATA)) -> dict[str, Any]:
    answer = client.post("/api/uploads", json={"name": name, "size_bytes": size})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(client: TestClient, upload_id: str, number: int, **options: Any) -> int:
    data = DATA[(number - 1) * PART : number * PART]
    return client.put(f"/api/uploads/{upload_id}/parts/{number}", content=data, **options).status_code


def stored(uri: str, request: pytest.FixtureRequest) -> bytes:
    if uri.startswith("file://"):
        return Path(unquote(uri.removeprefix("file://"))).read_bytes()
    bucket = request.getfixturevalue("s3_bucket")
    key = uri.removeprefix(f"{bucket.uri}/")
    return bytes(bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read())


def test_a_file_in_parts_resumed_in_between(client: TestClient, request: pytest.FixtureRequest) -> None:
    begun = begin(client)
    assert (begun["part_bytes"], begun["count"], begun["parts"]) == (PART, 3, [])
    upload_id = begun["upload_id"]
    assert send(client, upload_id, 2) == 204
    answer = client.post(f"/api/uploads/{upload_id}/complete")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "2 of 3 parts are missing: 1, 3"}

    again = client.get(f"/api/uploads/{upload_id}").json()  # the browser was closed and opened again
    assert again == begun | {"parts": [2]}
    assert [send(client, upload_id, number) for number in (1, 3)] == [204, 204]
    done = client.post(f"/api/uploads/{upload_id}/complete")
    assert done.status_code == 200 and done.json() == {"uri": begun["uri"]}
    assert stored(begun["uri"], request) == DATA
    # A request may read it, with no further setting.
    assert get_settings().sources.require(begun["uri"], "source")
    assert client.post(f"/api/uploads/{upload_id}/complete").json() == {"uri": begun["uri"]}


def test_an_upload_that_is_given_up_is_gone(client: TestClient) -> None:
    upload_id = begin(client)["upload_id"]
    assert send(client, upload_id, 1) == 204
    assert client.delete(f"/api/uploads/{upload_id}").status_code == 204
    for answer in (
        client.get(f"/api/uploads/{upload_id}"),
        client.post(f"/api/uploads/{upload_id}/complete"),
        client.get("/api/uploads/nothing"),
        client.delete("/api/uploads/..%2f..%2fresults"),
    ):
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("number", [0, 4, -1, 10**9])
def test_a_part_that_there_is_not(client: TestClient, number: int) -> None:
    upload_id = begin(client)["upload_id"]
    answer = client.put(f"/api/uploads/{upload_id}/parts/{number}", content=b"x")
    assert answer.status_code == 400
    assert answer.json() == {"detail": f"there is no part {number}, only 1 to 3"}


def without_length(data: bytes) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for begin in range(0, len(data), MIB):
        yield data[begin : begin + MIB]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [0, 98, 100, PART])
def test_a_part_of_another_length_is_refused(client: TestClient, size: int, announced: bool) -> None:
    upload_id = begin(client)["upload_id"]
    body: Any = bytes(size) if announced else without_length(bytes(size))
    answer = client.put(f"/api/uploads/{upload_id}/parts/3", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Part 3 has 99 bytes, not ")
    assert client.get(f"/api/uploads/{upload_id}").json()["parts"] == []


@pytest.mark.parametrize("disk", ["temporary", "uploads"])
def test_a_disk_that_fills_up_meanwhile_is_told(
    stores: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    configure(monkeypatch, uploads_uri=f"{stores.as_uri()}/in")
    client = client_of(lambda: None)
    upload_id = begin(client)["upload_id"]

    def fill(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = {"temporary": "tempfile.TemporaryFile", "uploads": "shutil.copyfileobj"}[disk]
    monkeypatch.setattr(place, fill)
    assert send(client, upload_id, 1) == 507


def test_a_line_that_breaks_stores_nothing_and_is_no_bug(client: TestClient) -> None:
    upload_id = begin(client)["upload_id"]
    messages = iter(
        [{"type": "http.request", "body": DATA[:99], "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send_answer(message: Any) -> None:
        sent.append(message)

    path = f"/api/uploads/{upload_id}/parts/1"
    scope = {"type": "http", "method": "PUT", "path": path, "headers": [], "query_string": b""}
    asyncio.run(client.app(scope, receive, send_answer))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert client.get(f"/api/uploads/{upload_id}").json()["parts"] == []


def test_what_cannot_be_a_source_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("film.exe", "index.html", ""):
        answer = client.post("/api/uploads", json={"name": name, "size_bytes": 1})
        assert answer.status_code in (400, 422), answer.text
    for size in (0, -1, "many"):
        answer = client.post("/api/uploads", json={"name": "film.mp4", "size_bytes": size})
        assert answer.status_code == 422
    configure(monkeypatch, max_source_bytes="1000")
    answer = client.post("/api/uploads", json={"name": "film.mp4", "size_bytes": 1001})
    assert answer.status_code == 413 and "1000 bytes (VOD_MAX_SOURCE_BYTES)" in answer.json()["detail"]
    handed_out_before = Upload(
        folder="2026-11-29-0123456789abcdef", name="film.mp4", size=1001, handle="0123456789abcdef"
    )
    assert client.get(f"/api/uploads/{handed_out_before.token()}").status_code == 404


def test_without_a_folder_there_is_no_upload(stores: Path) -> None:
    with client_of(lambda: None) as client:
        answer = client.post("/api/uploads", json={"name": "film.mp4", "size_bytes": 1})
    assert answer.status_code == 404 and "VOD_UPLOADS_URI" in answer.json()["detail"]


def test_every_route_is_guarded(root: str) -> None:
    def refuse() -> None:
        raise HTTPException(403)

    with client_of(lambda: None) as open_to_all:
        upload_id = begin(open_to_all)["upload_id"]
    with client_of(refuse) as client:
        calls = [
            ("POST", "", {"json": {"name": "film.mp4", "size_bytes": 1}}),
            ("GET", f"/{upload_id}", {}),
            ("DELETE", f"/{upload_id}", {}),
            ("PUT", f"/{upload_id}/parts/1", {"content": b"x"}),
            ("POST", f"/{upload_id}/complete", {}),
        ]
        for method, path, options in calls:
            assert client.request(method, f"/api/uploads{path}", **options).status_code == 403
    with client_of(lambda: None) as open_to_all:
        assert open_to_all.get(f"/api/uploads/{upload_id}").json()["parts"] == []
