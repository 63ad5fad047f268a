"""Segments of key frames, of a track that was really packaged."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.isobmff import box
from support.presentations import X264, packaged, picture
from support.tools import ffprobe
from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import read_fragments, u32
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.media import dash
from vod_operators.media.track import Track
from vod_operators.media.trick import TRICK_MODE, trick_name, trick_segment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Track]:
    """13 s at 25 fps in segments of 6 s; an IDR a second; pictures are reordered."""
    folder = tmp_path_factory.mktemp("trick")
    gop = ("-g", "25", "-keyint_min", "25", "-bf", "2")
    track = packaged(folder, "small", *picture("128x72"), *X264, *gop, gop_s=1)
    defaults = {n: t.defaults for n, t in read_init((folder / "small/init.mp4").read_bytes())[1].items()}
    sizes = []
    for number, segment in enumerate(track.segments, start=1):
        data = (folder / "small" / segment.name).read_bytes()
        path = folder / "small" / trick_name(number)
        sizes.append(path.write_bytes(trick_segment(data, number, defaults)))
    return folder, track.changed(trick_bytes=tuple(sizes))


def test_they_hold_the_key_frames_and_nothing_else(made: tuple[Path, Track], tmp_path: Path) -> None:
    folder, _ = made
    whole, trick = tmp_path / "whole.mp4", tmp_path / "trick.mp4"
    for target, pattern in ((whole, "seg-*.m4s"), (trick, "trick-*.m4s")):
        parts = [folder / "small/init.mp4", *sorted((folder / "small").glob(pattern))]
        target.write_bytes(b"".join(part.read_bytes() for part in parts))
    fields = ("-select_streams", "v", "-show_entries", "packet=pts_time,flags,size,data_hash",
              "-show_data_hash", "sha256")  # fmt: skip
    keys = [p for p in ffprobe(whole, *fields)["packets"] if p["flags"].startswith("K")]
    found = ffprobe(trick, *fields)["packets"]

    assert len(found) == 13 and found == keys
    decoded = ffprobe(trick, "-count_frames", "-show_entries", "stream=nb_read_frames")["streams"]
    assert decoded[0]["nb_read_frames"] == "13"


def test_their_times_are_those_of_the_segments(made: tuple[Path, Track]) -> None:
    folder, track = made
    tracks = read_init((folder / "small/init.mp4").read_bytes())[1]
    for number, facts in enumerate(track.facts, start=1):
        data = (folder / "small" / trick_name(number)).read_bytes()
        stream = measure_segment(data, tracks, len(data)).streams[0]
        assert (stream.begin, stream.duration) == (facts.streams[0].begin, facts.streams[0].duration)
        assert stream.starts_with_idr and stream.samples == len(facts.streams[0].keys)
        (fragment,) = read_fragments(data)
        assert {sample.duration for sample in fragment.samples} == {track.timescale}


def test_the_manifest_lists_them_as_trick_mode_of_their_set(made: tuple[Path, Track]) -> None:
    _, track = made
    root = ElementTree.fromstring(dash.manifest([track], 6, prefix="v-1/"))
    space = {"": dash.MPD}
    pictures, trick = root.findall(".//AdaptationSet", space)

    assert trick.get("maxPlayoutRate") == "25"  # a picture a second instead of 25
    assert trick.get("codingDependency") == "false"
    (essential,) = trick.findall("EssentialProperty", space)
    assert essential.attrib == {"schemeIdUri": TRICK_MODE, "value": pictures.get("id")}
    (representation,) = trick.findall("Representation", space)
    largest = max(Fraction(8 * size) / (s.ticks * Fraction(1, track.timescale))
                  for size, s in zip(track.trick_bytes, track.segments, strict=True))  # fmt: skip
    assert int(representation.get("bandwidth", "")) == -(-largest // 1)
    assert (representation.get("frameRate"), representation.get("id")) == ("1", "small-trick")
    template = representation.find("SegmentTemplate", space)
    assert template is not None
    assert template.get("media") == "v-1/small/trick-$Number%05d$.m4s"
    assert template.get("initialization") == "v-1/small/init.mp4"


def test_none_is_made_of_what_has_no_clear_key_frames(made: tuple[Path, Track]) -> None:
    folder, _ = made
    with pytest.raises(VerificationError, match="without fragments"):
        trick_segment(box(b"styp", b"msdh\0\0\0\0"), 1)
    data = (folder / "small/seg-00001.m4s").read_bytes()
    with pytest.raises(VerificationError, match="clear key frame"):
        trick_segment(encrypted(data), 1)


def encrypted(data: bytes) -> bytes:
    """The segment with an empty ``senc`` in its first fragment."""
    moof, traf = data.index(b"moof") - 4, data.index(b"traf") - 4
    end = traf + u32(data, traf)
    grown = bytearray(data[:end] + box(b"senc", b"") + data[end:])
    for at in (moof, traf):
        struct.pack_into(">I", grown, at, u32(data, at) + 8)
    return bytes(grown)


def test_only_tracks_that_have_them_are_listed(made: tuple[Path, Track]) -> None:
    _, track = made
    plain = track.changed(trick_bytes=())
    assert "trick" not in dash.manifest([plain], 6, prefix="")
    assert "trick_bytes" not in plain.model_dump()
