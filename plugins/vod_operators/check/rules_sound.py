"""Rules 14 of codecs of sound: Dolby's, beside which Apple wants others, and HE-AAC."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_master
from vod_operators.check.rules_variants import TOLERANCE
from vod_operators.formats.dolby import ENTRIES
from vod_operators.formats.facts import Format
from vod_operators.formats.rates import rate_bps

HE_AAC = ("mp4a.40.5", "mp4a.40.29")

HE_BPS = 64_000


def _sounds(presentation: Presentation) -> list[tuple[Track, Format]]:
    """The tracks of sound, each with its format."""
    formats = ((track, track.format("audio")) for track in presentation.of_kind("audio"))
    return [(track, format) for track, format in formats if format]


def _dolby(presentation: Presentation) -> list[tuple[Track, Format]]:
    """Those of Dolby's in fMP4 whose samples can be read."""
    return [
        (track, format)
        for track, format in _sounds(presentation)
        if format.entry in ENTRIES and not format.encrypted and track.inits
    ]


def _frames(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _dolby(presentation):
        for entry, stream in track.streams("audio"):
            coded = stream.coded
            if coded is None:
                found = "a sample that is no frame of it"
            elif (coded.entry, coded.channels, coded.sample_rate) != (
                format.entry, format.channels, format.sample_rate,
            ):  # fmt: skip
                found = f"{coded.entry} of {coded.channels} channels, {coded.sample_rate} Hz"
            else:
                continue
            words = f"{format.entry} of {format.channels} channels, {format.sample_rate} Hz"
            yield Finding(where=track.place(entry), found=found, expected=words)
            break


def joc_of(track: Track, format: Format) -> int | None:
    """Complexity index of the objects in a track; None if it cannot be known."""
    told = [format.joc, *(s.coded.joc for _, s in track.streams("audio") if s.coded)]
    return max(told) or (None if format.encrypted else 0)


def _told(presentation: Presentation) -> Iterator[tuple[str, Attributes, int, Format]]:
    """Of each member of an AUDIO group in Dolby's codecs: its place, attributes, objects and format."""
    for item in presentation.renditions:
        track = presentation.tracks.get(item.get("URI", ""))
        format = track.format("audio") if track else None
        if item.get("TYPE") != "AUDIO" or not track or not format or format.entry not in ENTRIES:
            continue
        joc = joc_of(track, format)
        if joc is not None and "CHANNELS" in item:
            yield f"AUDIO {item.get('GROUP-ID', '')}/{item.get('NAME', '')}", item, joc, format


def _objects(presentation: Presentation) -> Iterator[Finding]:
    for where, item, joc, format in _told(presentation):
        if "JOC" in item["CHANNELS"].partition("/")[2] and not joc:
            words = f"CHANNELS={item['CHANNELS']}, and no objects in it"
            yield Finding(where=where, found=words, expected=str(format.channels))


def _objects_told(presentation: Presentation) -> Iterator[Finding]:
    for where, item, joc, _ in _told(presentation):
        if joc and "JOC" not in item["CHANNELS"].partition("/")[2]:
            words = f"CHANNELS={item['CHANNELS']} of sound with objects"
            yield Finding(where=where, found=words, expected=f"{joc}/JOC")


def _entries(presentation: Presentation) -> set[str]:
    return {format.entry for _, format in _sounds(presentation)}


def _dolby_digital(presentation: Presentation) -> Iterator[Finding]:
    if "ac-3" not in _entries(presentation):
        yield Finding(where="sound", found="ec-3 without ac-3", expected="ac-3 beside it")


def _has_dolby_surround(presentation: Presentation) -> bool:
    return any(format.entry in ENTRIES and format.channels > 2 for _, format in _sounds(presentation))


def _surround_aac(presentation: Presentation) -> Iterator[Finding]:
    formats = [format for _, format in _sounds(presentation)]
    if not any(format.entry == "mp4a" and format.channels > 2 for format in formats):
        words = ", ".join(sorted({f.codecs for f in formats if f.channels > 2}))
        yield Finding(where="sound", found=f"surround in {words} only", expected="surround in AAC beside it")


def _he_rate(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _sounds(presentation):
        streams = [stream for _, stream in track.streams("audio")]
        rate = rate_bps(sum(s.size_bytes for s in streams), sum(s.duration for s in streams) or 1, 1)
        if format.codecs in HE_AAC and format.channels <= 2 and rate > HE_BPS * (1 + TOLERANCE):
            yield Finding(where=track.name, found=f"{rate} b/s of HE-AAC", expected="at most 64 kb/s")


# fmt: off
RULES = (
    Rule(id="14.dolby", source="ETSI TS 102 366", says="Dolby's frames are as the init segment says",
         applies=lambda p: bool(_dolby(p)), check=_frames),
    Rule(id="14.objects", source="RFC 8216bis 4.4.6.1", says="sound has objects if CHANNELS says so",
         applies=lambda p: any(True for _ in _told(p)), check=_objects),
    Rule(id="14.objects-told", source="RFC 8216bis 4.4.6.1", says="CHANNELS tells of objects in the sound",
         applies=lambda p: any(joc for _, _, joc, _ in _told(p)), check=_objects_told, must=False),
    # Only a warning: it is for devices that do not know the newer one.
    Rule(id="14.dolby-digital", source="Apple 2.6", says="Dolby Digital beside Dolby Digital Plus",
         applies=lambda p: has_master(p) and "ec-3" in _entries(p), check=_dolby_digital, must=False),
    Rule(id="14.surround-aac", source="Apple 2.26", says="surround in AAC beside that of Dolby", must=False,
         applies=lambda p: has_master(p) and _has_dolby_surround(p), check=_surround_aac),
    Rule(id="14.he-aac", source="Apple 2.4", says="no HE-AAC above 64 kb/s", must=False,
         applies=lambda p: any(f.codecs in HE_AAC for _, f in _sounds(p)), check=_he_rate),
)
# fmt: on
