"""Measured tracks -> playlists, and the rules they must keep before anyone sees them.

Nothing in a playlist is declared from settings: durations, sizes, codecs and bandwidths are those
of the segments that were written. Rules and numbers are of Apple's HLS Authoring Specification
("Apple n.n") and RFC 8216bis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import m3u8
from pydantic import Field

from vod_operators.errors import VerificationError
from vod_operators.media.isobmff import first_sample, read_fragments, starts_with_idr
from vod_operators.media.models import AudioRendition, Model, Name, Plan, Rate, Rendition
from vod_operators.media.plan import SURROUND_SUFFIX

FIRST_VARIANT_BPS = 2_000_000
"""Players start with the variant listed first; Apple 9.10 wants it near this average."""

AUDIO_GROUP = "audio"

AAC_FRAME = 1024
"""Samples."""


# --- what was measured ----------------------------------------------------------------------


class Segment(Model):
    """One media segment, from its own headers."""

    name: str
    ticks: int = Field(gt=0)
    samples: int = Field(gt=0)
    size_bytes: int = Field(gt=0)


class KeyFrame(Model):
    """Where one IDR picture stands: what a line of an I-frame playlist points to."""

    segment: int
    offset: int
    """First byte of the ``moof`` (Apple 6.10), in the segment's file."""
    size_bytes: int
    """To the end of the picture."""
    ticks: int
    """Until the next one."""


