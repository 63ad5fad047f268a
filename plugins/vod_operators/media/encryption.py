"""Content keys. They encrypt whole segments (AES-128), or samples by way of the packager.

A key is secret: it is in no stored model and in no command line. ``KeyFacts`` are public.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model, is_unset, is_zero
from vod_operators.formats.facts import KEY_BYTES
from vod_operators.media.drm import Addresses, Label, Scheme, Signal, System, signals_of


class KeyFacts(Model):
    """The public facts of a key."""

    uri: str
    """Where players get the bare key; empty if they only get licences."""
    key_id: str
    """32 hex digits; in the init segments of ``cbcs`` and ``cenc``."""
    fingerprint: str
    """Changes with the key; the key cannot be computed from it."""
    label: Label | None = Field(None, exclude_if=is_unset)
    """What it is for; None: all tracks."""
    turn: int = Field(0, ge=0, exclude_if=is_zero)
    """Which of the keys it is that are used in turn."""
    vector: str | None = Field(None, exclude_if=is_unset)
    """32 hex digits, the vector of ``cbcs``; None: it is derived from the key and the track."""
    signals: tuple[Signal, ...] | None = Field(None, exclude_if=is_unset)
    """How players of each DRM system get it; None: by ``uri`` alone, in HLS alone."""


@dataclass(frozen=True, repr=False)
class ContentKey:
    """A key with its public facts. Its repr shows neither, so that no log holds the key by accident."""

    key: bytes
    facts: KeyFacts

    @classmethod
    def of(
        cls,
        *,
        digits: str,
        video_id: str,
        addresses: Addresses,
        key_id: str | None = None,
        label: Label | None = None,
        turn: int = 0,
        vector: str | None = None,
        systems: Sequence[System] = (),
        scheme: Scheme = "cbcs",
        told: Sequence[Signal] = (),
    ) -> ContentKey:
        """The key with these digits.

        :param digits: 32 hex digits.
        :param addresses: where players get keys; templates.
        :param key_id: 32 hex digits; derived from the key if absent.
        :param label: as ``KeyFacts.label``; ``turn`` and ``vector`` likewise.
        :param systems: whose players get the key; none: those of ``addresses.key_uri`` alone.
        :param told: how players of some of the systems get it, as the key's server says.
        :raises InvalidInputError: a parameter is malformed; the message shows no digit of the key.
        """
        key = _from_hex(digits, "password", f"the key of {label}" if label else "the key")
        derived = hashlib.sha256(b"vod content key\0" + key).hexdigest()
        named = _from_hex(key_id, "key_id", "the key's id").hex() if key_id else derived[:32]
        own = addresses.filled(video_id=video_id, key_id=named, label=label or "all")
        if not systems or own.key_uri:
            _check_uri(own.key_uri)
        by_system = {signal.system: signal for signal in told}
        for signal in signals_of([s for s in systems if s not in by_system], named, scheme, own):
            by_system[signal.system] = signal
        signals = tuple(by_system[system] for system in systems) if systems else None
        if vector:
            vector = _from_hex(vector, "iv", "the vector").hex()
        facts = KeyFacts(
            uri=own.key_uri, key_id=named, fingerprint=derived[32:48], label=label, turn=turn,
            vector=vector or None, signals=signals,
        )  # fmt: skip
        return cls(key, facts)

    def encrypted(self, segment: bytes, number: int) -> bytes:
        """A segment encrypted with AES-128 in CBC mode with PKCS7 padding (RFC 8216bis 4.4.4.4, 5.2).

        :param number: media sequence number, which is the initialization vector.
        """
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(number.to_bytes(16, "big"))).encryptor()
        padding = encrypted_bytes(len(segment)) - len(segment)
        return encryptor.update(segment + bytes([padding]) * padding) + encryptor.finalize()


@dataclass(frozen=True, repr=False)
class TrackKeys:
    """The key of a track, or those that are used in turn. Its repr shows none of them."""

    keys: tuple[ContentKey, ...]
    segments: int = 0
    """After how many segments the next key follows; 0: never."""

    @property
    def first(self) -> ContentKey:
        """The key of the first segment."""
        return self.keys[0]

    def of_segment(self, number: int) -> ContentKey:
        """The key of a segment of the track; numbers count from 0."""
        return self.keys[turn_of(number, self.segments, len(self.keys))]

    def vector(self, key: ContentKey, track: str) -> str:
        """The vector of all samples of a track that one of the keys encrypts under ``cbcs``, in hex.

        If none comes with the key, it depends on the first key and the track only, so that all chunks, each
        retry and all keys have the same.
        """
        return key.facts.vector or _digest("cbcs", self.first.facts.fingerprint, track)[:32]

    def packager_flags(self, key: ContentKey, track: str, scheme: Scheme, *, place: str) -> str:
        """The content of a flag file that makes the packager encrypt the samples of a track with one key.

        The vector of ``cenc`` counts up from sample to sample, and no two samples under one key may share it.

        :param place: of the samples, different for any two files that are ever made with this key.
        """
        if scheme == "cbcs":
            vector = self.vector(key, track)
        else:
            vector = _digest("cenc", key.facts.fingerprint, place, track)[:16]
        return (
            "--enable_raw_key_encryption\n"
            f"--protection_scheme={scheme}\n"
            "--clear_lead=0\n"
            f"--keys=label=:key_id={key.facts.key_id}:key={key.key.hex()}\n"
            f"--iv={vector}\n"
        )


def turn_of(segment: int, segments: int, keys: int) -> int:
    """Which of a track's keys encrypts a segment.

    :param segment: its number in the track, from 0.
    :param segments: after how many the next key follows; 0: never.
    """
    return segment // segments % keys if segments else 0


def _digest(*parts: str) -> str:
    return hashlib.sha256(("vod " + "\0".join(parts)).encode()).hexdigest()


def encrypted_bytes(size: int) -> int:
    """Size of ``size`` bytes after ``ContentKey.encrypted``, which adds 1 to 16 bytes of padding."""
    return size + 16 - size % 16


def _from_hex(digits: str | None, field: str, what: str) -> bytes:
    try:
        value = bytes.fromhex(digits or "")
    except ValueError:
        value = b""
    if len(value) != KEY_BYTES:
        raise InvalidInputError(f"{field}: {what} must be 32 hex digits")
    return value


def _check_uri(uri: str) -> None:
    if not uri.startswith(("https://", "http://", "skd://", "data:")) or any(c in uri for c in '"\r\n'):
        raise InvalidInputError(f"key_uri: {uri!r} is not a URI that players could ask for the key")
