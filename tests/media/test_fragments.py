"""Fragments as other muxers write them: the parser of the pipeline and the validator, against ffprobe."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from support.isobmff import box, boxes
from support.parts import part_of
from support.tools import FFMPEG, FFPROBE, generate
from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Stream
from vod_operators.formats.isobmff import MAX_SAMPLES, Defaults, children, read_fragments
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.media.ffmpeg import FRAGMENTED
from vod_operators.media.pieces import own_fragments

TICKS = 512  # of 1/12800 s: 25 fps
FRAMES = 20  # two GOPs of 10, a fragment each


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """H.264 with B-frames: sizes, flags and composition offsets differ from sample to sample."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    x264 = ("-c:v", "libx264", "-g", "10", "-keyint_min", "10", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
    picture = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25,trim=end_frame={FRAMES}")
    timing = ("-video_track_timescale", "12800", "-movflags", FRAGMENTED)
    return generate(path, *picture, *x264, *timing).read_bytes()


# --- other ways to write the same -----------------------------------------------------------

Rows = list[tuple[int, int, int, int]]
"""Duration, size, flags and composition offset of each sample."""

EVERY_FIELD = 0xF00
WITH_OFFSET = 0x1


def trun(rows: Rows, offset: int | None) -> bytes:
    flags = EVERY_FIELD | (0 if offset is None else WITH_OFFSET)
    head = struct.pack(">II", flags | 1 << 24, len(rows))
    where = b"" if offset is None else struct.pack(">i", offset)
    return box(b"trun", head + where + b"".join(struct.pack(">3Ii", *row) for row in rows))


def traf(rows: Rows, time: int, *runs: bytes) -> bytes:
    tfhd = box(b"tfhd", struct.pack(">II", 0x20000, 1))
    return box(b"traf", tfhd + box(b"tfdt", struct.pack(">IQ", 1 << 24, time)) + b"".join(runs))


def moof(*trafs: bytes) -> bytes:
    return box(b"moof", box(b"mfhd", struct.pack(">II", 0, 1)) + b"".join(trafs))


def one_run(rows: Rows, time: int, base: int) -> bytes:
    return moof(traf(rows, time, trun(rows, base)))


def two_runs(rows: Rows, time: int, base: int) -> bytes:
    return moof(
        traf(rows, time, trun(rows[:3], base), trun(rows[3:], base + sum(row[1] for row in rows[:3])))
    )


def second_run_follows(rows: Rows, time: int, base: int) -> bytes:
    return moof(traf(rows, time, trun(rows[:3], base), trun(rows[3:], None)))


def two_trafs(rows: Rows, time: int, base: int) -> bytes:
    later = time + sum(row[0] for row in rows[:3])
    run = trun(rows[3:], base + sum(row[1] for row in rows[:3]))
    return moof(traf(rows[:3], time, trun(rows[:3], base)), traf(rows[3:], later, run))


def wide(kind: bytes, body: bytes) -> bytes:
    """A box with a 64-bit size."""
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body


def rewritten(
    clip: bytes,
    written: Callable[[Rows, int, int], bytes],
    mdat: Callable[[bytes, bytes], bytes] = box,
    moof_box: Callable[[bytes, bytes], bytes] = box,
) -> bytes:
    """The clip with its fragments written anew."""
    init = b"".join(box(kind, body) for kind, body in boxes(clip) if kind in (b"ftyp", b"moov"))
    made = init
    for fragment in read_fragments(io.BytesIO(clip), read_defaults(init)):
        rows = [(s.duration, s.size, s.flags, s.composition) for s in fragment.samples]
        media = clip[fragment.samples[0].position : fragment.samples[-1].end]
        header = len(mdat(b"mdat", media)) - len(media)

        def head(base: int, rows: Rows = rows, time: int = fragment.decode_time) -> bytes:
            ((_, body),) = boxes(written(rows, time, base))
            return moof_box(b"moof", body)

        made += head(len(head(0)) + header) + mdat(b"mdat", media)
    return made


def read_defaults(init: bytes) -> dict[int, Defaults]:
    return {number: track.defaults for number, track in read_init(init)[1].items()}


WAYS = {
    "one run": (one_run, box, box),
    "two runs": (two_runs, box, box),
    "two trafs": (two_trafs, box, box),
    "a wide mdat": (one_run, wide, box),
}
"""As ffprobe reads them too."""

