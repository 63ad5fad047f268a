"""Rules 8 to 11: durations, and the clocks of all tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from vod_operators.check.declared import listing
from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, always, has_fmp4, is_ended
from vod_operators.formats.facts import Format, Kind, Stream

ALIGNED_S = Fraction(1, 1000)
"""A 90 kHz clock and a track's own clock round differently, by less than anyone can see."""

RATE_TOLERANCE = Fraction(1, 100)
"""Frames a second; less than the difference between 23.976 and 24."""

LENGTHS: tuple[Callable[[Stream], Fraction], ...] = (
    lambda stream: stream.duration,
    lambda stream: stream.decoded_s,
    lambda stream: stream.shown_s,
)
"""How long a segment lasts, by any of which EXTINF may be right."""

KINDS: tuple[Kind, ...] = ("video", "audio")

BEST_TARGET_S = 6

SAME_TOTAL_S = Fraction(1, 10)
"""Two AAC frames (priming and padding) plus a frame of slow video."""

PIECE_S = Fraction(1, 20)
"""What a piece between discontinuities adds to that: sound ends with a whole frame, of 46 ms at most."""


def measured_rate(track: Track) -> Fraction:
    """Average frame rate of a track; 0 if unknown."""
    streams = [stream for _, stream in track.streams("video")]
    lasts = sum((stream.duration for stream in streams), Fraction(0))
    return sum(stream.samples for stream in streams) / lasts if lasts else Fraction(0)


def frame_s(track: Track, kind: Kind) -> Fraction:
    """Seconds of a sample at the lowest rate of all segments."""
    rates = [stream.rate for _, stream in track.streams(kind) if stream.rate]
    return 1 / min(rates) if rates else Fraction(1, 1000)


def _extinf(presentation: Presentation) -> Iterator[Finding]:
    picture = max(
        (frame_s(video, "video") for video in presentation.of_kind("video")[:1]), default=Fraction(0)
    )
    for track in presentation.tracks.values():
        kind = track.kind
        if kind is None or kind == "text":
            continue
        frame = max(frame_s(track, kind), picture)
        drifts = []
        for lasts in LENGTHS:
            drifts.append(_drift(track, kind, lasts))
            if drifts[-1][0] <= frame + ALIGNED_S:
                break
        else:
            differ, place = min(drifts)
            yield Finding(
                where=place,
                found=f"EXTINF and media differ by {seconds(differ)}",
                expected=f"at most one frame, {seconds(frame)}",
            )


def _drift(track: Track, kind: Kind, lasts: Callable[[Stream], Fraction]) -> tuple[Fraction, str]:
    """By how much EXTINF and media differ at most, of any run of segments, and where that ends."""
    drift, lowest, highest, place = Fraction(0), Fraction(0), Fraction(0), track.name
    for entry, stream in track.streams(kind):
        drift += (entry.extinf or 0) - (lasts(stream) or stream.duration)
        if drift < lowest or drift > highest:
            lowest, highest, place = min(drift, lowest), max(drift, highest), track.place(entry)
    return highest - lowest, place


def _aligned(presentation: Presentation) -> Iterator[Finding]:
    videos = presentation.of_kind("video")
    if any(segment.unreadable for track in videos for segment in track.segments):
        return  # then the n-th segment with pictures is not the n-th of another variant
    reference = [stream.shown for _, stream in videos[0].streams("video")]
    for track in videos[1:]:
        times = [stream.shown for _, stream in track.streams("video")]
        if len(times) != len(reference):
            words = f"{len(times)} segments"
            yield Finding(
                where=track.name, found=words, expected=f"{len(reference)}, as {videos[0].name} has"
            )
            continue
        for number, (a, b) in enumerate(zip(times, reference, strict=True)):
            if abs(a - b) > ALIGNED_S:
                yield Finding(
                    where=f"{track.name}: segment {number + 1}",
                    found=f"begins at {seconds(a)}",
                    expected=f"{seconds(b)}, as in {videos[0].name}",
                )
                break


