"""Rules 12 of keys: what tags, init segments and DRM systems say of them agrees."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from vod_operators.check.attributes import Attributes
from vod_operators.check.playlist import Playlist
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, is_ended
from vod_operators.check.tags import FORMS
from vod_operators.formats.facts import Init, Pssh
from vod_operators.formats.pssh import WIDEVINE, read_pssh

FAIRPLAY = "com.apple.streamingkeydelivery"
"""KEYFORMAT of FairPlay Streaming (Apple 13.3)."""

PATTERN = "1:9"
"""Blocks of pictures that are encrypted and skipped (Apple 13.7)."""

SESSION_AGREES = ("METHOD", "KEYFORMAT", "KEYFORMATVERSIONS")
"""Attributes that EXT-X-SESSION-KEY has in common with an EXT-X-KEY of the same URI."""

SCHEMES = {"SAMPLE-AES": "cbcs", "SAMPLE-AES-CTR": "cenc"}
"""Method -> scheme of Common Encryption in fMP4 (RFC 8216bis 4.4.4.4)."""


def _is_encrypted(presentation: Presentation) -> bool:
    return any(format.encrypted for track in presentation.tracks.values() for format in track.formats)


def _keys_in_force(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for entry, segment in track.pairs():
            if entry.encryption is None and any(stream.encrypted for stream in segment.streams):
                yield Finding(
                    where=track.place(entry), found="encrypted samples", expected="an EXT-X-KEY before it"
                )
                break


def _key_tags(presentation: Presentation) -> Iterator[tuple[Playlist, Attributes]]:
    """Playlist and attributes of each EXT-X-KEY and EXT-X-SESSION-KEY."""
    for playlist in presentation.playlists:
        for tag in ("EXT-X-KEY", "EXT-X-SESSION-KEY"):
            for item in playlist.lists.get(tag, []):
                yield playlist, item


def _has_keys(presentation: Presentation) -> bool:
    return any(item.get("METHOD") != "NONE" for _, item in _key_tags(presentation))


def _is_fairplay(item: Attributes) -> bool:
    return item.get("KEYFORMAT") == FAIRPLAY or item.get("URI", "").startswith("skd:")


def _fairplay(presentation: Presentation) -> Iterator[Finding]:
    for playlist, item in _key_tags(presentation):
        for name, value in (("METHOD", "SAMPLE-AES"), ("KEYFORMAT", FAIRPLAY)):
            if _is_fairplay(item) and item.get(name) != value:
                words = f"{name}={item.get(name, 'missing')} of FairPlay Streaming"
                yield Finding(where=playlist.name, found=words, expected=value)
                break


def _counter_mode(presentation: Presentation) -> Iterator[Finding]:
    for name in dict.fromkeys(
        p.name for p, i in _key_tags(presentation) if i.get("METHOD") == "SAMPLE-AES-CTR"
    ):
        yield Finding(where=name, found="METHOD=SAMPLE-AES-CTR", expected="SAMPLE-AES")


def _patterns(presentation: Presentation) -> Iterator[Finding]:
    for track, format in presentation.videos():
        if format.pattern not in ("", PATTERN):
            yield Finding(where=track.name, found=f"a pattern of {format.pattern}", expected=PATTERN)


def _hdcp(presentation: Presentation) -> Iterator[Finding]:
    for where, declared in presentation.listed():
        size = re.fullmatch(FORMS["RESOLUTION"], declared.get("RESOLUTION", ""))
        width, height = map(int, size[0].split("x")) if size else (0, 0)
        levels = ["TYPE-1"] if width > 1920 or height > 1080 else ["TYPE-0", "TYPE-1"]
        level = declared.get("HDCP-LEVEL", "missing")
        if (width >= 1280 or height >= 720) and level not in levels:
            words = f"HDCP-LEVEL={level} of {declared['RESOLUTION']}"
            yield Finding(where=where, found=words, expected=levels[0])


def _session(presentation: Presentation) -> list[Attributes]:
    """Attributes of each EXT-X-SESSION-KEY."""
    return presentation.master.lists.get("EXT-X-SESSION-KEY", []) if presentation.master else []


def _session_keys(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        for item, key in product(_session(presentation), track.playlist.lists.get("EXT-X-KEY", [])):
            names = [name for name in SESSION_AGREES if item.get(name) != key.get(name)]
            if names and item.get("URI") == key.get("URI"):
                words = f"another {', '.join(names)} of {item.get('URI')} than in EXT-X-SESSION-KEY"
                yield Finding(where=track.name, found=words, expected="the same")
                break


def _session_used(presentation: Presentation) -> Iterator[Finding]:
    if any(track.playlist.unreadable for track in presentation.media):
        return
    used = {key.get("URI") for t in presentation.media for key in t.playlist.lists.get("EXT-X-KEY", [])}
    for item in _session(presentation):
        if item.get("URI") not in used:
            words = f"EXT-X-SESSION-KEY of {_short(item.get('URI', ''))}"
            yield Finding(where="multivariant playlist", found=words, expected="an EXT-X-KEY of that URI")


def _short(uri: str) -> str:
    return uri if len(uri) <= 60 else f"{uri[:50]}..."


def _encrypted_inits(presentation: Presentation) -> Iterator[tuple[Track, Init]]:
    """Each init segment of encrypted samples, with its track."""
    for track in presentation.tracks.values():
        for init in track.inits:
            if init.protections:
                yield track, init


def _has_encrypted_inits(presentation: Presentation) -> bool:
    return any(True for _ in _encrypted_inits(presentation))


def _boxes(presentation: Presentation) -> Iterator[Finding]:
    for track, init in _encrypted_inits(presentation):
        for protection in init.protections:
            found = ""
            if not protection.scheme:
                found = "an encrypted sample entry without a scheme (schm)"
            elif not protection.key_id:
                found = f"no key id in its tenc ({protection.scheme})"
            elif not (protection.vector_bytes or protection.constant_vector_bytes):
                found = f"no vector of {protection.scheme} in its tenc"
            if found:
                yield Finding(
                    where=track.name, found=found, expected="schm and tenc as ISO 23001-7 8 has them"
                )


def _schemes(presentation: Presentation) -> Iterator[Finding]:
    for track, init in _encrypted_inits(presentation):
        methods = {key.method for entry in track.playlist.entries for key in entry.keys}
        expected = {SCHEMES[method] for method in methods & SCHEMES.keys()}
        for protection in init.protections:
            if expected and protection.scheme and protection.scheme not in expected:
                words = f"{protection.scheme} under METHOD={', '.join(sorted(methods))}"
                yield Finding(where=track.name, found=words, expected=" or ".join(sorted(expected)))
                break


def _has_pssh(presentation: Presentation) -> bool:
    in_tags = any(_box_of(item) is not None for _, item in _key_tags(presentation))
    return in_tags or any(init.pssh for track in presentation.media for init in track.inits)


def _box_of(item: Attributes) -> bytes | None:
    """The bytes in the data URI of a Widevine key; None of any other."""
    uri = item.get("URI", "")
    if not item.get("KEYFORMAT", "").lower().endswith(WIDEVINE) or not re.match("data:[^,]*;base64,", uri):
        return None
    try:
        return base64.b64decode(uri.partition(",")[2], validate=True)
    except ValueError:
        return b""


def _pssh(presentation: Presentation) -> Iterator[Finding]:
    expected = "a pssh box of version 0 or 1 (ISO 23001-7 8.1)"
    for track in presentation.media:
        for init in track.inits:
            for box in init.pssh:
                if box.fault:
                    yield Finding(where=track.name, found=box.fault, expected=expected)
    for playlist, item in _key_tags(presentation):
        data = _box_of(item)
        if data is None:
            continue
        given = read_pssh(data)
        if given.fault or given.system != WIDEVINE:
            words = given.fault or f"a pssh box of system {given.system}"
            yield Finding(where=playlist.name, found=f"{words} in a key of Widevine", expected=expected)


def _named(item: Attributes) -> list[str]:
    """The key ids that a tag names, 32 hex digits each; empty if it names none."""
    told = re.fullmatch(r"0[xX]([0-9A-Fa-f]{32})", item.get("KEYID", ""))
    data = _box_of(item)
    box: Pssh | None = read_pssh(data) if data else None
    return ([told[1].lower()] if told else []) + list(box.key_ids if box else ())


def _key_ids(presentation: Presentation) -> Iterator[Finding]:
    for track, init in _encrypted_inits(presentation):
        named = [key for item in track.playlist.lists.get("EXT-X-KEY", []) for key in _named(item)]
        for protection in init.protections:
            if named and protection.key_id and protection.key_id not in named:
                words = f"key id {protection.key_id} in the init segment"
                yield Finding(where=track.name, found=words, expected=" or ".join(dict.fromkeys(named)))
                break


@lru_cache(maxsize=64)
def _in_box(key_format: str, uri: str) -> tuple[str, ...]:
    """The key ids in a tag's box; kept, because all segments under one tag ask for the same."""
    return tuple(_named({"KEYFORMAT": key_format, "URI": uri}))


