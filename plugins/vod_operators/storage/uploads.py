"""Sources that people upload, in parts that may be sent again: below ``VOD_UPLOADS_URI``.

::

    {uploads}/2026-11-29-0123456789abcdef/film.mp4        an upload that was completed
    {uploads}/.0123456789abcdef.vod-part                  one that was not, in a folder (files.py)

Each upload gets a folder of its own, with 64 random bits in its name. So it replaces nothing, and two files
of one name do not meet. In S3 it is a multipart upload. In a folder it is one sparse file, followed by a byte
for each part, 1 if that part is there.

Nothing is remembered between requests: an ``Upload`` names all that continues it.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vod_operators.errors import InvalidInputError, NoRoomError, ObjectNotFoundError
from vod_operators.storage.base import BLOCK_BYTES, Storage, Unfinished
from vod_operators.storage.files import explained, flush
from vod_operators.storage.local import SCHEME as LOCAL_SCHEME
from vod_operators.storage.local import decoded_path, uri_of_path
from vod_operators.storage.originals import EXTENSIONS
from vod_operators.storage.s3_client import explain, make_client, status_and_code

MIB = 1 << 20

PART_BYTES = 16 * MIB
"""Small enough to be sent again over a poor line, large enough that requests do not count: S3 needs 5 MiB."""

MAX_PARTS = 9_000
"""S3 allows 10,000 parts; files above 140 GiB get larger ones."""

NAME_BYTES = 200
"""Most bytes of a file name: file systems allow 255."""

SIDECARS = frozenset({"srt", "vtt", "ass"})
"""Extensions of subtitle files."""

_FOLDER = "[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{16}"


class Upload(BaseModel):
    """An upload that has begun."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(pattern=f"^{_FOLDER}$")
    name: str
    """As ``safe_name`` returns it."""
    size: int = Field(ge=1)
    """Bytes of the whole file."""
    handle: str = Field(min_length=1, max_length=1024, pattern=r"^[\x21-\x7e]+$")
    """Identifies it to the store."""

    @property
    def part_bytes(self) -> int:
        """Size of each part but the last."""
        whole_mib = -(-self.size // MAX_PARTS // MIB) * MIB
        return max(PART_BYTES, whole_mib)

    @property
    def count(self) -> int:
        """How many parts it has, numbered from 1."""
        return -(-self.size // self.part_bytes)

    def length(self, number: int) -> int:
        """Bytes of a part.

        :raises InvalidInputError: there is no such part.
        """
        if not 1 <= number <= self.count:
            raise InvalidInputError(f"part: there is no part {number}, only 1 to {self.count}")
        return min(self.part_bytes, self.size - (number - 1) * self.part_bytes)

    def token(self) -> str:
        """The upload as a text for URLs."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> Upload:
        """The upload of a token, which anybody may have written.

        :raises ObjectNotFoundError: it is no token.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            upload = cls.model_validate_json(data)
            is_safe = safe_name(upload.name) == upload.name
        except (binascii.Error, ValidationError, ValueError, InvalidInputError):
            is_safe = False
        if not is_safe:
            raise ObjectNotFoundError("there is no such upload")
        return upload


def safe_name(name: str) -> str:
    """A file name for the store, made of letters, digits, ``.``, ``_`` and ``-`` of the given one.

    :raises InvalidInputError: it is not named like a video, a sound or a subtitle file.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = re.sub(r"[^\w.-]+", "-", last).rpartition(".")
    if not dot or extension.lower() not in EXTENSIONS | SIDECARS:
        raise InvalidInputError(
            "name: it must end as those of videos, sounds and subtitles do, such as .mp4, .mov, .wav or .srt"
        )
    room = NAME_BYTES - len(extension) - 1
    stem = stem.encode()[:room].decode(errors="ignore").strip(".-")
    return f"{stem or 'video'}.{extension.lower()}"


class Uploads(Protocol):
    """The uploads of one folder or prefix."""

    def begin(self, name: str, size: int) -> Upload:
        """Begin an upload.

        :param name: the file's name on the user's machine.
        :raises InvalidInputError: the name cannot be used.
        """

    def uri(self, upload: Upload) -> str:
        """Where the file is once the upload is complete."""

    def write_part(self, upload: Upload, number: int, file: BinaryIO) -> None:
        """Store a part, or store it again.

        :param file: has exactly the part's bytes.
        :raises ObjectNotFoundError: the upload has ended, or never was.
        :raises NoRoomError: the folder's disk is full.
        """

    def parts(self, upload: Upload) -> list[int]:
        """Numbers of the parts that are there, in order.

        :raises ObjectNotFoundError: as above.
        """

    def complete(self, upload: Upload) -> str:
        """Make the file appear; returns its URI. May be repeated.

        :raises InvalidInputError: parts are missing.
        :raises ObjectNotFoundError: as above.
        """

    def abort(self, upload: Upload) -> None:
        """Give the upload up; no error if it has ended."""


def uploads_for(root_uri: str, aws_conn_id: str) -> Uploads:
    """The uploads below a folder or prefix; one for each process, so that S3's connections are reused.

    :param root_uri: without a final slash.
    """
    if root_uri.startswith(LOCAL_SCHEME):
        return FolderUploads(root_uri)
    return _s3(root_uri, aws_conn_id, os.getpid())


@lru_cache(maxsize=8)
def _s3(root_uri: str, aws_conn_id: str, process: int) -> S3Uploads:
    return S3Uploads(root_uri, aws_conn_id)


@contextmanager
def needing_room(path: Path) -> Iterator[None]:
    """Translates the operating system's errors that mean a full disk.

    :raises NoRoomError: the disk or the user's share of it is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoRoomError(f"{path}: {error.strerror}") from error


def unfinished_uploads(storage: Storage, root_uri: str) -> Iterator[Unfinished]:
    """Uploads below a prefix that were not completed; not what other programs write there.

    :param storage: the store of ``root_uri``.
    """
    ours = re.compile(rf"{re.escape(root_uri)}/({_FOLDER}/[^/]+)?")
    return (found for found in storage.unfinished(f"{root_uri}/") if ours.fullmatch(found.uri))


def _new(name: str, size: int, handle: str) -> Upload:
    folder = f"{datetime.now(timezone.utc):%Y-%m-%d}-{secrets.token_hex(8)}"
    return Upload(folder=folder, name=safe_name(name), size=size, handle=handle)


def _require_all(upload: Upload, there: list[int]) -> None:
    missing = sorted(set(range(1, upload.count + 1)) - set(there))
    if missing:
        numbers = ", ".join(map(str, missing[:5])) + ", ..." * (len(missing) > 5)
        raise InvalidInputError(f"parts: {len(missing)} of {upload.count} parts are missing: {numbers}")


class FolderUploads:
    """Implements :class:`Uploads` in a folder."""

    def __init__(self, root_uri: str) -> None:
        self._root = Path(decoded_path(root_uri))

    def begin(self, name: str, size: int) -> Upload:
        upload = _new(name, size, secrets.token_hex(8))
        with explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._root).free
        if free < size:
            raise NoRoomError(f"{self._root}: {size} bytes do not fit, {free} are free")
        path = self._path(upload)
        with explained(path), path.open("xb") as file:
            file.truncate(size + upload.count)
        return upload

    def uri(self, upload: Upload) -> str:
        return uri_of_path(str(self._target(upload)))

    def write_part(self, upload: Upload, number: int, file: BinaryIO) -> None:
        with self._opened(upload) as part:
            if os.fstat(part.fileno()).st_size == upload.size:
                return  # a late copy of a part of a complete file
            part.seek((number - 1) * upload.part_bytes)
            shutil.copyfileobj(file, part, BLOCK_BYTES)
            flush(part)  # first the bytes, then the note that they are there
            part.seek(upload.size + number - 1)
            part.write(b"\1")
            flush(part)

    def parts(self, upload: Upload) -> list[int]:
        with self._opened(upload) as part:
            part.seek(upload.size)
            notes = part.read(upload.count)
        if not notes:  # it was cut off by ``complete``
            return list(range(1, upload.count + 1))
        return [number for number, note in enumerate(notes, start=1) if note]

    def complete(self, upload: Upload) -> str:
        try:
            self._put_in_place(upload)
        except ObjectNotFoundError:
            if not self._target(upload).is_file():  # an earlier call, or one at the same time, did it
                raise
        return self.uri(upload)

    def _put_in_place(self, upload: Upload) -> None:
        path, target = self._path(upload), self._target(upload)
        _require_all(upload, self.parts(upload))
        with self._opened(upload) as part:
            part.truncate(upload.size)
            flush(part)
        with explained(target):
            target.parent.mkdir(exist_ok=True)
            with suppress(FileExistsError):  # linked before, and then killed
                os.link(path, target)
        with explained(path):
            is_ours = os.path.samefile(path, target)
        if not is_ours:
            raise InvalidInputError(f"{target}: there is another file of that name")
        path.unlink(missing_ok=True)

    def abort(self, upload: Upload) -> None:
        path = self._path(upload)
        with explained(path):
            path.unlink(missing_ok=True)

    def _path(self, upload: Upload) -> Path:
        if not re.fullmatch("[0-9a-f]{16}", upload.handle):
            raise ObjectNotFoundError("there is no such upload")
        return self._root / f".{upload.handle}.vod-part"

    def _target(self, upload: Upload) -> Path:
        return self._root / upload.folder / upload.name

    @contextmanager
    def _opened(self, upload: Upload) -> Iterator[BinaryIO]:
        """The file, locked: a late copy of a part must not write into it once it is complete."""
        path = self._path(upload)
        with explained(path), needing_room(path), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_size not in (upload.size, upload.size + upload.count):
                raise ObjectNotFoundError("there is no such upload")
            yield file


class S3Uploads:
    """Implements :class:`Uploads` with multipart uploads.

    :param aws_conn_id: as for ``S3Storage``.
    """

    def __init__(self, root_uri: str, aws_conn_id: str) -> None:
        self._root_uri = root_uri
        self._bucket, _, prefix = root_uri.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._conn_id = aws_conn_id
        self._cached_client: Any = None
        self._making = threading.Lock()  # making a boto3 client is not thread-safe, using it is

    @property
    def _client(self) -> Any:
        with self._making:
            if self._cached_client is None:
                # SeaweedFS asks for each part's checksum at the end, but does not list them.
                self._cached_client = make_client(self._conn_id, checksums=False)
            return self._cached_client

    def begin(self, name: str, size: int) -> Upload:
        unbegun = _new(name, size, "none")
        with self._calls(unbegun):
            response = self._client.create_multipart_upload(Bucket=self._bucket, Key=self._key(unbegun))
        return unbegun.model_copy(update={"handle": response["UploadId"]})

    def uri(self, upload: Upload) -> str:
        return f"{self._root_uri}/{upload.folder}/{upload.name}"

    def write_part(self, upload: Upload, number: int, file: BinaryIO) -> None:
        with self._calls(upload):
            self._client.upload_part(**self._names(upload), PartNumber=number, Body=file)

    def parts(self, upload: Upload) -> list[int]:
        return sorted(self._stored(upload))

    def complete(self, upload: Upload) -> str:
        try:
            stored = self._stored(upload)
            _require_all(upload, sorted(stored))
            parts = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in sorted(stored.items())]
            with self._calls(upload):
                self._client.complete_multipart_upload(
                    **self._names(upload), MultipartUpload={"Parts": parts}
                )
        except ObjectNotFoundError:
            if not self._is_complete(upload):  # the answer of an earlier call may have been lost
                raise
        return self.uri(upload)

    def abort(self, upload: Upload) -> None:
        with suppress(ObjectNotFoundError), self._calls(upload):
            self._client.abort_multipart_upload(**self._names(upload))

    def _key(self, upload: Upload) -> str:
        return f"{self._prefix}{upload.folder}/{upload.name}"

    def _names(self, upload: Upload) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(upload), "UploadId": upload.handle}

    def _stored(self, upload: Upload) -> dict[int, dict[str, Any]]:
        """The stored parts that have the length that they must have. SeaweedFS lists one that was sent twice
        twice, in any order: the newer one counts."""
        with self._calls(upload):
            pages = self._client.get_paginator("list_parts").paginate(**self._names(upload))
            found = [part for page in pages for part in page.get("Parts", ())]
        found.sort(key=lambda part: part["LastModified"])
        return {
            part["PartNumber"]: part
            for part in found
            if 1 <= part["PartNumber"] <= upload.count and part["Size"] == upload.length(part["PartNumber"])
        }

    def _is_complete(self, upload: Upload) -> bool:
        try:
            with self._calls(upload):
                head = self._client.head_object(Bucket=self._bucket, Key=self._key(upload))
        except ObjectNotFoundError:
            return False
        return bool(head["ContentLength"] == upload.size)

    @contextmanager
    def _calls(self, upload: Upload) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if status_and_code(error)[1] in ("NoSuchUpload", "404", "NoSuchKey"):
                raise ObjectNotFoundError("there is no such upload") from error
            raise explain(error, self.uri(upload), self._conn_id, self._cached_client) from error