class Track(Model):
    """One track as it was written: the facts that playlists are made of."""

    name: Name
    kind: Literal["video", "audio"]
    codecs: str
    """RFC 6381, as read from the init segment."""
    timescale: int
    init_bytes: int
    segments: tuple[Segment, ...] = Field(min_length=1)
    key_frames: tuple[KeyFrame, ...] = ()
    width: int | None = None
    height: int | None = None
    frame_rate: Rate | None = None
    channels: int | None = None
    sample_rate: int | None = None
    language: str | None = None
    title: str | None = None
    default: bool = False

    @property
    def ticks(self) -> int:
        """Length of the track."""
        return sum(segment.ticks for segment in self.segments)

    @property
    def samples(self) -> int:
        """Video frames, or audio frames of 1024 samples."""
        return sum(segment.samples for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """All segments and the init segment."""
        return self.init_bytes + sum(segment.size_bytes for segment in self.segments)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.ticks / self.timescale

    @property
    def average_bps(self) -> int:
        """Bits of all segments over their duration (Apple 9.14)."""
        return _rate(sum(segment.size_bytes for segment in self.segments), self.ticks, self.timescale)

    def peak_bps(self, target_s: int) -> int:
        """Highest rate of contiguous segments that last 0.5 to 1.5 target durations (RFC 8216bis 4.4.6.2)."""
        return _peak(
            [(s.size_bytes, s.ticks) for s in self.segments], self.timescale, target_s, self.average_bps
        )

    def key_frame_average_bps(self) -> int:
        """Average rate of the I-frame playlist."""
        return _rate(sum(key.size_bytes for key in self.key_frames), self.ticks, self.timescale)

    def key_frame_peak_bps(self, target_s: int) -> int:
        """Peak rate of the I-frame playlist."""
        pieces = [(key.size_bytes, key.ticks) for key in self.key_frames]
        return _peak(pieces, self.timescale, target_s, self.key_frame_average_bps())


def _rate(size_bytes: int, ticks: int, timescale: int) -> int:
    return -(-8 * size_bytes * timescale // ticks)


def _peak(pieces: Sequence[tuple[int, int]], timescale: int, target_s: int, at_least: int) -> int:
    peak = at_least
    for begin in range(len(pieces)):
        size = ticks = 0
        for piece_size, piece_ticks in pieces[begin:]:
            size, ticks = size + piece_size, ticks + piece_ticks
            if 2 * ticks > 3 * target_s * timescale:
                break
            if 2 * ticks >= target_s * timescale:
                peak = max(peak, _rate(size, ticks, timescale))
    return peak


def target_duration_s(plan: Plan) -> int:
    """The one target duration of all tracks (Apple 8.2): a segment and an audio frame, rounded."""
    longest = plan.segment_frames / plan.frame_rate + Fraction(AAC_FRAME, 44_100)
    return max(1, int(longest + Fraction(1, 2)))


# --- measure --------------------------------------------------------------------------------


def measure_segment(
    file: BinaryIO, *, index: int, name: str, size_bytes: int, start: int, video: bool
) -> tuple[Segment, list[KeyFrame]]:
    """One written segment's facts.

    :param start: ticks at which it must begin: the end of the segment before it.
    :raises VerificationError: it does not begin there, has a gap inside, or (video) a fragment that
        does not start with an IDR picture.
    """
    ticks = samples = 0
    keys = []
    for fragment in read_fragments(file):
        if fragment.decode_time != start + ticks:
            raise VerificationError(
                f"{name}: a fragment decodes at tick {fragment.decode_time}, "
                f"not at {start + ticks}: a gap or an overlap"
            )
        if video:
            if not fragment.starts_with_sync or not starts_with_idr(first_sample(file, fragment)):
                raise VerificationError(f"{name}: a fragment does not start with an IDR picture (Apple 7.4)")
            end = fragment.first_sample_offset + fragment.first_sample_size
            keys.append(
                KeyFrame(
                    segment=index,
                    offset=fragment.offset,
                    size_bytes=end - fragment.offset,
                    ticks=fragment.duration,
                )
            )
        ticks += fragment.duration
        samples += len(fragment.durations)
    if not ticks:
        raise VerificationError(f"{name}: holds no media")
    return Segment(name=name, ticks=ticks, samples=samples, size_bytes=size_bytes), keys


def check_video_track(track: Track, plan: Plan, rendition: Rendition, frames: int) -> None:
    """:raises VerificationError: the track is not what was planned, frame for frame."""
    wanted = [min(plan.segment_frames, frames - first) for first in range(0, frames, plan.segment_frames)]
    found = [segment.samples for segment in track.segments]
    if found != wanted:
        raise VerificationError(f"{track.name}: segments of {_short(found)} frames, planned {_short(wanted)}")
    if track.ticks != frames * plan.frame_ticks:
        raise VerificationError(
            f"{track.name}: lasts {track.ticks} ticks, planned {frames * plan.frame_ticks}"
        )
    if (track.width, track.height) != (rendition.width, rendition.height):
        raise VerificationError(
            f"{track.name}: is {track.width}x{track.height}, planned {rendition.width}x{rendition.height}"
        )


def check_audio_length(name: str, samples: int, planned: int) -> None:
    """:raises VerificationError: shorter than planned, or longer by more than priming and one frame."""
    # 1024 samples of priming before, and the last frame of 1024 filled up.
    if not planned <= samples <= planned + 2 * AAC_FRAME:
        raise VerificationError(
            f"{name}: has {samples} samples, planned {planned} and at most 2048 of padding"
        )


def check_audio_track(track: Track, rendition: AudioRendition, samples: int) -> None:
    """:raises VerificationError: the track's length, channels or rate are not what was planned."""
    check_audio_length(track.name, track.ticks, samples)
    if (track.channels, track.timescale) != (rendition.channels, rendition.sample_rate):
        raise VerificationError(
            f"{track.name}: {track.channels} channels at {track.timescale} Hz, "
            f"planned {rendition.channels} at {rendition.sample_rate}"
        )


def check_presentation(tracks: Sequence[Track], target_s: int) -> None:
    """The rules that hold between tracks.

    :raises VerificationError: naming the rule, the track and what was found.
    """
    videos = [track for track in tracks if track.kind == "video"]
    for track in videos[1:]:
        if [s.ticks for s in track.segments] != [s.ticks for s in videos[0].segments]:
            raise VerificationError(
                f"segments of {track.name} and {videos[0].name} do not end at the same frames (Apple 8.22)"
            )
    for track in tracks:
        for segment in track.segments:
            seconds = Fraction(segment.ticks, track.timescale)
            if int(seconds + Fraction(1, 2)) > target_s:
                raise VerificationError(
                    f"{track.name}/{segment.name}: lasts {float(seconds):.3f} s, "
                    f"more than the target duration of {target_s} s (RFC 8216bis 4.4.3.1)"
                )


def _short(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:4]))
    return f"[{shown}{', ...' if len(numbers) > 4 else ''}] ({len(numbers)} in all)"


# --- playlists ------------------------------------------------------------------------------


def _playlist(target_s: int, *, i_frames_only: bool = False) -> m3u8.M3U8:
    playlist = m3u8.M3U8()
    playlist.version = 7  # EXT-X-MAP in a playlist of whole pictures and segments alike
    playlist.target_duration = target_s
    playlist.media_sequence = 0
    playlist.playlist_type = "VOD"
    playlist.is_i_frames_only = i_frames_only
    playlist.is_endlist = True
    return playlist


