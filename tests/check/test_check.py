"""The validator: a presentation that passes every rule, and for each rule one that it must refuse."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.breaks import (
    Break,
    WebReader,
    aes_128,
    both,
    broken,
    data,
    everywhere,
    in_box,
    judged,
    later,
    renamed,
    text,
)
from support.isobmff import with_edit_list
from support.presentations import imsc_beside
from vod_operators.check.playlist import resolved
from vod_operators.check.rules import RULES, failed
from vod_operators.errors import InvalidInputError
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment


def test_a_good_presentation_passes_every_rule(bases: Callable[[str], Path]) -> None:
    found = judged(bases("good"), WebReader(bases("good").as_uri()))
    assert failed(found.values()) == []
    assert {name for name, verdict in found.items() if verdict.status == "warn"} == set()
    not_judged = {name for name, verdict in found.items() if verdict.status == "not applicable"}
    assert not_judged == {
        "1.hevc-container", "1.hevc-level", "3.hdr-rate", "4.bitrate", "6.pathway", "6.pathway-told",
        "6.pathways", "6.score", "6.stable-id", "6.supplemental", "10.counters", "10.frames",
        "10.programme", "10.tables", "10.timestamp", "12.boxes", "12.chapters", "12.fairplay", "12.hdcp",
        "12.key", "12.key-id", "12.key-of-segment", "12.no-ctr", "12.pattern", "12.pssh", "12.same-start",
        "12.scheme", "12.session-data", "12.session-key", "12.session-used", "12.start",
        "13.images", "13.images-span", "13.tiles", "14.dolby", "14.dolby-digital", "14.forced-selected",
        "14.he-aac", "14.objects", "14.objects-told", "14.surround-aac", "15.captions", "15.formats",
        "15.text-profile", "16.colours",
        "16.configuration", "16.format", "16.hdr10", "16.same", "18.decodes", "19.date", "19.peak",
        "19.sequence", "19.window", "20.control", "20.hint", "20.parts",
    }  # fmt: skip


# --- breaking them --------------------------------------------------------------------------

CASES: list[tuple[str, str, Break]] = []


def case(rule: str, base: str, breaks: Break = lambda folder: None) -> None:
    CASES.append((rule, base, breaks))


def _imsc(pattern: bytes, replacement: bytes) -> Break:
    """IMSC1 beside WebVTT, its documents changed."""

    def breaks(folder: Path) -> None:
        counts = list[int]()

        def change(document: bytes) -> bytes:
            changed, count = re.subn(pattern, replacement, document)
            counts.append(count)
            return changed

        imsc_beside(folder, change)
        assert any(counts), pattern

    return breaks


def _stereo_ac3(content: bytearray) -> None:
    """The ``dac3`` of AC-3 in stereo."""
    at = content.index(b"dac3") + 5
    content[at] = content[at] & 0b11000011 | 0b00010000


def _without(group: str) -> Break:
    """Without a sound group, and the variants with it."""
    return both(
        text(M, rf'^#EXT-X-MEDIA.*GROUP-ID="{group}".*\n', ""),
        text(M, rf'^#EXT-X-STREAM-INF.*AUDIO="{group}".*\n.*\n', "", count=0),
    )


def level(value: int) -> Callable[[bytearray], None]:
    """Another level in an ``avcC`` and its parameter set."""

    def change(content: bytearray) -> None:
        at = content.index(b"avcC") + 4
        content[at + 3] = content[at + 8 + 3] = value

    return change


def no_idr(track: str, segment: int, number: int) -> Break:
    """The slices of one IDR picture as those of another: NAL type 5 -> 1."""

    def breaks(folder: Path) -> None:
        path = folder / track / f"seg-{segment:05d}.m4s"
        content = bytearray(path.read_bytes())
        tracks = read_init((folder / track / "init.mp4").read_bytes())[1]
        key = measure_segment(bytes(content), tracks, 0).streams[0].keys[number]
        at = content.index(b"mdat", key.begin) + 4
        while at < key.end:
            if content[at + 4] & 0x1F == 5:
                content[at + 4] -= 4
            at += 4 + int.from_bytes(content[at : at + 4], "big")
        path.write_bytes(content)

    return breaks


def _counter(content: bytearray) -> None:
    at = next(at for at in range(188 * 20, len(content), 188) if content[at + 3] & 0x10)
    content[at + 3] ^= 0x08


def storyboard(folder: Path) -> None:
    """Thirteen pictures on two sheets, of which only the headers are there."""
    (folder / "pictures").mkdir()
    tiles = "#EXT-X-TILES:RESOLUTION=64x36,LAYOUT=5x2,DURATION=1"
    lines = [f"#EXTINF:{lasts},\n{tiles}\nsheet-{number}.jpg\n" for number, lasts in ((1, 10), (2, 3))]
    for number in (1, 2):
        header = b"\xff\xd8\xff\xe0\0\4\0\0\xff\xc0\0\x0b\x08" + struct.pack(">HH", 72, 320)
        (folder / f"pictures/sheet-{number}.jpg").write_bytes(header)
    (folder / "pictures/index.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-IMAGES-ONLY\n#EXT-X-TARGETDURATION:10\n{''.join(lines)}#EXT-X-ENDLIST\n", "utf-8"
    )
    stream = '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,RESOLUTION=64x36,CODECS="jpeg",URI="pictures/index.m3u8"\n'
    with (folder / M).open("a", encoding="utf-8") as master:
        master.write(stream)


def _second_programme(content: bytearray) -> None:
    at = next(at for at in range(0, len(content), 188) if content[at + 1 : at + 3] == b"\x40\0") + 5
    content[at + 2] += 4
    content[at + 12 : at + 16] = b"\0\2\xe1\0"  # over the checksum


def _no_header(content: bytearray) -> None:
    """The first frame of sound has no header."""
    at = content.index(b"\xff\xf1\x4c\x80")
    content[at : at + 2] = bytes(2)


def _grow(content: bytearray) -> None:
    content += (20_000_000).to_bytes(4, "big") + b"free" + bytes(20_000_000 - 8)


def _delete(file: str) -> Break:
    return lambda folder: (folder / file).unlink()


def _scaled(factor: int) -> Callable[[bytearray], None]:
    """Another time scale: all is so many times quicker."""

    def change(content: bytearray) -> None:
        at = content.index(b"mdhd") + 4 + (20 if content[content.index(b"mdhd") + 4] else 12)
        content[at : at + 4] = (int.from_bytes(content[at : at + 4], "big") * factor).to_bytes(4, "big")

    return change


LIGHT = b"\x4e\x01\x90\x04\x03\xe8"
"""Begin of the SEI of 1000 cd/m2: NAL header, type, size, and the brightest pixel."""


def _no_seis(content: bytearray) -> None:
    """Other messages in place of mastering display and light level."""
    for kind in (137, 144):
        content[content.index(bytes((0x4E, 1, kind))) + 2] = 5


def session_data(data_id: str, content: str | None) -> Break:
    """A file named by EXT-X-SESSION-DATA; None: one that is not there."""

    def breaks(folder: Path) -> None:
        if content is not None:
            (folder / "data.json").write_text(content, "utf-8")
        tag = f'#EXT-X-SESSION-DATA:DATA-ID="{data_id}",URI="data.json"'
        text("master.m3u8", r"^(#EXTM3U)$", rf"\1\n{tag}")(folder)

    return breaks


def _another_init(folder: Path) -> None:
    shutil.copy(folder / "large/init.mp4", folder / "large/other.mp4")
    text("large/index.m3u8", r"^(#EXTINF.*\nseg-00002)", r'#EXT-X-MAP:URI="other.mp4"\n\1')(folder)


def _square(folder: Path) -> None:
    with (folder / "master.m3u8").open("a", encoding="utf-8") as master:
        master.write((folder / "odd.txt").read_text("utf-8"))


def _second_group(folder: Path) -> None:
    text(
        "master.m3u8", r'^(#EXT-X-MEDIA:.*)GROUP-ID="audio"(.*\n)', r'\1GROUP-ID="audio"\2\1GROUP-ID="more"\2'
    )(folder)


def _old_brand(content: bytearray) -> None:
    in_box(b"ftyp", 0, b"isom".ljust(content[3] - 8, b"\0"))(content)


def _captioned(content: bytearray) -> None:
    """x264's own user data (its settings, in words) becomes that of captions."""
    at = content.index(b"x264 - core")
    content[at : at + 8] = b"\xb5\x00\x31GA94\x03"


