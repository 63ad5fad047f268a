"""Writes MPEG-TS with one stream, packed audio, and their playlists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from support.tools import generate
from vod_operators.formats.audio_frames import HEADER_BYTES, Header

CLOCK, WRAP = 90_000, 1 << 33
PACKET, MAP_PID, PID = 188, 0x100, 0x101


def encoded(path: Path, *args: str, seconds: int = 3) -> bytes:
    """A tone as raw frames, in the format that the file's name says."""
    tone = ("-f", "lavfi", "-i", f"sine=f=440:r=48000:d={seconds}", "-ac", "2")
    bare = ("-write_xing", "0", "-id3v2_version", "0") if path.suffix == ".mp3" else ()
    generate(path, *tone, *bare, *args)
    return path.read_bytes()


def cut(data: bytes, header: Header) -> list[bytes]:
    """The frames of a file."""
    frames, at = [], 0
    while at + HEADER_BYTES <= len(data):
        frame = header(data, at)
        assert frame is not None
        frames.append(data[at : at + frame.size])
        at += frame.size
    return frames


def id3(ticks: int, owner: bytes = b"com.apple.streaming.transportStreamTimestamp") -> bytes:
    """The tag with the time of packed audio."""
    body = owner + b"\0" + (ticks % WRAP).to_bytes(8, "big")
    frame = b"PRIV" + len(body).to_bytes(4, "big") + b"\0\0" + body
    return b"ID3\4\0\0" + len(frame).to_bytes(4, "big") + frame


def _section(table: int, number: int, body: bytes) -> bytes:
    """A section in a packet's payload. Nobody checks the checksum."""
    content = number.to_bytes(2, "big") + b"\xc1\0\0" + body + bytes(4)
    return b"\0" + bytes([table]) + (0xB000 | len(content)).to_bytes(2, "big") + content


def _pes(payload: bytes, ticks: int | None, stuffing: int) -> bytes:
    time = b""
    if ticks is not None:
        t = ticks % WRAP
        time = bytes([0x21 | t >> 29 & 14, t >> 22 & 255, 1 | t >> 14 & 254, t >> 7 & 255, 1 | t << 1 & 254])
    head = bytes([0x80, 0x80 if time else 0, len(time) + stuffing]) + time + b"\xff" * stuffing
    return b"\0\0\1\xc0" + (len(head) + len(payload)).to_bytes(2, "big") + head + payload


@dataclass(kw_only=True)
class Transport:
    """A stream in MPEG-TS, whose counters run on."""

    kind: int = 0x0F
    descriptor: bytes = b""
    programmes: int = 1

    def __post_init__(self) -> None:
        self._counters: dict[int, int] = {}

    def tables(self) -> bytes:
        """PAT and PMT."""
        listed = b"".join(
            bytes([0, number + 1]) + (0xE000 | MAP_PID + 16 * number).to_bytes(2, "big")
            for number in range(self.programmes)
        )
        pid, size = (0xE000 | PID).to_bytes(2, "big"), len(self.descriptor)
        streams = pid + b"\xf0\0" + bytes([self.kind]) + pid + bytes([0xF0, size]) + self.descriptor
        return self._packets(0, _section(0, 1, listed)) + self._packets(MAP_PID, _section(2, 1, streams))

    def pes(self, payload: bytes, ticks: int | None, stuffing: int = 0) -> bytes:
        """A PES packet, in transport packets.

        :param stuffing: bytes of it in the header.
        """
        return self._packets(PID, _pes(payload, ticks, stuffing))

    def _packets(self, pid: int, data: bytes) -> bytes:
        packets = []
        for at in range(0, len(data), PACKET - 4):
            part, counter = data[at : at + PACKET - 4], self._counters.get(pid, 0)
            room, starts = PACKET - 4 - len(part), 0 if at else 0x40
            # An adaptation field fills the last packet: its size, then flags and stuffing if they fit.
            adaptation = bytes([room - 1, 0])[:room] + b"\xff" * (room - 2) if room else b""
            head = bytes([0x47, starts | pid >> 8, pid & 255, (0x30 if room else 0x10) | counter])
            packets.append(head + adaptation + part)
            self._counters[pid] = counter + 1 & 15
        return b"".join(packets)

    def segments(
        self, frames: Sequence[bytes], frame_s: Fraction, *, pes_bytes: int, begin_s: float = 10
    ) -> list[tuple[bytes, Fraction]]:
        """Segments of about 2 s, each with its duration. PES packets are cut without regard to frames.

        The time of each is that of the first frame that begins in it (ISO 13818-1, 2.4.3.7).
        """
        data, starts = b"".join(frames), [0]
        for frame in frames:
            starts.append(starts[-1] + len(frame))
        segments: list[tuple[bytes, Fraction]] = []
        content, first, number = self.tables(), 0, 0
        for at in range(0, len(data), pes_bytes):
            following = next(n for n in range(number, len(starts)) if starts[n] >= at)
            if (following - first) * frame_s >= 2:
                segments.append((content, (following - first) * frame_s))
                content, first = self.tables(), following
            number = following
            ticks = round((Fraction(begin_s) + number * frame_s) * CLOCK)
            begins = number < len(frames) and starts[number] < at + pes_bytes
            content += self.pes(data[at : at + pes_bytes], ticks if begins else None)
        return [*segments, (content, (len(frames) - first) * frame_s)]


def packed(frames: Sequence[bytes], frame_s: Fraction, begin_s: float = 10) -> list[tuple[bytes, Fraction]]:
    """Packed audio: segments of about 2 s, each with its duration."""
    count = round(2 / frame_s)
    return [
        (
            id3(round((Fraction(begin_s) + at * frame_s) * CLOCK)) + b"".join(frames[at : at + count]),
            len(frames[at : at + count]) * frame_s,
        )
        for at in range(0, len(frames), count)
    ]


def listed(folder: Path, segments: Sequence[tuple[bytes, Fraction]], suffix: str) -> Path:
    """The playlist of segments, which are written."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for number, (content, lasts) in enumerate(segments):
        (folder / f"{number}{suffix}").write_bytes(content)
        lines += [f"#EXTINF:{float(lasts):.6f},", f"{number}{suffix}"]
    playlist = folder / "index.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]), "utf-8")
    return playlist
