"""The fields of ``video.json``: the contract with the CMS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Literal

from pydantic import Field

from vod_operators.formats.base import Model, Rate, is_unset, is_zero
from vod_operators.formats.facts import VideoRange
from vod_operators.formats.hdr import LUMINANCE
from vod_operators.media.chapters import chapters_of
from vod_operators.media.choice import Choice
from vod_operators.media.cost import Cost
from vod_operators.media.downloads import Download
from vod_operators.media.drm import System
from vod_operators.media.key_labels import labels_of
from vod_operators.media.loudness import Normalised
from vod_operators.media.models import Plan, Timeline, VideoStream
from vod_operators.media.pictures import Storyboard
from vod_operators.media.plan import fingerprint, normalisations
from vod_operators.media.source_report import SourceReport
from vod_operators.media.track import Track
from vod_operators.media.vmaf import Quality
from vod_operators.work.job import Job
from vod_operators.work.steering import Steering


class HdrFacts(Model):
    """The high dynamic range of a source."""

    range: Literal["PQ", "HLG"]
    display_nits: tuple[float, float] | None
    """Darkest and brightest luminance of the mastering display, in cd/m2; None: not told."""
    max_cll: int | None
    """Brightest pixel, in cd/m2; 0: unknown, None: not told."""
    max_fall: int | None
    """Brightest average of a frame, likewise."""
    dynamic: tuple[str, ...]
    """Names of its dynamic metadata, which no rendition keeps: ``HDR10+``, ``Dolby Vision profile 8.4``."""

    @classmethod
    def of(cls, video: VideoStream | None) -> HdrFacts | None:
        """The facts of a picture; None if it is SDR."""
        if video is None or video.hdr is None or video.colour.hdr is None:
            return None
        display, light = video.hdr.metadata.display, video.hdr.metadata.levels
        nits = [n / LUMINANCE for n in (display.min_luminance, display.max_luminance)] if display else None
        return cls(
            range=video.colour.hdr,
            display_nits=(nits[0], nits[1]) if nits else None,
            max_cll=light.max_content if light else None,
            max_fall=light.max_average if light else None,
            dynamic=video.hdr.dynamic,
        )


class SourceFacts(Model):
    """The source, as probed."""

    name: str
    """Its file name. Its URI is left out, because everybody may read the result."""
    fingerprint: str
    """Of its version (ETag, or size and time): differs if the source has changed or is another file."""
    container: str
    size_bytes: int
    duration_s: float | None
    bitrate_bps: int | None
    video_codec: str | None
    """None, like the three fields below, if there is only sound."""
    width: int | None
    """Of the picture upright, in square pixels."""
    height: int | None
    frame_rate: Rate | None
    hdr: HdrFacts | None = None
    """None: it is SDR, or the preset has no HDR ladder."""
    audio_tracks: int
    text_tracks: int
    """Subtitle tracks that are text."""
    skipped: tuple[str, ...]
    """Streams and captions that are not in the result, and why; sentences for people."""
    normalised: tuple[str, ...]
    """What was changed besides the size; sentences for people."""
    damage: tuple[str, ...]
    """What was missing or could not be decoded, and was concealed; sentences for people."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        timeline: Timeline,
        name: str,
        version: str,
        damage: Sequence[str],
        lost: Sequence[str],
    ) -> SourceFacts:
        """The facts of a planned source.

        :param name: file name.
        :param version: as its store identifies it.
        :param damage: concealed damage, in words.
        :param lost: streams that were left out after planning, in words.
        """
        source, video = plan.source, plan.source.video
        width, height = video.display_size if video else (None, None)
        return cls(
            name=name,
            fingerprint=fingerprint(version),
            container=source.container,
            size_bytes=source.size_bytes,
            duration_s=None if source.duration_ms is None else source.duration_ms / 1000,
            bitrate_bps=source.bitrate_bps,
            video_codec=video.codec if video else None,
            width=width,
            height=height,
            frame_rate=video.frame_rate if video else None,
            hdr=HdrFacts.of(video),
            audio_tracks=len(source.audio),
            text_tracks=len(source.texts),
            skipped=(*source.skipped, *plan.skipped, *lost),
            normalised=(*normalisations(plan, timeline), *timeline.repairs),
            damage=tuple(damage),
        )


