"""Checks a file's header before any tool reads it, for claims that would crash ffprobe without a message.

Only a few bytes are read, whatever they claim. A format that is not recognised is left to ffprobe.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import BinaryIO

from vod_operators.errors import InvalidInputError
from vod_operators.formats.boxes import boxes
from vod_operators.formats.isobmff import read_at
from vod_operators.media.admission import Limits, over_limit
from vod_operators.media.models import AudioStream

MAX_CHANNELS = 24
"""22.2 sound: ffmpeg has no larger layout."""

MIN_SAMPLE_RATE = 1000
"""Hz. The telephone has 8000, and no sound for people has less than 2000."""

FAR_S = 100 * 366 * 86400
"""Latest begin of a fragment, in seconds. A live stream may count from 1970; a hundred years leave room."""

_TOP = (b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"pnot", b"uuid")


def check_header(file: BinaryIO, limits: Limits) -> None:
    """Check what the beginning of a file, and the headers of an MP4, claim.

    :raises InvalidInputError: a claim exceeds a limit or makes no sense; the message names it.
    """
    file.seek(0)
    head = file.read(4096)
    if head.startswith(b"YUV4MPEG2 "):
        _check_y4m(head, limits)
    elif head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        _check_wav(head)
    elif head[4:8] in _TOP:
        _check_mp4(file, limits)


def check_sounds(sounds: Sequence[AudioStream]) -> None:
    """Check the sample rates that ffprobe found: at a tiny rate, a few bytes would last for hours.

    :raises InvalidInputError: a sample rate is below ``MIN_SAMPLE_RATE``.
    """
    for sound in sounds:
        if sound.sample_rate < MIN_SAMPLE_RATE:
            raise InvalidInputError(
                f"source: its audio stream {sound.index} has a sample rate of {sound.sample_rate} Hz; "
                f"expected at least {MIN_SAMPLE_RATE}"
            )


def _check_y4m(head: bytes, limits: Limits) -> None:
    line = head.partition(b"\n")[0].decode("ascii", "replace")
    sides = [re.search(rf" {letter}(-?\d{{1,10}})(?: |$)", line) for letter in "WH"]
    if not sides[0] or not sides[1]:
        raise InvalidInputError(
            "source: its YUV4MPEG2 header names no width and height in its first 4096 bytes"
        )
    width, height = (int(side[1]) for side in sides if side)
    if width < 1 or height < 1:
        raise InvalidInputError(f"source: its pictures have {width}x{height} pixels; expected at least 1x1")
    if width * height > limits.max_pixels:
        pixels = f"{width}x{height} = {width * height} pixels"
        raise over_limit("its video stream 0 (rawvideo) has", pixels, limits, "max_pixels")


def _check_wav(head: bytes) -> None:
    at = head.find(b"fmt ", 12)
    if at < 0 or len(head) < at + 24:
        return
    _, channels, _, _, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
    if not 1 <= channels <= MAX_CHANNELS:
        raise InvalidInputError(f"source: its sound has {channels} channels; expected 1 to {MAX_CHANNELS}")
    if not bits and head[at + 8 : at + 10] == b"\1\0":
        raise InvalidInputError("source: its sound has samples of 0 bits")


def _check_mp4(file: BinaryIO, limits: Limits) -> None:
    end = file.seek(0, 2)
    timescales: list[int] = []
    for kind, first, last in boxes(file, 0, end):
        if kind == b"moov":
            timescales += _check_movie(file, first, last, limits)
        elif kind == b"moof":
            for track, begin, until in boxes(file, first, last):
                if track == b"traf":
                    _check_fragment(file, begin, until, max(timescales, default=1))


def _check_movie(file: BinaryIO, begin: int, end: int, limits: Limits) -> list[int]:
    """Check a ``moov`` box; returns the timescales of its tracks."""
    scales, tracks = [], 0
    for kind, first, last in boxes(file, begin, end):
        if kind == b"cmov":
            raise InvalidInputError(
                "source: its index is compressed (cmov), as QuickTime wrote it until 2010; save it again "
                "with an uncompressed index"
            )
        if kind == b"mvhd":
            _check_scale("its movie header", _timescale(file, first))
        if kind != b"trak":
            continue
        tracks += 1
        if tracks > limits.max_streams:
            continue  # count them for the message only
        for inner, inner_first, inner_last in boxes(file, first, last):
            for header, header_first, _ in boxes(file, inner_first, inner_last) if inner == b"mdia" else ():
                if header == b"mdhd":
                    scale = _timescale(file, header_first)
                    _check_scale(f"its track {tracks}", scale)
                    scales.append(scale)
    if tracks > limits.max_streams:
        raise over_limit("it has", f"{tracks} streams", limits, "max_streams")
    return scales


def _check_scale(header: str, scale: int) -> None:
    if scale == 0:
        raise InvalidInputError(f"source: {header} has a timescale of 0, so that nothing in it has a time")


def _check_fragment(file: BinaryIO, begin: int, end: int, timescale: int) -> None:
    for kind, first, _ in boxes(file, begin, end):
        if kind == b"tfdt":
            data = read_at(file, first, 12)
            ticks = int.from_bytes(data[4:12] if data[:1] == b"\1" else data[4:8], "big")
            if ticks > FAR_S * timescale:
                raise InvalidInputError(
                    f"source: a fragment says that it begins at tick {ticks} of {timescale} a second (tfdt), "
                    "more than a hundred years in"
                )


def _timescale(file: BinaryIO, payload: int) -> int:
    """The timescale of an ``mvhd`` or ``mdhd`` box, after two times of 4 or 8 bytes; 1 if it is cut off."""
    data = read_at(file, payload, 24)
    at = 20 if data[:1] == b"\1" else 12
    return int.from_bytes(data[at : at + 4], "big") if len(data) >= at + 4 else 1
