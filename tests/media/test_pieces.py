"""Segments made chunk by chunk by the real packager, against those of the whole track."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import pytest

from media.plans import a_plan, a_rendition
from support.parts import joined, part_of
from support.tools import generate
from support.tracks import segment_facts
from vod_operators.errors import VerificationError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.segment import measure_segment
from vod_operators.formats.ts import PACKET
from vod_operators.media import measure
from vod_operators.media.drm import Addresses
from vod_operators.media.encoders import EncoderName, encoder_options, profile_of
from vod_operators.media.encryption import ContentKey, TrackKeys
from vod_operators.media.ffmpeg import FRAGMENTED
from vod_operators.media.models import AudioRendition, AudioStream, Chunk, Plan, Rendition
from vod_operators.media.pieces import Part, Piece, counter_shifts, lasting, shift_counters, track_of
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools
from vod_operators.work.packaged import FLAGS, measured, package, package_chunk, package_sound

TOOLS = Tools()
GOP, SEGMENT = 10, 30
CHUNKS = ((0, 60), (60, 120), (120, 145))
KEY = ContentKey.of(
    digits="00a1b2c3d4e5f60718293a4b5c6d7e8f",
    video_id="v",
    addresses=Addresses(key_uri="https://keys.example.com/v"),
)
KEYS = TrackKeys((KEY,))

PRESETS: dict[EncoderName, str] = {"libx264": "medium", "libx265": "ultrafast", "libsvtav1": "12"}


def plan_of(encoder: EncoderName, rate: Fraction, container: str, encryption: str) -> tuple[Plan, Rendition]:
    plan = a_plan(rate, GOP, SEGMENT // GOP)
    preset = plan.preset.model_copy(update={"container": container, "encryption": encryption})
    options = {"encoder": encoder, "encoder_preset": PRESETS[encoder], "profile": profile_of(encoder, 8)}
    rates = {"max_bitrate_bps": 900_000, "buffer_bits": 900_000}
    rendition = a_rendition().model_copy(update=options | rates)
    return plan.model_copy(update={"preset": preset, "renditions": (rendition,)}), rendition


def encode(path: Path, plan: Plan, first: int, last: int) -> bytes:
    """Frames of a test picture in one file, a GOP in each fragment."""
    (rendition,) = plan.renditions
    picture = f"testsrc2=s=128x96:r={plan.frame_rate},trim=start_frame={first}:end_frame={last},setpts=N"
    encoder = [(f"-{name}:v", str(value)) for name, value in encoder_options(rendition, GOP).items()]
    generate(
        path, "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", *chain.from_iterable(encoder),
        "-movflags", FRAGMENTED, "-video_track_timescale", str(plan.timescale), "-fflags", "+bitexact",
    )  # fmt: skip
    return path.read_bytes()


def without_times(init: bytes) -> bytes:
    """The same however late it was written: ``mvhd``, ``tkhd`` and ``mdhd`` tell when they were made."""
    data = bytearray(init)
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        at = init.index(box) + 8
        data[at : at + (16 if init[at - 4] else 8)] = bytes(16 if init[at - 4] else 8)
    return bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("seg-*")}


@pytest.mark.parametrize(
    ("encoder", "rate", "container", "encryption"),
    [
        ("libx264", "25", "fmp4", "none"),
        ("libx264", "30000/1001", "fmp4", "cbcs"),
        ("libx265", "25", "fmp4", "cbcs"),
        ("libsvtav1", "25", "fmp4", "cbcs"),
        ("libx264", "25", "ts", "none"),
        ("libx264", "24000/1001", "ts", "none"),
    ],
)
def test_chunks_make_the_segments_of_the_whole_track(
    tmp_path: Path, encoder: EncoderName, rate: str, container: str, encryption: str
) -> None:
    plan, rendition = plan_of(encoder, Fraction(rate), container, encryption)
    keys = KEYS if encryption == "cbcs" else None

    def part(first: int, last: int, data: bytes) -> Part:
        ticks = plan.frame_ticks
        return part_of(data, name="c", decode_time=first * ticks, samples=last - first, sample_ticks=ticks)

    encoded = [encode(tmp_path / f"{first}.mp4", plan, first, last) for first, last in CHUNKS]
    parts = [part(*numbers, data) for numbers, data in zip(CHUNKS, encoded, strict=True)]
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "track.mp4").write_bytes(joined(parts))
    files = package(LocalRunner(), TOOLS.packager, plan, rendition, whole, keys=keys)
    assert [path.stem for path in files] == [f"seg-{number:05d}" for number in range(1, 6)]

    pieces, made = [], {}
    for index, ((first, last), chunk_part) in enumerate(zip(CHUNKS, parts, strict=True)):
        chunk = Chunk(index=index, first=first, last=last, key_pts=0, end_pts=None)
        folder = tmp_path / chunk.name
        folder.mkdir()
        pieces.append(
            package_chunk(LocalRunner(), TOOLS.packager, plan, chunk, rendition, chunk_part, folder, keys)
        )
        assert not (folder / FLAGS).exists()
        made[chunk.name] = contents(folder)
    shifts = counter_shifts(pieces)
    assert [any(shift.values()) for shift in shifts] == [False, container == "ts", container == "ts"]
    for segments, shift in zip(made.values(), shifts, strict=True):
        for name, data in segments.items():
            segment = bytearray(data)
            if shift:
                shift_counters(segment, shift)
            segments[name] = bytes(segment)

    assert {name: data for segments in made.values() for name, data in segments.items()} == contents(whole)
    track = track_of("360p", pieces, plan.timescale, kind="video", frame_rate=plan.frame_rate)
    assert track.facts == tuple(measured(files))
    measure.check_video_track(track, plan, rendition, 145)
    if container == "fmp4":
        init = lasting(bytes.fromhex(pieces[0].init), 145 / plan.frame_rate)
        assert without_times(init) == without_times((whole / "init.mp4").read_bytes())
    else:
        assert pieces[0].init == ""


@pytest.mark.parametrize(("container", "encryption"), [("fmp4", "none"), ("fmp4", "cbcs"), ("ts", "none")])
def test_sound_is_cut_and_lasts_as_long(tmp_path: Path, container: str, encryption: str) -> None:
    plan, _ = plan_of("libx264", Fraction(25), container, encryption)
    stream = AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, time_base=Fraction(1, 48_000))
    audio = AudioRendition(
        name="audio-0", track="audio-0", stream=stream, channels=2, sample_rate=48_000, bitrate_bps=96_000,
        language=None, title="t", default=True,
    )  # fmt: skip
    generate(
        tmp_path / "track.mp4", "-f", "lavfi", "-i", "sine=r=48000:d=5", "-ac", "2", "-c:a", "aac",
        "-movflags", "+default_base_moof+delay_moov+skip_sidx+skip_trailer", "-frag_duration", "2000000",
    )  # fmt: skip
    keys = KEYS if encryption == "cbcs" else None

    piece = package_sound(LocalRunner(), TOOLS.packager, plan, audio, tmp_path, keys)

    track = track_of("audio-0", [piece], audio.sample_rate, kind="audio")
    assert (track.codecs, track.channels, track.sample_rate) == ("mp4a.40.2", 2, 48_000)
    assert len(track.segments) == 5 and not track.key_frames
    assert [segment.name for segment in track.segments] == sorted(contents(tmp_path))
    measure.check_audio_track(track, audio, 240_000)
    with pytest.raises(VerificationError, match=r"seg-00001\.\w+: begins at"):
        measure.check_sound(piece.segments[1:], audio)


def test_a_packager_that_fails_leaves_no_key_behind(tmp_path: Path) -> None:
    plan, rendition = plan_of("libx264", Fraction(25), "fmp4", "cbcs")
    (tmp_path / "track.mp4").write_bytes(b"no video")
    with pytest.raises(Exception, match="packager"):
        package(LocalRunner(), TOOLS.packager, plan, rendition, tmp_path, keys=KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["track.mp4"]


# --- a track of pieces ----------------------------------------------------------------------


def a_piece(*counters: dict[int, tuple[int, int]], **differs: object) -> Piece:
    """A chunk of MPEG-TS, a segment for each set of counters."""
    coded = {"kind": "video", "codecs": "avc1.64000a", "entry": "avc1", "width": 64, "height": 48}
    segments = [
        segment_facts(900, Fraction(1), container="ts", formats=(coded,), counters=found)
        for found in counters
    ]
    return Piece(**{"encoder_init": "a", "segments": tuple(segments), **differs})


def test_counters_run_on_from_chunk_to_chunk() -> None:
    pieces = [
        a_piece({0: (0, 0), 256: (0, 9)}, {0: (1, 1), 256: (10, 4)}),
        a_piece({0: (0, 0), 256: (0, 15)}),
        a_piece({0: (0, 0), 256: (0, 2), 257: (7, 8)}),
    ]
    shifts = [{0: 0, 256: 0}, {0: 2, 256: 5}, {0: 3, 256: 5, 257: 0}]
    assert counter_shifts(pieces) == shifts
    track = track_of("v", pieces, 12_800, kind="video", frame_rate=Fraction(25))
    assert [facts.counters[256] for facts in track.facts] == [(0, 9), (10, 4), (5, 4), (5, 7)]
    packets = bytearray(b"".join(bytes([0x47, 0x41, 0, 0x10 | n]) + bytes(184) for n in (14, 15, 0)))
    packets += bytes([0x47, 0x1F, 0xFF, 0x17]) + bytes(184)  # padding, of no counted stream
    shift_counters(packets, {256: 5})
    assert list(packets[3::PACKET]) == [0x13, 0x14, 0x15, 0x17]


def test_a_track_is_its_pieces_in_order() -> None:
    pieces = [a_piece({0: (0, 0)}, captions=("CC3",)), a_piece({0: (0, 0)}, captions=("CC1", "CC3"))]
    track = track_of("540p", pieces, 12_800, kind="video", frame_rate=Fraction(25))
    assert [(segment.name, segment.ticks) for segment in track.segments] == [
        ("seg-00001.ts", 12_800), ("seg-00002.ts", 12_800),
    ]  # fmt: skip
    assert (track.ticks, track.captions, track.width) == (25_600, ("CC1", "CC3"), 64)


def test_a_piece_with_other_codec_parameters_is_refused() -> None:
    with pytest.raises(VerificationError, match="chunk 2/540p: its codec parameters differ from the first"):
        track_of("540p", [a_piece({}), a_piece({}, encoder_init="b")], 12_800, kind="video")


# --- MPEG-TS that is not as planned ---------------------------------------------------------


@pytest.fixture(scope="module")
def transport(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three segments of 50 pictures and one of ten, an IDR picture each second."""
    folder = tmp_path_factory.mktemp("ts")
    generate(
        folder / "track.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=6.4", "-c:v", "libx264",
        "-preset", "ultrafast", "-bf", "2", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0",
        "-movflags", FRAGMENTED, "-video_track_timescale", "12800",
    )  # fmt: skip
    return package(LocalRunner(), TOOLS.packager, TRANSPORT, a_rendition(), folder)


