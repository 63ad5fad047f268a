"""Content keys: in an Airflow connection, or asked of a key server; and what AES-128 does with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vod_operators.errors import InvalidInputError
from vod_operators.media import cpix
from vod_operators.media.drm import Addresses, Label
from vod_operators.media.encryption import ContentKey, TrackKeys
from vod_operators.media.key_labels import labels_of
from vod_operators.media.models import Plan
from vod_operators.media.track import Encryption, Track, tables_bytes
from vod_operators.operators.credentials import http_connection
from vod_operators.settings import VodSettings
from vod_operators.work import speke
from vod_operators.work.job import Job

Use = tuple["Label | None", int]
"""What a key is for, and which it is of those that are used in turn."""

Keys = dict[Use, ContentKey]


def content_keys(settings: VodSettings, plan: Plan, tracks: Collection[str] | None = None) -> Keys:
    """The keys of a video by their use, masked in this process's logs; none if it is not encrypted.

    :param tracks: names of the tracks that are encrypted; None: all.
    :raises InvalidInputError: ``VOD_KEY_CONN_ID`` is not set, its connection holds no valid key, or the key
        server refuses.
    :raises StorageError: the key server does not answer.
    """
    if plan.preset.encryption == "none":
        return {}
    if settings.key_conn_id is None:
        raise InvalidInputError(
            "preset: it asks for encryption, and VOD_KEY_CONN_ID names no Airflow connection with the key"
        )
    turns = range(plan.preset.key_rotation.keys if plan.preset.key_rotation else 1)
    labels = {label: None for track, label in labels_of(plan).items() if tracks is None or track in tracks}
    uses = [(label, turn) for label in labels for turn in turns]
    conn_id = settings.key_conn_id.replace("{video_id}", plan.video_id)
    from airflow.sdk import Connection  # here, because the DAG file is parsed again for every task

    connection = Connection.get(conn_id)
    try:
        asks = connection.conn_type == "http" and connection.host
        return (_asked if asks else _held)(connection, plan, uses)
    except InvalidInputError as error:
        raise InvalidInputError(f"Airflow connection {conn_id!r} (VOD_KEY_CONN_ID): {error}") from None


def job_keys(settings: VodSettings, job: Job, tracks: Collection[str] | None = None) -> dict[str, TrackKeys]:
    """The keys of each of those tracks; none if the job's preset does not encrypt.

    :param tracks: names; None: all. Only their keys are read.
    :raises InvalidInputError: a key is another than when the run began.
    """
    keys = content_keys(settings, job.plan, tracks)
    if any(key.facts not in job.content_keys for key in keys.values()):
        raise InvalidInputError(
            "VOD_KEY_CONN_ID: its connection has another key than when the run began; ask for the video again"
        )
    rotation, by_track = job.plan.preset.key_rotation, {}
    for name, label in labels_of(job.plan).items():
        own = tuple(key for use, key in keys.items() if use[0] == label)
        if own and (tracks is None or name in tracks):
            by_track[name] = TrackKeys(own, rotation.segments if rotation else 0)
    return by_track


def packager_keys(settings: VodSettings, job: Job, tracks: Collection[str]) -> dict[str, TrackKeys]:
    """As ``job_keys`` for a preset whose samples the packager encrypts; none for all others."""
    return job_keys(settings, job, tracks) if job.plan.preset.scheme else {}


# --- keys in the connection -----------------------------------------------------------------


def _held(connection: Any, plan: Plan, uses: Iterable[Use]) -> Keys:
    """The keys in the connection's password: 32 hex digits; a JSON list of them that are used in turn; or a
    JSON object of either by label."""
    password, extra, preset = connection.password or "", connection.extra_dejson, plan.preset
    held: Any = password
    if preset.several_keys or preset.key_rotation:
        with suppress(ValueError):
            held = json.loads(password)
    _mask(spelling for text in (*_texts(held), password) for spelling in (text, text.lower(), text.upper()))
    ids = extra.get("key_ids" if preset.several_keys or preset.key_rotation else "key_id")
    keys: Keys = {}
    for label, turn in uses:
        digits = _of_use(held, label, turn if preset.key_rotation else None)
        if digits is None:
            raise InvalidInputError(_expected(plan, label))
        keys[label, turn] = ContentKey.of(
            digits=digits,
            video_id=plan.video_id,
            addresses=_addresses(extra),
            key_id=_of_use(ids, label, turn if preset.key_rotation else None),
            label=label,
            turn=turn,
            vector=extra.get("iv"),
            systems=plan.preset.protection or (),
            scheme=plan.preset.scheme or "cbcs",
        )
    _require_difference(keys, bare=plan.preset.protection is None or "clearkey" in plan.preset.protection)
    return keys


def _texts(held: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(held, str):
        yield held
    elif isinstance(held, (dict, list)):
        for value in held.values() if isinstance(held, dict) else held:
            yield from _texts(value)


def _of_use(held: Any, label: Label | None, turn: int | None) -> str | None:
    """The text of one key; None if there is none.

    :param turn: None: keys are not used in turn.
    """
    if label is not None:
        held = held.get(label) if isinstance(held, dict) else None
    if turn is not None:
        held = held[turn] if isinstance(held, list) and turn < len(held) else None
    return held if isinstance(held, str) else None


def _expected(plan: Plan, label: Label | None) -> str:
    """What the password lacks, and how it would be right."""
    rotation, one, what = plan.preset.key_rotation, '"32 hex digits"', "key"
    if rotation:
        one, what = f"[{one}, ...]", f"list of {rotation.keys} keys"
    if label is None:
        return f"password: it has no {what}; expected a JSON list, {one}"
    return f'password: it has no {what} of {label}; expected a JSON object, {{"{label}": {one}, ...}}'


def _require_difference(keys: Keys, *, bare: bool) -> None:
    """:raises InvalidInputError: two keys are one, or players cannot tell them apart."""
    for words, of_one in (
        ("password: two of its keys are the same", [key.key for key in keys.values()]),
        ("key_ids: two keys have the same id", [key.facts.key_id for key in keys.values()]),
        (
            "key_uri: several keys are at one address; let it contain {key_id}",
            [key.facts.uri for key in keys.values()] if bare else [],
        ),
    ):
        if len(set(of_one)) != len(of_one):
            raise InvalidInputError(words)


def _addresses(extra: Mapping[str, Any]) -> Addresses:
    """:raises InvalidInputError: an address of the connection's extra is malformed."""
    try:
        return Addresses(**{name: extra[name] for name in Addresses.model_fields if name in extra})
    except ValidationError as error:
        item = error.errors()[0]
        raise InvalidInputError(f"{'.'.join(map(str, item['loc']))}: {item['msg']}") from None


