"""AC-3 and E-AC-3: headers of frames that ffmpeg made, and of some made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.clips import run_ffmpeg
from support.dolby import as_dependent, crc16, frames_of, with_objects
from vod_operators.errors import VerificationError
from vod_operators.formats import dolby
from vod_operators.formats.audio_frames import dolby as header
from vod_operators.formats.audio_frames import frames_in
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment

LAYOUTS = {
    "mono": (1, 0x4000),
    "stereo": (2, 0xA000),
    "3.0": (3, 0xE000),
    "3.0(back)": (3, 0xA100),
    "4.0": (4, 0xE100),
    "quad(side)": (4, 0xB800),
    "5.0(side)": (5, 0xF800),
    "5.1(side)": (6, 0xF801),
}


def made(codec: str, layout: str, *options: str, seconds: float = 0.1) -> bytes:
    source = f"anoisesrc=d={seconds}:r=48000:a=0.1,aformat=channel_layouts=mono"
    return run_ffmpeg(
        "-f", "lavfi", "-i", source, "-af", f"aformat=channel_layouts={layout}",
        "-c:a", codec, *options, "-f", codec, "-",
    )  # fmt: skip


@pytest.fixture(scope="module")
def eac3() -> bytes:
    return made("eac3", "5.1(side)", "-b:a", "256k")


@pytest.mark.parametrize("codec", ["ac3", "eac3"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_loudspeakers(codec: str, layout: str) -> None:
    data = made(codec, layout, "-b:a", "384k")
    frames = frames_of(data)

    assert len(frames) == 4
    unit = dolby.read_unit(frames[1])
    assert unit is not None and unit.samples == 1536
    assert (unit.format.channels, unit.format.speakers) == LAYOUTS[layout]
    assert unit.format.entry == {"ac3": "ac-3", "eac3": "ec-3"}[codec] and unit.format.joc == 0
    # The short reader, of streams without a container, sees the same.
    found = frames_in(data, header)
    assert found is not None and (found.channels, len(found.starts)) == (LAYOUTS[layout][0], 4)


@pytest.mark.parametrize(
    "options",
    [
        ("-mixing_level", "90", "-room_type", "small"),
        ("-dmix_mode", "loro", "-ltrt_cmixlev", "0.7", "-loro_surmixlev", "0.5"),
        ("-dsurex_mode", "on", "-copyright", "1", "-dialnorm", "-20"),
    ],
)
def test_objects_after_any_metadata(options: tuple[str, ...]) -> None:
    """What stands before the field that tells of objects has many lengths."""
    frames = frames_of(made("eac3", "5.1(side)", "-b:a", "256k", *options))

    frame = dolby.read_frame(frames[0], 0)
    assert frame is not None and (frame.speakers, frame.joc) == (0xF801, 0)


def test_objects_are_found(eac3: bytes) -> None:
    frames = [with_objects(frame) for frame in frames_of(eac3)]

    assert all(crc16(frame[2:]) == 0 for frame in frames)
    unit = dolby.read_unit(frames[0])
    assert unit is not None and (unit.format.joc, unit.format.channels) == (16, 6)
    found = frames_in(b"".join(frames), header)
    assert found is not None and found.format().joc == 16
    # ffmpeg says the same of them, and decodes what it did before.
    told = run_ffmpeg("-f", "eac3", "-i", "-", "-f", "f32le", "-", stdin=b"".join(frames))
    assert told == run_ffmpeg("-f", "eac3", "-i", "-", "-f", "f32le", "-", stdin=eac3)


@pytest.mark.parametrize("addbsi", [0x0010, 0x0210])
def test_other_additions_are_no_objects(eac3: bytes, addbsi: int) -> None:
    frame = with_objects(frames_of(eac3)[0], addbsi)

    unit = dolby.read_unit(frame)
    assert unit is not None and unit.format.joc == 0


def test_dependent_substreams_add_loudspeakers(eac3: bytes) -> None:
    """7.1: left and right of the bed move to the sides, and two come behind them."""
    behind = as_dependent(frames_of(made("eac3", "quad(side)", "-b:a", "192k"))[0], 0x1A00)
    bed = frames_of(eac3)[0]

    unit = dolby.read_unit(bed + behind)
    assert unit is not None and unit.samples == 1536
    assert (unit.format.channels, unit.format.speakers) == (8, 0xFA01)
    assert dolby.read_unit(behind) is None, "a dependent frame alone"


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:-1],
        lambda frame: frame + b"\0",
        lambda frame: b"\x0b\x78" + frame[2:],
        lambda frame: frame[:40],
        lambda frame: b"",
        lambda frame: 1000 * frame,
    ],
)
def test_what_is_no_unit(eac3: bytes, damage: Callable[[bytes], bytes]) -> None:
    assert dolby.read_unit(damage(frames_of(eac3)[0])) is None


def fragmented(raw: bytes, codec: str) -> bytes:
    return run_ffmpeg(
        "-f", codec, "-i", "-", "-c", "copy", "-f", "mp4",
        "-movflags", "+default_base_moof+delay_moov+skip_sidx+skip_trailer+frag_keyframe", "-", stdin=raw,
    )  # fmt: skip


@pytest.mark.parametrize(("codec", "objects"), [("ac3", False), ("eac3", False), ("eac3", True)])
def test_sample_entries(codec: str, objects: bool) -> None:
    frames = frames_of(made(codec, "5.1(side)", "-b:a", "384k", seconds=0.3))
    frames = [with_objects(frame) for frame in frames] if objects else frames
    data = fragmented(b"".join(frames), codec)
    at = data.index(b"moof") - 4

    init, tracks = read_init(data[:at])

    entry = {"ac3": "ac-3", "eac3": "ec-3"}[codec]
    (told,) = init.formats
    assert (told.codecs, told.channels, told.sample_rate, told.speakers) == (entry, 6, 48_000, 0xF801)
    assert told.joc == (16 if objects else 0)
    (stream,) = measure_segment(data[at:], tracks, len(data)).streams
    assert stream.coded == told


def test_dec3_of_seven_channels() -> None:
    """One independent substream in 3/2 with LFE, one dependent with Lrs and Rrs (F.6)."""
    bits = f"{384:013b}{0:03b}" + "00" + "10000" + "0" + "0" + "000" + "111" + "1" + "000" + "0001"
    config = int(bits + f"{1 << 1:09b}", 2).to_bytes(6, "big")

    told = dolby.of_dec3(config)

    assert (told.channels, told.speakers, told.joc) == (8, 0xFA01, 0)
    assert dolby.of_dec3(config + bytes([1, 16])).joc == 16
    assert dolby.of_dec3(config + bytes([0, 16])).joc == 0
    # As ffmpeg writes it: another pair.
    other = int(bits + f"{1 << 4:09b}", 2).to_bytes(6, "big")
    assert dolby.of_dec3(other).speakers == 0xF841
    assert dolby.with_locations(other + bytes([1, 16]), 0xFA01) == config + bytes([1, 16])


def test_a_configuration_that_ends_early() -> None:
    data = fragmented(made("ac3", "stereo", seconds=0.3), "ac3")
    at = data.index(b"dac3")
    cut = data[: at - 4] + b"\0\0\0\x09dac3\x10" + data[at + 7 :]
    with pytest.raises(VerificationError):
        read_init(cut[: cut.index(b"moof") - 6])
