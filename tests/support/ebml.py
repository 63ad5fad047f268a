"""Matroska files that ffmpeg's muxer cannot write: other fields in the tracks' headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SEGMENT, SEEK_HEAD, TRACKS, TRACK, VIDEO, CUES = 0x18538067, 0x114D9B74, 0x1654AE6B, 0xAE, 0xE0, 0x1C53BB6B
CUE_POINT, CUE_POSITIONS, CUE_CLUSTER, CLUSTER = 0xBB, 0xB7, 0xF1, 0x1F43B675
TRACK_TYPE, DEFAULT_DURATION = 0x83, 0x23E383
CROP_BOTTOM, CROP_TOP, CROP_LEFT, CROP_RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
DISPLAY_WIDTH, DISPLAY_HEIGHT = 0x54B0, 0x54BA

VOID, CRC, EBML = 0xEC, 0xBF, 0x1A45DFA3

_VIDEO_TRACK = 1


def _number(data: bytes, at: int, *, marked: bool) -> tuple[int, int]:
    """A variable-length number and where the next byte is; an ID keeps the mark of its length."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return value if marked else value & (1 << 7 * length) - 1, at + length


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """ID and body of each element, but for checksums, which a change would make wrong."""
    at = 0
    while at < len(data):
        kind, at = _number(data, at, marked=True)
        size, at = _number(data, at, marked=False)
        if kind != CRC:
            yield kind, data[at : at + size]
        at += size


def element(kind: int, body: bytes | int) -> bytes:
    if isinstance(body, int):
        body = body.to_bytes(8, "big")
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(body)).to_bytes(8, "big") + body


def _with(body: bytes, fields: Mapping[int, int]) -> bytes:
    kept = b"".join(element(kind, part) for kind, part in elements(body) if kind not in fields)
    return kept + b"".join(element(kind, value) for kind, value in fields.items())


def with_fields(data: bytes, *, track: Mapping[int, int] = {}, video: Mapping[int, int] = {}) -> bytes:
    """The same with these numbers in the header of the video track, and its index before its pictures.

    :param video: those that are about its pictures.
    """
    parts = list(elements(data))
    (segment,) = [body for kind, body in parts if kind == SEGMENT]
    children = list(elements(segment))
    moved = {kind: body for kind, body in children if kind not in (SEEK_HEAD, VOID, CLUSTER)}

    tracks = b""
    for _, entry in elements(moved[TRACKS]):
        fields = dict(elements(entry))
        if int.from_bytes(fields[TRACK_TYPE], "big") == _VIDEO_TRACK:
            entry = _with(entry, track).replace(
                element(VIDEO, fields[VIDEO]), element(VIDEO, _with(fields[VIDEO], video))
            )
        tracks += element(TRACK, entry)
    moved[TRACKS] = tracks

    was = segment.index(CLUSTER.to_bytes(4, "big"))
    head = {kind: element(kind, body) for kind, body in moved.items()}
    # Positions in the index are of one length, so that it is as long before they are known as after.
    now = sum(map(len, head.values())) - len(head[CUES]) + len(_cues(moved[CUES], 0))
    head[CUES] = _cues(moved[CUES], now - was)
    clusters = segment[was:]
    clusters = clusters[: sum(map(len, _raw(clusters)))]
    made = b"".join(head.values()) + clusters
    (ebml,) = [body for kind, body in parts if kind != SEGMENT]
    return element(EBML, ebml) + element(SEGMENT, made)


def _raw(data: bytes) -> Iterator[bytes]:
    """The clusters at the start, with their headers."""
    at = 0
    while data[at : at + 4] == CLUSTER.to_bytes(4, "big"):
        size, body = _number(data, at + 4, marked=False)
        yield data[at : body + size]
        at = body + size


def _cues(body: bytes, shift: int) -> bytes:
    """The index, with clusters that many bytes later."""

    def moved(kind: int, part: bytes) -> bytes:
        if kind in (CUE_POINT, CUE_POSITIONS):
            return element(kind, b"".join(moved(*inner) for inner in elements(part)))
        if kind == CUE_CLUSTER:
            return element(kind, int.from_bytes(part, "big") + shift)
        return element(kind, part)

    return element(CUES, b"".join(moved(*point) for point in elements(body)))