def _two_seconds_early(content: bytearray) -> None:
    content[:] = with_edit_list(bytes(content), 2 * 48_000)


M = "master.m3u8"
case("0.syntax", "good", text(M, 'CODECS="([^"]*)"', r"CODECS=\1"))
case("0.syntax", "good", text("en/index.m3u8", "#EXTINF:([0-9.]+),", r"#EXTINF:\1"))
case("0.files", "good", _delete("large/seg-00002.m4s"))
case("0.files", "good", _delete("de/index.m3u8"))
case("12.session-data", "good", session_data("other", None))
case("12.session-data", "good", session_data("other", "{"))
case("12.chapters", "good", session_data("com.apple.hls.chapters", "{}"))
case("12.chapters", "good", session_data("com.apple.hls.chapters", '[{"chapter": 1}]'))
case(
    "12.chapters",
    "good",
    session_data("com.apple.hls.chapters", '[{"start-time": 2}, {"start-time": 1}]'),
)
case(
    "12.chapters",
    "good",
    session_data("com.apple.hls.chapters", '[{"start-time": 0, "titles": [{"title": "no language"}]}]'),
)
case("0.files", "good", data("en/seg-00001.m4s", lambda content: content.__delitem__(slice(2000, None))))
case("1.h264-level", "good", data("large/init.mp4", level(60)))
case("1.h264-4.1", "good", both(*(data(f"{name}/init.mp4", level(51)) for name in ("small", "large"))))
case("1.hevc-container", "hevc-ts")
case("1.hevc-level", "hevc", data("0/init.mp4", in_box(b"hvcC", 12, bytes([186]))))
case("1.sample-entry", "good", data("large/init.mp4", renamed(b"avc1\x00", b"avc3\x00")))
case("2.idr", "good", no_idr("large", 2, 0))
case("2.idr-interval", "good", no_idr("large", 2, 1))
case("3.progressive", "fields")
case("3.frame-rate", "good", data("large/init.mp4", _scaled(3)))
case("3.h264", "hevc")
case("3.sdr", "hdr")
case("4.average", "good", text(M, r"AVERAGE-BANDWIDTH=(\d+)", r"AVERAGE-BANDWIDTH=1\1"))
case("4.peak", "good", text(M, r"([:,])BANDWIDTH=(\d+)", r"\1BANDWIDTH=1\2"))
case("4.i-frames", "good", text(M, r"(I-FRAME-STREAM-INF:.*?\bBANDWIDTH=)(\d+)", r"\g<1>1\2"))
case("4.peak-ratio", "good", data("large/seg-00001.m4s", _grow))
case("5.bandwidth", "good", text(M, r"([:,])BANDWIDTH=\d", r"\1BANDWIDTH=1"))
case("5.average", "good", text(M, r"AVERAGE-BANDWIDTH=\d+,", ""))
case("6.codecs", "good", text(M, r",mp4a\.40\.2", ""))
case("6.codecs", "good", text(M, r"avc1\.\w+", "avc1.64001f"))
case("6.codecs", "good", text(M, r"mp4a\.40\.2", "mp4a.40.2,ac-3"))
case("6.resolution", "good", text(M, r"RESOLUTION=128x72", "RESOLUTION=128x73"))
case("6.frame-rate", "good", text(M, r"FRAME-RATE=25.000", "FRAME-RATE=25.0000"))
case("6.frame-rate", "good", text(M, r"FRAME-RATE=25.000", "FRAME-RATE=24.000"))
case("6.video-range", "good", text(M, r"FRAME-RATE", "VIDEO-RANGE=PQ,FRAME-RATE"))
case("6.video-range", "hdr", text(M, r",VIDEO-RANGE=PQ", "", count=0))
case("7.bitrates", "good", text(M, r"#EXT-X-STREAM-INF.*\nsmall.*\n", ""))
case("7.first", "good", text(M, r"AVERAGE-BANDWIDTH=\d+(.*\nsmall)", r"AVERAGE-BANDWIDTH=2000000\1"))
case("7.aspect", "good", _square)
case("8.target", "good", everywhere("TARGETDURATION:6", "TARGETDURATION:7"))
case("8.segment-length", "good", everywhere("TARGETDURATION:6", "TARGETDURATION:5"))
case("8.extinf", "good", text("large/index.m3u8", r"EXTINF:6\.0+", "EXTINF:6.500000"))
case("8.same-target", "good", text("en/index.m3u8", "TARGETDURATION:6", "TARGETDURATION:7"))
case("8.same-total", "good", text("en/index.m3u8", r"#EXTINF.*\nseg-00003.*\n", ""))
case("9.extinf", "good", text("large/index.m3u8", r"EXTINF:6\.0+", "EXTINF:5.900000"))
case("9.extinf", "ts", text("0.m3u8", r"EXTINF:6\.0+", "EXTINF:5.900000"))
case("10.aligned", "good", later("large", "seg-*.m4s", 12_800))
case("10.aligned", "good", text("large/index.m3u8", r"#EXTINF.*\nseg-00003.*\n", ""))
case("10.tfdt", "good", later("large", "seg-00002.m4s", 512, slice(1, 2)))
case("10.tfdt", "good", later("en", "seg-00003.m4s", 1024))
case("0.files", "ts", data("01.ts", renamed(b"\x0f\xe1\x01\xf0", b"\x11\xe1\x01\xf0")))
case("10.counters", "ts", data("01.ts", _counter))
case("10.counters", "ts", text("0.m3u8", r"#EXTINF.*\n01\.ts\n", ""))
case("10.frames", "ts", data("01.ts", _no_header))
case("10.programme", "ts", data("01.ts", _second_programme))
case("10.tables", "ts")
case("10.timestamp", "packed", data("1.aac", renamed(b"com.apple", b"com.other")))
case("11.undeclared", "good", _another_init)
case("11.undeclared", "ts", text("0.m3u8", r"#EXTINF.*\n01\.ts\n", ""))
case("11.same", "good", text("large/index.m3u8", r"^(#EXTINF.*\nseg-00002)", r"#EXT-X-DISCONTINUITY\n\1"))
case("12.map", "good", text("large/index.m3u8", r"#EXT-X-MAP.*\n", ""))
case("12.version", "good", text("large/index.m3u8", "VERSION:7", "VERSION:5"))
case("12.version", "good", text("text/index.m3u8", "VERSION:7", "VERSION:2"))
case("12.init", "good", data("large/init.mp4", renamed(b"mvex", b"free")))
case("12.init", "good", data("large/init.mp4", _old_brand))
case("12.init", "good", data("large/init.mp4", in_box(b"mvhd", 16, b"\0\0\0\1")))
case("12.init", "good", data("large/init.mp4", in_box(b"tkhd", 20, b"\0\0\0\1")))
case("12.vod", "good", text("en/index.m3u8", "#EXT-X-PLAYLIST-TYPE:VOD\n", ""))
case("12.endlist", "good", text("large/iframes.m3u8", "#EXT-X-ENDLIST\n", ""))
case("12.independent", "good", text(M, "#EXT-X-INDEPENDENT-SEGMENTS\n", ""))
case("13.i-frames", "good", text(M, "#EXT-X-I-FRAME-STREAM-INF.*\n", "", count=0))
case("13.families", "good", both(
    *(_delete(f"{name}/iframes.m3u8") for name in ("small", "large")),
    text(M, r'(I-FRAME-STREAM-INF.*CODECS=")avc1', r"\1hvc1", count=0),
))  # fmt: skip
case("13.declared", "good", text(M, r"(I-FRAME-STREAM-INF.*RESOLUTION=)\d+", r"\g<1>640"))
case("13.declared", "good", text(M, r'(I-FRAME-STREAM-INF.*),CODECS="[^"]*"', r"\1"))
case("13.declared", "good", text(M, r'(I-FRAME-STREAM-INF.*CODECS=")', r"\1mp4a.40.2,"))
case("13.declared", "good", text(M, r'(I-FRAME-STREAM-INF.*CODECS=")[^"]*', r"\1c1"))
case("13.only", "good", text("large/iframes.m3u8", "#EXT-X-I-FRAMES-ONLY\n", ""))
case("13.begin", "good", text("large/iframes.m3u8", r"BYTERANGE:(\d+)@(\d+)", r"BYTERANGE:\1@1\2"))
case("13.picture", "good", text("large/iframes.m3u8", r"BYTERANGE:(\d+)\d@", r"BYTERANGE:\1@"))
case("13.picture", "good", no_idr("large", 2, 1))
case("13.dense", "good", text(M, r"#EXT-X-I-FRAME-STREAM-INF.*small.*\n", ""))
case("14.stereo", "good", both(
    *(data(f"{name}/init.mp4", renamed(b"\x11\x90", b"\x11\xb0")) for name in ("en", "de"))
))  # fmt: skip
case("14.bitrate", "good", data("en/init.mp4", _scaled(4)))
case("14.separate", "muxed")
case("14.language", "good", text(M, r'LANGUAGE="de",', ""))
case("14.language", "good", text(M, r'LANGUAGE="de"', 'LANGUAGE="German language"'))
case("14.name", "good", text(M, 'NAME="Deutsch"', 'NAME="English"'))
case("14.default", "good", text(M, "DEFAULT=NO", "DEFAULT=YES"))
case("14.channels", "good", text(M, 'CHANNELS="2"', 'CHANNELS="6"'))
case("14.channels-told", "good", text(M, ',CHANNELS="2"', ""))
case("14.members", "good", _second_group)
case("14.dolby", "dolby", data("audio-0-ac3/init.mp4", _stereo_ac3))
case("14.dolby", "dolby", data("audio-0-ac3/seg-00001.m4s", renamed(b"\x0b\x77", b"\x0b\x78")))
case("14.objects", "dolby", text(M, r'^(#EXT-X-MEDIA.*audio-ac3.*)CHANNELS="6"', r'\1CHANNELS="16/JOC"'))
case("14.objects-told", "dolby", text(M, 'CHANNELS="16/JOC"', 'CHANNELS="6"'))
case("14.dolby-digital", "dolby", _without("audio-ac3"))
case("14.surround-aac", "dolby", _without("audio-surround"))
case("14.he-aac", "good", data("en/init.mp4", renamed(b"\x11\x90", b"\x29\x90")))
case("15.timestamp-map", "good", text("text/1.vtt", "X-TIMESTAMP-MAP.*\n", ""))
case("15.timestamp-map", "good", text("text/1.vtt", ",LOCAL.*", ""))
case("15.text-profile", "good", _imsc(b"imsc1/text", b"imsc1/image"))
case("15.text-profile", "good", _imsc(b"<div>", b"<div><image/>"))
case("15.kind", "good", text(M, "text/index.m3u8", "en/index.m3u8"))
case("15.formats", "good", _imsc(b'end="00:00:13.000', b'end="00:00:12.100'))
case("15.cues", "good", _imsc(b'(begin|end)="00:00:', rb'\1="00:01:'))
case("0.files", "good", _imsc(b"</tt>", b""))
case("15.span", "good", text("text/index.m3u8", r"#EXTINF.*\n2\.vtt\n", ""))
case("15.captions", "good", text(M, "CLOSED-CAPTIONS=NONE", 'CLOSED-CAPTIONS="cc"'))
case("15.captions", "good", data("small/seg-00001.m4s", _captioned))
case("16.hdr10", "hdr")
case("16.format", "hdr-h264")
case("16.same", "hdr10", data("0/2.m4s", renamed(LIGHT, LIGHT[:-1] + b"\xe9")))
case("16.same", "hdr10", data("0/2.m4s", renamed(b"\x4e\x01\x90", b"\x4e\x01\x05")))
case("16.configuration", "hdr10", data("0/init.mp4", _no_seis))
case("16.colours", "hdr10", data("0/init.mp4", renamed(b"nclx\0\x09\0\x10", b"nclx\0\x09\0\x12")))
case("3.hdr-rate", "hdr10", data("0/init.mp4", _scaled(2)))
case("13.sdr", "hdr10")
case("6.video-range", "hdr10", text(M, r"(I-FRAME-STREAM-INF.*)VIDEO-RANGE=PQ", r"\1VIDEO-RANGE=HLG"))

