"""Uploads in parts: in a folder and in S3, resumed, repeated, killed, never over another file."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vod_operators.errors import InvalidInputError, NoRoomError, ObjectNotFoundError
from vod_operators.storage import uploads
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import get_bytes, storage_for
from vod_operators.storage.uploads import MIB, Upload, Uploads, safe_name, unfinished_uploads, uploads_for

PART = 5 * MIB
"""The smallest that S3 allows."""


@dataclass(frozen=True)
class Inbox:
    """An empty place for uploads."""

    uploads: Uploads
    storage: Storage
    uri: str

    def names(self) -> list[str]:
        return [info.uri for info in self.storage.list(f"{self.uri}/")]

    def unfinished(self) -> int:
        return len(list(unfinished_uploads(self.storage, self.uri)))


@pytest.fixture(params=["file", "s3"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    if request.param == "file":
        uri, conn_id = f"{tmp_path.as_uri()}/in%20box", "unused"
    else:
        bucket = request.getfixturevalue("s3_bucket")
        uri, conn_id = f"{bucket.uri}/in box", bucket.conn_id
    return Inbox(uploads_for(uri, conn_id), storage_for(uri, conn_id), uri)


DATA = random.Random(21).randbytes(2 * PART + 1234)


def part(upload: Upload, number: int, data: bytes = DATA) -> io.BytesIO:
    begin = (number - 1) * upload.part_bytes
    return io.BytesIO(data[begin : begin + upload.part_bytes])


def test_parts_in_any_order_and_again_make_the_file(inbox: Inbox) -> None:
    upload = inbox.uploads.begin("My Film.MP4", len(DATA))
    assert [upload.length(number) for number in (1, 2, 3)] == [PART, PART, 1234]
    assert inbox.uploads.parts(upload) == []
    inbox.uploads.write_part(upload, 3, part(upload, 3))
    inbox.uploads.write_part(upload, 1, io.BytesIO(bytes(PART)))  # damaged on its way, and sent again
    assert inbox.names() == [] and inbox.unfinished() == 1
    upload = Upload.parse(upload.token())  # by another process
    assert inbox.uploads.parts(upload) == [1, 3]
    with pytest.raises(InvalidInputError, match="parts: 1 of 3 parts are missing: 2"):
        inbox.uploads.complete(upload)
    for number in (1, 2):
        inbox.uploads.write_part(upload, number, part(upload, number))

    uri = inbox.uploads.complete(upload)

    assert uri == inbox.uploads.uri(upload) and inbox.names() == [uri] and inbox.unfinished() == 0
    assert uri.startswith(f"{inbox.uri}/{upload.folder}/") and uri.endswith("/My-Film.mp4")
    assert get_bytes(inbox.storage, uri) == DATA
    assert inbox.uploads.complete(upload) == uri  # the answer was lost
    inbox.uploads.abort(upload)
    assert get_bytes(inbox.storage, uri) == DATA


def test_two_files_of_one_name_do_not_meet(inbox: Inbox) -> None:
    uris = []
    for data in (b"one", b"two"):
        upload = inbox.uploads.begin("film.mp4", len(data))
        inbox.uploads.write_part(upload, 1, io.BytesIO(data))
        uris.append(inbox.uploads.complete(upload))
    assert [get_bytes(inbox.storage, uri) for uri in uris] == [b"one", b"two"]


def test_parts_at_the_same_time(inbox: Inbox) -> None:
    upload = inbox.uploads.begin("film.mp4", len(DATA))
    threads = [
        threading.Thread(target=inbox.uploads.write_part, args=(upload, number, part(upload, number)))
        for number in (1, 2, 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get_bytes(inbox.storage, inbox.uploads.complete(upload)) == DATA


def test_a_late_copy_of_a_part_leaves_the_complete_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has sent the part again meanwhile, because no answer came."""
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    folder = uploads_for(tmp_path.as_uri(), "none")
    upload = folder.begin("film.mp4", len(DATA))
    for number in (1, 2, 3):
        folder.write_part(upload, number, part(upload, number))

    class Late(io.BytesIO):
        """Read after the file has been opened for it."""

        def read(self, size: int | None = -1) -> bytes:
            if completing.ident is None:
                completing.start()
                completing.join(0.5)  # it may have to wait for this
            return super().read(size)

    completing = threading.Thread(target=folder.complete, args=(upload,))
    folder.write_part(upload, 2, Late(part(upload, 2).getvalue()))
    completing.join()
    assert (tmp_path / upload.folder / upload.name).read_bytes() == DATA


def test_what_is_given_up_leaves_nothing(inbox: Inbox) -> None:
    upload = inbox.uploads.begin("film.mp4", len(DATA))
    inbox.uploads.write_part(upload, 1, part(upload, 1))
    inbox.uploads.abort(upload)
    assert inbox.names() == [] and inbox.unfinished() == 0
    inbox.uploads.abort(upload)
    calls: list[Callable[[], Any]] = [
        lambda: inbox.uploads.parts(upload),
        lambda: inbox.uploads.complete(upload),
    ]
    if inbox.uri.startswith("file://"):  # moto answers 500, where S3 says NoSuchUpload
        calls.append(lambda: inbox.uploads.write_part(upload, 2, part(upload, 2)))
    for call in calls:
        with pytest.raises(ObjectNotFoundError, match=r"there is no such upload|does not exist"):
            call()


def test_an_upload_of_another_size_is_none(inbox: Inbox) -> None:
    """Somebody has changed the token."""
    upload = inbox.uploads.begin("film.mp4", len(DATA))
    for number in (1, 2, 3):
        inbox.uploads.write_part(upload, number, part(upload, number))
    shorter = upload.model_copy(update={"size": 2 * PART + 1000})
    with pytest.raises((ObjectNotFoundError, InvalidInputError)):
        inbox.uploads.complete(shorter)
    assert inbox.names() == []


