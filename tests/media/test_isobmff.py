"""Fragmented MP4, on files that the encoder really wrote."""

from __future__ import annotations

import io
import re
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.parts import joined, part_of
from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import first_sample, read_fragments
from vod_operators.formats.mp4 import starts_with_idr
from vod_operators.media import pieces
from vod_operators.media.ffmpeg import FRAGMENTED
from vod_operators.media.pieces import Part, own_fragments
from vod_operators.runners.tools import Tools

TOOLS = Tools()
CUT_OFF = re.compile(
    r"cut: MP4: (box b'\w{4}' of \d+ bytes|a box header of \d bytes) does not fit where it stands"
)

TICKS = 512  # of 1/12800 s: 25 fps


def encode(path: Path, first: int, frames: int, *, crf: int = 30, size: str = "64x48") -> bytes:
    """``frames`` frames of the test picture from frame ``first``, a GOP of 10 in each fragment."""
    test_picture = f"testsrc2=s={size}:r=25,trim=start_frame={first}:end_frame={first + frames},setpts=N"
    command = [
        TOOLS.ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", test_picture,
        "-c:v", "libx264", "-preset", "medium", "-crf", str(crf), "-g", "10", "-keyint_min", "10",
        "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-video_track_timescale", "12800",
        "-x264-params", "stitchable=1", "-movflags", FRAGMENTED, "-fflags", "+bitexact", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("isobmff")


@pytest.fixture(scope="module")
def chunks(folder: Path) -> list[bytes]:
    """Frames [0, 30), [30, 60) and [60, 75)."""
    return [encode(folder / f"{first}.mp4", first, frames) for first, frames in ((0, 30), (30, 30), (60, 15))]


def a_part(data: bytes, first: int, samples: int, *, name: str = "chunk") -> Part:
    return part_of(data, name=name, decode_time=first * TICKS, samples=samples, sample_ticks=TICKS)


def parts(chunks: list[bytes]) -> list[Part]:
    return [a_part(chunks[0], 0, 30), a_part(chunks[1], 30, 30), a_part(chunks[2], 60, 15)]


def frame_md5(path: Path) -> list[tuple[int, str]]:
    """Presentation tick and checksum of each decoded frame."""
    text = subprocess.run(
        [TOOLS.ffmpeg, "-loglevel", "error", "-i", str(path), "-f", "framemd5", "-"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]


def test_a_join_is_its_chunks_frame_for_frame(folder: Path, chunks: list[bytes]) -> None:
    track = folder / "joined.mp4"
    track.write_bytes(joined(parts(chunks)))

    found = frame_md5(track)

    alone = [md5 for first in (0, 30, 60) for _, md5 in frame_md5(folder / f"{first}.mp4")]
    assert [md5 for _, md5 in found] == alone
    # The same times and number of frames as one pass over the whole has.
    encode(folder / "whole.mp4", 0, 75)
    assert [pts for pts, _ in found] == [pts for pts, _ in frame_md5(folder / "whole.mp4")]
    assert len(found) == 75


def test_fragments_of_a_join_are_numbered_and_timed(chunks: list[bytes]) -> None:
    data = joined(parts(chunks))
    fragments = list(read_fragments(io.BytesIO(data)))
    assert [fragment.decode_time // TICKS for fragment in fragments] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert [len(fragment.samples) for fragment in fragments] == [10, 10, 10, 10, 10, 10, 10, 5]
    assert all(fragment.samples[0].is_sync for fragment in fragments)
    numbers = [
        struct.unpack_from(">I", data, data.index(b"mfhd", fragment.offset) + 8)[0] for fragment in fragments
    ]
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 8]
    assert data.count(b"moov") == data.count(b"ftyp") == 1


def test_the_first_sample_is_the_idr_picture(chunks: list[bytes]) -> None:
    file = io.BytesIO(chunks[0])
    for fragment in read_fragments(file):
        sample = first_sample(file, fragment)
        assert len(sample) == fragment.samples[0].size > 0
        assert starts_with_idr(sample, "h264")


@pytest.mark.parametrize(
    ("nal_types", "idr"),
    [([5], True), ([9, 7, 8, 6, 5], True), ([1], False), ([6, 1], False), ([6], False), ([], False)],
)
def test_idr_is_told_from_the_first_slice(nal_types: list[int], idr: bool) -> None:
    sample = b"".join(struct.pack(">IB", 3, 0x60 | kind) + b"ab" for kind in nal_types)
    assert starts_with_idr(sample, "h264") is idr


@pytest.mark.parametrize(
    ("nal_types", "idr"),
    [
        ([19], True), ([35, 32, 33, 34, 39, 20], True), ([21], False), ([16], False), ([1], False),
        ([39, 0], False), ([39], False),
    ],
)  # fmt: skip
def test_hevc_idr_is_no_cra_and_no_bla(nal_types: list[int], idr: bool) -> None:
    sample = b"".join(struct.pack(">IBB", 3, kind << 1, 1) + b"a" for kind in nal_types)
    assert starts_with_idr(sample, "hevc") is idr


@pytest.mark.parametrize(
    ("obus", "idr"),
    [
        # A sequence header (1) of 200 bytes, a size of two bytes; then a frame (6): 0 00 1 is a shown key.
        (b"\x0a\xc8\x01" + bytes(200) + b"\x32\x02\x10\x00", True),
        (b"\x0a\x01\x00" + b"\x1a\x01\x10", True),  # frame header (3)
        (b"\x0a\x01\x00" + b"\x36\x00\x01\x10", True),  # with an extension byte
        (b"\x0a\x01\x00" + b"\x32\x01\x30", False),  # inter frame
        (b"\x0a\x01\x00" + b"\x32\x01\x00", False),  # a key frame that is not shown
        (b"\x0a\x01\x00" + b"\x32\x01\x90", False),  # one shown again
        (b"\x32\x01\x10", False),  # no sequence header
        (b"\x0a\x01\x00", False),
        (b"", False),
    ],
)
def test_av1_key_frame_is_shown_and_has_its_sequence_header(obus: bytes, idr: bool) -> None:
    assert starts_with_idr(obus, "av1") is idr


def refused(part: Part) -> str:
    with pytest.raises(VerificationError) as error:
        for _ in own_fragments(part):
            pass
    return str(error.value)


def test_a_missing_frame_is_refused(folder: Path, chunks: list[bytes]) -> None:
    short = encode(folder / "short.mp4", 30, 29)
    message = refused(a_part(short, 30, 30, name="chunk-00001/360p"))
    assert message == "chunk-00001/360p: has 29 frames where 30 are planned"


def test_an_empty_file_is_refused(chunks: list[bytes]) -> None:
    assert refused(a_part(b"", 0, 30, name="empty")) == "empty: has 0 frames where 30 are planned"


def test_a_lead_in_and_a_lead_out_are_left_out(chunks: list[bytes]) -> None:
    """What is taken of a join's middle is what was there before it was joined."""
    whole = a_part(joined(parts(chunks)), 0, 30)
    middle = b"".join(own_fragments(replace(whole, before=30, after=15)))
    assert middle == b"".join(own_fragments(a_part(chunks[1], 0, 30)))
    with pytest.raises(VerificationError, match="has 75 frames where 74 are planned"):
        list(own_fragments(replace(whole, before=30, after=14)))


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_any_blocks_make_the_same_part(
    chunks: list[bytes], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = replace(a_part(joined(parts(chunks)), 30, 30), before=30, after=15)
    expected = b"".join(own_fragments(part))
    monkeypatch.setattr(pieces, "BLOCK_BYTES", block)
    assert b"".join(own_fragments(part)) == expected


def test_a_lost_fragment_is_a_gap(chunks: list[bytes]) -> None:
    _, second, third = read_fragments(io.BytesIO(chunks[0]))
    without = chunks[0][: second.offset] + chunks[0][third.offset :]
    message = refused(a_part(without, 0, 20, name="lossy"))
    assert message == "lossy: frame 10 decodes at tick 10240, not at 5120: a gap or an overlap"


def test_another_frame_duration_is_refused(chunks: list[bytes]) -> None:
    part = replace(a_part(chunks[0], 0, 30, name="slow"), sample_ticks=500)
    assert refused(part) == "slow: a frame does not last 500 ticks"


def test_a_truncated_file_is_refused_wherever_it_ends(chunks: list[bytes]) -> None:
    data = chunks[2]
    boxes = {fragment.offset for fragment in read_fragments(io.BytesIO(data))}
    for end in [*range(1, 1200), *range(1200, len(data), 17), len(data) - 1]:
        message = refused(a_part(data[:end], 0, 15, name="cut"))
        ends_inside = CUT_OFF.fullmatch(message)
        assert ends_inside or message.startswith("cut: has "), (end, message)
        if end not in boxes and end > 1200:
            assert ends_inside


def test_reading_a_truncated_file_is_refused_wherever_it_ends(chunks: list[bytes]) -> None:
    data = chunks[2]
    for end in range(1, len(data), 7):
        try:
            found = sum(len(fragment.samples) for fragment in read_fragments(io.BytesIO(data[:end])))
        except VerificationError as error:
            assert str(error).endswith(("does not fit where it stands", "lies outside of its segment"))
        else:
            assert found < 15, f"{end} of {len(data)} bytes passed"


def test_a_box_in_which_another_does_not_fit(chunks: list[bytes]) -> None:
    data = bytearray(chunks[0])
    at = data.index(b"trun")
    struct.pack_into(">I", data, at - 4, 1_000_000)
    assert "b'trun' of 1000000 bytes does not fit" in refused(a_part(bytes(data), 0, 30))
    struct.pack_into(">I", data, at - 4, 3)
    assert "b'trun' of 3 bytes does not fit" in refused(a_part(bytes(data), 0, 30))


def test_more_samples_than_the_box_holds(chunks: list[bytes]) -> None:
    data = bytearray(chunks[0])
    struct.pack_into(">I", data, data.index(b"trun") + 8, 500_000)
    assert "ends before its last sample" in refused(a_part(bytes(data), 0, 30))


def test_impossible_sizes_are_refused() -> None:
    small = struct.pack(">I4s", 7, b"mdat")
    assert "box b'mdat' of 7 bytes does not fit" in refused(a_part(small, 0, 1))
    huge = struct.pack(">I4sQ", 1, b"moov", 1 << 40)
    assert f"box b'moov' of {1 << 40} bytes" in refused(a_part(huge, 0, 1))
