"""The models of a preset: ladders of renditions, sound, and still pictures.

A preset has a ladder for each codec and dynamic range. Each ladder offers a complete choice of sizes and
bitrates, because a player chooses one and stays with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from vod_operators.formats.base import Model, Name, is_empty, is_unset
from vod_operators.media.drm import Scheme, System
from vod_operators.media.encoders import ENCODERS, EncoderName
from vod_operators.media.presets.downloads import FOLDER as DOWNLOADS
from vod_operators.media.presets.downloads import MOST, check_downloads
from vod_operators.media.presets.report import ReportPolicy, is_default
from vod_operators.media.presets.sound import AudioRung, check_sound

MAX_SEGMENT_GOPS = 10

LEAST_SLOTS = 3
"""Rungs of a ladder by title."""


class Conditions(Model):
    """What a source must have for a rung to be made from it. None is no condition."""

    min_width: int | None = None
    """Width of the upright picture in square pixels; ``min_height`` likewise."""
    min_height: int | None = None
    min_bitrate_bps: int | None = None
    min_frame_rate: float | None = None
    max_frame_rate: float | None = None
    min_aspect: float | None = None
    """Width / height of the upright picture."""
    max_aspect: float | None = None


class Target(Model):
    """The quality that a rendition should have, as mean VMAF at its own size over the whole video."""

    vmaf: float = Field(ge=30, le=99)


class Rung(Model):
    """One step of a ladder: a box that the picture must fit in, and its rate control.

    A file may write the cap as ``max_bitrate_bps`` of ``quality``, and leave out ``buffer_bits``.
    """

    name: Name
    width: int = Field(ge=16, le=8192, multiple_of=2)
    """Of the box for a landscape picture; for a portrait picture, width and height are swapped."""
    height: int = Field(ge=16, le=8192, multiple_of=2)
    crf: float | None = Field(None, ge=0)
    """Constant quality on the encoder's own scale; holds while the bitrate is below ``max_bitrate_bps``. None
    if ``quality`` is given: the step ``choose`` then finds it."""
    quality: Target | None = Field(None, exclude_if=is_unset)
    max_bitrate_bps: int = Field(gt=0)
    buffer_bits: int = Field(gt=0)
    """Size of the VBV buffer, over which ``max_bitrate_bps`` holds; 4/3 s of that if it is not given."""
    profile: Literal["baseline", "main", "high"] | None = None
    """Profile of H.264; None is ``high``. Other codecs' profiles follow from the bit depth."""
    when: Conditions = Conditions()

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Take the cap from ``quality``, and the buffer from the cap."""
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        quality = data.get("quality")
        if isinstance(quality, Mapping) and "max_bitrate_bps" in quality:
            cap = quality["max_bitrate_bps"]
            data["quality"] = {key: value for key, value in quality.items() if key != "max_bitrate_bps"}
            if "max_bitrate_bps" in data and data["max_bitrate_bps"] != cap:
                raise ValueError("quality.max_bitrate_bps: differs from max_bitrate_bps; give one of them")
            data["max_bitrate_bps"] = cap
        with suppress(KeyError, TypeError, ValueError, OverflowError):  # refused below, by its own name
            data.setdefault("buffer_bits", int(data["max_bitrate_bps"]) * 4 // 3)
        return data

    @model_validator(mode="after")
    def _has_one_aim(self) -> Rung:
        if (self.crf is None) == (self.quality is None):
            both = "both crf and quality" if self.quality else "neither crf nor quality"
            raise ValueError(f"{self.name}: it has {both}; give one of them")
        return self


class Pictures(Model):
    """Still pictures beside the video."""

    poster_px: int = Field(1280, ge=160, le=3840)
    """Longer side of the poster, at most that of the largest rendition."""
    thumbnail_px: int = Field(192, ge=64, le=480)
    """Longer side of each picture of the storyboard."""
    interval_s: int = Field(5, ge=1, le=60)
    """Interval between pictures of the storyboard; shorter in short videos, longer in very long ones."""
    tiles: bool = Field(False, exclude_if=is_unset)
    """Whether the playlist and the DASH manifest list the storyboard too, for players that read no WebVTT."""


class Ladder(Model):
    """The renditions of one codec and dynamic range, made by one encoder."""

    encoder: EncoderName
    encoder_preset: str
    """One of the encoder's own presets."""
    bit_depth: Literal[8, 10] = 8
    dynamic_range: Literal["sdr", "hdr"] = Field("sdr", exclude_if=lambda value: value == "sdr")
    """``hdr`` keeps PQ or HLG, whichever a source has; of other sources this ladder is left out."""
    by_title: bool = Field(False, exclude_if=is_unset)
    """Whether each video gets only those rungs that it needs, each with a CRF of its own (``media.title``).
    The rungs are then *slots*: sizes, each with one or several caps."""
    rungs: tuple[Rung, ...] = Field(min_length=1, max_length=20)
    """From the smallest picture to the largest. A file may give the ladder a ``quality``, which holds for its
    rungs that have neither ``quality`` nor ``crf``."""

    @model_validator(mode="before")
    @classmethod
    def _hand_down(cls, data: Any) -> Any:
        """Give the ladder's ``quality`` to its rungs that have none."""
        if not isinstance(data, Mapping) or "quality" not in data:
            return data
        data = dict(data)
        quality, rungs = data.pop("quality"), data.get("rungs")
        if isinstance(quality, Mapping) and "max_bitrate_bps" in quality:
            raise ValueError("quality.max_bitrate_bps: each rung has a cap of its own; name it there")
        if isinstance(rungs, (list, tuple)):
            aimless = [isinstance(rung, Mapping) and not rung.keys() & {"crf", "quality"} for rung in rungs]
            if quality is not None and rungs and not any(aimless):
                raise ValueError("quality: each rung has crf or quality of its own; leave out one of them")
            data["rungs"] = [
                {**rung, "quality": quality} if is_aimless else rung
                for rung, is_aimless in zip(rungs, aimless, strict=True)
            ]
        return data

    @model_validator(mode="after")
    def _is_of_its_encoder(self) -> Ladder:
        encoder = ENCODERS[self.encoder]
        if self.encoder_preset not in encoder.lookahead:
            raise ValueError(
                f"encoder_preset: {self.encoder_preset!r} is not one of {self.encoder}'s: "
                f"{', '.join(encoder.lookahead)}"
            )
        if self.bit_depth not in encoder.bit_depths:
            raise ValueError(f"bit_depth: {self.encoder} only makes {encoder.bit_depths[0]} bits")
        if self.dynamic_range == "hdr":
            self._can_be_hdr()
        for rung in self.rungs:
            if rung.crf is not None and rung.crf > encoder.max_crf:
                raise ValueError(f"{rung.name}: crf: {self.encoder} goes to {encoder.max_crf}")
            if encoder.whole_crf and rung.crf is not None and rung.crf % 1:
                raise ValueError(f"{rung.name}: crf: {self.encoder} takes whole numbers only")
            if rung.profile is not None and encoder.codec != "h264":
                raise ValueError(f"{rung.name}: profile: only H.264 has a choice of them")
        sizes = [rung.width * rung.height for rung in self.rungs]
        if sizes != sorted(sizes):
            raise ValueError("rungs must be listed from the smallest picture to the largest")
        if self.by_title:
            self._has_slots()
        return self

    def _can_be_hdr(self) -> None:
        """:raises ValueError: the ladder cannot be HDR."""
        if 10 not in ENCODERS[self.encoder].bit_depths:
            able = ", ".join(name for name, encoder in ENCODERS.items() if 10 in encoder.bit_depths)
            raise ValueError(f"dynamic_range: hdr needs 10 bits, which {self.encoder} has not; use {able}")
        if self.bit_depth != 10:
            raise ValueError('dynamic_range: hdr needs "bit_depth": 10')
        if self.by_title or any(rung.quality for rung in self.rungs):
            wrong = "by_title" if self.by_title else "quality"
            raise ValueError(f"{wrong}: VMAF judges SDR only; give the rungs of an HDR ladder a crf")

    def _has_slots(self) -> None:
        """:raises ValueError: the rungs are no slots to choose from."""
        if len(self.rungs) < LEAST_SLOTS:
            raise ValueError(f"by_title: it needs at least {LEAST_SLOTS} rungs to choose from")
        for rung in self.rungs:
            if rung.quality is not None:
                raise ValueError(
                    f"{rung.name}: quality: a ladder with by_title finds each CRF itself; give crf"
                )
        for below, rung in pairwise(self.rungs):
            same_box = (below.width, below.height) == (rung.width, rung.height)
            if same_box and rung.max_bitrate_bps <= below.max_bitrate_bps:
                raise ValueError(f"{rung.name}: max_bitrate_bps: must be above that of {below.name}")


