"""The models of this package: a source, its plan and its timeline. Presets are in ``presets.model``.

Times are integers: frames at the output rate, or ticks of a stated time base.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from vod_operators.formats.base import Model, Name, Rate, is_empty, is_unset
from vod_operators.media.chapter_request import AskedChapter
from vod_operators.media.choice import Choice
from vod_operators.media.encoders import ENCODERS, Encoding
from vod_operators.media.hdr import TRANSFERS, HdrRange, SourceHdr
from vod_operators.media.orientation import Crop, DisplayMatrix
from vod_operators.media.presets.model import Preset
from vod_operators.media.sound_codecs import SoundCodec

# --- the source -----------------------------------------------------------------------------


class Colour(Model):
    """Colour description of pictures, in ffmpeg's names (ITU-T H.273)."""

    primaries: str
    transfer: str
    matrix: str
    full_range: bool = False

    @property
    def hdr(self) -> HdrRange | None:
        """``PQ`` (HDR10) or ``HLG``; None for standard dynamic range."""
        ranges: dict[str, HdrRange] = {transfer: name for name, transfer in TRANSFERS.items()}
        return ranges.get(self.transfer)


SDR = Colour(primaries="bt709", transfer="bt709", matrix="bt709")

Carrier = Literal["nut", "mov", "decoded"]
"""How a stream is cut: its packets into a container that holds them exactly, or into decoded frames."""

Scan = Literal["progressive", "mixed", "interlaced"]
"""Whether none, some or all of the examined pictures are interlaced."""


class VideoStream(Model):
    """The picture of a source, as probed."""

    index: int
    codec: str
    profile: str | None = None
    width: int = Field(gt=0)
    """Coded pixels, before the crop, the display matrix and the sample aspect ratio."""
    height: int = Field(gt=0)
    crop: Crop = Crop()
    sample_aspect: Rate = Fraction(1)
    display_matrix: DisplayMatrix | None = None
    """How players turn and mirror the picture; None: it is stored upright."""
    frame_rate: Rate
    time_base: Rate
    pixel_format: str
    scan: Scan = "progressive"
    field_order: Literal["tff", "bff"] | None = None
    """Which field is first, where all interlaced pictures agree; None: left to each picture's own flag."""
    fields_apart: bool = False
    """Whether each decoded picture is a single field, of half the height (HEVC)."""
    first_pts: int | None = None
    """When the first picture that a decoder outputs is shown, in ticks; None: unknown."""
    reorders: bool = False
    """Whether pictures are stored in another order than they are shown."""
    carrier: Carrier = "nut"
    colour: Colour = SDR
    """As declared; what is not declared, as players assume."""
    peak_nits: int | None = Field(None, gt=0)
    """Declared peak brightness of HDR pictures."""
    hdr: SourceHdr | None = Field(None, exclude_if=is_unset)
    """What it says of its HDR; None: it is SDR, or the plan keeps nothing of it."""
    bitrate_bps: int | None = None
    language: str | None = None
    """As tagged, usually an ISO 639 code; None if there is no tag."""

    @property
    def natural_rate(self) -> Fraction:
        """Pictures a second that the camera took: frames, or fields if it is interlaced (Apple 1.17)."""
        return self.frame_rate * (2 if self.interlaced else 1)

    @property
    def interlaced(self) -> bool:
        """Whether any examined picture is interlaced."""
        return self.scan != "progressive"

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of the cropped picture, in stored pixels."""
        left, top, right, bottom = self.crop
        return self.width - left - right, self.height - top - bottom

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height in square pixels, upright."""
        stored_width, stored_height = self.shown_size
        width, height = round(stored_width * self.sample_aspect), stored_height
        if self.sample_aspect < 1:  # never squeeze: stretch the other side instead
            width, height = stored_width, round(stored_height / self.sample_aspect)
        matrix = self.display_matrix
        return (height, width) if matrix is not None and matrix.swaps_sides else (width, height)


