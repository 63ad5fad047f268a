"""CPIX documents of SPEKE v2.0: what a key server is asked, and what it answers.

Sources: DASH-IF CPIX 2.3, and the SPEKE API v2 that narrows it. Content keys travel in the clear inside
HTTPS, as SPEKE has them by default; answers with keys that are encrypted in the document are refused.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from vod_operators.errors import InvalidInputError
from vod_operators.formats.facts import KEY_BYTES
from vod_operators.media.drm import (
    KEY_FORMATS,
    METHODS,
    SYSTEM_IDS,
    Label,
    Scheme,
    Signal,
    System,
    of_pssh,
    read_pssh,
)
from vod_operators.media.key_labels import HD_PIXELS, SD_PIXELS

CPIX, PSKC = "urn:dashif:org:cpix", "urn:ietf:params:xml:ns:keyprov:pskc"
DASHIF = "https://dashif.org/CPS"
for prefix, namespace in (("cpix", CPIX), ("pskc", PSKC)):
    ElementTree.register_namespace(prefix, namespace)

VERSION = "2.3"

ASKED: tuple[System, ...] = ("fairplay", "widevine", "playready")
"""Systems that the server tells about. ClearKey is not DRM: its address is the deployment's."""

_NAMESPACE = uuid.UUID("9f0e0b1c-6a38-4a4e-9a5b-5d2f5d1f3c66")

_PIXELS: dict[Label, dict[str, str]] = {
    "sd": {"maxPixels": str(SD_PIXELS)},
    "hd": {"minPixels": str(SD_PIXELS + 1), "maxPixels": str(HD_PIXELS)},
    "uhd": {"minPixels": str(HD_PIXELS + 1)},
}


def key_id_of(content_id: str, label: Label | None, turn: int = 0) -> str:
    """The id, 32 hex digits, of a key that is asked for: the same for the same content, so that each task and
    each later version of a video asks for the same key."""
    name = f"{content_id}\0{label or ''}" + (f"\0{turn}" if turn else "")
    return uuid.uuid5(_NAMESPACE, name).hex


def request(
    content_id: str,
    key_ids: Mapping[tuple[Label | None, int], str],
    systems: Sequence[System],
    scheme: Scheme,
) -> bytes:
    """A document that asks for keys, and for what players of those systems are to be told.

    :param key_ids: of each key, by what it is for, and which it is of those that are used in turn.
    """
    turns = sorted({turn for _, turn in key_ids})
    root = ElementTree.Element(_cpix("CPIX"), {"contentId": content_id, "version": VERSION})
    keys = ElementTree.SubElement(root, _cpix("ContentKeyList"))
    told = ElementTree.SubElement(root, _cpix("DRMSystemList"))
    if len(turns) > 1:
        periods = ElementTree.SubElement(root, _cpix("ContentKeyPeriodList"))
        for turn in turns:
            facts = {"id": _period(turn), "index": str(turn + 1)}
            ElementTree.SubElement(periods, _cpix("ContentKeyPeriod"), facts)
    rules = ElementTree.SubElement(root, _cpix("ContentKeyUsageRuleList"))
    for (label, turn), key_id in key_ids.items():
        kid = {"kid": str(uuid.UUID(key_id))}
        ElementTree.SubElement(keys, _cpix("ContentKey"), kid | {"commonEncryptionScheme": scheme})
        for system in systems:
            if system in ASKED:
                facts = kid | {"systemId": str(SYSTEM_IDS[system])}
                drm = ElementTree.SubElement(told, _cpix("DRMSystem"), facts)
                if system != "fairplay":
                    ElementTree.SubElement(drm, _cpix("PSSH"))
                    ElementTree.SubElement(drm, _cpix("ContentProtectionData"))
                for playlist in ("media", "master"):
                    ElementTree.SubElement(drm, _cpix("HLSSignalingData"), {"playlist": playlist})
        usage = kid | {"intendedTrackType": label.upper() if label else "ALL"}
        rule = ElementTree.SubElement(rules, _cpix("ContentKeyUsageRule"), usage)
        if len(turns) > 1:
            ElementTree.SubElement(rule, _cpix("KeyPeriodFilter"), {"periodId": _period(turn)})
        if label != "audio":
            ElementTree.SubElement(rule, _cpix("VideoFilter"), _PIXELS[label] if label else {})
        if label in (None, "audio"):
            ElementTree.SubElement(rule, _cpix("AudioFilter"))
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _period(turn: int) -> str:
    return f"keyPeriod_{turn + 1}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Answered:
    """A key, and what its players are told. Its repr shows nothing of it."""

    key: bytes
    vector: str | None
    """32 hex digits; None if the server leaves it to us."""
    signals: tuple[Signal, ...]


