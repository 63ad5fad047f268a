"""Reads the content key from an Airflow connection, and encrypts whole segments with it (AES-128)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vod_operators.errors import InvalidInputError
from vod_operators.media.drm import Addresses
from vod_operators.media.encryption import ContentKey
from vod_operators.media.presets.model import Preset
from vod_operators.media.track import Encryption, Track, tables_bytes
from vod_operators.settings import VodSettings
from vod_operators.work.job import Job


def content_key(settings: VodSettings, video_id: str, preset: Preset) -> ContentKey:
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
    try:
        return _key(digits, connection.extra_dejson, video_id, preset)
    except InvalidInputError as error:
        raise InvalidInputError(f"Airflow connection {conn_id!r} (VOD_KEY_CONN_ID): {error}") from None


def _key(digits: str, extra: dict[str, Any], video_id: str, preset: Preset) -> ContentKey:
    """:raises InvalidInputError: a field of the connection is malformed, or the preset needs one more."""
    try:
        addresses = Addresses.model_validate(
            {name: extra[name] for name in Addresses.model_fields if name in extra}
        )
    except ValidationError as error:
        item = error.errors()[0]
        raise InvalidInputError(f"{'.'.join(map(str, item['loc']))}: {item['msg']}") from None
    return ContentKey.of(
        digits=digits,
        video_id=video_id,
        addresses=addresses,
        key_id=extra.get("key_id"),
        vector=extra.get("iv"),
        systems=preset.protection or (),
    )


def job_key(settings: VodSettings, job: Job) -> ContentKey | None:
    """The key of a job; None if its preset does not encrypt.

    :raises InvalidInputError: the connection has another key than when the run began.
    """
    if job.key is None:
        return None
    key = content_key(settings, job.plan.video_id, job.plan.preset)
    if key.facts != job.key:
        raise InvalidInputError(
            "VOD_KEY_CONN_ID: its connection has another key than when the run began; ask for the video again"
        )
    return key


def packager_key(settings: VodSettings, job: Job) -> ContentKey | None:
    """As ``job_key`` for a preset whose samples the packager encrypts (``cbcs``); None for all others."""
    return job_key(settings, job) if job.plan.preset.encryption == "cbcs" else None


def lock_segments(track: Track, key: ContentKey, folder: Path) -> Track:
    """Encrypt the segment files of a measured track in place; returns the track with its new facts.

    A byte range of a segment that is encrypted whole cannot be decrypted. So the key frames are copied into
    ``iframes_file``, each encrypted as the media segment that it is in the I-frame playlist. In MPEG-TS its
    segment's tables precede it, because a player cannot read those of the encrypted segment.
    """
    locked = track.changed(encryption=Encryption(method="AES-128", uri=key.facts.uri))
    facts, pictures = [], 0
    for number, (segment, clear) in enumerate(zip(track.segments, track.facts, strict=True)):
        path = folder / segment.name
        data = path.read_bytes()
        stream = clear.stream("video")
        for frame in stream.keys if stream else ():
            picture = data[: tables_bytes(clear)] + data[frame.begin : frame.end]
            with (folder / (locked.iframes_file or "")).open("ab") as file:
                file.write(key.encrypted(picture, pictures))
            pictures += 1
        size = path.write_bytes(key.encrypted(data, number))
        facts.append(clear.model_copy(update={"size_bytes": size}))
    return locked.changed(facts=tuple(facts))
