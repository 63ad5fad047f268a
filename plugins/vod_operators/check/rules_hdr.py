"""Rules 16, and of 3 and 13: high dynamic range."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_i_frames, has_master
from vod_operators.check.rules_time import RATE_TOLERANCE, measured_rate
from vod_operators.formats.facts import Cicp, Format
from vod_operators.formats.hdr import StaticMetadata

Videos = list[tuple[Track, Format]]

BT_2020, UNSPECIFIED = 9, 2

ALIKE_TRANSFERS, ALIKE_MATRICES = (1, 6, 14, 15), (5, 6)
"""Code points that mean the same (ITU-T H.273)."""

MOST_PLACES = 5
"""Most segments of a track that are reported."""


def _hdr(presentation: Presentation) -> Videos:
    return [(t, f) for t, f in presentation.videos() if t.video_range in ("PQ", "HLG")]


def _pq(presentation: Presentation) -> Videos:
    """Of ten bits, as HDR10 is: H.264 of Apple's profiles has eight."""
    videos = [(t, f) for t, f in presentation.videos() if not f.entry.startswith("avc")]
    return [(track, format) for track, format in videos if format.video_range == "PQ"]


def _hdr10(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _pq(presentation):
        if not (format.hdr_metadata or any(stream.hdr_metadata for _, stream in track.streams("video"))):
            yield Finding(where=track.name, found="neither", expected="mastering display and light level")


def _form(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _hdr(presentation):
        if format.entry.startswith("avc"):
            yield Finding(where=track.name, found=f"{track.video_range} in H.264", expected="HEVC or AV1")
        elif 0 < format.depth < 10:
            yield Finding(
                where=track.name, found=f"{track.video_range} of {format.depth} bits", expected="10 bits"
            )
        colour = format.colour or format.entry_colour
        if colour and colour.primaries not in (BT_2020, UNSPECIFIED):
            words = f"{track.video_range} with colour primaries {colour.primaries}"
            yield Finding(where=track.name, found=words, expected=f"{BT_2020} (BT.2020)")


def _plain(colour: Cicp) -> Cicp:
    return Cicp(
        colour.primaries,
        ALIKE_TRANSFERS[0] if colour.transfer in ALIKE_TRANSFERS else colour.transfer,
        ALIKE_MATRICES[0] if colour.matrix in ALIKE_MATRICES else colour.matrix,
    )


def _formats(track: Track) -> list[Format]:
    return [format for format in track.formats if format.kind == "video"]


def _has_entry_colours(presentation: Presentation) -> bool:
    return any(
        format.entry_colour and format.colour
        for track, _ in presentation.videos()
        for format in _formats(track)
    )


def _colours(presentation: Presentation) -> Iterator[Finding]:
    for track, _ in presentation.videos():
        for format in _formats(track):
            if not (format.colour and format.entry_colour):
                continue
            told, coded = _plain(format.entry_colour), _plain(format.colour)
            if any(a != b and UNSPECIFIED not in (a, b) for a, b in zip(told, coded, strict=True)):
                words = "colr says " + "/".join(map(str, format.entry_colour))
                expected = "/".join(map(str, format.colour)) + ", as the parameter sets"
                yield Finding(where=track.name, found=words, expected=expected)


def _told(track: Track) -> Iterator[tuple[str, StaticMetadata]]:
    """Place and static metadata of all that has some."""
    for format in _formats(track):
        for name, metadata in (("sample entry", format.entry_metadata), ("parameter sets", format.metadata)):
            if metadata:
                yield f"{track.name}: {name}", metadata
    for entry, stream in track.streams("video"):
        if stream.metadata:
            yield track.place(entry), stream.metadata


def _tells(presentation: Presentation) -> bool:
    return any(True for track, _ in _hdr(presentation) for _ in _told(track))


def _same(presentation: Presentation) -> Iterator[Finding]:
    for track, _ in _hdr(presentation):
        told = list(_told(track))
        odd = [(where, metadata) for where, metadata in told if told[0][1].differs(metadata)]
        for where, metadata in odd[:MOST_PLACES]:
            expected = f"{told[0][1].words}, as {told[0][0]}"
            yield Finding(where=where, found=metadata.words, expected=expected)
        streams = [
            (track.place(entry), stream.metadata or StaticMetadata())
            for entry, stream in track.streams("video")
        ]
        for name, part in (("mastering display", "mastering"), ("light level", "light")):
            silent = [where for where, metadata in streams if not getattr(metadata, part)]
            if silent and len(silent) < len(streams):
                words = f"no {name} in {len(silent)} of {len(streams)} segments"
                yield Finding(where=silent[0], found=words, expected="in all or in none")


def _with_metadata(presentation: Presentation) -> Videos:
    """Tracks of HEVC in PQ with static metadata anywhere."""
    return [
        (track, format)
        for track, format in _pq(presentation)
        if format.entry[:3] in ("hvc", "hev") and any(True for _ in _told(track))
    ]


def _configuration(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _with_metadata(presentation):
        if not format.metadata:
            yield Finding(where=track.name, found="static metadata elsewhere only", expected="also in hvcC")


def _rate(presentation: Presentation) -> Iterator[Finding]:
    rates = [rate for track, _ in _hdr(presentation) if (rate := measured_rate(track))]
    if rates and min(rates) > 30 + RATE_TOLERANCE:
        found = f"{float(min(rates)):.3f} frames a second and more"
        yield Finding(where="HDR variants", found=found, expected="some of at most 30")


def _i_frame_ranges(presentation: Presentation) -> set[str]:
    return {
        presentation.i_frames[uri].video_range or declared.get("VIDEO-RANGE", "SDR")
        for uri, declared in presentation.i_frame_streams
    }


def _some_sdr_i_frames(presentation: Presentation) -> Iterator[Finding]:
    if "SDR" not in (ranges := _i_frame_ranges(presentation)):
        found = f"only {', '.join(sorted(ranges))}"
        yield Finding(where="I-frame playlists", found=found, expected="some of SDR")


# fmt: off
RULES = (
    Rule(id="3.hdr-rate", source="Apple 1.20", says="some HDR is of at most 30 frames a second", must=False,
         applies=lambda p: has_master(p) and bool(_hdr(p)), check=_rate),
    Rule(id="13.sdr", source="Apple 6.14", says="some I-frame playlist is SDR",
         applies=lambda p: has_master(p) and has_i_frames(p), check=_some_sdr_i_frames),
    Rule(id="16.format", source="Apple 1.7", says="HDR is HEVC or AV1 of ten bits, in BT.2020",
         applies=lambda p: bool(_hdr(p)), check=_form),
    Rule(id="16.hdr10", source="Apple 1.35", says="HDR10 tells mastering display and light level", must=False,
         applies=lambda p: bool(_pq(p)), check=_hdr10),
    Rule(id="16.configuration", source="Apple 1.8", says="HDR10's metadata are in hvcC too", must=False,
         applies=lambda p: bool(_with_metadata(p)), check=_configuration),
    Rule(id="16.same", source="ISO 14496-12 12.1.6", says="HDR metadata are the same everywhere", must=False,
         applies=_tells, check=_same),
    Rule(id="16.colours", source="ISO 14496-12 12.1.5", says="colr is that of the parameter sets", must=False,
         applies=_has_entry_colours, check=_colours),
)
# fmt: on