def test_writes_of_others_are_not_ours(inbox: Inbox, request: pytest.FixtureRequest) -> None:
    upload = inbox.uploads.begin("film.mp4", len(DATA))
    if inbox.uri.startswith("s3://"):
        bucket = request.getfixturevalue("s3_bucket")
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key="in box/theirs.mp4")
    else:
        folder = Path(inbox.uploads.uri(upload).removeprefix("file://").replace("%20", " ")).parent.parent
        (folder / "theirs").mkdir()
        (folder / "theirs" / ".0123456789abcdef.vod-part").touch()
    (found,) = unfinished_uploads(inbox.storage, inbox.uri)
    inbox.storage.discard(found)
    assert inbox.unfinished() == 0 and len(list(inbox.storage.unfinished(f"{inbox.uri}/"))) == 1


@pytest.mark.parametrize("name", ["link", "truncate"])
def test_killed_while_it_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In a folder, where completing takes several steps."""
    inbox = uploads_for(tmp_path.as_uri(), "unused")
    upload = inbox.begin("film.mp4", 3)
    inbox.write_part(upload, 1, io.BytesIO(b"abc"))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if name == "link":
            patch.setattr(os, "link", die)
        else:  # right after the link
            patch.setattr(Path, "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            inbox.complete(upload)
    assert inbox.parts(upload) == [1]
    uri = inbox.complete(upload)
    assert Path(uri.removeprefix("file://")).read_bytes() == b"abc"
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_completed_by_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = uploads_for(tmp_path.as_uri(), "unused")
    upload = inbox.begin("film.mp4", 3)
    inbox.write_part(upload, 1, io.BytesIO(b"abc"))
    require_all = uploads._require_all

    def come_first(*args: Any) -> None:
        monkeypatch.setattr(uploads, "_require_all", require_all)
        inbox.complete(upload)

    monkeypatch.setattr(uploads, "_require_all", come_first)
    uri = inbox.complete(upload)
    assert Path(uri.removeprefix("file://")).read_bytes() == b"abc"


def test_a_file_that_somebody_put_there_is_kept(tmp_path: Path) -> None:
    inbox = uploads_for(tmp_path.as_uri(), "unused")
    upload = inbox.begin("film.mp4", 3)
    inbox.write_part(upload, 1, io.BytesIO(b"abc"))
    target = tmp_path / upload.folder / "film.mp4"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(InvalidInputError, match="there is another file of that name"):
        inbox.complete(upload)
    assert target.read_bytes() == b"mine"


def test_a_file_that_does_not_fit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="bytes do not fit"):
        uploads_for(tmp_path.as_uri(), "unused").begin("film.mp4", 10**18)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("film.mp4", "film.mp4"),
        ("My Film (final) #2.MOV", "My-Film-final-2.mov"),
        ("C:\\Users\\me\\clip.mkv", "clip.mkv"),
        ("../../etc/cron.d/x.ts", "x.ts"),
        ("..%2f..\x00\n.mxf", "2f.mxf"),
        (".mp4", "video.mp4"),
        ("Mu\u0308ller.wav", "Müller.wav"),
        ("\u202egpj.exe.mp4", "gpj.exe.mp4"),
        ("x" * 500 + ".srt", "x" * 196 + ".srt"),
        ("é" * 500 + ".vtt", "é" * 98 + ".vtt"),
    ],
)
def test_names_are_made_safe(given: str, stored: str) -> None:
    assert safe_name(given) == stored == safe_name(stored)
    assert len(stored.encode()) <= 200


@pytest.mark.parametrize("name", ["", "film", "film.exe", "index.html", "film.mp4/", "film.mp4.sh", "a/.."])
def test_names_of_other_things_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="name: it must end as"):
        safe_name(name)


def forged(**changes: Any) -> str:
    facts = {
        "folder": "2026-11-29-0123456789abcdef",
        "name": "film.mp4",
        "size": 3,
        "handle": "0123456789abcdef",
    }
    return base64.urlsafe_b64encode(json.dumps(facts | changes).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "é",
        "A" * 5000,
        forged(folder="../results"),
        forged(folder="2026-11-29-0123456789abcdef\n"),
        forged(name="../film.mp4"),
        forged(name="a/film.mp4"),
        forged(name="film.html"),
        forged(size=0),
        forged(size=-1),
        forged(handle=""),
        forged(more=1),
        base64.urlsafe_b64encode(b"[]").decode(),
    ],
)
def test_a_token_that_nobody_gave_out(token: str) -> None:
    with pytest.raises(ObjectNotFoundError, match="there is no such upload"):
        Upload.parse(token)


@pytest.mark.parametrize("handle", ["../../x", "0123456789abcdeF", "none"])
def test_a_handle_names_no_other_file(tmp_path: Path, handle: str) -> None:
    upload = Upload.parse(forged(handle=handle))
    inbox = uploads_for(tmp_path.as_uri(), "unused")
    with pytest.raises(ObjectNotFoundError):
        inbox.abort(upload)
    with pytest.raises(ObjectNotFoundError):
        inbox.parts(upload)


def test_a_film_of_a_terabyte_fits_into_the_parts_that_s3_allows() -> None:
    upload = Upload.parse(forged(size=10**12))
    assert upload.count <= 10_000 and upload.part_bytes % MIB == 0
    assert sum(upload.length(number) for number in range(1, upload.count + 1)) == 10**12
    assert Upload.parse(forged(size=100 * MIB)).part_bytes == uploads.PART_BYTES
    for number in (0, -1, upload.count + 1):
        with pytest.raises(InvalidInputError, match=f"part: there is no part {number}, only 1 to"):
            upload.length(number)