# --- what players and viewers would notice first

case("0.syntax", "good", text(M, r"^small/index\.m3u8\n", ""))
case("0.syntax", "good", text(M, r"\nsmall/index\.m3u8\n(#EXT-X-I-FRAME.*\n)*", "\n"))
case("0.syntax", "good", text(M, ",AUDIO=", ", AUDIO="))
case("0.syntax", "good", text(M, "BANDWIDTH=", "BANDWIDTH= "))
case("0.syntax", "good", text("en/index.m3u8", "(#EXT-X-TARGETDURATION.*)", r"\1\n\1"))
case("0.syntax", "good", text("en/index.m3u8", "seg-", "{$undefined}seg-"))
case("0.syntax", "good", text("en/index.m3u8", "#EXTINF", '#EXT-X-KEY:METHOD=AES-256,URI="key"\n#EXTINF'))
case("0.syntax", "good", text("en/index.m3u8", "#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST"))
for tag in ("VERSION:six", "VERSION: 7", "MEDIA-SEQUENCE:-1", "DISCONTINUITY-SEQUENCE:", "PLAYLIST-TYPE:vod"):
    line = rf"(#EXT-X-{tag.partition(':')[0]}:.*\n|(?=#EXT-X-TARGETDURATION))"
    case("0.syntax", "good", text("en/index.m3u8", line, f"#EXT-X-{tag}\n"))