def _decode_times(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for kind in KINDS:
            end = None
            for entry, segment in track.pairs():
                stream = segment.stream(kind)
                where = track.place(entry)
                if segment.unreadable:
                    end = None
                if segment.container != "fmp4" or stream is None:
                    continue
                if stream.gap:
                    yield Finding(where=where, found=stream.gap, expected="no gap and no overlap")
                if end is not None and stream.begin != end and not entry.discontinuity:
                    yield Finding(where=where, found=f"tfdt {seconds(stream.begin)}", expected=seconds(end))
                end = stream.begin + stream.duration


def _undeclared(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        last_stream, last_coding = None, None
        tolerance = max(frame_s(track, track.kind or "video"), Fraction(1, 20))
        for entry, segment in track.pairs():
            where = track.place(entry)
            stream = segment.stream(track.kind or "video")
            coding = ((entry.map_uri, entry.map_range), segment.formats)
            if not entry.discontinuity and last_coding is not None and not segment.unreadable:
                if coding[0] != last_coding[0] or _recoded(coding[1], last_coding[1]):
                    yield Finding(where=where, found="other parameters", expected="EXT-X-DISCONTINUITY")
                elif last_stream and (jump := _jump(last_stream, stream, tolerance)):
                    yield Finding(
                        where=where, found=f"times jump by {seconds(jump)}", expected="EXT-X-DISCONTINUITY"
                    )
            last_coding, last_stream = (None, None) if segment.unreadable else (coding, stream)


def _recoded(formats: Sequence[Format], before: Sequence[Format]) -> bool:
    """Whether streams of a kind are coded in another way; in one segment all of a kind may be over."""
    if formats == before:
        return False
    for kind in KINDS:
        streams, previous = ([f for f in each if f.kind == kind] for each in (formats, before))
        if streams and previous and streams != previous:
            return True
    return False


def _jump(previous: Stream, stream: Stream | None, tolerance: Fraction) -> Fraction:
    if stream is None:
        return Fraction(0)
    lengths = previous.duration, previous.decoded_s or previous.duration
    jump = min((stream.begin - previous.begin - length for length in lengths), key=abs)
    return jump if abs(jump) > tolerance else Fraction(0)


def _same_discontinuities(presentation: Presentation) -> Iterator[Finding]:
    pictures = [track for track in presentation.i_frames.values() if track.playlist.entries]
    tracks = [*listing(presentation, *KINDS, "text"), *pictures]
    reference = _discontinuities(tracks[0]) if tracks else []
    for track in tracks[1:]:
        times = _discontinuities(track)
        half = Fraction(max(track.playlist.target_s, 1), 2)
        differ = len(times) != len(reference)
        if differ or any(abs(a - b) > half for a, b in zip(times, reference, strict=True)):
            yield Finding(
                where=track.name,
                found=f"{len(times)} discontinuities" if differ else "at other times",
                expected=f"those of {tracks[0].name} ({len(reference)})",
            )


def _discontinuities(track: Track) -> list[Fraction]:
    times, time = [], Fraction(0)
    for entry in track.playlist.entries:
        if entry.discontinuity and time:
            times.append(time)
        time += entry.extinf or 0
    return times


def _target(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        if track.playlist.target_s not in (0, BEST_TARGET_S):
            words = f"target duration {track.playlist.target_s} s"
            yield Finding(where=track.name, found=words, expected=f"{BEST_TARGET_S} s")


def _segment_length(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        if not track.playlist.target_s:  # 0.files or 0.syntax tells why
            continue
        limit = track.playlist.target_s + Fraction(1, 2)
        for entry, stream in track.streams(track.kind or "video"):
            if stream.duration > limit:
                where = track.place(entry)
                yield Finding(
                    where=where, found=seconds(stream.duration), expected=f"at most {seconds(limit)}"
                )


def _rounded(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        for entry in track.playlist.entries if track.playlist.target_s else ():
            if entry.extinf is not None and int(entry.extinf + Fraction(1, 2)) > track.playlist.target_s:
                where = track.place(entry)
                expected = f"at most TARGETDURATION:{track.playlist.target_s} when rounded"
                yield Finding(where=where, found=f"EXTINF {seconds(entry.extinf)}", expected=expected)
                break


def _is_vod(track: Track) -> bool:
    return track.playlist.tags.get("EXT-X-PLAYLIST-TYPE") == "VOD"


def _same_target(presentation: Presentation) -> Iterator[Finding]:
    # Subtitles and I-frames may have others if their type is VOD (RFC 8216bis 6.2.4, Apple 5.7, 6.12).
    free = {item.get("URI") for item in presentation.renditions if item.get("TYPE") == "SUBTITLES"}
    free |= presentation.i_frames.keys()
    tracks = [
        track
        for track in presentation.media
        if track.playlist.entries
        and track.playlist.target_s
        and not (_is_vod(track) and track.playlist.uri in free)
    ]
    for track in tracks[1:]:
        if track.playlist.target_s != tracks[0].playlist.target_s:
            yield Finding(
                where=track.name,
                found=f"{track.playlist.target_s} s",
                expected=f"{tracks[0].playlist.target_s} s, as {tracks[0].name} has",
            )


def other_lengths(tracks: Sequence[Track], reference: Track, tolerance_s: Fraction) -> Iterator[Finding]:
    """A finding for each track whose total duration is not that of another."""
    expected = reference.playlist.duration
    for track in tracks:
        tolerance = tolerance_s + PIECE_S * len(_discontinuities(track))
        if abs(track.playlist.duration - expected) > tolerance:
            yield Finding(
                where=track.name,
                found=seconds(track.playlist.duration),
                expected=f"{seconds(expected)}, as {reference.name} lasts",
            )


def _same_total(presentation: Presentation) -> Iterator[Finding]:
    tracks = listing(presentation, *KINDS)
    if tracks:
        yield from other_lengths(tracks[1:], tracks[0], SAME_TOTAL_S)


# fmt: off
RULES = (
    Rule(id="9.extinf", source="Apple 8.1", says="EXTINF of any run is within a frame of media time",
         applies=lambda p: bool(p.tracks), check=_extinf),
    Rule(id="10.aligned", source="Apple 8.22", says="segments of all variants begin at the same times",
         must=False, applies=lambda p: len(p.of_kind("video")) > 1 and is_ended(p), check=_aligned),
    Rule(id="10.tfdt", source="Apple 7.3", says="each tfdt is the end of the fragment before",
         applies=has_fmp4, check=_decode_times),
    Rule(id="11.undeclared", source="Apple 8.13", says="no discontinuity that is not declared",
         applies=lambda p: bool(p.tracks), check=_undeclared),
    Rule(id="11.same", source="Apple 8.15", says="the same discontinuities in all renditions",
         applies=lambda p: len(p.media) > 1 and is_ended(p), check=_same_discontinuities),
    Rule(id="8.target", source="Apple 7.5", says="target duration of 6 s", must=False,
         applies=lambda p: bool(p.tracks), check=_target),
    Rule(id="8.segment-length", source="Apple 7.7", says="no segment is longer than target + 0.5 s",
         applies=lambda p: bool(p.tracks), check=_segment_length),
    Rule(id="8.extinf", source="RFC 8216bis 4.4.3.1", says="EXTINF, rounded, is within the target duration",
         applies=always, check=_rounded),
    Rule(id="8.same-target", source="Apple 8.2", says="the same target duration for sound and video",
         applies=lambda p: len(p.media) > 1, check=_same_target),
    Rule(id="8.same-total", source="Apple 8.3", says="the same total duration for sound and video",
         applies=lambda p: len(p.tracks) > 1 and is_ended(p), check=_same_total),
)
# fmt: on
