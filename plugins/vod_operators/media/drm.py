"""What tells players of each DRM system which key they need: ``pssh`` boxes, and lines of manifests.

All of it is public: it names a key, and never holds it. Sources: the registered system ids of DASH-IF; the
PlayReady Header Object of Microsoft; the ``WidevinePsshData`` message of Google; ISO 23001-7 8.1 (``pssh``).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID
from xml.sax.saxutils import escape

from pydantic import Field

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model, is_unset
from vod_operators.formats.isobmff import full_box
from vod_operators.formats.pssh import WIDEVINE, open_pssh

System = Literal["fairplay", "widevine", "playready", "clearkey"]
"""A DRM system. ``clearkey`` is that of browsers for tests (W3C Encrypted Media Extensions 9.1): it protects
nothing."""

Scheme = Literal["cbcs", "cenc"]
"""How samples are encrypted (ISO 23001-7 10): AES-CBC in a pattern, or AES-CTR."""

Label = Literal["audio", "sd", "hd", "uhd"]
"""What one of several keys is for (``media.key_labels``)."""

METHODS: dict[Scheme, Literal["SAMPLE-AES", "SAMPLE-AES-CTR"]] = {
    "cbcs": "SAMPLE-AES",
    "cenc": "SAMPLE-AES-CTR",
}
"""METHOD of EXT-X-KEY (RFC 8216bis 4.4.4.4)."""

SCHEMES: dict[str, Scheme] = {method: scheme for scheme, method in METHODS.items()}
"""The same the other way round."""

SYSTEM_IDS: dict[System, UUID] = {
    "fairplay": UUID("94ce86fb-07ff-4f43-adb8-93d2fa968ca2"),
    "widevine": UUID(WIDEVINE),
    "playready": UUID("9a04f079-9840-4286-ab92-e65be0885f95"),
    "clearkey": UUID("e2719d58-a985-b3c9-781a-b030af78d30e"),
}

COMMON = UUID("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b")
"""System id of the ``pssh`` box that any system reads."""

KEY_FORMATS: dict[System, str] = {
    "fairplay": "com.apple.streamingkeydelivery",
    "widevine": f"urn:uuid:{SYSTEM_IDS['widevine']}",
    "playready": "com.microsoft.playready",
    "clearkey": "identity",
}
"""KEYFORMAT of EXT-X-KEY."""

IN_DASH: tuple[System, ...] = ("widevine", "playready", "clearkey")
"""Systems of which DASH players play anything. FairPlay's players play HLS only."""

PLAYREADY_HEADER = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"


class Signal(Model):
    """How players of one system get a key."""

    system: System
    uri: str | None = Field(None, exclude_if=is_unset)
    """Of its EXT-X-KEY; None: HLS does not name this system."""
    versions: str = "1"
    """KEYFORMATVERSIONS of its EXT-X-KEY."""
    pssh: str | None = Field(None, exclude_if=is_unset)
    """A ``pssh`` box in Base64; None if the system has none."""
    license_url: str | None = Field(None, exclude_if=is_unset)
    """Where players ask for the licence; None: the player is told by its page."""


class Addresses(Model):
    """Where players get keys. ``{video_id}``, ``{key_id}`` and ``{label}`` stand for those of a key."""

    key_uri: str = ""
    """Of the bare key, or ``skd://`` of FairPlay."""
    fairplay_uri: str = ""
    """``skd://`` of FairPlay, where ``key_uri`` is another."""
    license_urls: Mapping[System, str] = Field(default_factory=dict)

    def filled(self, **values: str) -> Addresses:
        """The addresses of one key.

        :raises InvalidInputError: one of them cannot stand in a playlist.
        """

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        urls = {system: fill(url) for system, url in self.license_urls.items()}
        named = {
            "key_uri": self.key_uri,
            "fairplay_uri": self.fairplay_uri,
            "license_urls": "".join(urls.values()),
        }
        for name, text in named.items():
            if '"' in text or not text.isprintable():
                raise InvalidInputError(f"{name}: it has a character that no playlist can quote")
        return Addresses(key_uri=fill(self.key_uri), fairplay_uri=fill(self.fairplay_uri), license_urls=urls)


def signals_of(
    systems: Sequence[System], key_id: str, scheme: Scheme, addresses: Addresses
) -> tuple[Signal, ...]:
    """How players of those systems get a key.

    :param key_id: 32 hex digits.
    :param addresses: of this key.
    :raises InvalidInputError: an address that a system needs is missing; the message names its field.
    """
    return tuple(_signal(system, UUID(key_id), scheme, addresses) for system in systems)


