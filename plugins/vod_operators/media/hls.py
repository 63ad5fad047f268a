"""Measured tracks -> HLS playlists.

Rules are cited by number: "Apple n.n" is Apple's HLS Authoring Specification.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

import m3u8
from m3u8.model import SessionData

from vod_operators.media.key_tags import key_attributes, session_key_attributes
from vod_operators.media.sound_codecs import GROUPED, is_plain
from vod_operators.media.track import Track

FIRST_VARIANT_BPS = 2_000_000
"""Players start with the variant listed first; Apple 1.32 wants it near this average."""

SURROUND_SHARE = 5
"""Surround is listed with pictures of at least this many times its bitrate (docs/decisions/028)."""

AUDIO_GROUP = "audio"
TEXT_GROUP, IMSC_GROUP = "text", "imsc"
CAPTIONS_GROUP = "cc"

FAMILIES = ("avc1", "hvc1", "av01")
"""Sample entries of the video codecs, in the order of the master playlist."""


RANGES = ("SDR", "PQ", "HLG")
"""Values of VIDEO-RANGE, in that order too."""


def version_of(track: Track, *, i_frames_only: bool) -> int:
    """Protocol version of a playlist (RFC 8216bis 8).

    With an init segment it is 7, as CMAF says (EXT-X-MAP needs 6). Otherwise it is the lowest, because old
    players refuse a higher one: 3 for fractional durations, 4 for I-frame playlists and alternate renditions.
    """
    if track.init_bytes:
        return 7
    return 4 if i_frames_only else 3


def _dump(playlist: m3u8.M3U8) -> str:
    text: str = playlist.dumps(infspec="microseconds")
    return text if text.endswith("\n") else text + "\n"


def media_playlist(track: Track, target_s: int) -> str:
    """The media playlist of one track, beside its segments."""
    entries = [(segment.name, segment.ticks, None) for segment in track.segments]
    return _playlist(track, target_s, entries)


def i_frame_playlist(track: Track, target_s: int) -> str:
    """The I-frame playlist of one video track: byte ranges of its segments."""
    entries = [(key.file, key.ticks, f"{key.size_bytes}@{key.offset}") for key in track.key_frames]
    return _playlist(track, target_s, entries, i_frames_only=True)


def _playlist(
    track: Track,
    target_s: int,
    entries: Sequence[tuple[str, int, str | None]],
    *,
    i_frames_only: bool = False,
) -> str:
    """A playlist of one track.

    :param entries: URI, ticks and byte range of each.
    """
    playlist = m3u8.M3U8()
    playlist.version = version_of(track, i_frames_only=i_frames_only)
    playlist.target_duration = target_s
    playlist.media_sequence = 0
    playlist.playlist_type = "VOD"
    playlist.is_i_frames_only = i_frames_only
    playlist.is_endlist = True
    init = {"uri": "init.mp4"} if track.init_bytes else None
    for uri, ticks, place in entries:
        duration = ticks / track.timescale
        playlist.add_segment(m3u8.Segment(uri=uri, duration=duration, byterange=place, init_section=init))
    return _locked(_dump(playlist), track, [uri for uri, _, _ in entries])


def _locked(text: str, track: Track, uris: Sequence[str]) -> str:
    """The playlist with EXT-X-KEY before its first segment, after EXT-X-MAP, because the init segment is
    clear; and before each segment whose key is not that of the one before.

    :param uris: of all entries.
    """
    if track.encryption is None:
        return text
    numbers = {segment.name: number for number, segment in enumerate(track.segments)}
    head, *entries = text.split("#EXTINF")
    lines, before = [head], None
    for uri, entry in zip(uris, entries, strict=True):
        # Copies of key frames are in a file of their own; then the key never changes.
        encryption = track.encryption.of_segment(numbers.get(uri, 0))
        if encryption is not before:
            lines += [f"#EXT-X-KEY:{attributes}\n" for attributes in key_attributes(encryption)]
        lines.append(f"#EXTINF{entry}")
        before = encryption
    return "".join(lines)


def audio_groups(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Sound tracks by group: stereo in AAC; and for each codec of 5.1 that any has, a group with that in
    place of its stereo. Opus is in none (docs/decisions/039-sound-codecs.md)."""
    audios = {track.name: track for track in tracks if track.kind == "audio"}
    stereo = [track for track in audios.values() if is_plain(track.name)]
    groups = {AUDIO_GROUP: stereo} if stereo else {}
    for suffix in GROUPED:
        if any(name.endswith(suffix) for name in audios):
            groups[AUDIO_GROUP + suffix] = [audios.get(track.name + suffix, track) for track in stereo]
    return groups