class RenditionResult(Model):
    """One track, as measured on its segments."""

    name: str
    kind: Literal["video", "audio", "text"]
    codecs: str
    width: int | None
    height: int | None
    frame_rate: Rate | None
    video_range: VideoRange | None = None
    """As in HLS, of a video; None in results of before it was recorded."""
    captions: tuple[str, ...]
    """Channels of CEA-608 and CEA-708 captions in the video: ``CC1``, ``SERVICE1``."""
    channels: int | None
    """Of Dolby Atmos, those of the bed."""
    joc: int = 0
    """Complexity index of the objects of Dolby Atmos in a sound track; 0: there are none."""
    copied: bool = False
    """Whether a sound track has the source's own frames, untouched."""
    loudness: Normalised | None
    """How a sound track was normalised; None if the preset does not ask for it."""
    language: str | None
    title: str | None
    """The name that viewers choose the track by."""
    default: bool
    forced: bool
    characteristics: tuple[str, ...] = ()
    """The track's purpose, as in HLS (RFC 8216bis 4.4.6.1): ``public.accessibility.describes-video``."""
    duration_s: float
    frames: int
    """Video frames, frames of sound (of AAC: 1024 samples), or cues."""
    segments: int
    size_bytes: int
    average_bps: int
    peak_bps: int
    quality: Quality | None = None
    """Measured picture quality; None: no SDR video, or not measured (``warnings`` say why)."""
    trick_mode_bytes: int | None = Field(None, exclude_if=is_unset)
    """Bytes of its segments of key frames for DASH, besides ``size_bytes``; None: none were asked for."""

    @classmethod
    def of(
        cls,
        track: Track,
        target_s: int,
        loudness: Normalised | None = None,
        quality: Quality | None = None,
        *,
        copied: bool = False,
    ) -> RenditionResult:
        """The facts of a track.

        :param target_s: target duration, over which the peak bitrate is measured.
        """
        facts = {
            "loudness": loudness,
            "quality": quality,
            "video_range": track.video_range if track.kind == "video" else None,
            "copied": copied,
            "frames": track.samples if track.cues is None else track.cues,
            "segments": len(track.segments),
            "peak_bps": track.peak_bps(target_s),
            "trick_mode_bytes": sum(track.trick_bytes) or None,
        }
        same = {name: getattr(track, name) for name in cls.model_fields if name not in facts}
        return cls(**facts, **same)


class Timings(Model):
    """How long it took."""

    started_at: datetime | None
    """When the run that published this began; earlier runs may have done part of the work."""
    published_at: datetime
    wall_s: float | None
    """Seconds from ``started_at`` to ``published_at``."""
    encode_s: float
    """Worker seconds spent on encoding, all chunks and sound tracks together."""


class Publication(Model):
    """A version that players were shown."""

    version: str
    since: datetime
    """By the results store's clock."""


class ChapterResult(Model):
    """A named part of the video."""

    start_s: float
    """From the first picture."""
    end_s: float
    title: str | None
    language: str | None = None
    """Of the title, a BCP 47 tag; None: unknown."""

    @classmethod
    def of_all(cls, plan: Plan, timeline: Timeline) -> tuple[ChapterResult, ...]:
        """The chapters of the request, or of the source."""
        return tuple(
            cls(
                start_s=_rounded(chapter.start_s),
                end_s=_rounded(chapter.end_s),
                title=chapter.title,
                language=chapter.language,
            )
            for chapter in chapters_of(plan, timeline)
        )


class ChapterFiles(Model):
    """Documents with the chapters; URIs are relative to ``video.json``."""

    json_uri: str
    """Apple's JSON chapters, which the HLS playlist names."""
    webvtt_uri: str
    """For ``<track kind="chapters">``."""