case("0.syntax", "good", text("en/index.m3u8", "#EXTINF", "#EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXTINF"))
case("0.syntax", "good", text("en/index.m3u8", "#EXTINF", "#EXT-X-BITRATE:1.5\n#EXTINF"))
case("0.syntax", "good", text(M, "DEFAULT=YES", "DEFAULT=TRUE"))
case("0.syntax", "good", text(M, r"RESOLUTION=(\d+)x", r"RESOLUTION=\1X"))
case("0.syntax", "good", text(M, "RESOLUTION", "HDCP-LEVEL=TYPE-2,RESOLUTION"))
KEY = 'EXT-X-KEY:METHOD=AES-128,URI="key"'
case("0.syntax", "good", text("en/index.m3u8", "#EXT-X-MAP", f"#{KEY}\n#EXT-X-MAP"))
case("4.bitrate", "good", text("en/index.m3u8", "#EXTINF", "#EXT-X-BITRATE:1000\n#EXTINF"))
case("10.start", "good", later("en", "seg-*.m4s", 48_000))
case("10.start", "good", data("en/init.mp4", _two_seconds_early))
case("12.version", "good", text(M, "RESOLUTION", 'REQ-VIDEO-LAYOUT="CH-STEREO",RESOLUTION'))
for named in ("AUDIO", "SUBTITLES"):
    case("14.groups", "good", text(M, f'{named}="\\w+"(.*\nsmall)', rf'{named}="none"\1'))