def _signal(system: System, key_id: UUID, scheme: Scheme, addresses: Addresses) -> Signal:
    license_url = addresses.license_urls.get(system)
    if license_url is not None and not license_url.startswith(("https://", "http://")):
        raise InvalidInputError(f"license_urls: that of {system} is not a web address")
    if system == "fairplay":
        uri = addresses.fairplay_uri or addresses.key_uri
        if not uri.startswith("skd://"):
            raise InvalidInputError("fairplay_uri: FairPlay needs one that begins with skd://")
        return Signal(system=system, uri=uri)
    if system == "clearkey":
        uri = addresses.key_uri
        if not uri.startswith(("https://", "http://", "data:")):
            raise InvalidInputError(
                "key_uri: ClearKey needs the address of the bare key, http:// or https://"
            )
        return Signal(system=system, uri=uri, license_url=license_url)
    if system == "widevine":
        box = pssh(SYSTEM_IDS[system], widevine_data(key_id, scheme))
    else:
        box = pssh(SYSTEM_IDS[system], playready_object(key_id, scheme, license_url))
    return of_pssh(system, box, license_url)


def of_pssh(system: System, box: bytes, license_url: str | None) -> Signal:
    """How players of Widevine or PlayReady get the key that a ``pssh`` box names."""
    text = base64.b64encode(box).decode()
    return Signal(system=system, uri=_data_uri(system, box), pssh=text, license_url=license_url)


def _data_uri(system: System, box: bytes) -> str:
    if system == "playready":
        text = base64.b64encode(pssh_data(box)).decode()
        return f"data:text/plain;charset=UTF-16;base64,{text}"
    return f"data:text/plain;base64,{base64.b64encode(box).decode()}"


# --- pssh boxes -----------------------------------------------------------------------------


def pssh(system: UUID, data: bytes) -> bytes:
    """A ``pssh`` box of version 0 (ISO 23001-7 8.1), which all players read."""
    return full_box(b"pssh", system.bytes, struct.pack(">I", len(data)), data)


def common_pssh(key_ids: Sequence[str]) -> bytes:
    """A ``pssh`` box that names keys to any system (W3C, "cenc" Initialization Data Format).

    :param key_ids: 32 hex digits each.
    """
    ids = b"".join(map(bytes.fromhex, key_ids))
    return full_box(b"pssh", COMMON.bytes, struct.pack(">I", len(key_ids)), ids, bytes(4), version=1)


def pssh_data(box: bytes) -> bytes:
    """A system's own data in a ``pssh`` box.

    :raises InvalidInputError: the bytes are no such box.
    """
    return read_pssh(box)[1]


def read_pssh(box: bytes) -> tuple[UUID, bytes]:
    """The system id of a ``pssh`` box, and the system's own data.

    :raises InvalidInputError: the bytes are no such box.
    """
    facts, data = open_pssh(box)
    if facts.fault:
        raise InvalidInputError(f"pssh: {facts.fault}")
    return UUID(facts.system), data


def widevine_data(key_id: UUID, scheme: Scheme) -> bytes:
    """A ``WidevinePsshData`` message: field 2 is the key id, field 9 the scheme's letters as a number."""
    number, letters = bytearray(), int.from_bytes(scheme.encode(), "big")
    while letters > 0x7F:
        number.append(letters & 0x7F | 0x80)
        letters >>= 7
    number.append(letters)
    return bytes([2 << 3 | 2, 16]) + key_id.bytes + bytes([9 << 3]) + bytes(number)


def playready_object(key_id: UUID, scheme: Scheme, license_url: str | None = None) -> bytes:
    """A PlayReady Object with one record, the header: of version 4.3 with ``cbcs``, which version 4.0 does
    not know, and of 4.0 with ``cenc``, which old players read.

    It has no checksum, which would be made of the key.
    """
    value = base64.b64encode(key_id.bytes_le).decode()
    if scheme == "cbcs":
        version = "4.3.0.0"
        protects = f'<PROTECTINFO><KIDS><KID ALGID="AESCBC" VALUE="{value}"></KID></KIDS></PROTECTINFO>'
    else:
        version = "4.0.0.0"
        protects = f"<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{value}</KID>"
    url = f"<LA_URL>{escape(license_url)}</LA_URL>" if license_url else ""
    header = (
        f'<WRMHEADER xmlns="{PLAYREADY_HEADER}" version="{version}"><DATA>{protects}{url}</DATA></WRMHEADER>'
    ).encode("utf-16-le")
    return struct.pack("<IHHH", 10 + len(header), 1, 1, len(header)) + header
