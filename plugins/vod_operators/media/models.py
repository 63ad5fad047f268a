"""The words of this package: what a source is, what is wanted, and what will be made.

Every model is frozen, refuses unknown keys and is checked when it is made; all of them travel as
JSON. Time is integers: frames at the output rate, or ticks of a stated time base.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rate = Annotated[Fraction, Field(gt=0)]
"""Frames a second, exact (``30000/1001``)."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""Part of a key: what is safe in a path, a URL and a task's label."""


class Model(BaseModel):
    """Base of all: frozen, and an unknown key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


# --- the source -----------------------------------------------------------------------------


class Colour(Model):
    """How numbers mean light, in ffmpeg's names (ITU-T H.273)."""

    primaries: str
    transfer: str
    matrix: str
    full_range: bool = False

    @property
    def hdr(self) -> str | None:
        """``PQ`` (HDR10) or ``HLG``; None is standard dynamic range."""
        return {"smpte2084": "PQ", "arib-std-b67": "HLG"}.get(self.transfer)


SDR = Colour(primaries="bt709", transfer="bt709", matrix="bt709")


class VideoStream(Model):
    """The picture of a source, as probed."""

    index: int
    codec: str
    profile: str | None = None
    width: int = Field(gt=0)
    """Coded pixels, before rotation and before the sample aspect ratio."""
    height: int = Field(gt=0)
    sample_aspect: Rate = Fraction(1)
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise that a player turns the picture by."""
    frame_rate: Rate
    time_base: Rate
    pixel_format: str
    interlaced: bool = False
    reorders: bool = False
    """Whether pictures are stored in another order than they are shown in."""
    colour: Colour = SDR
    """As declared; where it is not, as players assume."""
    peak_nits: int | None = Field(None, gt=0)
    """Brightest light of an HDR picture, if it is declared."""
    bitrate_bps: int | None = None

    @property
    def natural_rate(self) -> Fraction:
        """Pictures a second that the camera took: frames, or fields if interlaced (Apple 1.17)."""
        return self.frame_rate * (2 if self.interlaced else 1)

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height in square pixels, upright."""
        width, height = round(self.width * self.sample_aspect), self.height
        if self.sample_aspect < 1:  # never squeeze: stretch the other side instead
            width, height = self.width, round(self.height / self.sample_aspect)
        return (height, width) if self.rotation in (90, 270) else (width, height)


class AudioStream(Model):
    """One sound track of a source, as probed."""

    index: int
    codec: str
    channels: int = Field(gt=0)
    sample_rate: int = Field(gt=0)
    time_base: Rate
    start_s: Fraction | None = None
    """When its first sample is heard, on the source's clock: behind what decoders need before it."""
    language: str | None = None
    """ISO 639 code, or None if the source does not say."""
    title: str | None = None
    default: bool = False
    bitrate_bps: int | None = None


class Source(Model):
    """What ffprobe says of a source."""

    container: str
    size_bytes: int = Field(gt=0)
    duration_ms: int | None = None
    """As declared by the container; the exact length is counted by the split."""
    bitrate_bps: int | None = None
    video: VideoStream | None = None
    """None: sound only."""
    audio: tuple[AudioStream, ...] = ()

    @model_validator(mode="after")
    def _has_a_stream(self) -> Source:
        if self.video is None and not self.audio:
            raise ValueError("neither a picture nor a sound")
        return self

    @property
    def video_bitrate_bps(self) -> int | None:
        """The picture's bitrate; the whole file's where the stream does not tell."""
        return (self.video.bitrate_bps if self.video else None) or self.bitrate_bps


# --- the wish -------------------------------------------------------------------------------


class Conditions(Model):
    """What a source must have for a rung to be made of it. Absent: no condition."""

    min_width: int | None = None
    """Of the upright picture in square pixels, like ``min_height``."""
    min_height: int | None = None
    min_bitrate_bps: int | None = None
    min_frame_rate: float | None = None
    max_frame_rate: float | None = None
    min_aspect: float | None = None
    """Width / height of the upright picture."""
    max_aspect: float | None = None