case("14.groups", "good", text(M, "RESOLUTION", 'VIDEO="none",RESOLUTION'))
case("14.groups", "good", text(M, "CLOSED-CAPTIONS=NONE", 'CLOSED-CAPTIONS="cc"', count=0))
case("14.autoselect", "good", text(M, "DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES,AUTOSELECT=NO"))
case("14.forced", "good", text(M, "TYPE=AUDIO", "TYPE=AUDIO,FORCED=NO"))
case("14.type", "good", text(M, "TYPE=SUBTITLES", 'TYPE=SUBTITLES,CHANNELS="2"'))
case("14.type", "good", text(M, r"(TYPE=SUBTITLES.*),URI=.*", r"\1"))
case("14.type", "good", text(M, "TYPE=SUBTITLES", "TYPE=CLOSED-CAPTIONS"))
for language in ("ger", "qq", "deu-DE", "de_DE"):
    case("14.language", "good", text(M, 'LANGUAGE="de"', f'LANGUAGE="{language}"'))
case("14.language", "good", text(M, 'LANGUAGE="de"', 'LANGUAGE="de",ASSOC-LANGUAGE="ger"'))
case("15.captions-none", "good", text(M, "CLOSED-CAPTIONS=NONE,", ""))
case("15.cues", "good", everywhere("MPEGTS:0", "MPEGTS:900000", "text/*.vtt"))
case("15.end", "good", text("text/2.vtt", r"\Z", "\n00:00:14.000 --> 00:00:15.000\nToo late\n"))
case("19.date", "live", text("0.m3u8", "#EXT-X-PROGRAM-DATE-TIME.*\n", ""))
case("19.window", "live", text("0.m3u8", r"#EXTINF.*\n.*\n#EXTINF.*\n.*\n", ""))
case("19.peak", "live", text(M, r"BANDWIDTH=\d+", "BANDWIDTH=100"))
case("20.control", "live", text("0.m3u8", "PART-HOLD-BACK=3.0", "PART-HOLD-BACK=2.5"))
case("20.control", "live", text("0.m3u8", ",PART-HOLD-BACK=3.0", ""))
case("20.control", "live", text("0.m3u8", "CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=6.0"))
case("20.parts", "live", text("0.m3u8", "DURATION=1.0", "DURATION=1.2"))
case("20.parts", "live", text("0.m3u8", "#EXT-X-PART-INF.*\n", ""))
case("20.parts", "live", text("0.m3u8", "#EXT-X-PART:.*part2.*\n", ""))
case("20.hint", "live", text("0.m3u8", "TYPE=PART", "TYPE=FOO"))
case("20.hint", "live", text("0.m3u8", r"\Z", "#EXT-X-ENDLIST\n"))


