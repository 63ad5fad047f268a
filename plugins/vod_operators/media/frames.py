"""Examines pictures at several places of a file, because its header describes the beginning at best."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from vod_operators.formats.base import Model
from vod_operators.formats.hdr import StaticMetadata
from vod_operators.media import hdr
from vod_operators.media.ffmpeg import Argv, ffprobe
from vod_operators.media.models import Scan
from vod_operators.media.orientation import DisplayMatrix, parse_matrix

PLACES = 8
"""Number of places where pictures are read, evenly spaced from the beginning."""

FIRST_PICTURES = 48
"""Packets that are decoded at the beginning, to find the first picture shown: VVC holds back up to 32."""

PICTURES, PICTURES_UNINDEXED = 6, 40
"""Packets that are decoded at each later place. In MPEG-TS and MPEG-PS a seek may land between key frames, so
they must be enough to reach one: broadcasts have one every half second or second."""


def places(start_s: Fraction, duration_s: Fraction | None) -> list[Fraction]:
    """Times at which pictures are read, in seconds of the source's clock; empty if its length is unknown."""
    if not duration_s:
        return []
    return [start_s + number * duration_s / PLACES for number in range(PLACES)]


def read_frames(
    tool: str, source: str, *, stream: int, times: Sequence[Fraction], count: int, transport: bool
) -> Argv:
    """Decode some pictures at the beginning and at each later time; prints a line for each picture.

    :param times: the first one stands for the beginning; empty reads only there.
    :param count: packets at each.
    """
    told = ",".join(("side_data_type", "displaymatrix", *hdr.DISPLAY_FIELDS, *hdr.LIGHT_FIELDS))
    entries = f"frame=pts,interlaced_frame,top_field_first:frame_side_data={told}"
    return [*_intervals(tool, source, stream, times, count, transport), "-show_entries", entries, source]


def list_packets(tool: str, source: str, *, stream: int, times: Sequence[Fraction], count: int) -> Argv:
    """List where these pictures' packets lie in an MP4. Reads only its index; the media may be missing."""
    entries = ["-fflags", "+nofillin+noparse", "-show_entries", "packet=pos,size"]
    return [*_intervals(tool, source, stream, times, count, False), *entries, source]


def _intervals(
    tool: str, source: str, stream: int, times: Sequence[Fraction], count: int, transport: bool
) -> Argv:
    # Do not seek at the beginning: pictures before the first key frame may be shown.
    later = [f"{float(time):.6f}%+#{count}" for time in times[1:]]
    intervals = ",".join([f"%+#{max(count, FIRST_PICTURES)}", *later])
    return ffprobe(
        tool, "-select_streams", str(stream), "-read_intervals", intervals, "-of", "compact=p=0:nk=0",
        transport=transport,
    )  # fmt: skip


def byte_ranges(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """``(begin, end)`` of each packet in bytes, half-open, from what ``list_packets`` printed."""
    for line in lines:
        fields = dict(field.partition("=")[::2] for field in line.split("|"))
        begin, size = fields.get("pos", ""), fields.get("size", "")
        if begin.isdecimal() and size.isdecimal():
            yield int(begin), int(begin) + int(size)


class FrameFacts(Model):
    """What the examined pictures say."""

    count: int
    scan: Scan
    field_order: Literal["tff", "bff"] | None
    """Which field is first, where all interlaced pictures agree."""
    fields_apart: bool
    """Whether each decoded picture is a single field, top and bottom in turn."""
    display_matrix: DisplayMatrix | None
    """The first that a picture has: H.264 and HEVC may carry it in SEI."""
    first_pts: int | None
    """When the first picture is shown, in ticks."""
    least_step: int | None
    """Smallest step between pictures, in ticks; None if too few have times."""
    static_metadata: tuple[StaticMetadata, ...] = ()
    """The different static metadata of HDR10 that pictures have, in order."""
    dynamic_metadata: tuple[str, ...] = ()
    """Names of dynamic metadata of HDR that pictures have."""
    remarks: tuple[str, ...] = ()
    """What is wrong with their static metadata, in words for a person."""


LEAST_FIELDS = 4
"""Least number of changes to say that fields alternate."""


def _alternate(fields: Sequence[str]) -> bool:
    """Whether top and bottom fields alternate. Between two places the same field may come twice."""
    changes = [earlier != later for earlier, later in pairwise(fields)]
    return len(changes) >= LEAST_FIELDS and changes.count(False) <= PLACES


_FRAME = re.compile(r"pts=(?P<pts>[^|]*)\|interlaced_frame=(?P<interlaced>\d)\|top_field_first=(?P<top>\d)")
_MATRIX = re.compile(r"displaymatrix=([^|]*)")
_HDR = re.compile(rf"(?:^|[|:])({'|'.join((*hdr.DISPLAY_FIELDS, *hdr.LIGHT_FIELDS))})=([^|]*)")
_DYNAMIC = {"SMPTE2094-40": hdr.HDR10_PLUS, "Dolby Vision RPU": "Dolby Vision"}
"""Part of ffprobe's name of side data -> its own name."""


def parse_frames(lines: Iterable[str]) -> FrameFacts:
    """Facts of the pictures that ``read_frames`` printed."""
    first_fields: list[str] = []
    times: list[int] = []
    count = 0
    matrix = None
    static, dynamic, remarks = dict[StaticMetadata, None](), dict[str, None](), dict[str, None]()
    for line in lines:
        if frame := _FRAME.search(line):
            count += 1
            if frame["interlaced"] == "1":
                first_fields.append("tff" if frame["top"] == "1" else "bff")
            if frame["pts"] != "N/A":
                times.append(int(frame["pts"]))
        if matrix is None and (text := _MATRIX.search(line)):
            matrix = parse_matrix(text[1].replace("\\n", "\n"))
        if fields := dict(_HDR.findall(line)):
            metadata, wrong = hdr.of_fields(fields)
            static |= {metadata: None} if metadata else {}
            remarks |= dict.fromkeys(wrong)
        dynamic |= {name: None for part, name in _DYNAMIC.items() if part in line}
    scan: Scan = (
        "progressive" if not first_fields else "interlaced" if len(first_fields) == count else "mixed"
    )
    order = first_fields[0] if len(set(first_fields)) == 1 else None
    steps = [later - earlier for earlier, later in pairwise(sorted(set(times)))]
    return FrameFacts(
        count=count,
        scan=scan,
        field_order=order,
        fields_apart=_alternate(first_fields),
        display_matrix=matrix,
        first_pts=times[0] if times else None,
        least_step=min(steps) if len(steps) > PICTURES else None,
        static_metadata=tuple(static),
        dynamic_metadata=tuple(dynamic),
        remarks=tuple(remarks),
    )
