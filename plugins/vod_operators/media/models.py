"""The words of this package: what a source is, and what will be made (what is wanted: ``presets.model``).

Time is integers: frames at the output rate, or ticks of a stated time base.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vod_operators.media.base import Model, Name, Rate
from vod_operators.media.encoders import ENCODERS, Codec, EncoderName
from vod_operators.media.orientation import Crop, DisplayMatrix
from vod_operators.media.presets.model import Preset

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

Carrier = Literal["nut", "mov", "decoded"]
"""What a stream's packets are cut into: a container that holds them exactly, or decoded frames."""

Scan = Literal["progressive", "mixed", "interlaced"]
"""Whether pictures are woven of two fields: none, some, or all of those that were looked at."""


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
    """How a player turns and mirrors the picture; None: it is stored upright."""
    frame_rate: Rate
    time_base: Rate
    pixel_format: str
    scan: Scan = "progressive"
    field_order: Literal["tff", "bff"] | None = None
    """Which field is first, where only the container says so; None: the pictures do, or there are none."""
    fields_apart: bool = False
    """Whether each decoded picture is one field, of half the height (HEVC)."""
    first_pts: int | None = None
    """When the first picture is shown that a decoder gives, in ticks; None: that is not known."""
    reorders: bool = False
    """Whether pictures are stored in another order than they are shown in."""
    carrier: Carrier = "nut"
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
    def interlaced(self) -> bool:
        """Whether it has fields anywhere."""
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
    """In ffmpeg's words: ``stereo``, ``5.1(side)``, ``ambisonic 1``."""
    sample_rate: int = Field(gt=0)
    time_base: Rate
    start_s: Fraction | None = None
    """When its first sample is heard, on the source's clock: behind what decoders need before it."""
    carrier: Literal["nut", "decoded"] = "nut"
    describes_video: bool = False
    """Whether it is an audio description: it tells those who do not see what is shown."""
    language: str | None = None
    """ISO 639 code, or None if the source does not say."""
    title: str | None = None
    default: bool = False
    bitrate_bps: int | None = None

    @property
    def is_ambisonic(self) -> bool:
        """Whether its channels are a sound field (``ambisonic 1+stereo``), not loudspeakers."""
        return (self.channel_layout or "").startswith("ambisonic")


class TextStream(Model):
    """One subtitle track of a source, as probed."""

    index: int
    codec: str
    language: str | None = None
    """ISO 639 code, or None if the source does not say."""
    title: str | None = None
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False


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
    """As declared by the container; the exact length is counted by the split."""
    bitrate_bps: int | None = None
    video: VideoStream | None = None
    """None: sound only."""
    audio: tuple[AudioStream, ...] = ()
    texts: tuple[TextStream, ...] = ()
    """Subtitles that are text."""
    chapters: tuple[Chapter, ...] = ()
    begins_late: bool = False
    """Whether a stream was known only after a search through the file."""
    container_ids: frozenset[int] = frozenset()
    """The container's own numbers of picture and sound: PIDs, track ids."""
    skipped: tuple[str, ...] = ()
    """Streams that are left out, and why, in words."""

    def frames_at(self, rate: Fraction) -> int | None:
        """Pictures of the length that is declared; None: none is."""
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

    @property
    def video_bitrate_bps(self) -> int | None:
        """The picture's bitrate; the whole file's where the stream does not tell."""
        return (self.video.bitrate_bps if self.video else None) or self.bitrate_bps


# --- the plan -------------------------------------------------------------------------------


class Rendition(Model):
    """One video track of the output."""

    name: Name
    encoder: EncoderName
    encoder_preset: str
    width: int = Field(gt=0, multiple_of=2)
    height: int = Field(gt=0, multiple_of=2)
    crf: float
    max_bitrate_bps: int
    buffer_bits: int
    profile: str
    bit_depth: int = 8

    @property
    def codec(self) -> Codec:
        """What the encoder makes."""
        return ENCODERS[self.encoder].codec

    @property
    def label(self) -> str:
        """As a person would call it: ``540p · 960x540``."""
        return f"{self.name} · {self.width}x{self.height}"


class AudioRendition(Model):
    """One sound track of the output."""

    name: Name
    track: Name
    """Of the source: its stereo and its surround rendition are made of the same packets."""
    loudness_lufs: int | None = None
    """What it is brought to; None leaves it as it is."""
    stream: AudioStream
    right: AudioStream | None = None
    """Of a pair of mono tracks, the one for the right; the other is ``stream``."""
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