def _two_ids(kind: str) -> str:
    """The tag twice, with two ids."""
    tag = "EXT-X-I-FRAME-STREAM-INF" if kind == "VARIANT" else "EXT-X-MEDIA"
    return "\n".join(rf'#{tag}:STABLE-{kind}-ID="{name}",\1' for name in "ab")


STEERING = '#EXT-X-CONTENT-STEERING:SERVER-URI="a.json"{}\n#EXT-X-STREAM-INF'
case("6.pathway", "good", text(M, "#EXT-X-STREAM-INF", STEERING.format(',PATHWAY-ID="west"')))
case("6.pathway-told", "good", text(M, "#EXT-X-STREAM-INF", STEERING.format("")))
case("6.pathways", "good", text(M, "RESOLUTION", 'PATHWAY-ID="west",RESOLUTION'))
case("6.stable-id", "good", text(M, r"#EXT-X-I-FRAME-STREAM-INF:(.*)", _two_ids("VARIANT")))
case("6.stable-id", "good", text(M, r"#EXT-X-MEDIA:(.*TYPE=AUDIO.*)", _two_ids("RENDITION")))
case("6.score", "good", text(M, "RESOLUTION", "SCORE=1,RESOLUTION"))
case("6.supplemental", "good", text(M, "RESOLUTION", 'SUPPLEMENTAL-CODECS="dvh1.08.07/db4h",RESOLUTION'))
case(
    "14.members",
    "good",
    both(_second_group, text(M, 'GROUP-ID="more",(.*)LANGUAGE="en"', r'GROUP-ID="more",\1LANGUAGE="fr"')),
)

case("14.apart", "good", text(M, 'URI="en/index.m3u8",', ""))
case("14.apart", "muxed", data("init.mp4", renamed(b"\x11\x90", b"\x11\xb0")))
case("14.distinct", "good", text(M, 'LANGUAGE="de"', 'LANGUAGE="en"'))
case(
    "14.forced-selected",
    "good",
    text(M, "TYPE=SUBTITLES(.*)AUTOSELECT=YES", r"TYPE=SUBTITLES,FORCED=YES\1AUTOSELECT=NO"),
)

case("13.images", "good", text(M, r"\Z", '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI="a"\n'))
for name in ("BANDWIDTH=1,", 'CODECS="jpeg",', "RESOLUTION=64x36,", ",URI=.*"):
    case("13.images", "good", both(storyboard, text(M, f"(IMAGE-STREAM-INF.*){name}", r"\1")))
