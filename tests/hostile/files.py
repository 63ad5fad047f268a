"""A generator of hostile media files: the same ones each time, from small good clips and by hand.

``hostile_files(folder)`` yields name and path, one at a time. What is injected into tags has ``MARKER``.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from support.tools import generate

MARKER = "INJECTED-7f3a"

INJECTION = f'x"\n#EXT-X-{MARKER}:1\r\n</MPD><{MARKER}/>\u2028{MARKER}\x1b[31m\x07'
"""What a title may try: a line of a playlist, an element of a manifest, a terminal's colours."""

SEED = 20261128

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2")
SOUND = ("-f", "lavfi", "-i", "sine=440:r=48000:d=2")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")

GOOD: dict[str, tuple[str, ...]] = {
    "mp4": (*PICTURE, *SOUND, *X264, "-c:a", "aac"),
    "frag.mp4": (*PICTURE, *SOUND, *X264, "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov"),
    "mkv": (*PICTURE, *SOUND, *X264, "-c:a", "aac"),
    "ts": (*PICTURE, *SOUND, *X264, "-c:a", "aac"),
    "avi": (*PICTURE, *SOUND, "-c:v", "mpeg4", "-c:a", "mp3"),
    "flv": (*PICTURE, *SOUND, *X264, "-c:a", "aac"),
    "wav": SOUND,
    "ogg": (*SOUND, "-c:a", "libvorbis"),
    "y4m": (*PICTURE, "-pix_fmt", "yuv420p"),
    "mxf": (*PICTURE, "-r", "25", "-c:v", "mpeg2video"),
    "h264": (*PICTURE, *X264, "-f", "h264"),
}
"""Ending -> how a good clip of that container is made."""

MUTATIONS = 7
"""Of each container, besides its truncations."""


def hostile_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of each; a file is written when it is asked for."""
    good = {kind: generate(folder / f"good.{kind}", *argv).read_bytes() for kind, argv in GOOD.items()}
    made = dict(by_hand(good))
    for kind, data in good.items():
        for number in range(MUTATIONS):
            made[f"mutated-{number}.{kind}"] = mutated(data, f"{kind} {number}")
        for cut in (0.1, 0.5, 0.98):
            made[f"cut-{cut}.{kind}"] = data[: int(cut * len(data))]
    for name, data in made.items():
        path = folder / name
        path.write_bytes(data)
        yield name, path


def mutated(data: bytes, seed: str) -> bytes:
    """With bytes changed, most of them in the header; with parts doubled, dropped or made extreme."""
    dice, found = random.Random(f"{SEED} {seed}"), bytearray(data)
    for _ in range(dice.randint(4, 40)):
        at = int(len(found) * dice.random() ** 4)
        what = dice.randrange(4)
        if what == 0:
            found[at] = dice.randrange(256)
        elif what == 1:
            found[at : at + 4] = dice.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
        elif what == 2:
            del found[at : at + dice.randint(1, 64)]
        else:
            found[at:at] = found[at : at + dice.randint(1, 256)]
    return bytes(found)


def by_hand(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield from iso_files(good["mp4"], good["frag.mp4"])
    yield from raw_files(good)
    yield from disguises(good)


# --- MP4 --------------------------------------------------------------------------------------


def box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mvhd(timescale: int = 1000, duration: int = 1000) -> bytes:
    return box(
        b"mvhd",
        struct.pack(">IIIII", 0, 0, 0, timescale, duration),
        b"\0\1\0\0\1\0" + b"\0" * 10,
        MATRIX,
        b"\0" * 24,
        b"\0\0\0\2",
    )


def track(
    number: int = 1,
    *,
    width: int = 64,
    height: int = 48,
    timescale: int = 1000,
    duration: int = 1000,
    table: bytes = b"",
) -> bytes:
    """A video track; without a table of samples of its own, an empty one."""
    tkhd = box(
        b"tkhd",
        struct.pack(">IIIIII", 7, 0, 0, number, 0, duration),
        b"\0" * 16,
        MATRIX,
        struct.pack(">II", width << 16 & 0xFFFFFFFF, height << 16 & 0xFFFFFFFF),
    )
    mdhd = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, timescale, duration, 0x55C4, 0))
    hdlr = box(b"hdlr", b"\0" * 8, b"vide", b"\0" * 13)
    entry = box(
        b"mp4v",
        b"\0" * 6,
        b"\0\1",
        b"\0" * 16,
        struct.pack(">HH", width & 0xFFFF, height & 0xFFFF),
        b"\0H\0\0\0H\0\0",
        b"\0" * 4,
        b"\0\1",
        b"\0" * 32,
        b"\0\x18\xff\xff",
    )
    stsd = box(b"stsd", struct.pack(">II", 0, 1), entry)
    empty = b"".join(box(kind, b"\0" * 8) for kind in (b"stts", b"stsc", b"stco")) + box(b"stsz", b"\0" * 12)
    stbl = box(b"stbl", stsd, table or empty)
    dinf = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", b"\0\0\0\1")))
    return box(
        b"trak",
        tkhd,
        box(b"mdia", mdhd, hdlr, box(b"minf", box(b"vmhd", b"\0\0\0\1" + b"\0" * 8), dinf, stbl)),
    )


def samples(count: int, *, size: int = 1, ticks: int = 1) -> bytes:
    """A table that claims so many samples, in some bytes."""
    return (
        box(b"stts", struct.pack(">IIII", 0, 1, count & 0xFFFFFFFF, ticks))
        + box(b"stsc", struct.pack(">IIIII", 0, 1, 1, count & 0xFFFFFFFF, 1))
        + box(b"stsz", struct.pack(">III", 0, size, count & 0xFFFFFFFF))
        + box(b"stco", struct.pack(">III", 0, 1, 64))
    )


def changed(data: bytes, kind: bytes, at: int, new: bytes, nth: int = 0) -> bytes:
    """With bytes behind a box's name overwritten."""
    place = -1
    for _ in range(nth + 1):
        place = data.index(kind, place + 1)
    place += 4 + at
    return data[:place] + new + data[place + len(new) :]


