"""EXT-X-KEY, EXT-X-SESSION-KEY and EXT-X-SESSION-DATA (RFC 8216bis 4.4.4.4, 4.4.6.4, 4.4.6.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vod_operators.check.attributes import Attributes
from vod_operators.check.tags import METHODS, SESSION_KEY, WITHOUT_IV


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """One EXT-X-KEY."""

    method: str
    uri: str | None
    iv: bytes | None
    key_format: str


def encryption_of(values: Attributes, errors: list[str], place: str) -> Encryption | None:
    """What an EXT-X-KEY says; None if its method is none."""
    method, iv = values.get("METHOD", ""), values.get("IV", "")
    if iv and not re.fullmatch(r"0[xX][0-9A-Fa-f]{32}", iv):
        errors.append(f"{place}: IV is not 0x and 32 hexadecimal digits")
        iv = ""
    if method not in METHODS:
        errors.append(f"{place}: METHOD={method} is not a known method")
    if method == "NONE" and len(values) > 1:
        errors.append(f"{place}: METHOD=NONE has other attributes")
    if method in WITHOUT_IV and "IV" in values:
        errors.append(f"{place}: METHOD={method} has an IV")
    if method != "NONE" and "URI" not in values:
        errors.append(f"{place}: METHOD={method} has no URI")
    if method in ("NONE", ""):
        return None
    return Encryption(
        method=method,
        uri=values.get("URI"),
        iv=bytes.fromhex(iv[2:]) if iv else None,
        key_format=values.get("KEYFORMAT", "identity"),
    )


def in_force(keys: Mapping[str, Encryption], following: Encryption | None) -> dict[str, Encryption]:
    """EXT-X-KEY in force, by KEYFORMAT, after a further one; none after one whose method is none."""
    if following is None:
        return {}
    others = {name: key for name, key in keys.items() if name != following.key_format}
    return others | {following.key_format: following}


def readable(keys: Mapping[str, Encryption]) -> Encryption | None:
    """Of the keys in force, that which is at an address, or else the last one; None if there is none."""
    last = [*keys.values()][-1] if keys else None
    bare = keys.get("identity")
    return bare if bare and last and bare.method == last.method else last


def session_faults(name: str, values: Attributes, before: Sequence[Attributes]) -> Iterator[str]:
    """What is wrong with an EXT-X-SESSION-DATA or EXT-X-SESSION-KEY after others of its kind, in words."""
    same: tuple[str, ...] = ()
    if name == "EXT-X-SESSION-DATA":
        same = ("DATA-ID", "LANGUAGE")
        if ("VALUE" in values) == ("URI" in values):
            yield f"{name} has not exactly one of VALUE and URI"
    elif name == "EXT-X-SESSION-KEY":
        same = SESSION_KEY
        if values.get("METHOD") == "NONE":
            yield f"{name} has METHOD=NONE"
    if same and any(all(values.get(key) == other.get(key) for key in same) for other in before):
        yield f"{name} of the same {', '.join(same)} appears twice"