class Rung(Model):
    """One step of a ladder: a box the picture must fit in, and its rate control."""

    name: Name
    width: int = Field(ge=16, le=8192, multiple_of=2)
    """Of a landscape picture; a portrait picture uses the box on its side."""
    height: int = Field(ge=16, le=8192, multiple_of=2)
    crf: float = Field(ge=0, le=51)
    """Constant quality aimed at, below ``max_bitrate_bps``."""
    max_bitrate_bps: int = Field(gt=0)
    buffer_bits: int = Field(gt=0)
    """VBV buffer that ``max_bitrate_bps`` is measured over."""
    profile: Literal["baseline", "main", "high"] = "high"
    when: Conditions = Conditions()


class AudioRung(Model):
    """How each sound track is encoded."""

    channels: Literal[1, 2] = 2
    sample_rate: Literal[44100, 48000] = 48000
    bitrate_bps: int = Field(ge=32_000, le=320_000)
    surround_bitrate_bps: int | None = Field(None, ge=160_000, le=640_000)
    """Of a second, 5.1 rendition of tracks that have at least six channels; None makes none."""


class Preset(Model):
    """A ladder: what is made of a source that has enough to give."""

    name: Name
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=1000)
    encoder: Literal["libx264"]
    encoder_preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
    ]
    max_frame_rate: int = Field(60, ge=1, le=60)
    """Faster sources are divided down to at most this. Apple HLS authoring 1.19."""
    gop_seconds: int = Field(2, ge=1, le=10)
    segment_gops: int = Field(3, ge=1, le=10)
    rungs: tuple[Rung, ...] = Field(min_length=1, max_length=20)
    """From the smallest picture to the largest."""
    audio: AudioRung

    @model_validator(mode="after")
    def _names_are_unique(self) -> Preset:
        names = [rung.name for rung in self.rungs]
        if len(set(names)) != len(names):
            raise ValueError(f"rungs have the same name: {sorted(n for n in names if names.count(n) > 1)}")
        if taken := [name for name in names if name.startswith("audio-")]:
            raise ValueError(f"rungs must not be named as sound tracks are: {taken}")
        sizes = [rung.width * rung.height for rung in self.rungs]
        if sizes != sorted(sizes):
            raise ValueError("rungs must be listed from the smallest picture to the largest")
        return self


# --- the plan -------------------------------------------------------------------------------


class Rendition(Model):
    """One video track of the output."""

    name: Name
    width: int = Field(gt=0, multiple_of=2)
    height: int = Field(gt=0, multiple_of=2)
    crf: float
    max_bitrate_bps: int
    buffer_bits: int
    profile: str

    @property
    def label(self) -> str:
        """As a person would call it: ``540p · 960x540``."""
        return f"{self.name} · {self.width}x{self.height}"


class AudioRendition(Model):
    """One sound track of the output."""

    name: Name
    track: Name
    """Of the source: its stereo and its surround rendition are made of the same packets."""
    stream: AudioStream
    channels: int
    sample_rate: int
    bitrate_bps: int
    language: str | None
    title: str
    default: bool

    @property
    def label(self) -> str:
        """As a person would call it: ``audio-0 · English``."""
        return f"{self.name} · {self.title}"


