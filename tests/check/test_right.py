"""The validator: presentations near to broken ones, which are right."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.breaks import Break, both, broken, data, everywhere, judged, later, text
from support.isobmff import with_edit_list
from support.presentations import imsc_beside
from vod_operators.check.playlist import Playlist, parse
from vod_operators.check.rules import RULES, failed
from vod_operators.formats.languages import is_language
from vod_operators.formats.segment import measure_segment
from vod_operators.work.publication import PROMISED

M = "master.m3u8"
CASES: list[Break] = []
SOUND, PICTURES = ("en", "de"), ("small", "large")


def right(*breaks: Break) -> None:
    CASES.append(both(*breaks))


def moved(seconds: float) -> Break:
    """All pictures and sound so much later on their clocks."""
    tracks = [(name, 48_000) for name in SOUND] + [(name, 12_800) for name in PICTURES]
    return both(*(later(name, "seg-*.m4s", round(seconds * scale)) for name, scale in tracks))


def before_segments(lines: str, files: str = "*/index.m3u8") -> Break:
    return everywhere("^(#EXTINF)", lines + r"\n\1", files)


def _edit_lists(folder: Path) -> None:
    """Sound with priming, and pictures whose composition offsets an edit list takes back."""
    for name, ticks in [("en", 1024), ("de", 1024), ("large", 1024), ("small", 1024)]:
        path = folder / name / "init.mp4"
        path.write_bytes(with_edit_list(path.read_bytes(), ticks))


def enhanced(content: bytearray) -> None:
    """x264's own user data (its settings, in words) becomes that of LCEVC."""
    words = content.index(b"x264 - core")
    at = content.rindex(b"\x06\x05", 0, words)
    content[at + 1] = 4
    content[words - 16 : words - 13] = b"\xb4\x00\x50"


def _bitrates(folder: Path) -> None:
    """EXT-X-BITRATE of each segment of a track, 5 % too high."""
    path = folder / "en" / "index.m3u8"

    def told(match: re.Match[str]) -> str:
        bits = 8 * (path.parent / match[2]).stat().st_size
        return f"#EXT-X-BITRATE:{round(1.05 * bits / float(match[1]) / 1000)}\n{match[0]}"

    path.write_text(re.sub(r"#EXTINF:([0-9.]+),\n(.*)", told, path.read_text("utf-8")), "utf-8")


def _a_minute_later(folder: Path) -> None:
    """Times of cues a minute later."""
    everywhere(r"^00:00:", "00:01:", "text/*.vtt")(folder)
    everywhere("--> 00:00:", "--> 00:01:", "text/*.vtt")(folder)


def _chapters(folder: Path) -> None:
    """Apple's own example: no duration, titles in two languages, one chapter inside another."""
    titles = '[{"language": "en", "title": "birth"}, {"language": "es", "title": "nacimiento"}]'
    entries = f'{{"chapter": 1, "start-time": 0, "titles": {titles}}}, {{"start-time": 1.5, "duration": 2}}'
    inner = '{"start-time": 1, "duration": 0.5, "images": [], "metadata": []}'
    (folder / "c.json").write_text(f"[{entries}, {inner}]", "utf-8")
    tag = '#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="c.json"'
    text(M, r"^(#EXTM3U)$", rf"\1\n{tag}")(folder)


right(_chapters)