def iso_files(mp4: bytes, fragmented: bytes) -> Iterator[tuple[str, bytes]]:
    media = box(b"mdat", b"\0" * 1000)
    yield (
        "cmov.mp4",
        FTYP
        + box(
            b"moov",
            box(
                b"cmov",
                box(b"dcom", b"zlib"),
                box(b"cmvd", struct.pack(">I", 1 << 30), zlib.compress(bytes(1 << 24), 9)),
            ),
        )
        + media,
    )
    yield (
        "cmov-huge.mp4",
        FTYP
        + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", 0xFFFFFFFF), b"x")))
        + media,
    )
    yield "3000-tracks.mp4", FTYP + box(b"moov", mvhd(), *(track(n) for n in range(1, 3001))) + media
    yield "timescale-0.mp4", changed(mp4, b"mdhd", 12, b"\0\0\0\0")
    yield "timescale-0-movie.mp4", changed(mp4, b"mvhd", 12, b"\0\0\0\0")
    yield (
        "timescale-0-all.mp4",
        changed(
            changed(changed(mp4, b"mvhd", 12, b"\0\0\0\0"), b"mdhd", 12, b"\0\0\0\0"),
            b"mdhd",
            12,
            b"\0\0\0\0",
            nth=1,
        ),
    )
    yield "timescale-1.mp4", changed(mp4, b"mdhd", 12, b"\0\0\0\1")
    yield "timescale-max.mp4", changed(mp4, b"mdhd", 12, b"\xff\xff\xff\xff")
    yield "tfdt-broken.mp4", changed(fragmented, b"tfdt", 4, b"\xff" * 8)
    yield "tfdt-back.mp4", changed(fragmented, b"tfdt", 4, b"\0" * 8, nth=2)
    yield "tfdt-far.mp4", changed(fragmented, b"tfdt", 4, b"\0\0\1\0", nth=1)
    yield "trun-bomb.mp4", changed(fragmented, b"trun", 4, b"\x7f\xff\xff\xff")
    yield (
        "duration-absurd.mp4",
        changed(changed(mp4, b"mvhd", 16, b"\x7f\xff\xff\xff"), b"mdhd", 16, b"\x7f\xff\xff\xff"),
    )
    for name, count, size in (
        ("stsz-bomb", 1 << 30, 1),
        ("stsz-max", 0xFFFFFFFF, 1),
        ("stsz-large", 1000, 0x7FFFFFFF),
    ):
        yield f"{name}.mp4", FTYP + box(b"moov", mvhd(), track(table=samples(count, size=size))) + media
    yield "stsz-short.mp4", changed(mp4, b"stsz", 8, b"\x10\0\0\0")
    yield "stts-bomb.mp4", changed(mp4, b"stts", 8, b"\x7f\xff\xff\xff\0\0\0\1")
    yield "stts-zero.mp4", changed(mp4, b"stts", 12, b"\0\0\0\0")
    yield "stco-outside.mp4", changed(mp4, b"stco", 8, b"\x7f\xff\xff\xff")
    yield "elst-bomb.mp4", changed(mp4, b"elst", 8, b"\x7f\xff\xff\xff\xff\xff\xff\xff")
    deep = b""
    for _ in range(20_000):
        deep = struct.pack(">I4s", 8 + len(deep), b"moov") + deep if len(deep) < 1 << 20 else deep
    yield "deep-moov.mp4", FTYP + deep + media
    deep = b""
    for _ in range(5_000):
        deep = box(b"udta", deep)
    yield "deep-udta.mp4", FTYP + box(b"moov", mvhd(), track(), deep) + media
    yield "size-0.mp4", FTYP + struct.pack(">I4s", 0, b"moov") + mp4[40:]
    yield "size-1.mp4", FTYP + struct.pack(">I4sQ", 1, b"moov", (1 << 63) - 1) + mp4[40:]
    yield "size-negative.mp4", FTYP + struct.pack(">I4sQ", 1, b"moov", (1 << 64) - 8) + mp4[40:]
    yield "many-boxes.mp4", FTYP + box(b"free") * 200_000 + mp4[len(FTYP) :]
    for width, height in ((65535, 65535), (1, 1), (16384, 16384), (8192, 4320), (0, 0), (64, 65535)):
        yield (
            f"size-{width}x{height}.mp4",
            FTYP
            + box(b"moov", mvhd(), track(width=width, height=height, table=samples(1, size=900)))
            + media,
        )
    yield (
        "reference.mov",
        FTYP
        + box(
            b"moov",
            box(
                b"rmra",
                box(b"rmda", box(b"rdrf", b"\0\0\0\0url ", struct.pack(">I", 24), b"file:///etc/passwd\0")),
            ),
        )
        + media,
    )
    yield "alias.mov", changed(mp4, b"url ", 0, b"\0\0\0\0")
    yield "only-mdat.mp4", FTYP + media
    yield "only-moov.mp4", FTYP + box(b"moov", mvhd())
    yield "no-mdat.mp4", FTYP + box(b"moov", mvhd(), track(table=samples(100, size=100)))
    tags = box(
        b"udta",
        box(
            b"meta",
            b"\0" * 4,
            box(b"hdlr", b"\0" * 8, b"mdirappl", b"\0" * 9),
            box(b"ilst", box(b"\xa9nam", box(b"data", b"\0\0\0\1\0\0\0\0", INJECTION.encode()))),
        ),
    )
    yield "title.mp4", FTYP + box(b"moov", mvhd(), track(), tags) + media
    yield (
        "udta-huge.mp4",
        FTYP
        + box(
            b"moov",
            mvhd(),
            track(),
            box(b"udta", box(b"\xa9nam", struct.pack(">HH", 0xFFFF, 0), b"x" * 4_000_000)),
        )
        + media,
    )
    yield "two-moov.mp4", mp4 + mp4


