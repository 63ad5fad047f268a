"""IMSC1 documents -> a fragmented MP4 track: an init segment, and segments of one sample each.

ISO 14496-12 (boxes), 14496-30 (``stpp``), 23000-19 (CMAF).
"""

from __future__ import annotations

import struct

from vod_operators.formats.isobmff import DEFAULT_BASE_IS_MOOF
from vod_operators.formats.ttml import TT
from vod_operators.media.pieces import in_language

TRACK = 1
UNITY = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The matrix of a track that is neither moved nor turned (8.2.2)."""


def init_segment(timescale: int, ticks: int, language: str) -> bytes:
    """The init segment.

    :param ticks: length of the track.
    :param language: ISO 639-2/T code.
    """
    mvhd = _full(
        b"mvhd", struct.pack(">4I", 0, 0, timescale, 0), struct.pack(">IH10x", 1 << 16, 1 << 8), UNITY,
        bytes(24), struct.pack(">I", TRACK + 1),
    )  # fmt: skip
    # Enabled, in the movie, in the preview; no layer, no volume, no size of its own.
    tkhd = _full(b"tkhd", struct.pack(">5I", 0, 0, TRACK, 0, 0), bytes(16), UNITY, bytes(8), flags=7)
    mdhd = _full(b"mdhd", struct.pack(">4IHH", 0, 0, timescale, 0, 0, 0))
    hdlr = _full(b"hdlr", struct.pack(">I4s12x", 0, b"subt"), b"\0")
    entry = _box(b"stpp", struct.pack(">6xH", 1), TT.encode(), b"\0\0\0")  # no schema, no other resources
    tables = [_full(b"stsd", struct.pack(">I", 1), entry)]
    tables += [_full(kind, bytes(4)) for kind in (b"stts", b"stsc")]
    tables += [_full(b"stsz", bytes(8)), _full(b"stco", bytes(4))]
    here = _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))  # samples are in the same file
    minf = _box(b"minf", _full(b"sthd"), _box(b"dinf", here), _box(b"stbl", *tables))
    trak = _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf))
    mehd = _full(b"mehd", struct.pack(">Q", ticks), version=1)
    mvex = _box(b"mvex", mehd, _full(b"trex", struct.pack(">5I", TRACK, 1, 0, 0, 0)))
    init = _box(b"ftyp", b"iso6\0\0\0\0", b"iso6cmfcim1t") + _box(b"moov", mvhd, trak, mvex)
    return in_language(init, language)


def media_segment(document: bytes, number: int, begin: int, ticks: int) -> bytes:
    """A media segment that shows one document.

    :param number: of the segment, from 1.
    :param begin: where it begins, in ticks.
    :param ticks: how long it lasts.
    """
    mfhd = _full(b"mfhd", struct.pack(">I", number))
    tfhd = _full(b"tfhd", struct.pack(">I", TRACK), flags=DEFAULT_BASE_IS_MOOF)
    tfdt = _full(b"tfdt", struct.pack(">Q", begin), version=1)

    def moof(data_offset: int) -> bytes:
        # Of the one sample: duration and size.
        trun = _full(b"trun", struct.pack(">IiII", 1, data_offset, ticks, len(document)), flags=0x301)
        return _box(b"moof", mfhd, _box(b"traf", tfhd, tfdt, trun))

    header = moof(len(moof(0)) + 8)
    return _box(b"styp", b"msdh\0\0\0\0", b"msdhcmfs") + header + _box(b"mdat", document)


def _box(kind: bytes, *payload: bytes) -> bytes:
    content = b"".join(payload)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, *payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *payload)
