"""Measured tracks -> a DASH manifest of the same CMAF segments as HLS (ISO 23009-1, CMAF profile)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from vod_operators.formats.rates import rate_bps
from vod_operators.media.hls import families
from vod_operators.media.key_tags import add_protection, by_key, is_for_dash
from vod_operators.media.sound_codecs import CODECS, SUFFIXES, SURROUND_SUFFIX
from vod_operators.media.tiles import Tiles, add_thumbnails
from vod_operators.media.track import Track
from vod_operators.media.trick import TRICK_MODE

MPD = "urn:mpeg:dash:schema:mpd:2011"
ANY_MEDIA = "urn:mpeg:dash:profile:full:2011"
PROFILES = f"{ANY_MEDIA},urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"
"""The last two demand a ``SegmentTemplate`` and MP4 (ISO 23009-1, 8.4.2). What is neither, as WebVTT in one
file, must be left out of them by ``@profiles`` of its own (8.1)."""
ROLE = "urn:mpeg:dash:role:2011"
CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
DOLBY_CHANNELS = "tag:dolby.com,2014:dash:audio_channel_configuration:2011"
"""Loudspeakers of AC-3 and E-AC-3, as four hex digits (ETSI TS 102 366, I.1.2.1)."""
JOC = "tag:dolby.com,2018:dash:EC3_ExtensionType:2018"
JOC_COMPLEXITY = "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018"
"""Objects in E-AC-3, Dolby Atmos (ETSI TS 103 420, D.2)."""
AUDIO_PURPOSE, FOR_BLIND, FOR_DEAF = "urn:tva:metadata:cs:AudioPurposeCS:2007", "1", "2"
"""For the visually impaired, and for the hard of hearing, also of subtitles (DASH-IF IOP 7.1.2)."""
CICP = "urn:mpeg:mpegB:cicp:"
BT_709 = "1"
BT_2020 = {"ColourPrimaries": "9", "MatrixCoefficients": "9"}
"""Of all HDR renditions (ITU-T H.273)."""
SWITCHING = "urn:mpeg:dash:adaptation-set-switching:2016"

TRANSFERS = {"PQ": "16", "HLG": "18"}
"""Video range -> transfer characteristics (ITU-T H.273)."""

SEGMENT_NAMES = "seg-$Number%05d$.m4s"
"""The names that ``ffmpeg.package`` gives them."""

TRICK_NAMES = "trick-$Number%05d$.m4s"
"""The names of ``media.trick``."""

TRICK_SETS, THUMBNAIL_SET = 1000, 2000
"""Ids of the sets of key frames, and of the storyboard: above those of all tracks."""

PICTURES = "pictures"
"""Folder of the storyboard."""

WHOLE_TEXT = "whole.vtt"
"""A whole subtitle track in one file, beside its segments."""

Element = ElementTree.Element


def has_manifest(tracks: Sequence[Track]) -> bool:
    """Whether the tracks can have a DASH manifest.

    Not MPEG-TS, which has no init segments. Of encrypted tracks only those with a DRM system that players of
    DASH know: it has neither whole-segment encryption nor key URIs.
    """
    media = [track for track in tracks if track.kind != "text"]
    return all(track.init_bytes and is_for_dash(track.encryption) for track in media)


def manifest(tracks: Sequence[Track], target_s: int, *, prefix: str, tiles: Tiles | None = None) -> str:
    """The manifest of all tracks: an adaptation set for each video codec and range, each audio and each
    subtitle track.

    A set of key frames follows those of pictures that have one (``media.trick``), and a set of the storyboard
    comes last.

    :param tiles: the storyboard's sheets; None if it is not listed.
    :param prefix: put before each track's URI: ``""`` inside the version's folder, ``"VERSION/"`` above it.
    """
    longest = max(Fraction(track.ticks, track.timescale) for track in tracks)
    longest_segment = max(Fraction(s.ticks, track.timescale) for track in tracks for s in track.segments)
    root = Element(
        "MPD",
        xmlns=MPD,
        profiles=PROFILES,
        type="static",
        mediaPresentationDuration=_duration(longest),
        minBufferTime=_duration(Fraction(target_s)),
        maxSegmentDuration=_duration(longest_segment),
    )
    period = ElementTree.SubElement(root, "Period", {"id": "0", "start": "PT0S"})
    # A set has one key (DASH-IF IOP 6): players are told to switch between sets.
    ladders = [members for family in families(tracks) for members in by_key(family)]
    has_hdr = any(members[0].video_range != "SDR" for members in ladders)
    for number, members in enumerate(ladders):
        others = _switchable(ladders, number)
        _add_video(period, number, members, others, target_s, prefix, beside_hdr=has_hdr)
    for number, track in enumerate((t for t in tracks if t.kind == "audio"), start=len(ladders)):
        _add_audio(period, number, track, target_s, prefix)
    for number, track in enumerate((t for t in tracks if t.kind == "text"), start=len(tracks)):
        _add_text(period, number, track, target_s, prefix)
    for number, members in enumerate(ladders):
        for track in members:
            if track.trick_bytes:
                _add_key_frames(period, TRICK_SETS + number, number, track, prefix)
    if tiles:
        add_thumbnails(period, THUMBNAIL_SET, tiles, f"{prefix}{PICTURES}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def steered(manifest: str, locations: Mapping[str, str], server_url: str) -> str:
    """The manifest with all edges, and who steers between them (ISO 23009-1:2026, ETSI TS 103 998).

    :param locations: name of each -> URL of the folder that the manifest's URLs are relative to; best first.
    :param server_url: of the steering manifest. Absolute, because dash.js 5.2 resolves it against the page.
    """
    added = [f'<BaseURL serviceLocation="{name}">{escape(url)}</BaseURL>' for name, url in locations.items()]
    first = next(iter(locations))
    steering = f'<ContentSteering defaultServiceLocation="{first}">{escape(server_url)}</ContentSteering>'
    lines = "".join(f"  {element}\n" for element in (*added, steering))
    before, period, after = manifest.partition("  <Period")
    return before + lines + period + after


def _switchable(ladders: Sequence[Sequence[Track]], number: int) -> list[str]:
    """Ids of the other sets that players may switch to as between bitrates: all segments are aligned.

    None of another dynamic range is among them, because a screen may go dark when that changes.
    """
    own = ladders[number][0].video_range
    return [str(n) for n, ladder in enumerate(ladders) if n != number and ladder[0].video_range == own]


def _add_video(
    period: Element,
    number: int,
    tracks: Sequence[Track],
    other_sets: list[str],
    target_s: int,
    prefix: str,
    *,
    beside_hdr: bool,
) -> None:
    adaptation = _adaptation(period, number, "video")
    add_protection(adaptation, tracks[0].encryption)
    _tell_range(adaptation, tracks[0])
    if beside_hdr and tracks[0].video_range == "SDR":  # shaka-player takes what tells nothing for any range
        _describe(adaptation, "SupplementalProperty", CICP + "TransferCharacteristics", BT_709)
    if other_sets:
        _describe(adaptation, "SupplementalProperty", SWITCHING, ",".join(other_sets))
    for track in tracks:
        rate = track.frame_rate or Fraction(0)
        facts = {
            "width": str(track.width),
            "height": str(track.height),
            "frameRate": _rate(rate),
            "sar": "1:1",
        }
        _add_segments(_represent(adaptation, track, target_s, facts), track, prefix)


def _tell_range(adaptation: Element, track: Track) -> None:
    """Add the colours of HDR. A player that does not know these properties leaves the set alone, because they
    are essential (ISO 23009-1, 5.8.4.8)."""
    if transfer := TRANSFERS.get(track.video_range):
        for name, value in (*BT_2020.items(), ("TransferCharacteristics", transfer)):
            _describe(adaptation, "EssentialProperty", CICP + name, value)


def _add_key_frames(period: Element, number: int, of_set: int, track: Track, prefix: str) -> None:
    """Add the set of a track's key frames.

    :param of_set: the set that they are of.
    """
    adaptation = _adaptation(period, number, "video")
    # The last one may be shown more shortly than the others.
    step = Fraction(max(key.ticks for key in track.key_frames), track.timescale)
    # A decoder that keeps up with the track decodes as many key frames a second as it has pictures.
    adaptation.set("maxPlayoutRate", str(int(step * (track.frame_rate or 0))))
    adaptation.set("codingDependency", "false")
    _describe(adaptation, "EssentialProperty", TRICK_MODE, str(of_set))
    _tell_range(adaptation, track)
    pieces = zip(track.trick_bytes, track.segments, strict=True)
    peak = max(rate_bps(size, segment.ticks, track.timescale) for size, segment in pieces)
    facts = {
        "id": f"{track.name}-trick",
        "codecs": track.codecs,
        "bandwidth": str(peak),
        "width": str(track.width),
        "height": str(track.height),
        "frameRate": _rate(1 / step),
        "sar": "1:1",
    }
    _add_segments(ElementTree.SubElement(adaptation, "Representation", facts), track, prefix, TRICK_NAMES)


def _add_audio(period: Element, number: int, track: Track, target_s: int, prefix: str) -> None:
    adaptation = _adaptation(period, number, "audio")
    add_protection(adaptation, track.encryption)
    if track.language:
        adaptation.set("lang", track.language)
    _label(adaptation, track, _words(track))
    _purpose(adaptation, track, "main" if track.default else "alternate")
    representation = _represent(adaptation, track, target_s, {"audioSamplingRate": str(track.sample_rate)})
    if track.speakers:
        _describe(representation, "AudioChannelConfiguration", DOLBY_CHANNELS, f"{track.speakers:04X}")
    else:
        _describe(representation, "AudioChannelConfiguration", CHANNELS, str(track.channels))
    if track.joc:
        _describe(representation, "SupplementalProperty", JOC, "JOC")
        _describe(representation, "SupplementalProperty", JOC_COMPLEXITY, str(track.joc))
    _add_segments(representation, track, prefix)


def _words(track: Track) -> str:
    """What tells a rendition from the stereo one of the same track, after its title."""
    if track.name.endswith(SURROUND_SUFFIX):
        return " 5.1"
    label = next((CODECS[codec].label for codec, end in SUFFIXES.items() if track.name.endswith(end)), "")
    if track.joc:
        return " Dolby Atmos"
    surround = {6: " 5.1", 8: " 7.1"}.get(track.channels or 0, "") if track.speakers else ""
    return f"{surround} {label}" if label else ""


def _add_text(period: Element, number: int, track: Track, target_s: int, prefix: str) -> None:
    """Add a subtitle track: IMSC1 in its segments, WebVTT as one file, as DASH players expect it.

    The segments of WebVTT carry HLS's clock."""
    if track.init_bytes:
        adaptation = _adaptation(period, number, "text", "application/mp4")
    else:
        facts = {"id": str(number), "contentType": "text", "mimeType": "text/vtt", "profiles": ANY_MEDIA}
        adaptation = ElementTree.SubElement(period, "AdaptationSet", facts)
    if track.language:
        adaptation.set("lang", track.language)
    _label(adaptation, track)
    kind = "forced-subtitle" if track.forced else "caption" if track.hearing_impaired else "subtitle"
    _purpose(adaptation, track, kind, *(["main"] if track.default else []))
    if track.init_bytes:
        _add_segments(_represent(adaptation, track, target_s, {}), track, prefix)
        return
    rate = {"id": track.name, "bandwidth": str(track.peak_bps(target_s))}
    representation = ElementTree.SubElement(adaptation, "Representation", rate)
    ElementTree.SubElement(representation, "BaseURL").text = f"{prefix}{track.name}/{WHOLE_TEXT}"


