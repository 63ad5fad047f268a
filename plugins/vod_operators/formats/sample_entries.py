"""Sample entries -> formats: ``avcC``, ``hvcC``, ``av1C``, ``esds``, ``dac3``, ``dec3``, ``sinf``."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vod_operators.errors import VerificationError
from vod_operators.formats import dolby, nal
from vod_operators.formats.av1 import av1_format
from vod_operators.formats.facts import RANGES, Cicp, Codec, Format, Protection
from vod_operators.formats.hdr import of_payloads
from vod_operators.formats.isobmff import children, u32

AAC_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}
"""Channel configuration -> channels (ISO 14496-3, 1.6.3.5)."""

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Sample rates in Hz, by sampling frequency index."""

TEXT = {"wvtt": "wvtt", "stpp": "stpp.ttml.im1t"}

CODECS: dict[str, Codec] = {"avc": "h264", "hvc": "hevc", "hev": "hevc", "dvh": "hevc", "av0": "av1"}
"""By the first three letters of the sample entry."""


def parameter_sets(data: bytes, begin: int, end: int) -> list[bytes]:
    """The NAL units in the decoder configuration (``avcC``, ``hvcC``) of an ``stsd`` box's payload."""
    for kind, first, last in children(data, begin + 8, end):
        if codec_of(kind.decode("ascii", "replace")) in ("h264", "hevc"):
            boxes = _boxes(data, first + 78, last)
            if config := boxes.get("avcC"):
                return [*_avc_sets(config)]
            return [unit for units in _hevc_sets(boxes.get("hvcC", b"")).values() for unit in units]
    return []


def _avc_sets(config: bytes) -> Iterator[bytes]:
    at = 5
    for mask in (31, 255):  # sequence parameter sets, picture parameter sets
        count, at = config[at] & mask, at + 1
        for _ in range(count):
            size, at = int.from_bytes(config[at : at + 2], "big"), at + 2
            yield config[at : at + size]
            at += size


