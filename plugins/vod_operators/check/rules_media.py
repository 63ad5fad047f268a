"""Rules 14 and 15 of EXT-X-MEDIA: its groups, and the attributes of each type."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule, has_master, has_sound_renditions

GROUPED = ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS")
"""Types of EXT-X-MEDIA, each also the attribute of a variant that names a group of it."""

ONLY_SOUND = ("CHANNELS", "BIT-DEPTH", "SAMPLE-RATE")

CHANNEL = re.compile(r"CC[1-4]|SERVICE([1-9]|[1-5]\d|6[0-3])")
"""INSTREAM-ID of closed captions (RFC 8216bis 4.4.6.1)."""


def missing_groups(presentation: Presentation, variant: Attributes) -> list[str]:
    """The types of which a variant names a group that has no member."""
    named = [kind for kind in GROUPED if kind in variant]
    return [
        kind
        for kind in named
        if (kind, variant[kind]) != ("CLOSED-CAPTIONS", "NONE")
        and not presentation.members(kind, variant[kind])
    ]


def _listed(presentation: Presentation) -> Iterator[tuple[str, Attributes]]:
    """Place (for messages) and attributes of each variant, also of those of I-frames."""
    if presentation.master is None:
        return
    for number, (_, attributes) in enumerate(presentation.master.variants, start=1):
        yield f"variant {number}", attributes
    for number, (_, attributes) in enumerate(presentation.master.i_frames, start=1):
        yield f"I-frame variant {number}", attributes


def _groups_exist(presentation: Presentation) -> Iterator[Finding]:
    for where, attributes in _listed(presentation):
        for kind in missing_groups(presentation, attributes):
            yield Finding(
                where=where,
                found=f'{kind}="{attributes[kind]}", a group without members',
                expected=f'EXT-X-MEDIA:TYPE={kind},GROUP-ID="{attributes[kind]}"',
            )


def member(item: Attributes) -> str:
    """Names a member of a group in messages."""
    return f"{item.get('TYPE', '')} {item.get('GROUP-ID', '')}/{item.get('NAME', '')}"


def _autoselect(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if item.get("DEFAULT") == "YES" and item.get("AUTOSELECT", "YES") != "YES":
            words = f"DEFAULT=YES,AUTOSELECT={item['AUTOSELECT']}"
            yield Finding(where=member(item), found=words, expected="AUTOSELECT=YES, or no AUTOSELECT")


def _forced(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if "FORCED" in item and item.get("TYPE") != "SUBTITLES":
            yield Finding(where=member(item), found="FORCED", expected="FORCED of subtitles only")


def _types(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        kind = item.get("TYPE", "")
        if kind not in GROUPED:
            yield Finding(where=member(item), found=f"TYPE={kind}", expected=", ".join(GROUPED))
            continue
        for name in ONLY_SOUND:
            if name in item and kind != "AUDIO":
                yield Finding(where=member(item), found=name, expected=f"{name} of sound only")
        if kind == "SUBTITLES" and "URI" not in item:
            yield Finding(where=member(item), found="no URI", expected="URI")
        if kind == "CLOSED-CAPTIONS" and "URI" in item:
            yield Finding(where=member(item), found="a URI", expected="none: captions are in the pictures")
        if kind == "CLOSED-CAPTIONS" and not CHANNEL.fullmatch(item.get("INSTREAM-ID", "")):
            words = f"INSTREAM-ID={item.get('INSTREAM-ID', 'missing')}"
            yield Finding(where=member(item), found=words, expected="CC1 to CC4, or SERVICE1 to SERVICE63")


def _channels_declared(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if item.get("TYPE") == "AUDIO" and "CHANNELS" not in item:
            yield Finding(where=member(item), found="no CHANNELS", expected="CHANNELS")


def _no_captions(presentation: Presentation) -> Iterator[Finding]:
    variants = [attributes for _, attributes in presentation.variants()]
    for number, attributes in enumerate(variants, start=1):
        if attributes.get("CLOSED-CAPTIONS") != "NONE":
            words = f"CLOSED-CAPTIONS={attributes.get('CLOSED-CAPTIONS', 'missing')}"
            yield Finding(where=f"variant {number}", found=words, expected="NONE, as other variants have")


def _has_media(presentation: Presentation) -> bool:
    return bool(presentation.renditions)


def _has_none(presentation: Presentation) -> bool:
    return any(attributes.get("CLOSED-CAPTIONS") == "NONE" for _, attributes in presentation.variants())


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
         applies=has_sound_renditions, check=_channels_declared),
    Rule(id="15.captions-none", source="RFC 8216bis 4.4.6.2", says="CLOSED-CAPTIONS=NONE of all or of none",
         applies=_has_none, check=_no_captions),
)
# fmt: on