class TextRendition(Model):
    """One subtitle track of the output."""

    name: Name
    language: str | None
    title: str
    default: bool
    forced: bool
    hearing_impaired: bool = False
    sidecar_sha256: str | None = None
    """Of the file that came with the request, as it was converted; None: it is a track of the source."""
    sidecar_encoding: str | None = None

    @property
    def label(self) -> str:
        """As a person would call it: ``text-0 · English``."""
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
    """Of all ladders, from the smallest picture to the largest; none for sound only."""
    audio: tuple[AudioRendition, ...]
    texts: tuple[TextRendition, ...] = ()
    """First the source's, in its order, named as they are cut; then those that came with the request."""
    skipped: tuple[str, ...] = ()
    """Sound that the preset leaves out, in words."""

    @property
    def frame_ticks(self) -> int:
        """Length of one frame in ticks of ``timescale``."""
        return int(self.timescale / self.frame_rate)

    def seconds(self, frames: int) -> Fraction:
        """How long so many output frames last."""
        return frames / self.frame_rate

    def gop_of(self, rendition: Rendition) -> int:
        """Frames from one IDR picture of that track to the next.

        The smallest track of each codec has about one a second, so that its I-frame playlist scrubs smoothly
        (Apple 6.8). GOPs must begin together, so this divides the GOP; where no length near a second does, it
        is the GOP.
        """
        smallest = next(made for made in self.renditions if made.codec == rendition.codec)
        if rendition.name != smallest.name:
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

    def text_rendition(self, name: str) -> TextRendition:
        """The subtitle track of that name."""
        return next(rendition for rendition in self.texts if rendition.name == name)


class Layout(Model):
    """Where a file has the streams of a plan: index and time base of each."""

    video: tuple[int, Rate] | None
    sounds: dict[str, tuple[int, Rate]]
    """By track."""
    video_carrier: Literal["nut", "mov"] = "nut"
    """What chunks are cut into."""
    sample_bases: dict[str, Rate] = Field(default_factory=dict)
    """By track: how long a sample lasts."""
    decoded_sounds: tuple[str, ...] = ()
    """Tracks whose packets NUT cannot hold: they are cut as decoded samples, timed in samples."""
    right_sounds: dict[str, int] = Field(default_factory=dict)
    """Tracks that are a pair of mono streams: index of the right one."""
    begins_late: bool = False
    """Whether a stream begins behind what is looked at by default."""
    transport: bool = False
    """Whether it is MPEG-TS, in which streams may change their PIDs."""
    texts: dict[str, int] = Field(default_factory=dict)
    """Subtitle tracks: index by track."""
    copied_texts: tuple[str, ...] = ()
    """Those that are WebVTT as they are."""
    seeks_exactly: bool = False
    """Whether the container knows where each time is."""
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
    begins_with_key: bool = True
    """Whether the packet at ``key_pts`` is marked as a key frame: a file's first picture may do without."""
    packets: int = Field(0, ge=0)
    """So many of them there must be at least."""
    byte_range: tuple[int, int] | None = None
    """Bytes of the source's file in which they lie; None where only an index of all packets would tell."""

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
    decoded: bool = False
    """Whether it is cut as decoded samples."""


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
    still: bool = False
    """Whether the picture stands still, and is held for the length of the sound."""
    lost_frames: int = Field(0, ge=0)
    """Pictures of the source that come too fast for the output's rate."""
    carrier: Literal["nut", "mov"] = "nut"
    """What chunks are cut into."""
    in_place: bool = False
    """Whether each task cuts what it encodes from the source itself; else the split has stored it."""
    repairs: tuple[str, ...] = ()
    """What had to be done before the source could be cut, in words."""
    text_shift_ms: int = 0
    """Taken off the times of the subtitles as they were cut; then they count from the start of the video."""
    damage: tuple[str, ...] = ()
    """What is missing of the source, in words; damage inside a chunk is found when that is decoded."""

    def seconds(self, rate: Fraction) -> Fraction:
        """How long the picture lasts; for sound only, the longest track."""
        return self.frames / rate if self.frames else max(sound.seconds for sound in self.sounds.values())

    def audio_samples(self, audio: AudioRendition, rate: Fraction) -> int:
        """Length of a sound track in samples of its output rate: that of the picture (Apple 8.3).

        :param rate: of the picture's frames.
        """
        return round(self.seconds(rate) * audio.sample_rate)

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