TRANSPORT = a_plan(gop=25, gops=2)
TRANSPORT = TRANSPORT.model_copy(update={"preset": TRANSPORT.preset.model_copy(update={"container": "ts"})})


def changed(path: Path, change: Callable[[bytes], bytes]) -> SegmentFacts:
    data = path.read_bytes()
    other = change(data)
    assert other != data
    return measure_segment(other, {}, len(other))


def test_a_transport_stream_is_measured(transport: list[Path]) -> None:
    facts = tuple(measured(transport))
    measure.check_pictures(facts, TRANSPORT, a_rendition())

    track = track_of("v", [Piece(segments=facts)], 12_800, kind="video", frame_rate=Fraction(25))
    assert [facts.streams[0].samples for facts in track.facts] == [50, 50, 50, 10]
    assert [segment.ticks for segment in track.segments] == [25_600, 25_600, 25_600, 5120]
    assert [(key.file, key.ticks) for key in track.key_frames] == [
        ("seg-00001.ts", 12_800), ("seg-00001.ts", 12_800), ("seg-00002.ts", 12_800),
        ("seg-00002.ts", 12_800), ("seg-00003.ts", 12_800), ("seg-00003.ts", 12_800), ("seg-00004.ts", 5120),
    ]  # fmt: skip
    assert (track.width, track.height, track.timescale) == (128, 96, 12_800)


