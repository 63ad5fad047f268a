"""IMSC1 documents -> a fragmented MP4 track: an init segment, and segments of one sample each.

ISO 14496-12 (boxes), 14496-30 (``stpp``), 23000-19 (CMAF).
"""

from __future__ import annotations

import struct

from vod_operators.formats.isobmff import DEFAULT_BASE_IS_MOOF, UNITY, box, full_box
from vod_operators.formats.ttml import TT
from vod_operators.media.pieces import in_language

TRACK = 1


def init_segment(timescale: int, ticks: int, language: str) -> bytes:
    """The init segment.

    :param ticks: length of the track.
    :param language: ISO 639-2/T code.
    """
    mvhd = full_box(
        b"mvhd", struct.pack(">4I", 0, 0, timescale, 0), struct.pack(">IH10x", 1 << 16, 1 << 8), UNITY,
        bytes(24), struct.pack(">I", TRACK + 1),
    )  # fmt: skip
    # Enabled, in the movie, in the preview; no layer, no volume, no size of its own.
    tkhd = full_box(b"tkhd", struct.pack(">5I", 0, 0, TRACK, 0, 0), bytes(16), UNITY, bytes(8), flags=7)
    mdhd = full_box(b"mdhd", struct.pack(">4IHH", 0, 0, timescale, 0, 0, 0))
    hdlr = full_box(b"hdlr", struct.pack(">I4s12x", 0, b"subt"), b"\0")
    entry = box(b"stpp", struct.pack(">6xH", 1), TT.encode(), b"\0\0\0")  # no schema, no other resources
    tables = [full_box(b"stsd", struct.pack(">I", 1), entry)]
    tables += [full_box(kind, bytes(4)) for kind in (b"stts", b"stsc")]
    tables += [full_box(b"stsz", bytes(8)), full_box(b"stco", bytes(4))]
    here = full_box(b"dref", struct.pack(">I", 1), full_box(b"url ", flags=1))  # samples are in the same file
    minf = box(b"minf", full_box(b"sthd"), box(b"dinf", here), box(b"stbl", *tables))
    trak = box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))
    mehd = full_box(b"mehd", struct.pack(">Q", ticks), version=1)
    mvex = box(b"mvex", mehd, full_box(b"trex", struct.pack(">5I", TRACK, 1, 0, 0, 0)))
    init = box(b"ftyp", b"iso6\0\0\0\0", b"iso6cmfcim1t") + box(b"moov", mvhd, trak, mvex)
    return in_language(init, language)


def media_segment(document: bytes, number: int, begin: int, ticks: int) -> bytes:
    """A media segment that shows one document.

    :param number: of the segment, from 1.
    :param begin: where it begins, in ticks.
    :param ticks: how long it lasts.
    """
    mfhd = full_box(b"mfhd", struct.pack(">I", number))
    tfhd = full_box(b"tfhd", struct.pack(">I", TRACK), flags=DEFAULT_BASE_IS_MOOF)
    tfdt = full_box(b"tfdt", struct.pack(">Q", begin), version=1)

    def moof(data_offset: int) -> bytes:
        # Of the one sample: duration and size.
        trun = full_box(b"trun", struct.pack(">IiII", 1, data_offset, ticks, len(document)), flags=0x301)
        return box(b"moof", mfhd, box(b"traf", tfhd, tfdt, trun))

    header = moof(len(moof(0)) + 8)
    return box(b"styp", b"msdh\0\0\0\0", b"msdhcmfs") + header + box(b"mdat", document)
