"""Decrypts whole segments (RFC 8216bis 4.4.4.4)."""

from __future__ import annotations

from collections.abc import Callable

from vod_operators.check.key_tags import Encryption
from vod_operators.check.playlist import Entry
from vod_operators.check.tags import METHODS
from vod_operators.errors import VerificationError, VodError

WHOLE = {"AES-128": 16, "AES-256-GCM": 32}
"""Methods that encrypt whole segments -> bytes of their key."""

SAMPLES = {"SAMPLE-AES": 16}
"""The method that encrypts samples with ``cbcs`` -> bytes of its key."""

TAG_BYTES = IV_BYTES = 16


class Keys:
    """The keys of a presentation, each read once.

    :param read: reads the file at a URI.
    :param override: key for all segments, used in place of the URIs.
    """

    def __init__(self, read: Callable[[str], bytes], override: bytes | None) -> None:
        self._read, self._override = read, override
        self._by_uri: dict[str, bytes | None] = {}

    def decrypted(self, data: bytes, entry: Entry) -> bytes | None:
        """The clear bytes of a segment or a part of one; None if the key or the method is not known.

        :param entry: whose media sequence number is the IV if the playlist gives none.
        :raises VerificationError: the bytes are not encrypted by that method under that key.
        """
        encryption = entry.encryption
        if encryption is None or encryption.method in METHODS - WHOLE.keys():
            return data
        if encryption.method not in WHOLE:
            return None
        key = self._key(encryption)
        if key is None:
            return None
        if encryption.method == "AES-256-GCM":
            return _decrypted_gcm(data, key)
        return _decrypted_cbc(data, key, encryption.iv or entry.number.to_bytes(16, "big"))

    def sample_key(self, entry: Entry) -> bytes | None:
        """The key of the samples of an entry under SAMPLE-AES; None if there is none."""
        encryption = entry.encryption
        return self._key(encryption) if encryption and encryption.method in SAMPLES else None

    def _key(self, encryption: Encryption) -> bytes | None:
        size = (WHOLE | SAMPLES)[encryption.method]
        if self._override is not None:
            return self._override if len(self._override) == size else None
        uri = encryption.uri
        if uri is None or encryption.key_format != "identity":
            return None
        if uri not in self._by_uri:
            try:
                key = self._read(uri)
            except VodError:
                key = b""
            self._by_uri[uri] = key if len(key) == size else None
        return self._by_uri[uri]


def _decrypted_cbc(data: bytes, key: bytes, vector: bytes) -> bytes:
    """A segment under AES-128: in CBC mode, with PKCS7 padding.

    :raises VerificationError: it is not encrypted with that key.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(data) % 16 or not data:
        raise VerificationError("AES-128: its size is not a multiple of 16 bytes")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    clear = decryptor.update(data) + decryptor.finalize()
    padding = clear[-1]
    if not 1 <= padding <= 16 or clear[-padding:] != bytes([padding]) * padding:
        raise VerificationError("AES-128: the key does not decrypt it")
    return clear[:-padding]


def _decrypted_gcm(data: bytes, key: bytes) -> bytes:
    """A segment under AES-256-GCM, which is its IV, the ciphertext and a tag."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(data) < IV_BYTES + TAG_BYTES:
        raise VerificationError("AES-256-GCM: it is shorter than its IV and its tag")
    try:
        return AESGCM(key).decrypt(data[:IV_BYTES], data[IV_BYTES:], None)
    except InvalidTag:
        raise VerificationError("AES-256-GCM: the key does not decrypt it") from None