class AudioStream(Model):
    """One sound track of a source, as probed."""

    index: int
    codec: str
    channels: int = Field(gt=0)
    channel_layout: str | None = None
    """ffmpeg's name of it: ``stereo``, ``5.1(side)``, ``ambisonic 1``."""
    sample_rate: int = Field(gt=0)
    time_base: Rate
    start_s: Fraction | None = None
    """When its first sample is heard, on the source's clock; a decoder's priming comes before."""
    carrier: Literal["nut", "decoded"] = "nut"
    describes_video: bool = False
    """Whether it is an audio description, for people who cannot see the picture."""
    hearing_impaired: bool = False
    """Whether its speech is easier to understand, for people who hear badly."""
    commentary: bool = False
    """Whether it is about the film, and not the film's own."""
    language: str | None = None
    """As tagged, usually an ISO 639 code; None if there is no tag."""
    title: str | None = None
    default: bool = False
    bitrate_bps: int | None = None

    @property
    def is_special(self) -> bool:
        """Whether only some listeners want it, so that it must not be the default."""
        return self.describes_video or self.hearing_impaired or self.commentary

    @property
    def is_ambisonic(self) -> bool:
        """Whether its channels describe a sound field (``ambisonic 1+stereo``), not loudspeakers."""
        return (self.channel_layout or "").startswith("ambisonic")


class TextStream(Model):
    """One subtitle track of a source, as probed."""

    index: int
    codec: str
    language: str | None = None
    """As tagged, usually an ISO 639 code; None if there is no tag."""
    title: str | None = None
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False
    commentary: bool = False


class Chapter(Model):
    """A named part of a source."""

    start_s: Fraction
    """On the source's clock."""
    end_s: Fraction
    title: str | None = None


class Source(Model):
    """What ffprobe says of a source."""

    container: str
    size_bytes: int = Field(gt=0)
    duration_ms: int | None = None
    """As the container declares it; the split counts the exact length."""
    bitrate_bps: int | None = None
    video: VideoStream | None = None
    """None: sound only."""
    audio: tuple[AudioStream, ...] = ()
    texts: tuple[TextStream, ...] = ()
    """Subtitles that are text."""
    chapters: tuple[Chapter, ...] = ()
    begins_late: bool = False
    """Whether a stream was found only by searching the whole file."""
    container_ids: frozenset[int] = frozenset()
    """The container's ids of the picture's and the sounds' streams: PIDs, track ids."""
    skipped: tuple[str, ...] = ()
    """Streams that are left out, each with the reason, for a person."""

    def frames_at(self, rate: Fraction) -> int | None:
        """Number of frames in the declared duration; None if none is declared."""
        return None if self.duration_ms is None else round(Fraction(self.duration_ms, 1000) * rate)

    @property
    def is_transport(self) -> bool:
        """Whether it is MPEG-TS."""
        return self.container == "mpegts"

    @model_validator(mode="after")
    def _has_a_stream(self) -> Source:
        if self.video is None and not self.audio:
            raise ValueError("neither a picture nor a sound")
        return self


# --- the plan -------------------------------------------------------------------------------


class Rendition(Encoding):
    """One video track of the output."""

    name: Name
    width: int = Field(gt=0, multiple_of=2)
    height: int = Field(gt=0, multiple_of=2)
    target_vmaf: float | None = Field(None, exclude_if=is_unset)
    """Mean VMAF at its own size that it should have. ``crf`` is then only a guess, until ``Plan.chosen``."""

    @property
    def label(self) -> str:
        """Label for a person: ``540p · 960x540``."""
        return f"{self.name} · {self.width}x{self.height}"


def is_aac(value: object) -> bool:
    """Whether it is the codec that plans of earlier releases do not name."""
    return value == "aac"


class AudioRendition(Model):
    """One sound track of the output."""

    name: Name
    track: Name
    """The source's track that it is made from. A stereo and a surround rendition may share one."""
    codec: SoundCodec = Field("aac", exclude_if=is_aac)
    passthrough: bool = Field(False, exclude_if=is_unset)
    """Whether the source's own frames are taken, if they allow it."""
    loudness_lufs: int | None = None
    """Target loudness; None leaves it as it is."""
    stream: AudioStream
    right: AudioStream | None = None
    """Right channel of a pair of mono streams; ``stream`` is then the left one."""
    channels: int
    sample_rate: int
    bitrate_bps: int
    language: str | None
    title: str
    default: bool

    @property
    def label(self) -> str:
        """Label for a person: ``audio-0 · English``."""
        return f"{self.name} · {self.title}"