def test_a_missing_segment_is_a_gap(transport: list[Path]) -> None:
    with pytest.raises(VerificationError, match="counter"):
        measure.check_pictures(list(measured([transport[0], transport[2]])), TRANSPORT, a_rendition())


def test_a_lost_packet_is_seen(transport: list[Path]) -> None:
    lost = changed(transport[0], lambda data: data[: 10 * PACKET] + data[11 * PACKET :])
    with pytest.raises(VerificationError, match="counter"):
        measure.check_pictures([lost], TRANSPORT, a_rendition())


def test_another_rate_is_seen(transport: list[Path]) -> None:
    plan = TRANSPORT.model_copy(update={"frame_rate": Fraction(30), "timescale": 30})
    with pytest.raises(VerificationError, match=r"seg-00001.ts: IDR pictures at \[0, 30\]"):
        measure.check_pictures(list(measured(transport)), plan, a_rendition())


def test_another_begin_is_seen(transport: list[Path]) -> None:
    with pytest.raises(VerificationError, match=r"seg-00003.ts: begins at 2.10000 s, not at 4.10000 s"):
        measure.check_pictures(list(measured(transport[1:])), TRANSPORT, a_rendition(), 100)


def test_a_segment_without_idr_is_seen(transport: list[Path]) -> None:
    broken = changed(transport[0], lambda data: data.replace(b"\x00\x00\x01\x65", b"\x00\x00\x01\x41", 1))
    with pytest.raises(VerificationError, match="does not start with an IDR picture"):
        measure.check_pictures([broken], TRANSPORT, a_rendition())