# Tags that may appear more than once, and tags that nobody knows.
right(
    before_segments(
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n#EXT-X-CUE-OUT:30\n#EXT-OATCLS-SCTE35:x"
    )
)
right(everywhere("^(#EXTINF:.*)", "\\1a title\u2028of two\u0020lines"))
right(
    text(
        M,
        "#EXT-X-STREAM-INF",
        '#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="b",LANGUAGE="en"\n'
        '#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="b",LANGUAGE="de"\n#EXT-X-STREAM-INF',
    )
)
right(text(M, "#EXT-X-STREAM-INF", '#EXT-X-NEW-STREAM-INF:BANDWIDTH=1,URI="a"\n' * 2 + "#EXT-X-STREAM-INF"))
right(_bitrates)
# Attributes: quoted ones, unknown ones, and those that may be absent.
right(text(M, "RESOLUTION", 'ALLOWED-CPC="com.example:A/B",RESOLUTION', count=0))
right(
    text(M, "VERSION:7", "VERSION:12"),
    text(M, "RESOLUTION", 'REQ-VIDEO-LAYOUT="CH-STEREO",RESOLUTION', count=0),
)
right(text(M, "RESOLUTION", 'NEW="a",NEWER=b,RESOLUTION', count=0))
right(text(M, "DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES"))
right(text(M, "TYPE=SUBTITLES", "TYPE=SUBTITLES,FORCED=YES"))
right(text(M, "FRAME-RATE=25.000", "FRAME-RATE=25", count=0))
right(text(M, "CLOSED-CAPTIONS=NONE,", "", count=0))
right(text(M, 'LANGUAGE="de"', 'LANGUAGE="yue-Hant",ASSOC-LANGUAGE="zh"'))
right(
    text(M, "#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
    *(text(f"{name}/index.m3u8", "(#EXT-X-TARGET)", r"#EXT-X-INDEPENDENT-SEGMENTS\n\1") for name in PICTURES),
)
right(text(M, "(#EXT-X-STREAM-INF:)(.*)", r'\1STABLE-VARIANT-ID="a",\2', count=0))
right(text(M, "RESOLUTION", 'SCORE=1.5,SUPPLEMENTAL-CODECS="lvc1.1",RESOLUTION', count=0))
right(
    text(M, "(#EXT-X-STREAM-INF)", r'#EXT-X-CONTENT-STEERING:SERVER-URI="a.json",PATHWAY-ID="west"\n\1'),
    text(M, "RESOLUTION", 'PATHWAY-ID="west",RESOLUTION', count=0),
)
right(text(M, "(#EXT-X-STREAM-INF)", r'#EXT-X-CONTENT-STEERING:SERVER-URI="a.json",PATHWAY-ID="."\n\1'))
# LCEVC in SEIs, whose decoder makes the pictures larger.
right(
    data("small/seg-00001.m4s", enhanced),
    text(M, "(STREAM-INF.*RESOLUTION=)128x72", r"\g<1>256x144", count=0),
)
# Variables.
right(
    text(M, "VERSION:7\n", 'VERSION:8\n#EXT-X-DEFINE:NAME="place",VALUE="large"\n'),
    text(M, "^large/", "{$place}/"),
    text(M, '"large/iframes', '"{$place}/iframes'),
    text("large/index.m3u8", "VERSION:7\n", 'VERSION:8\n#EXT-X-DEFINE:NAME="n",VALUE="seg"\n'),
    text("large/index.m3u8", "^seg-", "{$n}-", count=0),
)
# Clocks: of TS, wrapped, with priming, with composition offsets that no edit list takes back.
right(moved(10), everywhere("MPEGTS:0", "MPEGTS:900000", "text/*.vtt"))
right(_a_minute_later, everywhere("MPEGTS:0", f"MPEGTS:{2**33 - 60 * 90_000}", "text/*.vtt"))
right(_edit_lists)
right(*(later(name, "seg-*.m4s", 1024) for name in PICTURES))
right(_a_minute_later, everywhere("LOCAL:00:00:00.000", "LOCAL:00:01:00.000", "text/*.vtt"))
# A cue that lasts beyond the end, and longer segments of subtitles.
right(text("text/2.vtt", r"--> 00:00:13", "--> 00:00:20"))
right(imsc_beside)
right(text("text/2.vtt", r"--> 00:00:13", "--> 00:00:20"), imsc_beside)
right(text("text/index.m3u8", "TARGETDURATION:6", "TARGETDURATION:7"))
# An event that has ended; a date without a colon in its time zone.
right(everywhere("PLAYLIST-TYPE:VOD", "PLAYLIST-TYPE:EVENT"))
right(before_segments("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0100"))


@pytest.mark.parametrize("change", CASES, ids=range(len(CASES)))
def test_what_is_right_passes(change: Break, bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    change(folder)
    found = judged(folder / M)
    assert failed(found.values()) == []
    assert {name for name, verdict in found.items() if verdict.status == "warn"} <= {"8.target"}


@pytest.mark.parametrize("base", ["oblong", "oblong-hevc"])
def test_pixels_that_are_not_square(base: str, bases: Callable[[str], Path], tmp_path: Path) -> None:
    """RESOLUTION is the size on the screen (Shaka Packager), or that of the pictures; nothing else."""
    folder = shutil.copytree(bases(base).parent, tmp_path / "copy")
    master = folder / "master.m3u8"
    assert re.search("RESOLUTION=17[01]x72", master.read_text("utf-8"))
    assert judged(master)["6.resolution"].status == "pass"
    text("master.m3u8", r"RESOLUTION=\d+x", "RESOLUTION=128x", count=0)(folder)
    assert judged(master)["6.resolution"].status == "pass"
    text("master.m3u8", r"RESOLUTION=\d+x", "RESOLUTION=160x", count=0)(folder)
    assert judged(master)["6.resolution"].status == "fail"


def test_h264_is_no_hdr10(bases: Callable[[str], Path]) -> None:
    """Its pictures have eight bits."""
    found = judged(bases("hdr-h264"))
    assert found["3.sdr"].status == "fail" and found["16.hdr10"].status == "not applicable"


def test_hdr10_with_its_metadata_everywhere(bases: Callable[[str], Path]) -> None:
    found = judged(bases("hdr10"))
    names = (
        "6.video-range",
        "16.format",
        "16.hdr10",
        "16.configuration",
        "16.same",
        "16.colours",
        "3.hdr-rate",
    )
    assert {name: found[name].status for name in names} == dict.fromkeys(names, "pass")


def test_hlg_may_be_told_by_an_sei(bases: Callable[[str], Path], tmp_path: Path) -> None:
    """VUI: BT.2020 for players without HDR; the alternative transfer characteristics are those of HLG."""
    folder = shutil.copytree(bases("hlg-in-sei").parent, tmp_path / "copy")
    assert judged(folder / M)["6.video-range"].status == "fail"
    text(M, "VIDEO-RANGE=SDR", "VIDEO-RANGE=HLG", count=0)(folder)
    assert judged(folder / M)["6.video-range"].status == "pass"


def test_a_missing_group_is_reported_as_just_that(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    text(M, 'AUDIO="audio"', 'AUDIO="none"')(folder)
    assert broken(folder / M) == {"14.groups"}


def test_what_is_only_recommended_can_be_required(bases: Callable[[str], Path], tmp_path: Path) -> None:
    """Segments that begin a tenth of a second later than those of another variant."""
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    later("large", "seg-*.m4s", 1280)(folder)
    found = judged(folder / M)
    assert found["10.aligned"].status == "warn" and found["10.start"].status == "pass"
    assert failed(found.values()) == []
    (words,) = failed(found.values(), also=PROMISED)
    assert words.startswith("10.aligned: ")
    assert {rule.id for rule in RULES if not rule.must} >= PROMISED


# --- gaps -----------------------------------------------------------------------------------


def test_nobody_asks_for_a_gap(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    for name in (*SOUND, *PICTURES):
        text(f"{name}/index.m3u8", r"^(#EXTINF.*\nseg-00002)", r"#EXT-X-GAP\n\1")(folder)
    everywhere(r"^(#EXTINF.*\n.*\nseg-00002)", r"#EXT-X-GAP\n\1", "*/iframes.m3u8")(folder)
    for path in folder.glob("*/seg-00002.m4s"):
        path.unlink()
    assert broken(folder / M) == set()
    text("en/index.m3u8", "#EXT-X-GAP\n", "")(folder)
    assert "0.files" in broken(folder / M)


# --- one playlist ---------------------------------------------------------------------------


def test_a_lone_playlist_is_no_ladder(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    for name in ("large/index.m3u8", "large/iframes.m3u8", "en/index.m3u8", "text/index.m3u8"):
        assert broken(folder / name) == set()
    surround = (folder / "en/init.mp4").read_bytes().replace(b"\x11\x90", b"\x11\xb0")
    (folder / "en/init.mp4").write_bytes(surround)
    found = judged(folder / "en/index.m3u8")
    assert failed(found.values()) == [] and found["14.stereo"].status == "not applicable"


def test_an_i_frame_playlist_of_ts_is_judged_alone(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("ts").parent, tmp_path / "copy")
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:6", "#EXT-X-PLAYLIST-TYPE:VOD",
             "#EXT-X-I-FRAMES-ONLY"]  # fmt: skip
    for path in sorted(folder.glob("*.ts")):
        stream = measure_segment(path.read_bytes(), {}, 0).stream("video")
        assert stream is not None
        for key in stream.keys:
            lines += ["#EXTINF:2.0,", f"#EXT-X-BYTERANGE:{key.end - key.begin}@{key.begin}", path.name]
    playlist = folder / "iframes.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]), "utf-8")
    assert broken(playlist) == set()
    text("iframes.m3u8", r"BYTERANGE:(\d+)\d@", r"BYTERANGE:\1@")(folder)
    assert "13.picture" in broken(playlist)


# --- live -----------------------------------------------------------------------------------


def test_a_live_stream_is_judged_by_what_applies(bases: Callable[[str], Path]) -> None:
    found = judged(bases("live"))
    complete = {"4.average", "4.peak", "5.bandwidth", "8.same-total", "12.vod", "12.endlist", "15.span"}
    assert {found[name].status for name in complete} == {"not applicable"}
    for name in ("19.date", "19.window", "19.peak", "20.control", "20.parts", "20.hint", "0.syntax"):
        assert found[name].status == "pass", name
    assert broken(bases("live")) == {
        "6.frame-rate",
        "7.bitrates",
        "8.target",
        "10.tables",
        "12.independent",
        "13.i-frames",
        "14.separate",
    }


def test_a_delta_update_counts_what_it_skips() -> None:
    lines = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:100\n"
    playlist = parse("https://host/a.m3u8", lines + "#EXT-X-SKIP:SKIPPED-SEGMENTS=20\n#EXTINF:2.0,\na.ts\n")
    assert playlist.errors == [] and playlist.is_live
    assert [entry.number for entry in playlist.entries] == [120]


# --- variables ------------------------------------------------------------------------------


def media(define: str, uri: str = "https://host/a.m3u8?token=x%20y", **imported: str) -> Playlist:
    lines = f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-DEFINE:{define}\n#EXTINF:6.0,\n{{$token}}.ts\n"
    return parse(uri, lines, imported or None)


@pytest.mark.parametrize(
    ("define", "uri"),
    [
        ('NAME="token",VALUE="v"', "v.ts"),
        ('IMPORT="token"', "of-the-master.ts"),
        ('QUERYPARAM="token"', "x y.ts"),
    ],
)
def test_variables_are_substituted(define: str, uri: str) -> None:
    playlist = media(define, token="of-the-master")
    assert playlist.errors == []
    assert [entry.uri for entry in playlist.entries] == [f"https://host/{uri}"]


@pytest.mark.parametrize(
    ("define", "error"),
    [
        ('IMPORT="token"', "no multivariant playlist defines token"),
        ('QUERYPARAM="other"', "its URI has no query parameter other"),
        ('NAME="token"', "EXT-X-DEFINE has no VALUE"),
        ('NAME="token",IMPORT="token",VALUE="v"', "not exactly one of NAME, IMPORT and QUERYPARAM"),
        ('NAME="token",VALUE="a"\n#EXT-X-DEFINE:NAME="token",VALUE="b"', "token is defined twice"),
        ('NAME="to ken",VALUE="a"', "is not a name of a variable"),
        ('NAME="other",VALUE="a"', "refers to a variable that is not defined before it"),
    ],
)
def test_bad_variables_are_reported(define: str, error: str) -> None:
    assert error in " ".join(media(define).errors)


# --- languages and keys ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    [
        "de",
        "yue",
        "aab",
        "iw",
        "und",
        "mul",
        "qaa",
        "sr-Latn-RS",
        "zh-cmn-Hans",
        "DE",
        "x-ours",
        "i-klingon",
        "en-GB-oed",
        "de-CH-1996",
        "es-419",
    ],
)
def test_tags_of_known_languages(tag: str) -> None:
    assert is_language(tag)


@pytest.mark.parametrize("tag", ["", "ger", "deu", "qq", "xyz", "x", "i-nothing", "German", "de_DE", "en US"])
def test_what_is_no_tag_of_a_language(tag: str) -> None:
    assert not is_language(tag)


@pytest.fixture
def encrypted(bases: Callable[[str], Path], tmp_path: Path) -> Iterator[Path]:
    """A sound track under AES-256-GCM, whose key lies beside it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    folder, key = shutil.copytree(bases("good").parent, tmp_path / "copy"), bytes(range(32))
    for number, path in enumerate(sorted((folder / "en").glob("seg-*.m4s"))):
        vector = number.to_bytes(16, "big")
        path.write_bytes(vector + AESGCM(key).encrypt(vector, path.read_bytes(), None))
    text("en/index.m3u8", "^#EXTINF", '#EXT-X-KEY:METHOD=AES-256-GCM,URI="key"\n#EXTINF')(folder)
    (folder / "en" / "key").write_bytes(key)
    yield folder / M


def test_aes_256_gcm_is_a_method(encrypted: Path) -> None:
    assert broken(encrypted) == set()
    key = encrypted.parent / "en" / "key"
    key.write_bytes(bytes(32))
    assert broken(encrypted) >= {"0.files"}
    key.unlink()
    assert broken(encrypted) == set()
    text("en/index.m3u8", 'URI="key"', f'URI="key",IV=0x{bytes(16).hex()}')(encrypted.parent)
    assert broken(encrypted) == {"0.syntax"}