class TextRendition(Model):
    """One subtitle track of the output."""

    name: Name
    language: str | None
    title: str
    default: bool
    forced: bool
    hearing_impaired: bool = False
    commentary: bool = False
    sidecar_sha256: str | None = None
    """Digest of the subtitle file of the request, as converted; None: it is a track of the source."""
    sidecar_encoding: str | None = None

    @property
    def label(self) -> str:
        """Label for a person: ``text-0 · English``."""
        return f"{self.name} · {self.title}"

    @property
    def imsc_name(self) -> str:
        """Name of the same track as IMSC1: ``imsc-0``."""
        return self.name.replace("text-", "imsc-")


class Plan(Model):
    """Everything that is decided before a frame is read."""

    video_id: str
    preset: Preset
    source: Source
    frame_rate: Rate
    """Output frame rate: the source's, divided until the preset allows it; 1 for sound only."""
    timescale: int = Field(gt=0)
    """Ticks a second of the output tracks; a frame is a whole number of them."""
    gop_frames: int = Field(gt=0)
    segment_frames: int = Field(gt=0)
    chunk_frames: int = Field(gt=0)
    lookahead_frames: int = Field(ge=0)
    """Longest lookahead of the encoders, at most a GOP: that many frames of a lead-out are encoded."""
    renditions: tuple[Rendition, ...]
    """Of all ladders, from the smallest picture to the largest; none for sound only. If ``is_open``, those
    that may be made."""
    audio: tuple[AudioRendition, ...]
    texts: tuple[TextRendition, ...] = ()
    """The source's tracks in its order, named as they are cut; then the files of the request."""
    skipped: tuple[str, ...] = ()
    """Sound that the preset leaves out, and ladders that the source cannot have, in words for a person."""
    downloads: tuple[Name, ...] = Field((), exclude_if=is_empty)
    """Files to download, as the preset or the request names them."""
    chapters: tuple[AskedChapter, ...] | None = Field(None, exclude_if=is_unset)
    """Of the request; None: those of the source, if the preset asks for them."""

    @property
    def sdr(self) -> tuple[Rendition, ...]:
        """The renditions of standard dynamic range. Pictures, reports and VMAF are made of these."""
        return tuple(rendition for rendition in self.renditions if rendition.hdr is None)

    @property
    def targets(self) -> tuple[Rendition, ...]:
        """The renditions with a target quality."""
        return tuple(rendition for rendition in self.renditions if rendition.target_vmaf is not None)

    @property
    def by_title(self) -> tuple[tuple[Rendition, ...], ...]:
        """Of each ladder that is chosen by title, the renditions that may be made."""
        codecs = [ENCODERS[ladder.encoder].codec for ladder in self.preset.ladders if ladder.by_title]
        return tuple(tuple(made for made in self.sdr if made.codec == codec) for codec in codecs)

    @property
    def is_open(self) -> bool:
        """Whether the video is analysed before it is decided how its renditions are encoded."""
        return bool(self.targets or any(self.by_title))

    def chosen(self, choice: Choice) -> Plan:
        """The plan with what was chosen for this video: the CRF of each rendition, without those left out."""
        left_out = {name for name, chosen in choice.renditions.items() if chosen.crf is None}
        crfs = {name: chosen.crf for name, chosen in choice.renditions.items() if chosen.crf is not None}
        kept = tuple(rendition for rendition in self.renditions if rendition.name not in left_out)
        return self.model_copy(update={"renditions": kept}).with_crfs(crfs)

    def with_crfs(self, crfs: Mapping[str, float]) -> Plan:
        """The plan with other CRFs.

        :param crfs: by name of the rendition; the others keep theirs.
        """
        changed = (
            rendition.model_copy(update={"crf": crfs.get(rendition.name, rendition.crf)})
            for rendition in self.renditions
        )
        return self.model_copy(update={"renditions": tuple(changed)})

    @property
    def frame_ticks(self) -> int:
        """Length of one frame in ticks of ``timescale``."""
        return int(self.timescale / self.frame_rate)

    def seconds(self, frames: int) -> Fraction:
        """Duration of that many output frames, in seconds."""
        return frames / self.frame_rate

    def gop_of(self, rendition: Rendition) -> int:
        """Frames from one IDR picture of that rendition to the next.

        The smallest rendition of each ladder has about one a second, so that scrubbing by its I-frame
        playlist is smooth (Apple 6.8). The GOPs of all renditions must begin together, so the interval
        divides ``gop_frames``; where no interval near a second does, it is ``gop_frames``.
        """
        if not self.is_smallest(rendition):
            return self.gop_frames
        second = max(1, round(self.frame_rate))
        lengths = [n for n in range(-(-second // 2), second + 1) if self.gop_frames % n == 0]
        return max(lengths, default=self.gop_frames)

    def is_smallest(self, rendition: Rendition) -> bool:
        """Whether it is the smallest rendition of its ladder."""
        return rendition.name == next(m.name for m in self.renditions if m.ladder == rendition.ladder)

    def lead_out(self, chunk: Chunk) -> int:
        """Number of frames after the chunk that are encoded with it."""
        return min(chunk.lead_out, self.lookahead_frames)

    def rendition(self, name: str) -> Rendition:
        """The video rendition of that name."""
        return next(rendition for rendition in self.renditions if rendition.name == name)

    def audio_rendition(self, name: str) -> AudioRendition:
        """The audio rendition of that name."""
        return next(rendition for rendition in self.audio if rendition.name == name)

    def text_rendition(self, name: str) -> TextRendition:
        """The subtitle rendition of that name."""
        return next(rendition for rendition in self.texts if rendition.name == name)


class Layout(Model):
    """Where a file holds the streams of a plan: the index and time base of each."""

    video: tuple[int, Rate] | None
    sounds: dict[str, tuple[int, Rate]]
    """Track -> index and time base."""
    video_carrier: Literal["nut", "mov"] = "nut"
    """Container that chunks are cut into."""
    sample_bases: dict[str, Rate] = Field(default_factory=dict)
    """Track -> duration of a sample in seconds."""
    decoded_sounds: tuple[str, ...] = ()
    """Tracks that are cut as decoded samples, because their packets cannot be cut; timed in samples."""
    right_sounds: dict[str, int] = Field(default_factory=dict)
    """Track -> index of the right stream, for tracks that are a pair of mono streams."""
    begins_late: bool = False
    """Whether a stream begins after the part that ffmpeg probes by default."""
    transport: bool = False
    """Whether it is MPEG-TS, in which streams may change their PIDs."""
    texts: dict[str, int] = Field(default_factory=dict)
    """Subtitle track -> index."""
    copied_texts: tuple[str, ...] = ()
    """Subtitle tracks that are WebVTT already."""
    seeks_exactly: bool = False
    """Whether the container has an index of times."""
    derived_times: bool = True
    """How presentation times are found that the container lacks (AVI, MPEG-PS): derived from decoding times
    and the order of pictures; if false, equal to decoding times."""


class Chunk(Model):
    """The unit of parallel work: output frames ``[first, last)`` and the source packets they need."""

    model_config = ConfigDict(extra="ignore")  # a run that an earlier version began has more fields

    index: int = Field(ge=0)
    first: int = Field(ge=0)
    last: int
    lead_in: int = Field(0, ge=0)
    """Frames before its own that are encoded and discarded. They bring the encoder's rate control to the
    state that it would have if it had encoded the whole video."""
    lead_out: int = Field(0, ge=0)
    """Frames after its own that may be encoded and discarded, for the encoder's lookahead."""
    key_pts: int
    """Where its source packets begin, in source ticks: the last key frame at or before its lead-in."""
    end_pts: int | None
    """Where they end, in source ticks: the first frame after its lead-out; None: the end of the source."""
    packets: int = Field(0, ge=0)
    """Least number of source packets that the cut must hold."""
    byte_range: tuple[int, int] | None = None
    """Bytes ``[begin, end)`` of the source file that hold its packets; None: unknown without an index."""

    @model_validator(mode="after")
    def _holds_a_frame(self) -> Chunk:
        if self.last <= self.first:
            raise ValueError(f"chunk {self.index} is empty: [{self.first}, {self.last})")
        return self

    @property
    def frames(self) -> int:
        """Number of its own output frames."""
        return self.last - self.first

    @property
    def name(self) -> str:
        """``chunk-00003``: names sort in the order of the chunks."""
        return f"chunk-{self.index:05d}"


class Window(Chunk):
    """A few seconds of the video encoded at several rates, to learn what it needs. Inside one chunk."""

    @property
    def name(self) -> str:
        """``window-00003``."""
        return f"window-{self.index:05d}"


class Sound(Model):
    """One sound track as it is cut."""

    time_base: Rate
    seconds: Annotated[Fraction, Field(ge=0)]
    """Length of the source's sound from output frame 0 on, whatever rate a preset encodes it at."""
    decoded: bool = False
    """Whether it is cut as decoded samples."""


class Timeline(Model):
    """The exact times of a source, counted packet by packet, and its chunks."""

    origin_pts: int
    """Source ticks at output frame 0, the same for all chunks and sound tracks: the start of the video; for
    sound only, of the track that starts first."""
    time_base: Rate
    frames: int = Field(ge=0)
    """Output frames of the whole video; 0 for sound only."""
    variable_rate: bool = False
    """Whether the source's frames differ in length."""
    chunks: tuple[Chunk, ...]
    windows: tuple[Window, ...] = ()
    """What is analysed of the video; empty in timelines of before there were any."""
    sounds: dict[str, Sound]
    """Track of the source -> its sound."""
    still: bool = False
    """Whether it is a still picture or slides, whose last picture is held until the sound ends."""
    lost_frames: int = Field(0, ge=0)
    """Pictures that are dropped because they come faster than the source's own rate."""
    undecoded_s: Annotated[Fraction, Field(ge=0)] = Fraction(0)
    """How long the source has pictures before the first that can be decoded, where the video begins."""
    carrier: Literal["nut", "mov"] = "nut"
    """Container that chunks are cut into."""
    in_place: bool = False
    """Whether each task cuts its chunk from the source itself; otherwise the split has stored the chunks."""
    repairs: tuple[str, ...] = ()
    """Repairs that the source needed before it could be cut, in words for a person."""
    text_shift_ms: int = 0
    """Subtracted from the times of the cut subtitles, so that they count from the start of the video."""
    damage: tuple[str, ...] = ()
    """Damage that the split found, in words for a person. Damage inside a chunk is found by its decoder."""

    def seconds(self, rate: Fraction) -> Fraction:
        """Length of the picture in seconds; for sound only, of the longest track."""
        return self.frames / rate if self.frames else max(sound.seconds for sound in self.sounds.values())

    def audio_samples(self, audio: AudioRendition, rate: Fraction) -> int:
        """Length of an output sound track in samples: as long as the picture (Apple 8.3).

        :param rate: frame rate of the output.
        """
        return round(self.seconds(rate) * audio.sample_rate)

    def span(self, chunk: Chunk, rate: Fraction) -> str:
        """Begin and end of a chunk for a person: ``0:54-1:12``."""
        return f"{clock(chunk.first / rate)}-{clock(chunk.last / rate)}"

    def label(self, chunk: Chunk, rate: Fraction) -> str:
        """Label of a chunk in the list of mapped tasks: ``chunk 3/12 · 0:54-1:12``."""
        return f"chunk {chunk.index + 1}/{len(self.chunks)} · {self.span(chunk, rate)}"


def chunk_of(timeline: Timeline, window: Window) -> Chunk:
    """The chunk that a window lies in."""
    return next(chunk for chunk in timeline.chunks if chunk.first <= window.first < chunk.last)


def clock(seconds: Fraction | float) -> str:
    """``0:54`` or ``1:02:03``, rounded to the second."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