OWN_WAYS = {
    "a second run without a place": (second_run_follows, box, box),  # ISO 14496-12, 8.8.8.3
    "wide boxes": (one_run, wide, wide),
}
"""ffmpeg 8 begins such a run at the first one's place, and counts 8 bytes before such a ``moof``."""


# --- what ffprobe finds ---------------------------------------------------------------------

Found = list[tuple[int, int, int, int, bool]]
"""PTS, DTS, position, size, and whether it is a key frame, of each packet."""


def by_ffprobe(data: bytes, folder: Path) -> Found:
    path = folder / "probed.mp4"
    path.write_bytes(data)
    command = [
        FFPROBE,
        "-loglevel",
        "error",
        "-ignore_editlist",
        "1",
        "-show_packets",
        "-of",
        "json",
        str(path),
    ]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packets"]
    return [
        (int(p["pts"]), int(p["dts"]), int(p["pos"]), int(p["size"]), p["flags"].startswith("K"))
        for p in found
    ]


def by_parser(data: bytes) -> Found:
    return [
        (s.time + s.composition, s.time, s.position, s.size, s.is_sync)
        for fragment in read_fragments(io.BytesIO(data), read_defaults(init_of(data)))
        for s in fragment.samples
    ]


def init_of(data: bytes) -> bytes:
    return data[: next(end for kind, _, end in children(data, 0, len(data)) if kind == b"moov")]


def by_validator(data: bytes) -> Stream:
    facts = measure_segment(data, read_init(init_of(data))[1], len(data))
    (stream,) = facts.streams
    return stream


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_fragments_is_read_as_ffprobe_reads_it(
    way: str, clip: bytes, tmp_path: Path
) -> None:
    data = rewritten(clip, *WAYS[way])
    packets = by_ffprobe(data, tmp_path)
    assert by_parser(data) == packets
    assert len(packets) == FRAMES and [n for n, packet in enumerate(packets) if packet[4]] == [0, 10]
    stream = by_validator(data)
    assert (stream.samples, stream.size_bytes) == (FRAMES, sum(packet[3] for packet in packets))
    assert (stream.gap, stream.duration) == (None, Fraction(FRAMES, 25))
    assert [key.end for key in stream.keys] == [packets[n][2] + packets[n][3] for n in (0, 10)]
    assert all(key.is_idr for key in stream.keys) and stream.starts_with_idr


@pytest.mark.parametrize("way", [*(way for way in WAYS if way != "two trafs"), *OWN_WAYS])
def test_a_join_keeps_every_sample(way: str, clip: bytes) -> None:
    data = rewritten(clip, *(WAYS | OWN_WAYS)[way])
    part = part_of(data, name="part", decode_time=0, samples=FRAMES, sample_ticks=TICKS)
    assert contents(b"".join(own_fragments(part))) == contents(clip)


def contents(data: bytes) -> list[tuple[int, int, bytes, bool]]:
    """Decode time, composition offset and bytes of each sample, and whether it is a key frame."""
    return [
        (s.time, s.composition, data[s.position : s.end], s.is_sync)
        for fragment in read_fragments(data, read_defaults(init_of(data)))
        for s in fragment.samples
    ]


@pytest.mark.parametrize("way", [*WAYS, *OWN_WAYS])
def test_every_way_to_write_fragments_holds_the_same_samples(way: str, clip: bytes) -> None:
    data = rewritten(clip, *(WAYS | OWN_WAYS)[way])
    assert contents(data) == contents(clip)
    assert by_validator(data).samples == FRAMES and len(by_validator(data).keys) == 2


def test_a_join_refuses_a_fragment_of_two_trafs(clip: bytes, tmp_path: Path) -> None:
    """Each has a decode time of its own; our encoders write one."""
    data = rewritten(clip, two_trafs)
    part = part_of(data, name="part", decode_time=0, samples=FRAMES, sample_ticks=TICKS)
    with pytest.raises(VerificationError, match="part: a 'moof' box has 2 'traf' boxes, not one"):
        list(own_fragments(part))


def test_a_box_of_size_0_lasts_to_the_end(clip: bytes, tmp_path: Path) -> None:
    data = bytearray(clip)
    *_, (kind, begin, _) = children(data, 0, len(data))
    assert kind == b"mdat"
    data[begin - 8 : begin - 4] = bytes(4)
    endless = bytes(data)
    assert by_parser(endless) == by_parser(clip) == by_ffprobe(endless, tmp_path)
    assert by_validator(endless) == by_validator(clip)


# --- hostile --------------------------------------------------------------------------------


