"""Which channels of captions there are in encoded pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from support.tracks import made_up_track
from vod_operators.media import captions
from vod_operators.media.track import Track

MARK = b"\xb5\x00\x31GA94\x03"


def user_data(*triplets: bytes) -> bytes:
    """As it stands in an SEI message, behind whatever came before."""
    return b"\x06\x04\x47" + MARK + bytes([0xC0 | len(triplets), 0xFF]) + b"".join(triplets) + b"\xff\x80"


# Commands with their parity: resume caption loading, roll-up of two rows, resume direct captioning, text.
@pytest.mark.parametrize(
    ("triplet", "channels"),
    [
        (b"\xfc\x94\x20", {"CC1"}),
        (b"\xfc\x94\x25", {"CC1"}),
        (b"\xfc\x1c\x20", {"CC2"}),
        (b"\xfd\x15\x29", {"CC3"}),
        (b"\xfd\x9d\x26", {"CC4"}),
        (b"\xfc\x94\x2a", set()),  # text restart: no captions
        (b"\xfc\x80\x80", set()),
        (b"\xfc\x94\x2f", set()),  # end of caption: another command began it
        (b"\xf8\x94\x20", set()),  # filling that looks like one
        (b"\xfd\x01\x01", set()),  # XDS: about the programme
    ],
)
def test_line_21(triplet: bytes, channels: set[str]) -> None:
    assert captions.channels_in(b"\0" * 9 + user_data(triplet, b"\xfa\0\0")) == channels


@pytest.mark.parametrize(
    ("triplets", "channels"),
    [
        # Packet of 3 bytes: one block of 2 bytes of service 1.
        ((b"\xff\x02\x22", b"\xfe\x41\x42"), {"SERVICE1"}),
        # Packet of 7: a block of 1 of service 2, one of 2 of service 3.
        ((b"\xff\x04\x41", b"\xfe\x41\x62", b"\xfe\x41\x42", b"\xfe\0\0"), {"SERVICE2", "SERVICE3"}),
        # Service 9 needs a second byte of number.
        ((b"\xff\x02\xe1", b"\xfe\x09\x41"), {"SERVICE9"}),
        ((b"\xff\x02\0", b"\xfe\0\0"), set()),
        ((b"\xfe\x41\x42",), set()),  # the rest of a packet that began before
    ],
)
def test_cea_708(triplets: tuple[bytes, ...], channels: set[str]) -> None:
    assert captions.channels_in(user_data(*triplets)) == channels


def test_bytes_that_were_put_in_are_taken_out() -> None:
    assert captions.channels_in(user_data(b"\xfc\0\0", b"\x03\xfc\x94", b"\x20\xfa\0")) == {"CC1"}


def test_nothing_is_found_in_nothing() -> None:
    assert captions.channels_in(b"") == captions.channels_in(MARK) == set()
    assert captions.channels_in(MARK + b"\x80\xff\xfc\x94\x20") == set()  # it says that there are none


def test_a_source_is_searched(tmp_path: Path) -> None:
    for name, data in (("mpeg2", b"\0\0\1\xb2GA94\x03\xd4\xff\xfc"), ("h264", user_data(b"\xfc\x94\x20"))):
        (tmp_path / name).write_bytes(b"\1" * 10_000 + data)
        assert captions.has_captions(tmp_path / name)
    for name, data in (("none", b"GA94\x03\x54\xff\0"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        assert not captions.has_captions(tmp_path / name)


def test_what_no_encoder_kept_is_told() -> None:
    def track(codecs: str, *channels: str) -> Track:
        return made_up_track("t", [(1, Fraction(1))], codecs=codecs, captions=channels)

    kept, without = track("avc1.64001f", "CC1"), track("av01.0.04M.08")
    assert captions.lost([kept]) == []
    assert captions.lost([kept, without]) == ["closed captions: the av01 renditions have lost them"]