def _hevc_sets(config: bytes) -> dict[int, list[bytes]]:
    """NAL units by their type."""
    sets: dict[int, list[bytes]] = {}
    at = 23
    for _ in range(config[22] if config else 0):
        kind, count, at = config[at] & 63, int.from_bytes(config[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(config[at : at + 2], "big")
            sets.setdefault(kind, []).append(config[at + 2 : at + 2 + size])
            at += 2 + size
    return sets


def codec_of(entry: str) -> Codec | None:
    """The codec of a video's sample entry; None for any other."""
    return CODECS.get(entry[:3])


def format_of(data: bytes, begin: int, end: int) -> tuple[Format, int]:
    """The format that an ``stsd`` box's payload describes, and the bytes of a NAL unit's length.

    :raises VerificationError: it has no sample entry, or a damaged one.
    """
    try:
        for kind, first, last in children(data, begin + 8, end):
            return _entry(data, kind.decode("ascii", "replace"), first, last)
    except (struct.error, IndexError) as error:
        raise VerificationError(f"MP4: a sample entry cannot be understood ({error})") from None
    raise VerificationError("MP4: a track has no sample entry")


def protection_of(data: bytes, begin: int, end: int) -> Protection | None:
    """How an ``stsd`` box's payload says that samples are encrypted; None if they are clear by default.

    :raises VerificationError: a box does not fit.
    """
    for kind, first, last in children(data, begin + 8, end):
        head = {b"encv": 78, b"enca": 28}.get(kind)
        if head is None:
            continue
        boxes = _boxes(_boxes(data, first + head, last).get("sinf", b""), 0)
        told = _boxes(boxes.get("schi", b""), 0).get("tenc", b"")
        is_whole = len(told) >= 24
        if is_whole and not told[6]:
            return None
        return Protection(
            scheme=boxes.get("schm", b"")[4:8].decode("ascii", "replace"),
            key_id=told[8:24].hex() if is_whole else "",
            vector_bytes=told[7] if is_whole else 0,
            constant_vector_bytes=told[24] if is_whole and not told[7] and len(told) > 24 else 0,
        )
    return None


def _entry(data: bytes, name: str, begin: int, end: int) -> tuple[Format, int]:
    head, pattern = {"encv": 78, "enca": 28}.get(name), ""
    if head is not None:
        protection = _boxes(_boxes(data, begin + head, end).get("sinf", b""), 0)
        pattern = _pattern(protection) if name == "encv" else ""
        name = protection.get("frma", b"????").decode("ascii", "replace")
    if name in TEXT:
        return Format(kind="text", codecs=TEXT[name], entry=name), 4
    if name[:3] in (*CODECS, "vp0"):
        described, length_size = _video(data, name, begin, end)
    else:
        described, length_size = _audio(data, name, begin, end), 4
    return described.model_copy(update={"encrypted": head is not None, "pattern": pattern}), length_size


def _pattern(protection: dict[str, bytes]) -> str:
    """As ``Format.pattern``, of the boxes in ``sinf`` (ISO 23001-7 8.2); empty if they do not tell."""
    told = _boxes(protection.get("schi", b""), 0).get("tenc", b"")
    if len(told) < 6:
        return ""
    return f"{told[5] >> 4}:{told[5] & 15}" if told[0] else "0:0"


def _boxes(data: bytes, begin: int, end: int | None = None) -> dict[str, bytes]:
    last = len(data) if end is None else end
    return {kind.decode("ascii", "replace"): data[a:b] for kind, a, b in children(data, begin, last)}


# --- video ----------------------------------------------------------------------------------


def _video(data: bytes, name: str, begin: int, end: int) -> tuple[Format, int]:
    width, height = struct.unpack_from(">HH", data, begin + 24)
    boxes = _boxes(data, begin + 78, end)
    length_size = 4
    if config := boxes.get("avcC"):
        length_size = (config[4] & 3) + 1
        described = _of_avc(config, name)
    elif config := boxes.get("hvcC"):
        length_size = (config[21] & 3) + 1
        described = _of_hevc(config, name)
    elif config := boxes.get("av1C"):
        described = av1_format(config, width, height)
    else:
        described = Format(kind="video", codecs=name, entry=name, width=width, height=height)
    colour = boxes.get("colr", b"")
    told: dict[str, object] = {}
    if colour[:4] in (b"nclx", b"nclc") and len(colour) >= 10:
        told["entry_colour"] = code_points = Cicp(*struct.unpack_from(">3H", colour, 4))
        if described.video_range == "SDR":
            told["video_range"] = RANGES.get(code_points.transfer, "SDR")
    if metadata := of_payloads(boxes.get("mdcv"), boxes.get("clli")):
        told |= {"hdr_metadata": True, "entry_metadata": metadata}
    return described.model_copy(update=told), length_size


def _of_avc(config: bytes, name: str) -> Format:
    if not config[5] & 31:  # no parameter sets: avc3 may keep them in the samples
        codecs = f"{name}.{config[1]:02x}{config[2]:02x}{config[3]:02x}"
        return Format(kind="video", codecs=codecs, entry=name, profile=config[1], level=config[3])
    size = int.from_bytes(config[6:8], "big")
    return nal.avc_format(config[8 : 8 + size], name)


def _of_hevc(config: bytes, name: str) -> Format:
    sets = _hevc_sets(config)
    codecs = nal.hevc_codecs(name, config[1:13])
    if 33 not in sets:
        return Format(kind="video", codecs=codecs, entry=name, profile=config[1] & 31, level=config[12])
    seis = nal.hevc_seis(sets.get(39, []))
    metadata, described = nal.static_metadata(seis), nal.hevc_format(sets[33][0], name)
    told = {
        "codecs": codecs,
        "profile": config[1] & 31,
        "level": config[12],
        "hdr_metadata": bool(metadata),
        "metadata": metadata or None,
        **({"video_range": "HLG"} if nal.prefers_hlg(seis) else {}),
    }
    return described.model_copy(update=told)


# --- audio ----------------------------------------------------------------------------------


def _audio(data: bytes, name: str, begin: int, end: int) -> Format:
    version, channels = struct.unpack_from(">H6xH", data, begin + 8)
    rate = u32(data, begin + 24) >> 16
    boxes = _boxes(data, begin + 28 + (0, 16, 36)[min(version, 2)], end)
    codecs = name
    if "dac3" in boxes:  # channels of the entry itself must be ignored (ETSI TS 102 366, annex F)
        return dolby.of_dac3(boxes["dac3"]).model_copy(update={"codecs": name, "entry": name})
    if "dec3" in boxes:
        return dolby.of_dec3(boxes["dec3"]).model_copy(update={"codecs": name, "entry": name})
    if "esds" in boxes:
        codecs, told, known = _of_esds(boxes["esds"][4:], name)
        channels, rate = told or channels, known or rate
    return Format(kind="audio", codecs=codecs, entry=name, channels=channels, sample_rate=rate)


def _of_esds(data: bytes, name: str) -> tuple[str, int, int]:
    """RFC 6381 string, channels and sample rate from an elementary stream descriptor (ISO 14496-1)."""
    object_type, config = 0, b""
    at = 0
    while at < len(data):
        tag, at, size = data[at], at + 1, 0
        while True:
            byte, at = data[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 3:
            flags = data[at + 2]
            at += 3 + 2 * bool(flags & 0x80) + 2 * bool(flags & 0x20)
            at += 1 + data[at] if flags & 0x40 else 0
        elif tag == 4:
            object_type, at = data[at], at + 13
        else:
            config, at = (data[at : at + size] if tag == 5 else config), at + size
    if object_type != 0x40 or len(config) < 2:
        return f"{name}.{object_type:02x}", 0, 0
    kind, channels, rate = audio_specific(config)
    return f"{name}.40.{kind}", channels, rate


def audio_specific(config: bytes) -> tuple[int, int, int]:
    """Object type, channels and sample rate of an ``AudioSpecificConfig``; 0 for what is unknown."""
    value = int.from_bytes(config[:5].ljust(5, b"\x00"), "big")
    kind, at = value >> 35, 5
    if kind == 31:
        kind, at = 32 + (value >> 29 & 63), 11
    index = value >> 36 - at & 15
    if index == 15:
        return kind, AAC_CHANNELS.get(value >> 8 - at & 15, 0) if at <= 8 else 0, value >> 12 - at & 0xFFFFFF
    return kind, AAC_CHANNELS.get(value >> 32 - at & 15, 0), RATES[index] if index < len(RATES) else 0
