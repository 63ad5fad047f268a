"""What manifests say of encrypted tracks: EXT-X-KEY, EXT-X-SESSION-KEY, and ContentProtection of DASH."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from uuid import UUID
from xml.etree import ElementTree

from vod_operators.media.drm import IN_DASH, KEY_FORMATS, SCHEMES, SYSTEM_IDS, Signal, common_pssh, pssh_data
from vod_operators.media.track import Encryption, Track

COMMON = "urn:mpeg:dash:mp4protection:2011"
CENC, MSPR, DASHIF = "urn:mpeg:cenc:2013", "urn:microsoft:playready", "https://dashif.org/CPS"
for prefix, namespace in (("cenc", CENC), ("mspr", MSPR), ("dashif", DASHIF)):
    ElementTree.register_namespace(prefix, namespace)  # dash.js knows them by these prefixes

NAMES = {"widevine": "Widevine", "playready": "MSPR 2.0", "clearkey": "ClearKey1.0"}
"""What ContentProtection calls them, for a person."""


def key_attributes(encryption: Encryption) -> list[str]:
    """Attributes of each EXT-X-KEY of a track: one for each key format (RFC 8216bis 4.4.4.4)."""
    method = f"METHOD={encryption.method}"
    if encryption.signals:
        return [
            f"{method},{_of_signal(signal, encryption.key_id)}"
            for signal in encryption.signals
            if signal.uri is not None
        ]
    uri = f'{method},URI="{encryption.uri}"'
    if encryption.method == "AES-128":
        return [uri]
    fair_play = encryption.uri.startswith("skd:")
    return [f'{uri},KEYFORMAT="{KEY_FORMATS["fairplay" if fair_play else "clearkey"]}",KEYFORMATVERSIONS="1"']


def _of_signal(signal: Signal, key_id: str) -> str:
    # Widevine's players know from it without reading the box which variants share a key.
    known = f"KEYID=0x{key_id}," if signal.system == "widevine" else ""
    form = f'KEYFORMAT="{KEY_FORMATS[signal.system]}",KEYFORMATVERSIONS="{signal.versions}"'
    return f'URI="{signal.uri}",{known}{form}'


def session_key_attributes(tracks: Sequence[Track]) -> list[str]:
    """Attributes of each EXT-X-SESSION-KEY: of all keys whose DRM systems are named, each once."""
    named = [track.encryption for track in tracks if track.encryption and track.encryption.signals]
    turns = [turn for encryption in named for turn in encryption.turns]
    return list(dict.fromkeys(line for turn in turns for line in key_attributes(turn)))


def by_key(tracks: Sequence[Track]) -> list[list[Track]]:
    """The tracks, those with the same key together, in the order of the first of each."""
    groups: dict[str, list[Track]] = {}
    for track in tracks:
        groups.setdefault(track.encryption.key_id if track.encryption else "", []).append(track)
    return list(groups.values())


def is_for_dash(encryption: Encryption | None) -> bool:
    """Whether DASH players can get the key of a track: it is clear, or they know a system."""
    return encryption is None or any(signal.system in IN_DASH for signal in encryption.signals)


def add_protection(adaptation: ElementTree.Element, encryption: Encryption | None) -> None:
    """Add a ContentProtection for the scheme and for each DRM system (ISO 23009-1 5.8.4.1, DASH-IF IOP 6)."""
    if encryption is None or encryption.method == "AES-128":
        return
    scheme, key_id = SCHEMES[encryption.method], UUID(encryption.key_id)
    common = {"schemeIdUri": COMMON, "value": scheme, f"{{{CENC}}}default_KID": str(key_id)}
    ElementTree.SubElement(adaptation, "ContentProtection", common)
    for turn in encryption.turns:
        for signal in turn.signals:
            if signal.system not in IN_DASH or (signal.system == "clearkey" and turn is not encryption):
                continue
            facts = {"schemeIdUri": f"urn:uuid:{SYSTEM_IDS[signal.system]}", "value": NAMES[signal.system]}
            element = ElementTree.SubElement(adaptation, "ContentProtection", facts)
            if signal.system == "clearkey" and encryption.following:  # one request for all
                ids = [other.key_id for other in encryption.turns]
                element.append(_element(CENC, "pssh", base64.b64encode(common_pssh(ids)).decode()))
            element.extend(_inside(signal))


def _inside(signal: Signal) -> Iterator[ElementTree.Element]:
    if signal.pssh is not None:
        yield _element(CENC, "pssh", signal.pssh)
        if signal.system == "playready":
            box = pssh_data(base64.b64decode(signal.pssh))
            yield _element(MSPR, "pro", base64.b64encode(box).decode())
    if signal.license_url is not None:
        yield _element(DASHIF, "Laurl", signal.license_url, licenseType="EME-1.0")


def _element(namespace: str, name: str, text: str, **attributes: str) -> ElementTree.Element:
    element = ElementTree.Element(f"{{{namespace}}}{name}", attributes)
    element.text = text
    return element
