"""Reads the content key from an Airflow connection, and encrypts whole segments with it (AES-128)."""

from __future__ import annotations

import os
from pathlib import Path

from vod_operators.errors import InvalidInputError
from vod_operators.media.encryption import ContentKey
from vod_operators.media.track import Encryption, KeyFrame, Segment, Track
from vod_operators.settings import VodSettings


def content_key(settings: VodSettings, video_id: str) -> ContentKey:
    """A video's key, masked in this process's logs.

    :raises InvalidInputError: ``VOD_KEY_CONN_ID`` is not set, or its connection holds no valid key.
    """
    from airflow.sdk import Connection  # here, because the DAG file is parsed again for every task
    from airflow.sdk.log import mask_secret

    if settings.key_conn_id is None:
        raise InvalidInputError(
            "preset: it asks for encryption, and VOD_KEY_CONN_ID names no Airflow connection with the key"
        )
    conn_id = settings.key_conn_id.replace("{video_id}", video_id)
    connection = Connection.get(conn_id)
    digits = connection.password or ""
    if digits:
        for spelling in {digits, digits.lower(), digits.upper()}:
            mask_secret(spelling)
    extra = connection.extra_dejson
    try:
        return ContentKey.of(
            digits=digits,
            uri=str(extra.get("key_uri", "")).replace("{video_id}", video_id),
            key_id=extra.get("key_id"),
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"Airflow connection {conn_id!r} (VOD_KEY_CONN_ID): {error}") from None


def write_secret(path: Path, text: str) -> None:
    """Write a file that is created with mode 0600, so that no other user can ever read it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def lock_segments(track: Track, key: ContentKey, folder: Path) -> Track:
    """Encrypt the segment files of a measured track in place; returns the track with its new facts.

    A byte range of a segment that is encrypted whole cannot be decrypted. So the key frames are copied into a
    file of their own, each encrypted as the media segment that it is in the I-frame playlist.
    """
    segments: list[Segment] = []
    keys: list[KeyFrame] = []
    if track.key_frames:
        pictures = f"iframes{Path(track.segments[0].name).suffix}"
        with (folder / pictures).open("wb") as file:
            for number, frame in enumerate(track.key_frames):
                locked = key.encrypted(_picture(track, frame, folder), number)
                keys.append(frame.model_copy(update={"offset": file.tell(), "size_bytes": len(locked)}))
                file.write(locked)
    for number, segment in enumerate(track.segments):
        locked = key.encrypted((folder / segment.name).read_bytes(), number)
        (folder / segment.name).write_bytes(locked)
        segments.append(segment.model_copy(update={"size_bytes": len(locked)}))
    return track.model_copy(
        update={
            "encryption": Encryption(method="AES-128", uri=key.facts.uri),
            "segments": tuple(segments),
            "key_frames": tuple(keys),
            "key_frames_in": pictures if keys else None,
        }
    )


def _picture(track: Track, frame: KeyFrame, folder: Path) -> bytes:
    """The bytes of a key frame, in MPEG-TS preceded by its segment's tables, because a player cannot read
    those of the encrypted segment."""
    with (folder / track.segments[frame.segment].name).open("rb") as file:
        tables = b""
        if not track.init_bytes:
            first = next(key for key in track.key_frames if key.segment == frame.segment)
            tables = file.read(first.offset)
        file.seek(frame.offset)
        return tables + file.read(frame.size_bytes)
