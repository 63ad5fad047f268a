"""Uploads of sources to ``VOD_UPLOADS_URI``: in parts, which may be sent again and in any order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from vod_operators.errors import InvalidInputError, NoRoomError, ObjectNotFoundError
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage.uploads import Upload, Uploads, needing_room, uploads_for

NO_SUCH_UPLOAD = "There is no such upload: it was completed, given up, or removed after some days"


class NewUpload(BaseModel):
    """A file that is to be uploaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=1000)
    """Its name on the user's machine."""
    size_bytes: int = Field(ge=1)


class BegunUpload(BaseModel):
    """An upload, and how to send its parts."""

    upload_id: str
    part_bytes: int
    """Size of each part but the last; parts are numbered from 1."""
    parts: list[int]
    """Numbers of those that are there."""
    count: int
    uri: str
    """Where the file is once the upload is complete: the ``source`` of a request."""


class CompletedUpload(BaseModel):
    """A file that is there."""

    uri: str


def uploads_api(guards: Sequence[Any]) -> APIRouter:
    """The routes below ``/uploads``.

    :param guards: dependencies that refuse whoever may not upload.
    """
    router = APIRouter(prefix="/uploads", dependencies=list(guards))
    router.add_api_route("", begin, methods=["POST"], status_code=201)
    router.add_api_route("/{upload_id}", look, methods=["GET"])
    router.add_api_route("/{upload_id}", abort, methods=["DELETE"], status_code=204)
    router.add_api_route("/{upload_id}/parts/{number}", put_part, methods=["PUT"], status_code=204)
    router.add_api_route("/{upload_id}/complete", complete, methods=["POST"])
    return router


Settings = Annotated[VodSettings, Depends(get_settings)]


def uploads_of(settings: Settings) -> Uploads:
    """The deployment's uploads.

    :raises HTTPException: 404; it has none.
    """
    if not settings.uploads_uri:
        raise HTTPException(404, "Nothing can be uploaded here: VOD_UPLOADS_URI names no folder")
    return uploads_for(settings.uploads_uri, settings.aws_conn_id)


Store = Annotated[Uploads, Depends(uploads_of)]


def upload_of(upload_id: str, settings: Settings) -> Upload:
    """The upload that the path names.

    :raises HTTPException: 404; it is none.
    """
    with _refusing():
        upload = Upload.parse(upload_id)
        if upload.size > settings.max_source_bytes:  # such an id was not given out here
            raise ObjectNotFoundError(NO_SUCH_UPLOAD)
    return upload


Named = Annotated[Upload, Depends(upload_of)]


def begin(new: NewUpload, store: Store, settings: Settings) -> BegunUpload:
    """Begin an upload."""
    if new.size_bytes > settings.max_source_bytes:
        raise HTTPException(
            413, f"A source may have {settings.max_source_bytes} bytes (VOD_MAX_SOURCE_BYTES)"
        )
    with _refusing():
        upload = store.begin(new.name, new.size_bytes)
    return _described(store, upload, [])


def look(store: Store, upload: Named) -> BegunUpload:
    """The upload, to continue it."""
    with _refusing():
        return _described(store, upload, store.parts(upload))


async def put_part(request: Request, store: Store, upload: Named, number: int) -> None:
    """Store a part: the body is its bytes."""
    with _refusing():
        length = upload.length(number)
    announced = request.headers.get("content-length")
    if announced is not None and announced != str(length):
        raise HTTPException(400, f"Part {number} has {length} bytes, not {announced}")
    # On disk, because the store must be able to read it again, and because many may come at a time.
    with _refusing(), needing_room(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        received = 0
        with suppress(ClientDisconnect):  # nobody gets the answer; a stack trace would tell nothing
            async for block in request.stream():
                received += len(block)
                if received > length:
                    break
                file.write(block)
        if received != length:
            more = "more" if received > length else f"only {received}"
            raise HTTPException(400, f"Part {number} has {length} bytes, not {more}")
        file.seek(0)
        await run_in_threadpool(store.write_part, upload, number, file)


def complete(store: Store, upload: Named) -> CompletedUpload:
    """Make the file appear, once all parts are there."""
    with _refusing(409):
        return CompletedUpload(uri=store.complete(upload))


def abort(store: Store, upload: Named) -> None:
    """Give the upload up."""
    with _refusing():
        store.abort(upload)


def _described(store: Uploads, upload: Upload, parts: list[int]) -> BegunUpload:
    return BegunUpload(
        upload_id=upload.token(),
        part_bytes=upload.part_bytes,
        parts=parts,
        count=upload.count,
        uri=store.uri(upload),
    )


@contextmanager
def _refusing(status: int = 400) -> Iterator[None]:
    """Answers for the errors that the user can do something about.

    :param status: of a bad request. Errors of the deployment are for the app: their messages name its places.
    """
    try:
        yield
    except ObjectNotFoundError:
        raise HTTPException(404, NO_SUCH_UPLOAD) from None
    except NoRoomError:
        raise HTTPException(507, "A disk of the server is too full for this file") from None
    except InvalidInputError as error:
        field, _, words = str(error).partition(": ")
        if field not in ("name", "part", "parts"):
            raise
        raise HTTPException(status, words) from None