def test_samples_that_take_no_bytes_are_bounded(clip: bytes) -> None:
    """Four thousand million samples in 20 bytes."""

    def many(rows: Rows, time: int, base: int) -> bytes:
        return moof(traf(rows, time, box(b"trun", struct.pack(">IIi", WITH_OFFSET, 0xFFFF_FFFF, base))))

    def twice(rows: Rows, time: int, base: int) -> bytes:
        run = box(b"trun", struct.pack(">IIi", WITH_OFFSET, MAX_SAMPLES // 2 + 1, base))
        return moof(traf(rows, time, run, run))

    for written in (many, twice):
        data = rewritten(clip, written)
        with pytest.raises(VerificationError, match="more than 262144 samples"):
            list(read_fragments(io.BytesIO(data)))
        with pytest.raises(VerificationError, match="more than 262144 samples"):
            by_validator(data)


@pytest.mark.parametrize("base", [-(1 << 31), (1 << 31) - 1])
def test_a_sample_outside_of_its_segment_is_refused(base: int, clip: bytes) -> None:
    data = rewritten(clip, lambda rows, time, _: one_run(rows, time, base))
    with pytest.raises(VerificationError, match="a sample lies outside of its segment"):
        list(read_fragments(data))


def test_no_cut_or_damaged_header_raises_another_error(clip: bytes) -> None:
    """The validator reads anybody's files: each ends in facts or in a ``VerificationError``."""
    init = init_of(clip)
    for end in range(len(init)):
        with pytest.raises(VerificationError):
            read_init(init[:end])
    tracks = read_init(init)[1]
    first = next(iter(boxes(clip[len(init) :])))[1]
    for at in range(len(first) + 8):
        for value in (0, 1, 0x7F, 0xFF):
            data = bytearray(clip[len(init) :])
            data[at] = value
            try:
                measure_segment(bytes(data), tracks, len(data))
            except VerificationError as error:
                assert str(error)


# --- AV1 ------------------------------------------------------------------------------------


def without_last_size(sample: bytes) -> bytes:
    """A sample whose last OBU has no size (AV1 5.3.1, AV1-ISOBMFF 2.4)."""
    at = begin = head = size = 0
    while at < len(sample):
        begin, head, size, shift = at, 1 + (sample[at] >> 2 & 1), 0, 0
        assert sample[at] & 2
        at += head
        while True:
            size |= (sample[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not sample[at - 1] & 0x80:
                break
        at += size
    last = bytes([sample[begin] & ~2]) + sample[begin + 1 : begin + head]
    return sample[:begin] + last + sample[len(sample) - size :]


def test_an_av1_sample_may_end_with_an_obu_without_a_size(tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25,trim=end_frame=4", "-pix_fmt", "yuv420p")
    av1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", "10", "-movflags", FRAGMENTED)
    clip = generate(tmp_path / "av1.mp4", *picture, *av1).read_bytes()
    init = init_of(clip)
    (fragment,) = read_fragments(clip, read_defaults(init))
    samples = [without_last_size(clip[s.position : s.end]) for s in fragment.samples]
    rows = [
        (s.duration, len(new), s.flags, s.composition)
        for s, new in zip(fragment.samples, samples, strict=True)
    ]
    base = len(one_run(rows, 0, 0)) + 8
    data = init + one_run(rows, 0, base) + box(b"mdat", b"".join(samples))

    packets = by_ffprobe(data, tmp_path)
    assert by_parser(data) == packets and packets[0][4]
    decoded = subprocess.run(
        [FFMPEG, "-v", "error", "-i", str(tmp_path / "probed.mp4"), "-f", "framemd5", "-"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    before = subprocess.run(
        [FFMPEG, "-v", "error", "-i", str(tmp_path / "av1.mp4"), "-f", "framemd5", "-"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert decoded.stdout == before.stdout and decoded.stderr == ""

    assert by_validator(data).starts_with_idr
    assert by_validator(data).samples == 4


# --- MPEG-TS --------------------------------------------------------------------------------


def test_a_damaged_transport_stream_raises_no_other_error(tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    data = generate(tmp_path / "clip.ts", *picture, "-f", "mpegts").read_bytes()
    assert measure_segment(data, {}, len(data)).streams[0].samples == 5
    refused = 0
    for at in range(4 * 188):  # the tables and the first picture
        for value in (0, 1, 0x7F, 0xFF):
            damaged = bytearray(data)
            damaged[at] = value
            try:
                measure_segment(bytes(damaged), {}, len(data))
            except VerificationError:
                refused += 1
    assert refused