case("13.images", "good", both(storyboard, text("pictures/index.m3u8", "#EXT-X-IMAGES-ONLY\n", "")))
case("13.images", "good", both(storyboard, text("pictures/index.m3u8", "EXTINF:10,", "EXTINF:10")))
for name, other in (
    ("LAYOUT=5x2", "LAYOUT=5x3"), ("LAYOUT=5x2", "LAYOUT=0x2"), ("LAYOUT=5x2,", ""),
    ("DURATION=1", "DURATION=0"), ("RESOLUTION=64x36", "RESOLUTION=32x36"), ("sheet-2", "sheet-3"),
):  # fmt: skip
    case("13.tiles", "good", both(storyboard, text("pictures/index.m3u8", name, other)))
case(
    "13.tiles",
    "good",
    both(storyboard, text(M, 'RESOLUTION=64x36,CODECS="jpeg"', 'RESOLUTION=64x36,CODECS="png"')),
)
case("13.tiles", "good", both(storyboard, text(M, "(IMAGE-STREAM-INF.*RESOLUTION)=64x36", r"\1=64x35")))
case("13.images-span", "good", both(storyboard, text("pictures/index.m3u8", "EXTINF:3", "EXTINF:1.9")))

SERVED: list[tuple[str, Callable[[WebReader], None]]] = [
    ("17.types", lambda reader: reader.headers.update({"content-type": "text/plain"})),
    ("17.gzip", lambda reader: reader.headers.update({"content-encoding": ""})),
    ("17.cors", lambda reader: reader.headers.update({"access-control-allow-origin": ""})),
    ("17.redirects", lambda reader: setattr(reader, "status", 302)),
    ("17.tls", lambda reader: setattr(reader, "scheme", "http")),
]