def _rounded(seconds: Fraction) -> float:
    return round(float(seconds), 3)


class CheckResult(Model):
    """What the rules of ``vod check`` found before the version was published."""

    rules: int
    """How many applied to it. None that must be kept was broken."""
    warnings: tuple[str, ...]
    """What differs from a recommendation; sentences for people."""


class EncryptionResult(Model):
    """How the media are encrypted."""

    scheme: Literal["aes-128", "cbcs", "cenc"]
    systems: tuple[System, ...] = ()
    """DRM systems whose players are told of the keys; none: HLS names an address alone."""
    keys: dict[str, tuple[str, ...]]
    """Id of each key, 32 hex digits -> the tracks that it opens."""
    rotation_segments: int = Field(0, exclude_if=is_zero)
    """After how many segments of a track the next of its keys follows; 0: never."""

    @classmethod
    def of(cls, job: Job) -> EncryptionResult | None:
        """How a job's media are encrypted; None if they are not."""
        preset = job.plan.preset
        if preset.encryption == "none":
            return None
        keys: dict[str, tuple[str, ...]] = {}
        for name in labels_of(job.plan):
            for key in job.keys_of(name):
                keys[key.key_id] = (*keys.get(key.key_id, ()), name)
        rotation = preset.key_rotation.segments if preset.key_rotation else 0
        return cls(
            scheme=preset.encryption, systems=preset.protection or (), keys=keys, rotation_segments=rotation
        )


class LeftOut(Model):
    """A rendition that this video does not need."""

    name: str
    why: str
    """For a person."""


class LadderResult(Model):
    """How the renditions were chosen."""

    by_title: bool
    """Whether they were chosen for this video."""
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, choice: Choice) -> LadderResult:
        """What was chosen for a video."""
        left_out = [
            LeftOut(name=name, why=chosen.why or "")
            for name, chosen in choice.renditions.items()
            if chosen.crf is None
        ]
        return cls(by_title=True, left_out=tuple(left_out))


class VideoResult(Model):
    """A published video."""

    video_id: str
    version: str
    """Name of its folder, beside ``video.json``."""
    preset: str
    preset_fingerprint: str
    """Of the preset's content: differs if its file has changed."""
    playlist_urls: tuple[str, ...]
    """URL of the stable playlist at each configured edge."""
    duration_s: float
    frames: int
    """0 if there is only sound."""
    frame_rate: Rate | None
    chunks: int
    chapters: tuple[ChapterResult, ...] = ()
    chapter_files: ChapterFiles | None = None
    """None if players are told of no chapters."""
    source: SourceFacts
    renditions: tuple[RenditionResult, ...]
    downloads: tuple[Download, ...] = ()
    """Files for people to keep; empty if none were asked for."""
    poster: str | None
    """URI of a JPEG, relative to ``video.json``; None if the preset asks for none, or there is only sound."""
    storyboard: Storyboard | None
    """For previews while scrubbing; its URI is relative to ``video.json`` too."""
    ladder: LadderResult | None = None
    """How the renditions were chosen; None if the preset names them."""
    check: CheckResult | None = None
    """None in results of before it was recorded."""
    encryption: EncryptionResult | None = None
    """None: the media are clear, or the result is of before it was recorded."""
    source_report: SourceReport | None = None
    """What was found in the source; None if the preset does not look for anything, and in older results."""
    warnings: tuple[str, ...] = ()
    """What is not as it was asked for, or could not be measured; sentences for people."""
    timings: Timings
    cost: Cost | None = None
    """None in results of before it was recorded."""
    made_by: dict[str, str]
    """Tool -> version."""
    steering: Steering | None = Field(None, exclude_if=is_unset)
    """The edges between which players are steered; None: none are, and in a version's own copy."""
    history: tuple[Publication, ...] = ()
    """The versions that the stable playlist has pointed to, newest first, this one included.

    Empty in a version's own copy. A version was superseded when the next newer one began."""