class MinVmaf(Model):
    """The least quality that a published video must have."""

    vmaf: float = Field(ge=20, le=100)
    """That the mean of a rendition must reach."""
    at: Literal["native", "at_1080p"] = "native"
    """``native``: every rendition, at its own size. ``at_1080p``: the best rendition of each codec on a
    screen of 1920x1080, because small ones cannot be good there."""
    on_miss: Literal["warn", "refuse"] = "warn"
    """``warn``: publish, and say so in ``warnings`` of ``video.json``; ``refuse``: fail, publish nothing."""


class KeyRotation(Model):
    """Several keys for each track, which are used in turn."""

    segments: int = Field(ge=1, le=10_000)
    """After how many segments the next key follows."""
    keys: int = Field(ge=2, le=16)
    """How many there are; the first follows the last."""


class Preset(Model):
    """What is made of a source, as far as its size and tracks suffice."""

    name: Name
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=1000)
    max_frame_rate: int = Field(60, ge=1, le=60)
    """A faster source's rate is divided until it is at most this (Apple HLS authoring 1.19)."""
    gop_seconds: int = Field(2, ge=1, le=10)
    segment_gops: int = Field(3, ge=1, le=MAX_SEGMENT_GOPS)
    container: Literal["fmp4", "ts"] = "fmp4"
    """``ts`` is MPEG-TS and packed AAC, for players older than fMP4 in HLS (2016)."""
    encryption: Literal["none", "aes-128", "cbcs", "cenc"] = "none"
    """``aes-128`` encrypts whole segments; ``cbcs`` and ``cenc``, samples. The deployment has the key."""
    several_keys: bool = Field(False, exclude_if=is_unset)
    """Whether sound and pictures in SD, HD and UHD have a key each (``media.key_labels``)."""
    key_rotation: KeyRotation | None = Field(None, exclude_if=is_unset)
    """None: the key of a track does not change."""
    protection: tuple[System, ...] | None = Field(None, min_length=1, exclude_if=is_unset)
    """DRM systems whose players get the key of samples, in HLS and DASH. None: those of the deployment's
    ``key_uri`` alone, in HLS alone."""
    ladders: tuple[Ladder, ...] = Field(min_length=1, max_length=5)
    """One for each codec and dynamic range; some are SDR."""
    audio: AudioRung
    pictures: Pictures | None = Pictures()
    """None: no still pictures."""
    imsc: bool = Field(False, exclude_if=is_unset)
    """Whether subtitles are IMSC1 too, besides WebVTT (``media.imsc``)."""
    trick_mode: bool = Field(False, exclude_if=is_unset)
    """Whether DASH has a track of key frames for fast playback, as HLS has by its I-frame playlists."""
    score: bool = Field(False, exclude_if=is_unset)
    """Whether each variant of the master playlist has a SCORE (``media.master``)."""
    stable_ids: bool = Field(False, exclude_if=is_unset)
    """Whether variants and renditions have ids that stay the same in later versions (``media.master``)."""
    min_vmaf: MinVmaf | None = Field(None, exclude_if=is_unset)
    """None: whatever quality comes of it."""
    source_report: ReportPolicy = Field(ReportPolicy(), exclude_if=is_default)
    """What is done about black, frozen, silent ... parts of a source."""
    downloads: tuple[Name, ...] = Field((), max_length=MOST, exclude_if=is_empty)
    """Files to download: names of rungs, ``best``, ``audio``. A request may name others."""
    chapters: bool = Field(False, exclude_if=is_unset)
    """Whether players get the source's chapters. Those of a request they always get."""

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Preset:
        names = [rung.name for ladder in self.ladders for rung in ladder.rungs]
        if len(set(names)) != len(names):
            raise ValueError(f"rungs have the same name: {sorted(n for n in names if names.count(n) > 1)}")
        others = ("pictures", DOWNLOADS), ("audio-", "text-", "imsc-", f"{DOWNLOADS}-")
        if reserved := [name for name in names if name in others[0] or name.startswith(others[1])]:
            raise ValueError(f"rungs must not have names of other tracks: {reserved}")
        codecs = [ENCODERS[ladder.encoder].codec for ladder in self.ladders]
        if self.container == "ts" and self.scheme:
            raise ValueError(f"encryption: {self.scheme} is a scheme of fMP4; container ts can have aes-128")
        self._has_protection_that_fits()
        if self.container == "ts" and codecs != ["h264"]:
            raise ValueError(f"container: ts holds H.264 only (Apple 1.5), not {', '.join(codecs)}")
        if self.imsc and self.container == "ts":
            raise ValueError(
                "imsc: IMSC1 is in fragmented MP4 only (Apple 5.4), not in container ts; leave out one of "
                "them (subtitles are WebVTT in any case)"
            )
        if self.trick_mode and (self.container == "ts" or self.encryption != "none"):
            cause = "container ts" if self.container == "ts" else f"encryption {self.encryption}"
            raise ValueError(
                f"trick_mode: {cause} has no track of key frames for DASH; leave out one of them (HLS has "
                "I-frame playlists in any case)"
            )
        ranges = [ladder.dynamic_range for ladder in self.ladders]
        if "sdr" not in ranges:
            raise ValueError("ladders: some must be SDR, for players without HDR (Apple 1.24)")
        if len(set(zip(codecs, ranges, strict=True))) != len(codecs):
            words = [c if r == "sdr" else f"{c} in HDR" for c, r in zip(codecs, ranges, strict=True)]
            raise ValueError(
                f"ladders: each must have a codec or a dynamic range of its own, not {', '.join(words)}"
            )
        check_downloads(self.downloads, names, container=self.container, encryption=self.encryption)
        check_sound(self.audio, container=self.container, encryption=self.encryption, systems=self.protection)
        return self

    @property
    def scheme(self) -> Scheme | None:
        """How samples are encrypted; None if they are not."""
        return self.encryption if self.encryption in ("cbcs", "cenc") else None

    def _has_protection_that_fits(self) -> None:
        """:raises ValueError: it names DRM systems, and encrypts in a way that they do not know."""
        systems = self.protection or ()
        if systems and not self.scheme:
            raise ValueError(
                f"protection: {', '.join(systems)}: needs encryption cbcs or cenc, which encrypt samples, "
                f"not {self.encryption}"
            )
        for name in ("several_keys", "key_rotation"):
            if getattr(self, name) and not self.scheme:
                raise ValueError(
                    f"{name}: needs encryption cbcs or cenc, which encrypt samples, not {self.encryption}"
                )
        if self.encryption == "cenc" and "fairplay" in systems:
            raise ValueError(
                "protection: fairplay: Apple's players do not decrypt cenc (13.11); leave out fairplay, "
                "or give encryption cbcs"
            )
        if self.encryption == "cenc" and not systems:
            raise ValueError("protection: cenc needs at least one of widevine, playready and clearkey")
        if len(set(systems)) != len(systems):
            raise ValueError("protection: a system is named twice")