# --- the others -------------------------------------------------------------------------------


def wav(
    channels: int, rate: int, bits: int = 16, size: int | None = None, data: bytes = b"\0" * 100_000
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    size = len(data) if size is None else size
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def nal(kind: int, content: bytes) -> bytes:
    return b"\0\0\0\1" + bytes([0x60 | kind]) + content


def tiny_slices(good: bytes, copies: int) -> bytes:
    """Raw H.264: the good clip's parameter sets, and its smallest picture over and over."""
    units = [unit for unit in good.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    sets = [unit for unit in units if unit[0] & 31 in (7, 8)]
    pictures = [unit for unit in units if unit[0] & 31 == 1] or units
    key = next(unit for unit in units if unit[0] & 31 == 5)
    tiny = min(pictures, key=len)[:12]
    return b"".join(b"\0\0\0\1" + unit for unit in [*sets[:2], key]) + (b"\0\0\1" + tiny) * copies


def raw_files(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for width, height in ((100_000, 100_000), (65_536, 65_536), (1, 1), (0, 0), (-1, 64), (2, 99_999)):
        yield (
            f"{width}x{height}.y4m",
            f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420\nFRAME\n".encode() + b"\x80" * 100_000,
        )
    yield "rate-0.y4m", b"YUV4MPEG2 W64 H48 F0:0 C420\nFRAME\n" + b"\x80" * 4608
    yield "rate-huge.y4m", b"YUV4MPEG2 W64 H48 F1000000000:1 C420\n" + (b"FRAME\n" + b"\x80" * 4608) * 9
    yield "rate-tiny.y4m", b"YUV4MPEG2 W64 H48 F1:1000000 C420\n" + (b"FRAME\n" + b"\x80" * 4608) * 9
    yield "header-endless.y4m", b"YUV4MPEG2 " + b"X" * 2_000_000
    for channels, rate in (
        (64, 48_000),
        (255, 48_000),
        (65_535, 8_000),
        (0, 48_000),
        (2, 0),
        (2, 0xFFFFFFFF),
        (2, 1),
        (24, 192_000),
    ):
        yield f"{channels}-channels-{rate}.wav", wav(channels, rate)
    yield "bits-0.wav", wav(2, 48_000, bits=0)
    yield "bits-64.wav", wav(2, 48_000, bits=64)
    yield "data-4gb.wav", wav(2, 48_000, size=0xFFFFFFFF)
    yield "tiny-slices.h264", tiny_slices(good["h264"], 20_000)
    yield "slices-only.h264", nal(1, b"\x9a" * 8) * 20_000
    # A size of 16384 x 16384 in Exp-Golomb, and slices of it.
    yield (
        "huge-frames.h264",
        nal(7, bytes.fromhex("64001fac2ca50004000400ed8088000003000800000301f478c19640"))
        + nal(8, bytes.fromhex("ebe3cb22c0"))
        + nal(5, b"\x88\x84" + b"\0\1\3" * 30) * 2_000,
    )
    yield "start-codes.h264", b"\0\0\1" * 500_000
    mkv, size = good["mkv"], b"\x01\xff\xff\xff\xff\xff\xff\xfe"
    at = mkv.index(b"\x16\x54\xae\x6b")  # Tracks
    yield "tracks-endless.mkv", mkv[: at + 4] + size + mkv[at + 12 :]
    yield "ebml-deep.mkv", mkv[:at] + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 50_000
    yield "timecode-scale-0.mkv", mkv.replace(b"\x2a\xd7\xb1\x83\x0f\x42\x40", b"\x2a\xd7\xb1\x83\0\0\0")
    yield (
        "timecode-scale-max.mkv",
        mkv.replace(b"\x2a\xd7\xb1\x83\x0f\x42\x40", b"\x2a\xd7\xb1\x83\xff\xff\xff"),
    )
    ts = good["ts"]
    yield (
        "pids.ts",
        b"".join(b"\x47" + struct.pack(">H", 0x4000 | n % 8192) + b"\x10" + ts[4:188] for n in range(9_000)),
    )
    yield "sync-only.ts", (b"\x47" + b"\xff" * 187) * 5_000
    yield "same-packet.ts", ts[:188] * 20_000
    yield "doubled-clock.ts", ts + ts[: len(ts) // 2] + ts
    yield "riff-huge.avi", good["avi"].replace(b"strh", b"strh\xff\xff\xff\x7f", 1)
    yield "rate-0.avi", changed(good["avi"], b"vids", 16, b"\0\0\0\0\0\0\0\0")
    yield "tags-huge.flv", good["flv"][:13] + b"\x09\xff\xff\xff" + b"\xff" * 200_000
    yield (
        "flv-script.flv",
        good["flv"][:13]
        + b"\x12\0\xff\xff\0\0\0\0\0\0\0\x02\0\x0aonMetaData"
        + b"\x08\xff\xff\xff\xff"
        + b"\0\1x\x0a\xff\xff\xff\xff" * 8_000,
    )
    yield "pages.ogg", good["ogg"][:58] * 5_000
    yield "granule.ogg", good["ogg"].replace(b"OggS\0\4", b"OggS\0\4" + b"\x7f" * 8, 1)
    yield "klv-huge.mxf", good["mxf"][:16] + b"\x88" + b"\x7f" * 8 + good["mxf"][25:]


def disguises(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield "empty.mp4", b""
    yield "one-byte.mp4", b"\0"
    yield "zeros.mp4", bytes(1_000_000)
    yield "noise.mkv", random.Random(SEED).randbytes(1_000_000)
    yield (
        "playlist.mp4",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    )
    yield "late-playlist.mp4", b"\n" * 5_000 + b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "concat.mkv", b"ffconcat version 1.0\nfile '/etc/passwd'\n"
    yield (
        "manifest.mp4",
        b'<?xml version="1.0"?><MPD><Period><BaseURL>file:///etc/passwd</BaseURL></Period></MPD>',
    )
    yield (
        "entities.mp4",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><MPD>&b;</MPD>',
    )
    yield "sdp.mp4", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n"
    yield "avs.mkv", b'DirectShowSource("C:/secret.avi")\n'
    yield (
        "image.mp4",
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 1 << 30, 1 << 30) + b"\x08\2\0\0\0",
    )
    yield "zip.mp4", b"PK\3\4" + b"\0" * 2_000 + good["mp4"]
    yield "polyglot.mp4", good["mp4"] + b"<html><script>alert(1)</script></html>"
    yield "polyglot-text.mkv", b"#!/bin/sh\necho hello\n" + good["mkv"]
    yield "gzip.mkv", b"\x1f\x8b\x08\0" + zlib.compress(bytes(1 << 24), 9)
    yield f"name\n#EXT-X-{MARKER}:1\x1b[31m.mp4", good["mp4"]
    yield f'quote"><{MARKER}>.mp4', good["mp4"][: len(good["mp4"]) // 2]
    yield "x" * 240 + ".mp4", good["mp4"]


# --- subtitles --------------------------------------------------------------------------------


def hostile_subtitles() -> Iterator[tuple[str, bytes]]:
    """Name and content of subtitle files that come with a good clip of 2 s."""
    line = b"1\n00:00:00,000 --> 00:00:01,000\n"
    yield "one-cue-of-8-mb.srt", line + b"x" * 7_900_000
    yield (
        "overlapping.srt",
        b"".join(b"%d\n00:00:00,%03d --> 00:00:01,999\nx\n\n" % (n, n % 900) for n in range(180_000)),
    )
    yield "tags.srt", line + b"<b>" * 1_000_000
    yield "closing-tags.srt", line + b"</b>" * 1_000_000
    yield "half-tags.srt", line + b"<b" * 2_000_000
    yield "spaces.srt", line + b" " * 7_000_000 + b"x"
    yield "empty-lines.srt", line + b"\n" * 7_000_000 + b"x"
    yield "arrows.srt", b"-->" * 2_000_000
    yield "hours-400.srt", b"1\n" + b"9" * 400 + b":00:00,000 --> 00:00:01,000\nx\n"
    yield "hours-5000.vtt", b"WEBVTT\n\n" + b"9" * 5_000 + b":00:00.000 --> 00:00:01.000\nx\n"
    yield (
        "braces.ass",
        b"[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,," + b"{\\b1}" * 500_000,
    )
    yield (
        "drawing.ass",
        b"[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{\\p1}m"
        + b" 1 1 l" * 500_000,
    )
    yield "headers.vtt", b"WEBVTT\n\n" + b"STYLE\n" + b"a{}\n" * 500_000
    yield "nul.srt", line + b"\0" * 1_000
    yield "binary.srt", bytes(range(1, 256)) * 1_000
    yield "utf-16.srt", b"\xff\xfe" + line.decode().encode("utf-16-le") + b"\0\xd8" * 1_000
    yield "injected.vtt", f"WEBVTT\n\n00:00.000 --> 00:01.000\n{INJECTION}\n\nNOTE {MARKER}\n".encode()
    yield "key-file.srt", f'{{"fernet_key": "{MARKER}"}}\n'.encode()
