"""Rules 14 and 15: sound, subtitles and captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import (
    Finding,
    Rule,
    has_ladder,
    has_master,
    has_sound,
    has_sound_renditions,
    has_text,
    has_video,
    is_ended,
)
from vod_operators.check.rules_bandwidth import TOLERANCE, variants
from vod_operators.formats.languages import is_language
from vod_operators.formats.rates import rate_bps

STEREO_BPS = 160_000

SPAN_S = Fraction(1, 2)

Attributes = Mapping[str, str]


def _stereo_tracks(found: Presentation) -> list[Track]:
    known = ((t, t.format("audio")) for t in found.tracks.values())
    return [t for t, f in known if f and f.codecs.startswith("mp4a.40") and 1 <= f.channels <= 2]


def _stereo(found: Presentation) -> Iterator[Finding]:
    if not _stereo_tracks(found):
        there = sorted(
            {f"{f.codecs} of {f.channels}" for t in found.tracks.values() if (f := t.format("audio"))}
        )
        yield Finding(where="sound", found=", ".join(there), expected="AAC with two channels")


def _stereo_rate(found: Presentation) -> Iterator[Finding]:
    for track in _stereo_tracks(found):
        # Only the upper bound is checked: silence takes next to no bits.
        streams = [stream for _, stream in track.streams("audio")]
        rate = rate_bps(sum(s.size_bytes for s in streams), sum(s.duration for s in streams) or 1, 1)
        if rate > STEREO_BPS * (1 + TOLERANCE):
            yield Finding(where=track.name, found=f"{rate} b/s", expected="32 to 160 kb/s")


def _separate(found: Presentation) -> Iterator[Finding]:
    for track in found.of_kind("video"):
        if track.format("audio"):
            yield Finding(where=track.name, found="sound too", expected="a rendition of its own")


def _audio(found: Presentation) -> list[Attributes]:
    return [item for item in found.master.media if item.get("TYPE") == "AUDIO"] if found.master else []


def _member(item: Attributes) -> str:
    return f"{item.get('TYPE', '')} {item.get('GROUP-ID', '')}/{item.get('NAME', '')}"


def _language(found: Presentation) -> Iterator[Finding]:
    for item in found.master.media if found.master else []:
        must = ("LANGUAGE",) if item.get("TYPE") in ("AUDIO", "SUBTITLES") else ()
        for name in ("LANGUAGE", "ASSOC-LANGUAGE"):
            if (name in item or name in must) and not is_language(item.get(name, "")):
                words = f"{name}={item.get(name, 'missing')}"
                yield Finding(where=_member(item), found=words, expected="a BCP 47 tag of a known language")


def _groups(found: Presentation) -> dict[tuple[str, str], list[Attributes]]:
    groups: dict[tuple[str, str], list[Attributes]] = {}
    for item in found.master.media if found.master else []:
        groups.setdefault((item.get("TYPE", ""), item.get("GROUP-ID", "")), []).append(item)
    return groups


def _names(found: Presentation) -> Iterator[Finding]:
    for (kind, group), items in _groups(found).items():
        names = [item.get("NAME", "") for item in items]
        for name in sorted({name for name in names if names.count(name) > 1}):
            words = f"NAME={name!r} {names.count(name)} times"
            yield Finding(where=f"{kind} {group}", found=words, expected="once")


def _defaults(found: Presentation) -> Iterator[Finding]:
    for (kind, group), items in _groups(found).items():
        if (count := sum(item.get("DEFAULT") == "YES" for item in items)) > 1:
            yield Finding(where=f"{kind} {group}", found=f"{count} with DEFAULT=YES", expected="at most one")


def _channels(found: Presentation) -> Iterator[Finding]:
    for item in _audio(found):
        track = found.tracks.get(item.get("URI", ""))
        known = track.format("audio") if track else None
        told = item.get("CHANNELS", "")
        count, _, spatial = told.partition("/")
        # Objects are channels that no decoder of the bed knows of: CHANNELS="16/JOC" with a bed of six.
        if not told or spatial.strip("-/"):
            continue
        if known and known.channels and count != str(known.channels):
            yield Finding(where=_member(item), found=f"CHANNELS={told}", expected=str(known.channels))


def _same_members(found: Presentation) -> Iterator[Finding]:
    for kind in ("AUDIO", "SUBTITLES"):
        groups = [(g, _membership(items)) for (k, g), items in _groups(found).items() if k == kind]
        for group, members in groups[1:]:
            if members != groups[0][1]:
                odd = sorted(name for name, _ in members ^ groups[0][1])
                words = f"{', '.join(odd)} in one of them only"
                yield Finding(where=f"{kind} {group}", found=words, expected=f"the members of {groups[0][0]}")


def _membership(items: Sequence[Attributes]) -> set[tuple[str, str]]:
    return {(item.get("NAME", ""), item.get("LANGUAGE", "")) for item in items}


def _timestamp_map(found: Presentation) -> Iterator[Finding]:
    for track in found.of_kind("text"):
        for entry, segment in zip(track.playlist.entries, track.segments, strict=True):
            if segment.container == "vtt" and not segment.timestamp_map:
                where = f"{track.name}: {entry.uri.rsplit('/', 1)[-1]}"
                expected = "X-TIMESTAMP-MAP=MPEGTS:n,LOCAL:hh:mm:ss.ttt"
                yield Finding(where=where, found="no whole X-TIMESTAMP-MAP", expected=expected)
                break


def _span(found: Presentation) -> Iterator[Finding]:
    longest = max(found.of_kind("video"), key=lambda track: track.playlist.duration)
    for track in found.of_kind("text"):
        if abs(track.playlist.duration - longest.playlist.duration) > SPAN_S:
            yield Finding(
                where=track.name,
                found=seconds(track.playlist.duration),
                expected=f"{seconds(longest.playlist.duration)}, as {longest.name} lasts",
            )


def _has_captions(found: Presentation) -> bool:
    declared = any(a.get("CLOSED-CAPTIONS", "NONE") != "NONE" for _, a in found.variants())
    return declared or any(
        stream.captions for t in found.of_kind("video") for _, stream in t.streams("video")
    )


def _captions(found: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(found):
        group = declared.get("CLOSED-CAPTIONS", "NONE")
        there = any(stream.captions for _, stream in track.streams("video"))
        if there and group == "NONE":
            yield Finding(where=where, found="captions", expected="CLOSED-CAPTIONS=group")
        if not there and group != "NONE":
            yield Finding(where=where, found=f"CLOSED-CAPTIONS={group}", expected="captions in the pictures")


# fmt: off
RULES = (
    Rule(id="14.stereo", source="Apple 2.3", says="stereo AAC",
         applies=lambda p: has_master(p) and has_sound(p), check=_stereo),
    Rule(id="14.bitrate", source="Apple 2.9", says="stereo AAC of at most 160 kb/s", must=False,
         applies=has_sound, check=_stereo_rate),
    Rule(id="14.separate", source="Apple 9.5", says="sound apart from pictures", must=False,
         applies=lambda p: has_ladder(p) and has_sound(p), check=_separate),
    Rule(id="14.language", source="Apple 8.10", says="LANGUAGE of sound and subtitles",
         applies=lambda p: bool(p.master and p.master.media), check=_language),
    Rule(id="14.name", source="RFC 8216bis 4.4.6.1.1", says="NAME is unique in its group",
         applies=lambda p: bool(p.master and p.master.media), check=_names),
    Rule(id="14.default", source="RFC 8216bis 4.4.6.1.1", says="at most one DEFAULT in a group",
         applies=lambda p: bool(p.master and p.master.media), check=_defaults),
    Rule(id="14.channels", source="RFC 8216bis 4.4.6.1", says="CHANNELS is that of the sound",
         applies=has_sound_renditions, check=_channels),
    Rule(id="14.members", source="RFC 8216bis 4.4.6.1.1", says="groups of a kind hold the same members",
         applies=lambda p: bool(p.master and p.master.media), check=_same_members),
    Rule(id="15.timestamp-map", source="Apple 5.3", says="X-TIMESTAMP-MAP in each WebVTT segment",
         applies=has_text, check=_timestamp_map),
    Rule(id="15.span", source="Apple 5.5", says="subtitles span the whole presentation",
         applies=lambda p: has_text(p) and has_video(p) and is_ended(p), check=_span),
    Rule(id="15.captions", source="Apple 4.4", says="captions in the pictures are declared",
         applies=_has_captions, check=_captions),
)
# fmt: on
