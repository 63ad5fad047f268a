"""What a source says of its high dynamic range, and what renditions keep of it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field

from vod_operators.formats.base import Model, is_empty
from vod_operators.formats.hdr import (
    CHROMATICITY,
    LUMINANCE,
    Light,
    Mastering,
    StaticMetadata,
    static_metadata,
)

HdrRange = Literal["PQ", "HLG"]

TRANSFERS: Mapping[HdrRange, str] = {"PQ": "smpte2084", "HLG": "arib-std-b67"}
"""Video range -> ffmpeg's name of its transfer characteristics."""

CHROMA_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
"""ffmpeg's names, in the order of ``chroma_sample_loc_type`` (ITU-T H.265 E.3.1)."""

POINTS = ("green", "blue", "red", "white_point")
DISPLAY_FIELDS = (
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
    "max_luminance",
    "min_luminance",
)
LIGHT_FIELDS = ("max_content", "max_average")
"""ffprobe's names of the fields of side data, in the order of the boxes."""

HDR10_PLUS = "HDR10+"

NO_DISPLAY = "the mastering display that it declares is impossible or incomplete, and is left out"
NO_LIGHT = "the content light level that it declares is impossible, and is left out"
CHANGES = "its static HDR metadata change in mid-file; those of the beginning stand for all of it"


class Hdr(Model):
    """What an HDR rendition is encoded as. The primaries and the matrix are those of BT.2020."""

    range: HdrRange
    chroma_location: str
    """One of ``CHROMA_LOCATIONS``."""
    metadata: StaticMetadata
    """The same in all chunks; what the source does not tell, no chunk tells."""


class SourceHdr(Model):
    """What an HDR source says besides its colours."""

    metadata: StaticMetadata = StaticMetadata()
    chroma_location: str = "left"
    dynamic: tuple[str, ...] = Field((), exclude_if=is_empty)
    """Names of its dynamic metadata, which no rendition keeps."""
    remarks: tuple[str, ...] = Field((), exclude_if=is_empty)
    """What is wrong with its static metadata, in words for a person."""


def of_fields(fields: Mapping[str, Any]) -> tuple[StaticMetadata, tuple[str, ...]]:
    """The static metadata of one picture or stream, and what is wrong with it.

    :param fields: ffprobe's fields of side data, such as ``red_x`` and ``max_content``.
    """
    remarks = []
    display = _display(fields) if fields.keys() & set(DISPLAY_FIELDS) else None
    if isinstance(display, str):
        remarks.append(display)
        display = None
    light = None
    if fields.keys() & set(LIGHT_FIELDS):
        largest, average = (_whole(fields.get(name, 0), 1) for name in LIGHT_FIELDS)
        if largest is None or average is None or (largest and not Light(largest, average).is_possible):
            remarks.append(NO_LIGHT)
        elif largest:  # 0: unknown; SVT-AV1 writes no average alone
            light = Light(largest, average)
    return static_metadata(display, light), tuple(remarks)


def _display(fields: Mapping[str, Any]) -> Mastering | str:
    """The mastering display, or what is wrong with it."""
    units = [CHROMATICITY] * 8 + [LUMINANCE] * 2
    numbers = [_whole(fields.get(name), unit) for name, unit in zip(DISPLAY_FIELDS, units, strict=True)]
    n = [number for number in numbers if number is not None]
    if len(n) < len(numbers):
        return NO_DISPLAY
    display = Mastering((n[0], n[1]), (n[2], n[3]), (n[4], n[5]), (n[6], n[7]), n[8], n[9])
    try:
        static_metadata(display, None)
    except struct.error:
        return NO_DISPLAY
    return display if display.is_possible else NO_DISPLAY


def checked(metadata: StaticMetadata) -> tuple[StaticMetadata, tuple[str, ...]]:
    """The static metadata that a bitstream has, without what is impossible, and what is wrong with it."""
    display, light = metadata.display, metadata.levels
    remarks = []
    if display and not display.is_possible:
        remarks.append(NO_DISPLAY)
        display = None
    if light and light.max_content and not light.is_possible:
        remarks.append(NO_LIGHT)
    if light and not (light.max_content and light.is_possible):
        light = None
    return static_metadata(display, light), tuple(remarks)