def _key_of_segments(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        own = [protection.key_id for init in track.inits for protection in init.protections]
        for entry, segment in track.pairs():
            named = {key_id for key in entry.keys for key_id in _in_box(key.key_format, key.uri or "")}
            used = {key for s in segment.streams if s.encrypted for key in s.key_ids or own[:1]}
            if named and len(own) <= 1 and not used <= named:
                words = f"samples under key {', '.join(sorted(used - named))}"
                yield Finding(where=track.place(entry), found=words, expected=" or ".join(sorted(named)))
                break


# fmt: off
RULES = (
    Rule(id="12.key", source="RFC 8216bis 4.4.4.4", says="what is encrypted has an EXT-X-KEY",
         applies=_is_encrypted, check=_keys_in_force),
    Rule(id="12.fairplay", source="Apple 13.2, 13.3", says="METHOD and KEYFORMAT of FairPlay Streaming",
         applies=lambda p: any(_is_fairplay(item) for _, item in _key_tags(p)), check=_fairplay),
    Rule(id="12.no-ctr", source="Apple 13.11", says="no SAMPLE-AES-CTR",
         applies=_has_keys, check=_counter_mode),
    Rule(id="12.pattern", source="Apple 13.7", says="Common Encryption of pictures has a pattern of 1:9",
         applies=lambda p: any(format.pattern for _, format in p.videos()), check=_patterns),
    Rule(id="12.hdcp", source="Apple 13.5, 13.6", says="HDCP-LEVEL of HD under FairPlay", must=False,
         applies=lambda p: any(_is_fairplay(item) for _, item in _key_tags(p)), check=_hdcp),
    Rule(id="12.session-key", source="RFC 8216bis 4.4.6.5", says="EXT-X-SESSION-KEY agrees with EXT-X-KEY",
         applies=lambda p: bool(_session(p)), check=_session_keys),
    Rule(id="12.session-used", source="RFC 8216bis 4.4.6.5", says="EXT-X-SESSION-KEY is of a key in use",
         applies=lambda p: is_ended(p) and bool(_session(p)),
         check=_session_used, must=False),
    Rule(id="12.boxes", source="ISO 23001-7 8.2", says="encrypted samples have scheme, key id and vector",
         applies=_has_encrypted_inits, check=_boxes),
    Rule(id="12.scheme", source="RFC 8216bis 4.4.4.4", says="SAMPLE-AES is cbcs, SAMPLE-AES-CTR is cenc",
         applies=_has_encrypted_inits, check=_schemes),
    Rule(id="12.pssh", source="ISO 23001-7 8.1", says="pssh boxes are whole, and of their system",
         applies=_has_pssh, check=_pssh),
    Rule(id="12.key-id", source="ISO 23001-7 8.2", says="a key's tag names the key id of the init segment",
         applies=lambda p: any(_named(item) for _, item in _key_tags(p)), check=_key_ids, must=False),
    Rule(id="12.key-of-segment", source="ISO 23001-7 6",
         says="the key in force is that which a segment's samples name",
         applies=lambda p: any(_named(item) for _, item in _key_tags(p)), check=_key_of_segments),
)
# fmt: on