class Plan(Model):
    """Everything that is decided before a frame is read."""

    video_id: str
    preset: Preset
    source: Source
    frame_rate: Rate
    """Of the output: the source's own, or that divided until the preset allows it; 1 for sound only."""
    timescale: int = Field(gt=0)
    """Ticks a second of the output tracks; a frame is a whole number of them."""
    gop_frames: int = Field(gt=0)
    segment_frames: int = Field(gt=0)
    chunk_frames: int = Field(gt=0)
    lookahead_frames: int = Field(ge=0)
    """How far the encoder looks ahead: so many frames of each chunk's lead-out are encoded."""
    renditions: tuple[Rendition, ...]
    """From the smallest picture to the largest; none for sound only."""
    audio: tuple[AudioRendition, ...]

    @property
    def frame_ticks(self) -> int:
        """Length of one frame in ticks of ``timescale``."""
        return int(self.timescale / self.frame_rate)

    def seconds(self, frames: int) -> Fraction:
        """How long so many output frames last."""
        return frames / self.frame_rate

    def gop_of(self, rendition: Rendition) -> int:
        """Frames from one IDR picture of that track to the next.

        The smallest track has about one a second, so that its I-frame playlist scrubs smoothly (Apple 6.8).
        GOPs must begin together, so this divides the GOP; where no length near a second does, it is the GOP.
        """
        if rendition.name != self.renditions[0].name:
            return self.gop_frames
        second = max(1, round(self.frame_rate))
        lengths = [n for n in range(-(-second // 2), second + 1) if self.gop_frames % n == 0]
        return max(lengths, default=self.gop_frames)

    def lead_out(self, chunk: Chunk) -> int:
        """Frames after the chunk that are encoded with it."""
        return min(chunk.lead_out, self.lookahead_frames)

    def rendition(self, name: str) -> Rendition:
        """The video track of that name."""
        return next(rendition for rendition in self.renditions if rendition.name == name)

    def audio_rendition(self, name: str) -> AudioRendition:
        """The sound track of that name."""
        return next(rendition for rendition in self.audio if rendition.name == name)


class Layout(Model):
    """Where a file has the streams of a plan: index and time base of each."""

    video: tuple[int, Rate] | None
    sounds: dict[str, tuple[int, Rate]]
    """By track."""
    decoded_sounds: dict[str, Rate] = {}
    """Tracks whose packets NUT cannot hold: they are cut as decoded samples, timed in this base."""
    derived_times: bool = True
    """Whether presentation times that the container does not tell (AVI, MPEG-PS) follow from those of
    decoding by way of the reordering; else they are those of decoding."""


class Chunk(Model):
    """The unit of parallel work: output frames ``[first, last)`` and the source packets they need."""

    index: int = Field(ge=0)
    first: int = Field(ge=0)
    last: int
    lead_in: int = Field(0, ge=0)
    """Frames before its own that are encoded and thrown away, so that the encoder's rate control comes to
    the join as if it had encoded all before."""
    lead_out: int = Field(0, ge=0)
    """Frames after its own that may be encoded and thrown away, so that it sees what comes."""
    key_pts: int
    """Where its source packets begin: the last key frame at or before its lead-in (source ticks)."""
    end_pts: int | None
    """Where they end: the first source frame after its lead-out; None is the end of the source."""

    @model_validator(mode="after")
    def _holds_a_frame(self) -> Chunk:
        if self.last <= self.first:
            raise ValueError(f"chunk {self.index} is empty: [{self.first}, {self.last})")
        return self

    @property
    def frames(self) -> int:
        """Output frames in it."""
        return self.last - self.first

    @property
    def name(self) -> str:
        """``chunk-00003``; sorts in order."""
        return f"chunk-{self.index:05d}"


class Sound(Model):
    """One sound track as it was cut."""

    time_base: Rate
    seconds: Annotated[Fraction, Field(ge=0)]
    """Length from output frame 0: of the source, whatever rate a preset encodes it at."""


class Timeline(Model):
    """The exact time of a source, counted packet by packet."""

    origin_pts: int
    """Source ticks at output frame 0: the start of the video, for every chunk and sound track alike;
    for sound only, of the first track that starts."""
    time_base: Rate
    frames: int = Field(ge=0)
    """Output frames in all; 0 for sound only."""
    variable_rate: bool = False
    """Whether the source's frames are not all as long as the next."""
    chunks: tuple[Chunk, ...]
    sounds: dict[str, Sound]
    """By the source's track."""
    repairs: tuple[str, ...] = ()
    """What had to be done before the source could be cut, in words."""
    damage: tuple[str, ...] = ()
    """What is missing of the source, in words; damage inside a chunk is found when that is decoded."""

    def seconds(self, rate: Fraction) -> Fraction:
        """How long the picture lasts; for sound only, the longest track."""
        return self.frames / rate if self.frames else max(sound.seconds for sound in self.sounds.values())

    def audio_samples(self, audio: AudioRendition) -> int:
        """Length of a sound track in samples of its output rate."""
        return round(self.sounds[audio.track].seconds * audio.sample_rate)

    def span(self, chunk: Chunk, rate: Fraction) -> str:
        """``0:54-1:12``."""
        return f"{clock(chunk.first / rate)}-{clock(chunk.last / rate)}"

    def label(self, chunk: Chunk, rate: Fraction) -> str:
        """``chunk 3/12 · 0:54-1:12``: what a person sees in the list of mapped tasks."""
        return f"chunk {chunk.index + 1}/{len(self.chunks)} · {self.span(chunk, rate)}"


def clock(seconds: Fraction | float) -> str:
    """``0:54``, ``1:02:03``; to the nearest second."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