def with_pictures(told: SourceHdr, metadata: StaticMetadata, dynamic: Iterable[str]) -> SourceHdr:
    """What a source says, with what its first picture says besides.

    :param dynamic: names of dynamic metadata that it has.
    """
    found, remarks = checked(metadata)
    merged = found.completed(told.metadata)
    names, words = dict.fromkeys((*told.dynamic, *dynamic)), dict.fromkeys((*told.remarks, *remarks))
    return told.model_copy(update={"metadata": merged, "dynamic": tuple(names), "remarks": tuple(words)})


def _whole(value: Any, unit: int) -> int | None:
    """A number in units; None if it is none, or negative."""
    try:
        number = round(Fraction(str(value)) * unit)
    except (ValueError, ArithmeticError):
        return None
    return number if number >= 0 else None


def dolby_vision(side_data: Mapping[str, Any]) -> str | None:
    """``Dolby Vision profile 8.4``, of a stream's side data; None if it is something else."""
    profile, base = side_data.get("dv_profile"), side_data.get("dv_bl_signal_compatibility_id")
    if not profile:
        return None
    # Profile 7 has an enhancement layer; its base layer is always HDR10, and Dolby does not number that.
    return f"Dolby Vision profile {profile}" + (f".{base}" if base and profile != 7 else "")


def source_hdr(
    stream: Mapping[str, Any],
    pictures: Iterable[StaticMetadata],
    dynamic: Iterable[str],
    wrong: Iterable[str],
) -> SourceHdr:
    """What a source says, by its pictures before its container.

    :param stream: ffprobe's description of it.
    :param pictures: the different static metadata of its pictures, in order.
    :param dynamic: names of dynamic metadata that pictures have.
    :param wrong: what is wrong with the static metadata of pictures.
    """
    told = list(pictures)
    fields: dict[str, Any] = {}
    names = dict.fromkeys(dynamic)
    for side_data in stream.get("side_data_list", []):
        fields |= {name: value for name, value in side_data.items() if name in DISPLAY_FIELDS + LIGHT_FIELDS}
        if name := dolby_vision(side_data):
            names[name] = None
    declared, remarks = of_fields(fields)
    first = told[0] if told else StaticMetadata()
    metadata = first.completed(declared)
    found = dict.fromkeys((*remarks, *wrong))
    # What one of the two says rightly is kept.
    if metadata.mastering:
        found.pop(NO_DISPLAY, None)
    if metadata.light:
        found.pop(NO_LIGHT, None)
    if len(told) > 1:
        found[CHANGES] = None
    location = stream.get("chroma_location")
    return SourceHdr(
        metadata=metadata,
        chroma_location=location if location in CHROMA_LOCATIONS else "left",
        dynamic=tuple(names),
        remarks=tuple(found),
    )


# --- encoders -------------------------------------------------------------------------------


def x265_params(metadata: StaticMetadata) -> str:
    """Parameters of x265, each with a colon before it. It writes them into SEIs of each IDR picture."""
    params = ""
    if display := metadata.display:
        g, b, r, w, most, least = display
        params += f":master-display=G({g[0]},{g[1]})B({b[0]},{b[1]})R({r[0]},{r[1]})WP({w[0]},{w[1]})"
        params += f"L({most},{least})"
    if light := metadata.levels:
        params += f":max-cll={light.max_content},{light.max_average}"
    return params


def svtav1_params(metadata: StaticMetadata) -> str:
    """Parameters of SVT-AV1, likewise. It writes them into metadata OBUs of each key frame."""
    params = ""
    if display := metadata.display:
        places = zip(("G", "B", "R", "WP"), display[:4], strict=True)
        points = "".join(f"{name}({x / CHROMATICITY:g},{y / CHROMATICITY:g})" for name, (x, y) in places)
        most, least = display.max_luminance / LUMINANCE, display.min_luminance / LUMINANCE
        params += f":mastering-display={points}L({most:g},{least:g})"
    if light := metadata.levels:
        params += f":content-light={light.max_content},{light.max_average}"
    return params