def _adaptation(period: Element, number: int, kind: str, mime_type: str = "") -> Element:
    return ElementTree.SubElement(
        period,
        "AdaptationSet",
        id=str(number),
        contentType=kind,
        mimeType=mime_type or f"{kind}/mp4",
        segmentAlignment="true",
        startWithSAP="1",
    )


def _represent(adaptation: Element, track: Track, target_s: int, facts: dict[str, str]) -> Element:
    rate = str(track.peak_bps(target_s))
    return ElementTree.SubElement(
        adaptation, "Representation", {"id": track.name, "codecs": track.codecs, "bandwidth": rate, **facts}
    )


def _add_segments(representation: Element, track: Track, prefix: str, names: str = SEGMENT_NAMES) -> None:
    """Add a timeline with the length of every segment; equal neighbours share an element."""
    template = ElementTree.SubElement(
        representation,
        "SegmentTemplate",
        timescale=str(track.timescale),
        startNumber="1",
        initialization=f"{prefix}{track.name}/init.mp4",
        media=f"{prefix}{track.name}/{names}",
    )
    timeline = ElementTree.SubElement(template, "SegmentTimeline")
    start = 0
    for ticks, run in groupby(segment.ticks for segment in track.segments):
        count = len(list(run))
        facts = {"d": str(ticks)} | ({"r": str(count - 1)} if count > 1 else {})
        ElementTree.SubElement(timeline, "S", {"t": "0", **facts} if start == 0 else facts)
        start += ticks * count


