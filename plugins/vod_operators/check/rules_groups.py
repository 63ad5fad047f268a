"""Rules 14 and 15: sound, subtitles and captions, and how EXT-X-MEDIA declares them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.declared import SOUND, listed_codecs, listing
from vod_operators.check.presentation import GROUPED, Presentation, Track
from vod_operators.check.rule import (
    Finding,
    Rule,
    has_master,
    has_sound,
    has_text,
    is_ended,
)
from vod_operators.check.rules_time import other_lengths
from vod_operators.check.rules_variants import TOLERANCE, has_pictures, pictures, variants
from vod_operators.check.tags import YES_NO
from vod_operators.formats.languages import is_language
from vod_operators.formats.rates import rate_bps

STEREO_BPS = 160_000

SPAN_S = Fraction(1, 2)

AAC = tuple(f"mp4a.40.{kind}" for kind in (1, 2, 3, 4, 5, 29, 42))
"""Main, LC, SSR, LTP, HE, HE version 2, xHE; MP3 is of the same family of names, as mp4a.40.34."""

FREE = {"GROUP-ID", "URI", "CHANNELS", "BIT-DEPTH", "STABLE-RENDITION-ID", "INSTREAM-ID", "SAMPLE-RATE"}
"""Attributes by which members of the same name in two groups may differ (RFC 8216bis 4.4.6.1.1)."""

DISTINCT, DEFAULTS = ("LANGUAGE", "ASSOC-LANGUAGE", "FORCED", "CHARACTERISTICS"), {"FORCED": "NO"}
"""Attributes by which players select one of a group (RFC 8216bis 4.4.6.1.1), and what absence says."""

LANGUAGE = "a BCP 47 tag of a known language"

ONLY_SOUND = ("CHANNELS", "BIT-DEPTH", "SAMPLE-RATE")

CHANNEL = re.compile(r"CC[1-4]|SERVICE([1-9]|[1-5]\d|6[0-3])")
"""INSTREAM-ID of closed captions (RFC 8216bis 4.4.6.1)."""


def _member(item: Attributes) -> str:
    """Names a member of a group in messages."""
    return f"{item.get('TYPE', '')} {item.get('GROUP-ID', '')}/{item.get('NAME', '')}"


def _stereo_tracks(presentation: Presentation) -> list[Track]:
    formats = ((t, t.format("audio")) for t in presentation.tracks.values())
    return [t for t, f in formats if f and f.codecs in AAC and 1 <= f.channels <= 2]


def _may_be_stereo(item: Attributes) -> bool:
    """Whether a member of an AUDIO group may have one or two channels, as far as it tells."""
    return item.get("CHANNELS", "2").partition("/")[0] in ("1", "2")


def _may_have_stereo(presentation: Presentation) -> bool:
    """Whether there may be stereo AAC in what could not be read, as far as attributes tell."""
    unread = [
        item for item in _audio(presentation) if "URI" not in item or _is_unread(presentation, item["URI"])
    ]
    if any(_may_be_stereo(item) for item in unread):
        return True
    for track, declared in presentation.variants():
        codecs = listed_codecs(declared)
        is_aac = not codecs or any(codec.startswith("mp4a") for codec in codecs)
        if "AUDIO" not in declared and is_aac and _is_unread(presentation, track.playlist.uri):
            return True
    return False


def _is_unread(presentation: Presentation, uri: str) -> bool:
    track = presentation.tracks.get(uri)
    return track is None or not track.formats


def _stereo(presentation: Presentation) -> Iterator[Finding]:
    if not _stereo_tracks(presentation) and not _may_have_stereo(presentation):
        tracks = presentation.tracks.values()
        formats = {f"{f.codecs} of {f.channels}" for t in tracks if (f := t.format("audio"))}
        told = {f"CHANNELS={item['CHANNELS']}" for item in _audio(presentation) if "CHANNELS" in item}
        words = ", ".join(sorted(formats or told))
        yield Finding(where="sound", found=words, expected="AAC with two channels")


def _stereo_rate(presentation: Presentation) -> Iterator[Finding]:
    for track in _stereo_tracks(presentation):
        # Only the upper bound is checked: silence takes next to no bits.
        streams = [stream for _, stream in track.streams("audio")]
        rate = rate_bps(sum(s.size_bytes for s in streams), sum(s.duration for s in streams) or 1, 1)
        if rate > STEREO_BPS * (1 + TOLERANCE):
            yield Finding(where=track.name, found=f"{rate} b/s", expected="32 to 160 kb/s")


def _separate(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        if track.format("audio"):
            yield Finding(where=track.name, found="pictures and sound", expected="a rendition of its own")
    for where, track, declared in pictures(presentation):
        has_sound = any(SOUND.match(codec) for codec in listed_codecs(declared))
        if has_sound and not (
            track.formats or presentation.sounds(declared) or presentation.missing_groups(declared)
        ):
            yield Finding(where=where, found="pictures and sound", expected="a rendition of its own")


def _audio(presentation: Presentation) -> list[Attributes]:
    return [item for item in presentation.renditions if item.get("TYPE") == "AUDIO"]


def _language(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        required = ("LANGUAGE",) if item.get("TYPE") != "VIDEO" else ()
        for name in ("LANGUAGE", "ASSOC-LANGUAGE"):
            if (name in item or name in required) and not is_language(item.get(name, "")):
                words = f"{name}={item.get(name, 'missing')}"
                yield Finding(where=_member(item), found=words, expected=LANGUAGE)
    for item in _session_data(presentation):
        if not is_language(item.get("LANGUAGE", "en")):
            where, words = f"EXT-X-SESSION-DATA {item.get('DATA-ID')}", f"LANGUAGE={item['LANGUAGE']}"
            yield Finding(where=where, found=words, expected=LANGUAGE)


def _session_data(presentation: Presentation) -> list[Attributes]:
    return presentation.master.lists.get("EXT-X-SESSION-DATA", []) if presentation.master else []


def _groups(presentation: Presentation) -> dict[tuple[str, str], list[Attributes]]:
    groups: dict[tuple[str, str], list[Attributes]] = {}
    for item in presentation.renditions:
        groups.setdefault((item.get("TYPE", ""), item.get("GROUP-ID", "")), []).append(item)
    return groups


def _names(presentation: Presentation) -> Iterator[Finding]:
    for (kind, group), items in _groups(presentation).items():
        names = [item.get("NAME", "") for item in items]
        for name in sorted({name for name in names if names.count(name) > 1}):
            words = f"NAME={name!r} {names.count(name)} times"
            yield Finding(where=f"{kind} {group}", found=words, expected="once")


def _defaults(presentation: Presentation) -> Iterator[Finding]:
    for (kind, group), items in _groups(presentation).items():
        if (count := sum(item.get("DEFAULT") == "YES" for item in items)) > 1:
            yield Finding(where=f"{kind} {group}", found=f"{count} with DEFAULT=YES", expected="at most one")


def _channels(presentation: Presentation) -> Iterator[Finding]:
    for item in _audio(presentation):
        track = presentation.tracks.get(item.get("URI", ""))
        format = track.format("audio") if track else None
        channels = item.get("CHANNELS", "")
        count, _, spatial = channels.partition("/")
        # Objects are channels that no decoder of the bed knows of: CHANNELS="16/JOC" with a bed of six.
        if not channels or spatial.strip("-/"):
            continue
        if format and format.channels and count != str(format.channels):
            yield Finding(where=_member(item), found=f"CHANNELS={channels}", expected=str(format.channels))


def _same_members(presentation: Presentation) -> Iterator[Finding]:
    for kind in GROUPED:
        groups = [(g, _membership(items)) for (k, g), items in _groups(presentation).items() if k == kind]
        for group, members in groups[1:]:
            first, reference = groups[0]
            if names := sorted(members.keys() ^ reference.keys()):
                words = f"{', '.join(names)} in one of them only"
                yield Finding(where=f"{kind} {group}", found=words, expected=f"the members of {first}")
            for name in members.keys() & reference.keys():
                pairs = members[name].items() ^ reference[name].items()
                if differing := sorted({attribute for attribute, _ in pairs}):
                    words = f"{name} has another {', '.join(differing)}"
                    yield Finding(where=f"{kind} {group}", found=words, expected=f"the same as in {first}")


def _membership(items: Sequence[Attributes]) -> dict[str, Attributes]:
    """Attributes that must be the same in all groups, by NAME; NO is what absence says too."""
    return {
        item.get("NAME", ""): {
            k: v for k, v in item.items() if k not in FREE and (k not in YES_NO or v != "NO")
        }
        for item in items
    }


def _timestamp_map(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("text"):
        for entry, segment in track.pairs():
            if segment.container == "vtt" and not segment.timestamp_map:
                where = track.place(entry)
                expected = "X-TIMESTAMP-MAP=MPEGTS:n,LOCAL:hh:mm:ss.ttt"
                yield Finding(where=where, found="no complete X-TIMESTAMP-MAP", expected=expected)
                break


def _span(presentation: Presentation) -> Iterator[Finding]:
    content = listing(presentation, "video") or listing(presentation, "audio")
    longest = max(content, key=lambda track: track.playlist.duration)
    yield from other_lengths(listing(presentation, "text"), longest, SPAN_S)


def _has_captions(presentation: Presentation) -> bool:
    declared = any(a.get("CLOSED-CAPTIONS", "NONE") != "NONE" for _, a in presentation.variants())
    return declared or any(
        stream.captions for t in presentation.of_kind("video") for _, stream in t.streams("video")
    )


def _captions(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        group = declared.get("CLOSED-CAPTIONS", "NONE")
        has_captions = any(stream.captions for _, stream in track.streams("video"))
        is_read = all(segment.stream("video") for segment in track.segments)
        if has_captions and group == "NONE":
            yield Finding(where=where, found="captions", expected="CLOSED-CAPTIONS=group")
        if is_read and not has_captions and group != "NONE":
            yield Finding(where=where, found=f"CLOSED-CAPTIONS={group}", expected="captions in the pictures")


def _groups_exist(presentation: Presentation) -> Iterator[Finding]:
    for where, attributes in presentation.listed():
        for kind in presentation.missing_groups(attributes):
            yield Finding(
                where=where,
                found=f'{kind}="{attributes[kind]}", a group without members',
                expected=f'EXT-X-MEDIA:TYPE={kind},GROUP-ID="{attributes[kind]}"',
            )


def _autoselect(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if item.get("DEFAULT") == "YES" and item.get("AUTOSELECT", "YES") != "YES":
            words = f"DEFAULT=YES,AUTOSELECT={item['AUTOSELECT']}"
            yield Finding(where=_member(item), found=words, expected="AUTOSELECT=YES, or no AUTOSELECT")


def _apart(presentation: Presentation) -> Iterator[Finding]:
    groups = _groups(presentation)
    with_pictures = {declared.get("AUDIO") for _, _, declared in pictures(presentation)}
    for (kind, group), items in groups.items():
        inside = [item for item in items if "URI" not in item]
        # Without pictures a variant's playlist is a stream of sound already.
        if kind == "AUDIO" and group in with_pictures and inside and len(items) > 1:
            words = f"one of {len(items)} members without URI"
            yield Finding(where=_member(inside[0]), found=words, expected="a URI: a playlist of its own")
    for number, (track, declared) in enumerate(presentation.variants(), start=1):
        where, angles = f"variant {number}", groups.get(("VIDEO", declared.get("VIDEO", "")), [])
        sound = track.format("audio")
        if len(angles) > 1 and "AUDIO" not in declared:
            yield Finding(where=where, found=f"{len(angles)} angles, and no AUDIO", expected="separate sound")
        if track.format("video") and sound and sound.channels > 2:
            yield Finding(
                where=where, found=f"{sound.channels} channels with pictures", expected="separate sound"
            )


def _alike(presentation: Presentation) -> Iterator[Finding]:
    for items in _groups(presentation).values():
        seen: dict[tuple[str, ...], Attributes] = {}
        for item in (item for item in items if item.get("AUTOSELECT") == "YES"):
            told = tuple(item.get(name, DEFAULTS.get(name, "")) for name in DISTINCT)
            if (first := seen.setdefault(told, item)) is not item:
                words = f"{', '.join(DISTINCT)} as of {_member(first)}"
                yield Finding(where=_member(item), found=words, expected="one of them differs")


def _forced_selected(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if item.get("FORCED") == "YES" and item.get("AUTOSELECT") != "YES":
            words = f"AUTOSELECT={item.get('AUTOSELECT', 'missing')}"
            yield Finding(where=_member(item), found=words, expected="YES, as subtitles are forced")


def _forced(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        if "FORCED" in item and item.get("TYPE") != "SUBTITLES":
            yield Finding(where=_member(item), found="FORCED", expected="FORCED of subtitles only")


def _types(presentation: Presentation) -> Iterator[Finding]:
    for item in presentation.renditions:
        kind = item.get("TYPE", "")
        if kind not in GROUPED:
            yield Finding(where=_member(item), found=f"TYPE={kind}", expected=", ".join(GROUPED))
            continue
        for name in ONLY_SOUND:
            if name in item and kind != "AUDIO":
                yield Finding(where=_member(item), found=name, expected=f"{name} of sound only")
        if kind == "SUBTITLES" and "URI" not in item:
            yield Finding(where=_member(item), found="no URI", expected="URI")
        if kind == "CLOSED-CAPTIONS" and "URI" in item:
            yield Finding(where=_member(item), found="a URI", expected="none: captions are in the pictures")
        if kind == "CLOSED-CAPTIONS" and not CHANNEL.fullmatch(item.get("INSTREAM-ID", "")):
            words = f"INSTREAM-ID={item.get('INSTREAM-ID', 'missing')}"
            yield Finding(where=_member(item), found=words, expected="CC1 to CC4, or SERVICE1 to SERVICE63")


def _channels_declared(presentation: Presentation) -> Iterator[Finding]:
    for item in _audio(presentation):
        if "CHANNELS" not in item:
            yield Finding(where=_member(item), found="no CHANNELS", expected="CHANNELS")


def _no_captions(presentation: Presentation) -> Iterator[Finding]:
    for number, (_, attributes) in enumerate(presentation.variants(), start=1):
        if attributes.get("CLOSED-CAPTIONS") != "NONE":
            words = f"CLOSED-CAPTIONS={attributes.get('CLOSED-CAPTIONS', 'missing')}"
            yield Finding(where=f"variant {number}", found=words, expected="NONE, as other variants have")


# fmt: off
RULES = (
    Rule(id="14.stereo", source="Apple 2.3", says="stereo AAC",
         applies=lambda p: has_master(p) and (has_sound(p) or bool(_audio(p))), check=_stereo),
    Rule(id="14.bitrate", source="Apple 2.9", says="stereo AAC of at most 160 kb/s", must=False,
         applies=has_sound, check=_stereo_rate),
    Rule(id="14.separate", source="Apple 9.5", says="sound apart from pictures", must=False,
         applies=has_pictures, check=_separate),
    Rule(id="14.language", source="Apple 8.10", says="LANGUAGE of all but VIDEO",
         applies=lambda p: bool(p.renditions or _session_data(p)), check=_language),
    Rule(id="14.name", source="RFC 8216bis 4.4.6.1.1", says="NAME is unique in its group",
         applies=lambda p: bool(p.renditions), check=_names),
    Rule(id="14.default", source="RFC 8216bis 4.4.6.1.1", says="at most one DEFAULT in a group",
         applies=lambda p: bool(p.renditions), check=_defaults),
    Rule(id="14.channels", source="RFC 8216bis 4.4.6.1", says="CHANNELS is that of the sound",
         applies=lambda p: bool(_audio(p)), check=_channels),
    Rule(id="14.members", source="RFC 8216bis 4.4.6.1.1", says="groups of a kind have the same members",
         applies=lambda p: bool(p.renditions), check=_same_members),
    Rule(id="15.timestamp-map", source="Apple 5.3", says="X-TIMESTAMP-MAP in each WebVTT segment",
         applies=has_text, check=_timestamp_map),
    Rule(id="15.span", source="Apple 5.5", says="subtitles span the whole presentation",
         applies=lambda p: bool(listing(p, "text") and listing(p, "video", "audio")) and is_ended(p),
         check=_span),
    Rule(id="15.captions", source="Apple 4.4", says="captions in the pictures are declared",
         applies=_has_captions, check=_captions),
    Rule(id="14.groups", source="RFC 8216bis 4.4.6.2", says="groups that variants name have members",
         applies=has_master, check=_groups_exist),
    Rule(id="14.autoselect", source="RFC 8216bis 4.4.6.1", says="what is DEFAULT=YES is no AUTOSELECT=NO",
         applies=lambda p: bool(p.renditions), check=_autoselect),
    Rule(id="14.forced", source="RFC 8216bis 4.4.6.1", says="FORCED of subtitles only",
         applies=lambda p: bool(p.renditions), check=_forced),
    Rule(id="14.apart", source="Apple 9.6 to 9.8", says="sound to choose from, or surround, is separate",
         applies=lambda p: has_master(p) and (has_sound(p) or bool(p.renditions)), check=_apart),
    Rule(id="14.distinct", source="RFC 8216bis 4.4.6.1.1", says="AUTOSELECT members of a group differ",
         applies=lambda p: bool(p.renditions), check=_alike, must=False),
    Rule(id="14.forced-selected", source="Apple 5.11", says="forced subtitles have AUTOSELECT=YES",
         applies=lambda p: any(item.get("FORCED") == "YES" for item in p.renditions),
         check=_forced_selected, must=False),
    Rule(id="14.type", source="RFC 8216bis 4.4.6.1", says="other attributes of EXT-X-MEDIA fit its TYPE",
         applies=lambda p: bool(p.renditions), check=_types),
    Rule(id="14.channels-told", source="RFC 8216bis 4.4.6.1", says="CHANNELS of sound is there", must=False,
         applies=lambda p: bool(_audio(p)), check=_channels_declared),
    Rule(id="15.captions-none", source="RFC 8216bis 4.4.6.2", says="CLOSED-CAPTIONS=NONE of all or of none",
         applies=lambda p: any(a.get("CLOSED-CAPTIONS") == "NONE" for _, a in p.variants()),
         check=_no_captions),
)
# fmt: on
