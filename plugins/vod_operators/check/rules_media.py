"""Rules 14 and 15 of EXT-X-MEDIA: its groups, and the attributes of each type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule, has_master, has_sound_renditions

GROUPED = ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS")
"""Types of EXT-X-MEDIA, each also the attribute of a variant that names a group of it."""

ONLY_SOUND = ("CHANNELS", "BIT-DEPTH", "SAMPLE-RATE")

CHANNEL = re.compile(r"CC[1-4]|SERVICE([1-9]|[1-5]\d|6[0-3])")
"""INSTREAM-ID of closed captions (RFC 8216bis 4.4.6.1)."""

Attributes = Mapping[str, str]


def missing_groups(found: Presentation, variant: Attributes) -> list[str]:
    """The types of which a variant names a group that has no member."""
    named = [kind for kind in GROUPED if kind in variant]
    return [
        kind
        for kind in named
        if (kind, variant[kind]) != ("CLOSED-CAPTIONS", "NONE") and not found.members(kind, variant[kind])
    ]


def _listed(found: Presentation) -> Iterator[tuple[str, Attributes]]:
    """Place (for messages) and attributes of each variant, also of those of I-frames."""
    if found.master is None:
        return
    for number, (_, attributes) in enumerate(found.master.variants, start=1):
        yield f"variant {number}", attributes
    for number, (_, attributes) in enumerate(found.master.i_frames, start=1):
        yield f"I-frame variant {number}", attributes


def _groups_exist(found: Presentation) -> Iterator[Finding]:
    for where, attributes in _listed(found):
        for kind in missing_groups(found, attributes):
            yield Finding(
                where=where,
                found=f'{kind}="{attributes[kind]}", a group without members',
                expected=f'EXT-X-MEDIA:TYPE={kind},GROUP-ID="{attributes[kind]}"',
            )


def _media(found: Presentation) -> list[Attributes]:
    return found.master.media if found.master else []


def _name(item: Attributes) -> str:
    return f"{item.get('TYPE', '')} {item.get('GROUP-ID', '')}/{item.get('NAME', '')}"


def _autoselect(found: Presentation) -> Iterator[Finding]:
    for item in _media(found):
        if item.get("DEFAULT") == "YES" and item.get("AUTOSELECT", "YES") != "YES":
            words = f"DEFAULT=YES,AUTOSELECT={item['AUTOSELECT']}"
            yield Finding(where=_name(item), found=words, expected="AUTOSELECT=YES, or no AUTOSELECT")


def _forced(found: Presentation) -> Iterator[Finding]:
    for item in _media(found):
        if "FORCED" in item and item.get("TYPE") != "SUBTITLES":
            yield Finding(where=_name(item), found="FORCED", expected="FORCED of subtitles only")


def _types(found: Presentation) -> Iterator[Finding]:
    for item in _media(found):
        kind = item.get("TYPE", "")
        if kind not in GROUPED:
            yield Finding(where=_name(item), found=f"TYPE={kind}", expected=", ".join(GROUPED))
            continue
        for name in ONLY_SOUND:
            if name in item and kind != "AUDIO":
                yield Finding(where=_name(item), found=name, expected=f"{name} of sound only")
        if kind == "SUBTITLES" and "URI" not in item:
            yield Finding(where=_name(item), found="no URI", expected="URI")
        if kind == "CLOSED-CAPTIONS" and "URI" in item:
            yield Finding(where=_name(item), found="a URI", expected="none: captions are in the pictures")
        if kind == "CLOSED-CAPTIONS" and not CHANNEL.fullmatch(item.get("INSTREAM-ID", "")):
            words = f"INSTREAM-ID={item.get('INSTREAM-ID', 'missing')}"
            yield Finding(where=_name(item), found=words, expected="CC1 to CC4, or SERVICE1 to SERVICE63")


def _channels_told(found: Presentation) -> Iterator[Finding]:
    for item in _media(found):
        if item.get("TYPE") == "AUDIO" and "CHANNELS" not in item:
            yield Finding(where=_name(item), found="no CHANNELS", expected="CHANNELS")


def _no_captions(found: Presentation) -> Iterator[Finding]:
    variants = [attributes for _, attributes in found.variants()]
    for number, attributes in enumerate(variants, start=1):
        if attributes.get("CLOSED-CAPTIONS") != "NONE":
            words = f"CLOSED-CAPTIONS={attributes.get('CLOSED-CAPTIONS', 'missing')}"
            yield Finding(where=f"variant {number}", found=words, expected="NONE, as other variants have")


def _has_media(found: Presentation) -> bool:
    return bool(_media(found))


def _tells_none(found: Presentation) -> bool:
    return any(attributes.get("CLOSED-CAPTIONS") == "NONE" for _, attributes in found.variants())


# fmt: off
RULES = (
    Rule(id="14.groups", source="RFC 8216bis 4.4.6.2", says="groups that variants name have members",
         applies=has_master, check=_groups_exist),
    Rule(id="14.autoselect", source="RFC 8216bis 4.4.6.1", says="what is DEFAULT=YES is no AUTOSELECT=NO",
         applies=_has_media, check=_autoselect),
    Rule(id="14.forced", source="RFC 8216bis 4.4.6.1", says="FORCED of subtitles only",
         applies=_has_media, check=_forced),
    Rule(id="14.type", source="RFC 8216bis 4.4.6.1", says="other attributes of EXT-X-MEDIA fit its TYPE",
         applies=_has_media, check=_types),
    Rule(id="14.channels-told", source="RFC 8216bis 4.4.6.1", says="CHANNELS of sound is there", must=False,
         applies=has_sound_renditions, check=_channels_told),
    Rule(id="15.captions-none", source="RFC 8216bis 4.4.6.2", says="CLOSED-CAPTIONS=NONE of all or of none",
         applies=_tells_none, check=_no_captions),
)
# fmt: on