def _dump(playlist: m3u8.M3U8) -> str:
    text: str = playlist.dumps(infspec="microseconds")
    return text if text.endswith("\n") else text + "\n"


def media_playlist(track: Track, target_s: int) -> str:
    """The media playlist of one track, beside its segments."""
    playlist = _playlist(target_s)
    for segment in track.segments:
        playlist.add_segment(
            m3u8.Segment(
                uri=segment.name,
                duration=segment.ticks / track.timescale,
                init_section={"uri": "init.mp4"},
            )
        )
    return _dump(playlist)


def i_frame_playlist(track: Track, target_s: int) -> str:
    """The I-frame playlist of one video track: byte ranges of its segments."""
    playlist = _playlist(target_s, i_frames_only=True)
    for key in track.key_frames:
        playlist.add_segment(
            m3u8.Segment(
                uri=track.segments[key.segment].name,
                duration=key.ticks / track.timescale,
                byterange=f"{key.size_bytes}@{key.offset}",
                init_section={"uri": "init.mp4"},
            )
        )
    return _dump(playlist)


def audio_groups(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Sound tracks by group: stereo, and where there is any in 5.1 a second group of the same members."""
    audios = {track.name: track for track in tracks if track.kind == "audio"}
    stereo = [track for track in audios.values() if not track.name.endswith(SURROUND_SUFFIX)]
    groups = {AUDIO_GROUP: stereo} if stereo else {}
    if len(stereo) < len(audios):
        groups[AUDIO_GROUP + SURROUND_SUFFIX] = [
            audios.get(track.name + SURROUND_SUFFIX, track) for track in stereo
        ]
    return groups


def master_playlist(tracks: Sequence[Track], target_s: int, *, prefix: str) -> str:
    """The master playlist of all tracks.

    :param prefix: put before each track's URI: ``""`` inside the version's folder, ``"VERSION/"`` above it.
    """
    videos = sorted((t for t in tracks if t.kind == "video"), key=lambda t: t.average_bps)
    groups = audio_groups(tracks)
    master = m3u8.M3U8()
    master.version = 7
    master.is_variant = True
    master.is_independent_segments = True
    for group, members in groups.items():
        for track in members:
            master.add_media(
                m3u8.Media(
                    type="AUDIO", group_id=group, name=track.title, language=track.language,
                    default="YES" if track.default else "NO", autoselect="YES", channels=str(track.channels),
                    uri=f"{prefix}{track.name}/index.m3u8",
                )
            )  # fmt: skip

    def add_variant(track: Track, group: str | None) -> None:
        others = [t for t in groups.get(group or "", []) if t is not track]
        codecs = dict.fromkeys(t.codecs for t in (track, *others))
        info: dict[str, Any] = {
            "bandwidth": track.peak_bps(target_s),
            "average_bandwidth": track.average_bps,
            "codecs": ",".join(codecs),
        }
        if track.kind == "video":
            info["bandwidth"] += max((t.peak_bps(target_s) for t in others), default=0)
            info["average_bandwidth"] += max((t.average_bps for t in others), default=0)
            info["resolution"] = f"{track.width}x{track.height}"
            info["frame_rate"] = float(track.frame_rate or 0)
            info["closed_captions"] = "NONE"
        if group:
            info["audio"] = group
        # The library writes AUDIO="..." only for a group whose members it is given.
        master.add_playlist(m3u8.Playlist(f"{prefix}{track.name}/index.m3u8", info, master.media, None))

    if videos:
        first = min(videos, key=lambda t: abs(t.average_bps - FIRST_VARIANT_BPS))
        names: list[str | None] = [*groups]
        for name in names or [None]:
            for track in [first, *(t for t in videos if t is not first)]:
                add_variant(track, name)
    else:  # sound only: the default track stands for its group
        for group, members in groups.items():
            add_variant(next((t for t in members if t.default), members[0]), group)
    for track in videos:
        master.add_iframe_playlist(
            m3u8.IFramePlaylist(
                None,
                f"{prefix}{track.name}/iframes.m3u8",
                {
                    "bandwidth": track.key_frame_peak_bps(target_s),
                    "average_bandwidth": track.key_frame_average_bps(),
                    "codecs": track.codecs,
                    "resolution": f"{track.width}x{track.height}",
                },
            )
        )
    # The library drops trailing zeros; players and validators expect three decimals (Apple 9.15).
    return re.sub(r"FRAME-RATE=([0-9.]+)", lambda rate: f"FRAME-RATE={float(rate[1]):.3f}", _dump(master))