def unlisted(tracks: Sequence[Track]) -> list[Track]:
    """Sound tracks that are in no group: those of the DASH manifest alone."""
    listed = {track.name for group in audio_groups(tracks).values() for track in group}
    return [track for track in tracks if track.kind == "audio" and track.name not in listed]


def text_groups(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Subtitle tracks by group: WebVTT, then the same as IMSC1 in fragmented MP4, if there are any."""
    texts = [track for track in tracks if track.kind == "text"]
    groups = {TEXT_GROUP: [track for track in texts if not track.init_bytes]}
    groups[IMSC_GROUP] = [track for track in texts if track.init_bytes]
    return {name: members for name, members in groups.items() if members}


def families(tracks: Sequence[Track]) -> list[list[Track]]:
    """Video tracks by codec and range, H.264 first because every player has it, and SDR before HDR; in each,
    the lowest bitrate first."""
    videos = [track for track in tracks if track.kind == "video"]

    def family(track: Track) -> tuple[int, int]:
        return FAMILIES.index(track.family), RANGES.index(track.video_range)

    ordered = sorted(videos, key=lambda track: (family(track), track.average_bps))
    return [list(members) for _, members in groupby(ordered, key=family)]


def first_variant_first(family: Sequence[Track]) -> list[Track]:
    """The track that players should start with, then the others in their order (Apple 1.32)."""
    first = min(family, key=lambda track: abs(track.average_bps - FIRST_VARIANT_BPS))
    return [first, *(track for track in family if track is not first)]


def master_playlist(
    tracks: Sequence[Track], target_s: int, *, prefix: str, session_data: Mapping[str, str] | None = None
) -> str:
    """The master playlist of all tracks.

    :param prefix: put before each track's URI: ``""`` inside the version's folder, ``"VERSION/"`` above it.
    :param session_data: DATA-ID -> file in the version's folder, for EXT-X-SESSION-DATA.
    """
    videos = families(tracks)
    groups = audio_groups(tracks)
    texts = text_groups(tracks)
    captions = sorted({channel for family in videos for track in family for channel in track.captions})
    ranges = {track.video_range for family in videos for track in family}
    master = m3u8.M3U8()
    master.version = version_of(tracks[0], i_frames_only=True)
    if any(channel.startswith("SERVICE") for channel in captions):
        master.version = max(7, master.version)  # RFC 8216bis 8, of CEA-708
    master.is_variant = True
    master.is_independent_segments = True
    for data_id, file in (session_data or {}).items():
        master.session_data.append(SessionData(data_id=data_id, uri=f"{prefix}{file}"))
    for member in _members(groups, texts, captions, prefix):
        master.add_media(member)
    for track, group, text_group in _variants(videos, groups, texts):
        info = _variant(track, groups.get(group, []), target_s) | _range(track, ranges)
        if text_group == IMSC_GROUP:  # so that players without it leave the variant alone
            info["codecs"] += f",{texts[text_group][0].codecs}"
        if videos and not captions:
            info["closed_captions"] = "NONE"  # on all variants or on none (RFC 8216bis 4.4.6.2)
        elif track.captions:
            info["closed_captions"] = CAPTIONS_GROUP
        if group:
            info["audio"] = group
        if text_group:
            info["subtitles"] = text_group
        # m3u8 writes AUDIO="..." only for a group whose members it is given.
        master.add_playlist(m3u8.Playlist(f"{prefix}{track.name}/index.m3u8", info, master.media, None))
    for track in (track for family in videos for track in family if track.key_frames):
        info = _i_frames(track, target_s) | _range(track, ranges)
        master.add_iframe_playlist(m3u8.IFramePlaylist(None, f"{prefix}{track.name}/iframes.m3u8", info))
    # m3u8 drops trailing zeros, but players and validators expect three decimals (Apple 9.15).
    text = re.sub(r"FRAME-RATE=([0-9.]+)", lambda rate: f"FRAME-RATE={float(rate[1]):.3f}", _dump(master))
    keys = "".join(f"#EXT-X-SESSION-KEY:{attributes}\n" for attributes in session_key_attributes(tracks))
    return re.sub(r"^(?=#EXT-X-(MEDIA|STREAM-INF):)", lambda _: keys, text, count=1, flags=re.M)


def _members(
    groups: Mapping[str, Sequence[Track]],
    texts: Mapping[str, Sequence[Track]],
    captions: Sequence[str],
    prefix: str,
) -> Iterator[m3u8.Media]:
    """EXT-X-MEDIA of all sound, subtitles and captions."""
    for group, tracks in groups.items():
        autoselected = _autoselected(tracks)
        for track in tracks:
            yield _audio_member(track, group, prefix, autoselect=track.name in autoselected)
    for group, tracks in texts.items():
        autoselected = _autoselected(tracks)
        for track in tracks:
            yield _text_member(track, group, prefix, autoselect=track.name in autoselected)
    for channel in captions:
        yield _captions_member(channel, autoselect=channel == captions[0])


def _autoselected(tracks: Sequence[Track]) -> set[str]:
    """Names of a group's tracks that a player may choose unasked: never a commentary.

    Of tracks with the same attributes it is only one (RFC 8216bis 4.4.6.1.1), the default if that is one.
    """
    alike: dict[object, str] = {}
    for track in sorted(tracks, key=lambda track: not track.default):
        if not track.commentary:
            alike.setdefault((track.language, track.forced, track.characteristics), track.name)
    return set(alike.values())


def _variants(
    videos: Sequence[Sequence[Track]],
    groups: Mapping[str, Sequence[Track]],
    texts: Collection[str],
) -> list[tuple[Track, str, str]]:
    """Track, sound group and subtitle group of each variant, in order; a group is empty if there is none."""
    if not videos:  # sound only: the default track stands for its group
        return [
            (next((t for t in tracks if t.default), tracks[0]), name, text)
            for name, tracks in groups.items()
            for text in texts or [""]
        ]
    return [
        (track, name, text)
        for family in videos
        for name, sounds in (groups or {"": []}).items()
        for text in texts or [""]
        for track in first_variant_first(_rungs_with(sounds, family))
    ]


def _rungs_with(sounds: Sequence[Track], family: Sequence[Track]) -> Sequence[Track]:
    """The tracks of a family that are listed with a sound group: all with stereo, the upper ones with 5.1.

    Stereo has all of them, because players that prefer it choose from nothing else.
    """
    surround_bps = max((s.average_bps for s in sounds if s.name.endswith(GROUPED)), default=0)
    *lower, largest = family
    return [*(track for track in lower if track.average_bps >= SURROUND_SHARE * surround_bps), largest]


def _audio_member(track: Track, group: str, prefix: str, *, autoselect: bool) -> m3u8.Media:
    return m3u8.Media(
        type="AUDIO", group_id=group, name=track.title,
        language=track.language or "und",  # Apple 8.10 requires it; "und" is BCP 47's code for unknown
        default="YES" if track.default else "NO", autoselect="YES" if autoselect else "NO",
        # Objects are told in place of the loudspeakers (RFC 8216bis 4.4.6.1).
        channels=f"{track.joc}/JOC" if track.joc else str(track.channels),
        characteristics=",".join(track.characteristics) or None,
        uri=f"{prefix}{track.name}/index.m3u8",
    )  # fmt: skip


def _text_member(track: Track, group: str, prefix: str, *, autoselect: bool) -> m3u8.Media:
    return m3u8.Media(
        type="SUBTITLES", group_id=group, name=track.title, language=track.language or "und",
        default="YES" if track.default else "NO", autoselect="YES" if autoselect else "NO",
        forced="YES" if track.forced else "NO",
        characteristics=",".join(track.characteristics) or None,
        uri=f"{prefix}{track.name}/index.m3u8",
    )  # fmt: skip


def _captions_member(channel: str, *, autoselect: bool) -> m3u8.Media:
    # The captions do not tell their language; Apple 4.4 and 8.10 require one.
    return m3u8.Media(
        type="CLOSED-CAPTIONS", group_id=CAPTIONS_GROUP, name=channel, instream_id=channel, language="und",
        default="NO", autoselect="YES" if autoselect else "NO",
    )  # fmt: skip


def _variant(track: Track, group: Sequence[Track], target_s: int) -> dict[str, Any]:
    """Attributes of one variant: its track plus the largest track of its group (Apple 9.1, 9.13, 9.14)."""
    sounds = [sound for sound in group if sound is not track]
    codecs = dict.fromkeys(t.codecs for t in (track, *sounds))
    info: dict[str, Any] = {
        "bandwidth": track.peak_bps(target_s),
        "average_bandwidth": track.average_bps,
        "codecs": ",".join(codecs),
    }
    if track.kind == "video":
        info["bandwidth"] += max((t.peak_bps(target_s) for t in sounds), default=0)
        info["average_bandwidth"] += max((t.average_bps for t in sounds), default=0)
        info["resolution"] = f"{track.width}x{track.height}"
        info["frame_rate"] = float(track.frame_rate or 0)
    return info


def _i_frames(track: Track, target_s: int) -> dict[str, Any]:
    return {
        "bandwidth": track.key_frame_peak_bps(target_s),
        "average_bandwidth": track.key_frame_average_bps(),
        "codecs": track.codecs,
        "resolution": f"{track.width}x{track.height}",
    }


def _range(track: Track, ranges: Set[str]) -> dict[str, str]:
    """The VIDEO-RANGE attribute; none if all tracks are SDR (Apple 9.16)."""
    return {} if track.kind != "video" or ranges == {"SDR"} else {"video_range": track.video_range}