def _label(adaptation: Element, track: Track, words: str = "") -> None:
    """Add the track's name, before all descriptors but properties: the schema's order is fixed."""
    if track.title:
        ElementTree.SubElement(adaptation, "Label").text = track.title + words


def _purpose(adaptation: Element, track: Track, *roles: str) -> None:
    """Add what the track is for: Accessibility, then Role (ISO 23009-1, 5.8.5.5).

    :param roles: those that all tracks of its kind have.
    """
    if track.describes_video:
        _describe(adaptation, "Accessibility", AUDIO_PURPOSE, FOR_BLIND)
    if track.hearing_impaired:
        _describe(adaptation, "Accessibility", AUDIO_PURPOSE, FOR_DEAF)
    own = {
        "description": track.describes_video,
        "enhanced-audio-intelligibility": track.hearing_impaired and track.kind == "audio",
        "commentary": track.commentary,
    }
    for role in (*roles, *(role for role, is_so in own.items() if is_so)):
        _describe(adaptation, "Role", ROLE, role)


def _describe(parent: Element, tag: str, scheme: str, value: str) -> None:
    ElementTree.SubElement(parent, tag, {"schemeIdUri": scheme, "value": value})


def _rate(rate: Fraction) -> str:
    return str(rate.numerator) + (f"/{rate.denominator}" if rate.denominator > 1 else "")


def _duration(seconds: Fraction) -> str:
    """``PT12.340S``, rounded up to the millisecond."""
    milliseconds = -(-seconds * 1000 // 1)
    return f"PT{milliseconds // 1000}.{milliseconds % 1000:03d}S"