def _mask(secrets: Iterable[str]) -> None:
    from airflow.sdk.log import mask_secret

    for secret in set(filter(None, secrets)):
        mask_secret(secret)


# --- keys of a server -----------------------------------------------------------------------


def _asked(connection: Any, plan: Plan, uses: Iterable[Use]) -> Keys:
    """The keys that a server of SPEKE v2 gives for this video."""
    preset, extra = plan.preset, connection.extra_dejson
    if preset.scheme is None or not preset.protection:
        raise InvalidInputError(
            "preset: a key server gives keys for encryption cbcs or cenc with protection; the key of "
            f"{preset.encryption} belongs in the connection's password"
        )
    url, headers = http_connection(connection)
    _mask(headers.values())
    content_id = str(extra.get("content_id", "{video_id}")).replace("{video_id}", plan.video_id)
    ids = {use: cpix.key_id_of(content_id, *use) for use in uses}
    document = cpix.request(content_id, ids, preset.protection, preset.scheme)
    answer = speke.ask(url, headers, document)
    addresses = _addresses(extra)
    given = cpix.answers(answer, list(ids.values()), preset.protection, preset.scheme, addresses.license_urls)
    keys: Keys = {}
    for (label, turn), key_id in ids.items():
        _mask(cpix.spellings(given[key_id].key))
        keys[label, turn] = ContentKey.of(
            digits=given[key_id].key.hex(),
            video_id=plan.video_id,
            addresses=addresses,
            key_id=key_id,
            label=label,
            turn=turn,
            vector=given[key_id].vector,
            systems=preset.protection,
            scheme=preset.scheme,
            told=given[key_id].signals,
        )
    _require_difference(keys, bare="clearkey" in preset.protection)
    return keys


# --- whole segments -------------------------------------------------------------------------


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