IDS = [f"{rule}-{number}" for number, (rule, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("rule", "base", "breaks"), CASES, ids=IDS)
def test_a_broken_presentation_is_caught(
    rule: str, base: str, breaks: Break, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    master = bases(base)
    folder = shutil.copytree(master.parent, tmp_path / "copy")
    breaks(folder)
    verdict = judged(folder / "master.m3u8")[rule]
    assert verdict.status == ("fail" if verdict.rule.must else "warn")
    for finding in verdict.findings:
        assert finding.where and finding.found and finding.expected


@pytest.mark.parametrize(("rule", "breaks"), SERVED)
def test_bad_service_is_caught(
    rule: str, breaks: Callable[[WebReader], None], bases: Callable[[str], Path]
) -> None:
    reader = WebReader(bases("good").as_uri())
    breaks(reader)
    verdict = judged(bases("good"), reader)[rule]
    assert verdict.status == ("fail" if verdict.rule.must else "warn")


IN_OTHER_FILES = {
    "10.composition", "12.boxes", "12.fairplay", "12.hdcp", "12.key", "12.key-id", "12.key-of-segment",
    "12.no-ctr", "12.pattern", "12.pssh", "12.same-start", "12.scheme", "12.session-key", "12.session-used",
    "12.start", "18.decodes", "19.sequence",
}  # fmt: skip


def test_every_rule_has_been_broken() -> None:
    assert {rule for rule, *_ in (*CASES, *SERVED)} | IN_OTHER_FILES == {rule.id for rule in RULES}


def test_segments_without_idr_pictures_are_not_independent(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """Apple 9.12: the tag is required of segments that begin with one."""
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    text(M, "#EXT-X-INDEPENDENT-SEGMENTS\n", "")(folder)
    no_idr("large", 2, 0)(folder)
    no_idr("small", 2, 0)(folder)
    assert broken(folder / M) >= {"2.idr"}
    assert "12.independent" not in broken(folder / M)


def test_extinf_may_be_the_time_on_the_screen(bases: Callable[[str], Path], tmp_path: Path) -> None:
    """The last picture is shown, and its segment lasts, a fifth of a second longer."""
    folder = shutil.copytree(bases("reordered").parent, tmp_path / "copy")
    playlist = (folder / "0.m3u8").read_text("utf-8")
    *_, (lasts, name) = re.findall(r"#EXTINF:([0-9.]+),\n(.*)", playlist)
    text("0.m3u8", rf"#EXTINF:{lasts},\n{name}", f"#EXTINF:{float(lasts) + 0.2:.6f},\n{name}")(folder)
    assert "9.extinf" in broken(folder / M)

    def later_on_the_screen(content: bytearray) -> None:
        at = content.rindex(b"trun")
        end = at - 4 + int.from_bytes(content[at - 4 : at], "big")
        offset = int.from_bytes(content[end - 4 : end], "big", signed=True) + 12_800 // 5
        content[end - 4 : end] = offset.to_bytes(4, "big", signed=True)

    data(name, later_on_the_screen)(folder)
    assert "9.extinf" not in broken(folder / M)


# --- by other makers ------------------------------------------------------------------------


def test_what_is_wrong_with_ffmpegs_own_playlists(bases: Callable[[str], Path]) -> None:
    """Seen by hand: no FRAME-RATE, no I-frames, one variant, no INDEPENDENT-SEGMENTS; TS begins with SDT."""
    wrong = {"6.frame-rate", "7.bitrates", "12.independent", "13.i-frames"}
    assert broken(bases("ts")) == wrong | {"10.tables", "14.separate"}
    assert broken(bases("muxed")) == wrong | {"14.separate"}


def test_no_playlist_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        judged(tmp_path / "nothing.m3u8")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    with pytest.raises(InvalidInputError, match="is not an HLS playlist"):
        judged(tmp_path / "film.mp4")


def test_a_media_playlist_alone_is_judged(bases: Callable[[str], Path]) -> None:
    found = judged(bases("good").parent / "large" / "index.m3u8")
    assert failed(found.values()) == []
    assert found["2.idr"].status == "pass" and found["6.codecs"].status == "not applicable"
    pictures = judged(bases("good").parent / "large" / "iframes.m3u8")
    assert pictures["13.picture"].status == "pass"


@pytest.fixture
def encrypted(bases: Callable[[str], Path], tmp_path: Path) -> Iterator[tuple[Path, bytes]]:
    """A sound track under AES-128, whose key lies beside it."""
    folder, key = shutil.copytree(bases("good").parent, tmp_path / "copy"), bytes(range(16))
    for number, path in enumerate(sorted((folder / "en").glob("seg-*.m4s"))):
        path.write_bytes(aes_128(key, number.to_bytes(16, "big"), path.read_bytes()))
    text("en/index.m3u8", "^#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF')(folder)
    (folder / "en" / "key").write_bytes(key)
    yield folder / "master.m3u8", key


def test_encrypted_segments_are_judged_with_the_key(encrypted: tuple[Path, bytes]) -> None:
    master, key = encrypted
    assert broken(master) == set()
    (master.parent / "en" / "key").unlink()
    assert {v.status for v in judged(master, key=key).values()} <= {"pass", "not applicable"}
    # Without it, what needs no key is still judged.
    assert broken(master) == set()
    assert judged(master, key=bytes(16))["0.files"].status == "fail"


def test_an_init_segment_after_its_key_is_encrypted_too(encrypted: tuple[Path, bytes]) -> None:
    """RFC 8216bis 4.4.4.4: a key applies to each EXT-X-MAP that follows it."""
    master, key = encrypted
    path, vector = master.parent / "en" / "init.mp4", bytes(range(100, 116))
    line = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{vector.hex()}'
    text("en/index.m3u8", "^#EXT-X-MAP", f"{line}\n#EXT-X-MAP")(master.parent)
    assert judged(master)["0.files"].status == "fail"
    path.write_bytes(aes_128(key, vector, path.read_bytes()))
    assert broken(master) == set()
    (master.parent / "en" / "key").unlink()
    assert broken(master) == set()


def test_a_method_that_nobody_knows_is_the_only_fault(encrypted: tuple[Path, bytes]) -> None:
    text("en/index.m3u8", "AES-128", "AES-256")(encrypted[0].parent)
    assert broken(encrypted[0]) == {"0.syntax"}


@pytest.mark.parametrize(
    "file",
    ["large/iframes.m3u8", "en/index.m3u8", "text/index.m3u8", "large/seg-00002.m4s", "en/seg-00002.m4s"],
)
def test_a_file_that_is_missing_is_reported_once(
    file: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """Other rules say nothing of what could not be read."""
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    (folder / file).unlink()
    assert {rule for rule, v in judged(folder / M).items() if v.findings} == {"0.files"}


@pytest.mark.parametrize(
    ("base", "uri", "found"),
    [
        ("s3://bucket/film/index.m3u8", "seg-00001.m4s", "s3://bucket/film/seg-00001.m4s"),
        ("s3://bucket/film/index.m3u8", "360p/seg.m4s", "s3://bucket/film/360p/seg.m4s"),
        ("s3://bucket/film/index.m3u8", "../init.mp4", "s3://bucket/init.mp4"),
        ("s3://bucket/film/index.m3u8", "/init.mp4", "s3://bucket/init.mp4"),
        ("file:///srv/film/index.m3u8", "..m4s", "file:///srv/film/..m4s"),
        ("https://host/a/b.m3u8?by=x/y", "seg.m4s", "https://host/a/seg.m4s"),
        ("https://host", "seg.m4s", "https://host/seg.m4s"),
        ("s3://bucket/film/index.m3u8", "https://elsewhere/seg.m4s", "https://elsewhere/seg.m4s"),
    ],
)
def test_where_a_uri_of_a_playlist_points(base: str, uri: str, found: str) -> None:
    assert resolved(base, uri) == found