def answers(
    document: bytes,
    key_ids: Sequence[str],
    systems: Sequence[System],
    scheme: Scheme,
    license_urls: Mapping[System, str],
) -> dict[str, Answered]:
    """Each key of a server's answer, by its id.

    :param key_ids: those that were asked for; others are left out.
    :param license_urls: for players; of other systems, what the server names holds.
    :raises InvalidInputError: the answer lacks something, or is not of this form. The message quotes nothing.
    """
    root = _parsed(document)
    if root.tag != _cpix("CPIX"):
        raise InvalidInputError("the key server's answer is no CPIX document")
    found = {_id(element): element for element in root.iter(_cpix("ContentKey"))}
    systems_told = root.iter(_cpix("DRMSystem"))
    told = {(_id(element), element.get("systemId", "").lower()): element for element in systems_told}
    given = {}
    for key_id in key_ids:
        if key_id not in found:
            raise InvalidInputError(f"the key server gave no key of id {key_id}, which it was asked for")
        signals = []
        for system in (system for system in systems if system in ASKED):
            element = told.get((key_id, str(SYSTEM_IDS[system])))
            if element is None:
                raise InvalidInputError(f"the key server told nothing of {system}, which it was asked for")
            signals.append(_signal(system, element, scheme, license_urls.get(system)))
        key, vector = _key(found[key_id], scheme)
        given[key_id] = Answered(key=key, vector=vector, signals=tuple(signals))
    return given


def _key(element: Any, scheme: Scheme) -> tuple[bytes, str | None]:
    other = element.get("commonEncryptionScheme", scheme)
    if other != scheme:
        raise InvalidInputError(f"the key server gave a key for another scheme than {scheme}")
    secret = element.find(f"{_cpix('Data')}/{{{PSKC}}}Secret")
    if secret is None or secret.find(f"{{{PSKC}}}PlainValue") is None:
        raise InvalidInputError("the key server gave no plain key; have it answer without document keys")
    key = _decoded(secret.find(f"{{{PSKC}}}PlainValue").text, "PlainValue")
    if len(key) != KEY_BYTES:
        raise InvalidInputError(f"the key server gave a key that has not {KEY_BYTES} bytes")
    vector = _decoded(element.get("explicitIV"), "explicitIV")
    if scheme != "cbcs" or not vector:
        return key, None
    if len(vector) != KEY_BYTES:
        raise InvalidInputError(f"the key server gave an explicitIV that has not {KEY_BYTES} bytes")
    return key, vector.hex()


def _signal(system: System, element: Any, scheme: Scheme, license_url: str | None) -> Signal:
    given = element.findall(_cpix("HLSSignalingData"))
    tags = [tag.text for tag in given if tag.get("playlist", "media") == "media"]
    line = _decoded(tags[0] if tags else None, "HLSSignalingData").decode("utf-8", "replace")
    hls = _hls(system, line, scheme) if line.strip() else {}
    if system == "fairplay":
        if not hls:
            raise InvalidInputError("the key server gave no HLSSignalingData of FairPlay")
        return Signal(system=system, **hls)
    box = _decoded(element.findtext(_cpix("PSSH")), "PSSH")
    if not box or read_pssh(box)[0] != SYSTEM_IDS[system]:
        raise InvalidInputError(f"the key server gave no pssh box of {system}")
    inside = _decoded(element.findtext(_cpix("ContentProtectionData")), "ContentProtectionData")
    own = _license_url(inside) if inside else None
    return of_pssh(system, box, license_url or own).model_copy(update=hls)


def _hls(system: System, line: str, scheme: Scheme) -> dict[str, str]:
    """What an EXT-X-KEY says beside its method and format, as fields of ``Signal``."""
    told = {name: value.strip('"') for name, value in re.findall(r'([A-Z-]+)=("[^"\r\n]*"|[^",\r\n]*)', line)}
    expected = {"METHOD": METHODS[scheme], "KEYFORMAT": KEY_FORMATS[system]}
    is_one = line.strip().startswith("#EXT-X-KEY:") and len(line.split("\n#")) == 1
    if not is_one or any(told.get(name) != value for name, value in expected.items()) or not told.get("URI"):
        words = ", ".join(f"{name} {value}" for name, value in expected.items())
        raise InvalidInputError(
            f"the key server gave HLSSignalingData of {system} that is no EXT-X-KEY of {words}"
        )
    versions = told.get("KEYFORMATVERSIONS", "1")
    if not re.fullmatch(r"[1-9]\d*(/[1-9]\d*)*", versions) or not told["URI"].isprintable():
        raise InvalidInputError(f"the key server gave HLSSignalingData of {system} that no playlist can hold")
    return {"uri": told["URI"], "versions": versions}


def _license_url(inside: bytes) -> str | None:
    """The address of licences in the content of a ContentProtection."""
    root = _parsed(b"<told>" + inside + b"</told>")
    url: str = (root.findtext(f".//{{{DASHIF}}}Laurl") or "").strip()
    return url if url.startswith(("https://", "http://")) else None


def _parsed(document: bytes) -> Any:
    """The root of an XML document without a type: no entities, nothing from the network, no huge trees."""
    from lxml import etree  # here, because the DAG file is parsed again for every task

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise InvalidInputError("the key server's answer is no XML") from None
    if root.getroottree().docinfo.doctype:
        raise InvalidInputError("the key server's answer has a document type, which may hide entities")
    return root


def _id(element: Any) -> str:
    return str(element.get("kid", "")).replace("-", "").lower()


def _decoded(text: str | None, what: str) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except ValueError:
        raise InvalidInputError(f"the key server gave a {what} that is no Base64") from None


def _cpix(name: str) -> str:
    return f"{{{CPIX}}}{name}"


def spellings(key: bytes) -> Iterator[str]:
    """All texts in which a key may stand in a log: hex, Base64, and as a UUID."""
    yield from (key.hex(), key.hex().upper(), str(uuid.UUID(bytes=key)), str(uuid.UUID(bytes=key)).upper())
    yield base64.b64encode(key).decode()
    yield base64.urlsafe_b64encode(key).decode().rstrip("=")
