"""The validator on texts whose media are absent: what playlists alone tell is judged, and nothing else."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from vod_operators.check.presentation import Answer
from vod_operators.check.rules import check
from vod_operators.errors import ObjectNotFoundError
from vod_operators.formats.facts import SegmentFacts

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",AUTOSELECT=YES,CHANNELS="2",URI="en.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900,AVERAGE-BANDWIDTH=800,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,\
FRAME-RATE=25.000,AUDIO="a"
small.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000,AVERAGE-BANDWIDTH=8000,CODECS="avc1.640028,mp4a.40.2",RESOLUTION=1280x720,\
FRAME-RATE=25.000,AUDIO="a"
large.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90,CODECS="avc1.64001f",RESOLUTION=640x360,URI="iframes.m3u8"
"""

MEDIA = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init.mp4"
#EXTINF:6.0,
1.m4s
#EXTINF:6.0,
2.m4s
#EXT-X-ENDLIST
"""

I_FRAMES = MEDIA.replace("#EXT-X-MAP", "#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP").replace("6.0", "1.0")

LIVE = (
    MEDIA.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n")
    .replace("#EXT-X-ENDLIST\n", "")
    .replace("2.m4s", "\n#EXTINF:6.0,\n".join(f"{number}.m4s" for number in range(2, 8)))
)


class Texts:
    """Playlists by name; no other file is there."""

    def __init__(self, **playlists: str) -> None:
        self.playlists = playlists

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        name = uri.rpartition("/")[2].removesuffix(".m3u8")
        if name not in self.playlists:
            raise ObjectNotFoundError(f"{uri} does not exist")
        return self.playlists[name].encode()

    def answer(self, uri: str) -> Answer | None:
        return None

    def known(self, uri: str) -> SegmentFacts | None:
        return None


class Change(NamedTuple):
    """A pattern and its replacement, in each playlist of a name."""

    name: str
    pattern: str
    replacement: str


def found(playlists: dict[str, str], *changes: Change) -> set[str]:
    """The rules of which a MUST breaks, apart from that files are absent."""
    texts = dict(playlists)
    for name, pattern, replacement in changes:
        texts[name], count = re.subn(pattern, replacement, texts[name], flags=re.M)
        assert count, pattern
    verdicts = check(Texts(**texts), f"https://host/{next(iter(texts))}.m3u8")
    return {verdict.rule.id for verdict in verdicts if verdict.status == "fail"} - {"0.files"}


VOD = {"master": MASTER, "en": MEDIA, "small": MEDIA, "large": MEDIA, "iframes": I_FRAMES}
ONLY_MASTER = {"master": MASTER}


def master(pattern: str, replacement: str) -> Change:
    return Change("master", pattern, replacement)


def added(*attributes: str) -> Change:
    """EXT-X-MEDIA more."""
    lines = "".join(f"#EXT-X-MEDIA:{item}\n" for item in attributes)
    return master("(?=#EXT-X-MEDIA)", lines)


def member(kind: str, group: str, more: str = "") -> str:
    return f'TYPE={kind},GROUP-ID="{group}",NAME="n",LANGUAGE="en"{more}'


FAIRPLAY = "com.apple.streamingkeydelivery"


def key(attributes: str) -> Change:
    """EXT-X-KEY in a playlist."""
    return Change("en", "(?=#EXTINF:6.0,\n1)", f"#EXT-X-KEY:{attributes}\n")


SESSION = {
    **VOD,
    "master": MASTER + '#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXT-X-START:TIME-OFFSET=6\n',
}

AUDIO_ONLY = (
    '#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=9,CODECS="mp4a.40.2",VIDEO="audio_only"\na.m3u8\n'
)

SUBTITLES = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="t",NAME="t",LANGUAGE="en",URI="text.m3u8"\n#EXT-X-MEDIA'
WITH_TEXT = {
    **VOD,
    "master": MASTER.replace("#EXT-X-MEDIA", SUBTITLES).replace(",AUDIO", ',SUBTITLES="t",AUDIO'),
    "text": MEDIA,
}
TEXT_AND_SOUND = {name: WITH_TEXT[name] for name in ("master", "en", "text", "iframes")}

SOUND_ALONE = {
    "master": re.sub("avc1.6400..,|RESOLUTION=[0-9x]+,|FRAME-RATE=25.000,|#EXT-X-I.*\n", "", MASTER),
    **dict.fromkeys(("en", "small", "large"), MEDIA),
}

NO_SEGMENTS = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init.mp4"
#EXT-X-ENDLIST
"""

SESSION_DATA = '#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="b",LANGUAGE="en"\n'

INF = """#EXT-X-PART-INF:PART-TARGET=2.0
#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=6.0,CAN-BLOCK-RELOAD=YES
#EXT-X-MAP"""


def parts(names: str) -> str:
    """EXT-X-PART of each letter."""
    return "".join(f'#EXT-X-PART:DURATION=2.0,URI="{name}"\n' for name in names)


PARTS = LIVE.replace("#EXT-X-MAP", INF).replace("#EXTINF:6.0,\n6", parts("abc") + "#EXTINF:6.0,\n6").replace(
    "#EXTINF:6.0,\n7", parts("def") + "#EXTINF:6.0,\n7"
) + parts("g")

ENGLISH = 'TYPE=AUDIO,GROUP-ID="b",NAME="English",LANGUAGE="en",AUTOSELECT=YES,URI="b.m3u8"'
CC1, CC2 = (f',INSTREAM-ID="CC{number}"' for number in (1, 2))

WRONG: list[tuple[str, dict[str, str], Change]] = [
    ("5.average", ONLY_MASTER, master("AVERAGE-BANDWIDTH=800,", "")),
    ("5.average", ONLY_MASTER, master("AVERAGE-BANDWIDTH=800,", "AVERAGE-BANDWIDTH=901,")),
    ("6.codecs", ONLY_MASTER, master('(?<=0,)CODECS="avc1.64001f,mp4a.40.2",', "")),
    ("6.codecs", ONLY_MASTER, master('CODECS="avc1.64001f,mp4a.40.2"', 'CODECS="avc1.64001f"')),
    ("6.resolution", ONLY_MASTER, master("RESOLUTION=1280x720,", "")),
    ("6.frame-rate", ONLY_MASTER, master("FRAME-RATE=25.000,", "")),
    ("6.frame-rate", ONLY_MASTER, master("FRAME-RATE=25.000,", "FRAME-RATE=24.9999,")),
    ("6.video-range", ONLY_MASTER, master("RESOLUTION=1280x720,", "RESOLUTION=1280x720,VIDEO-RANGE=PQ,")),
    ("7.bitrates", ONLY_MASTER, master(r"^#EXT-X-STREAM-INF.*\nlarge.m3u8\n", "")),
    ("13.i-frames", ONLY_MASTER, master("^#EXT-X-I-FRAME.*\n", "")),
    ("6.codecs", ONLY_MASTER, master('(?<=CODECS=")avc1.64001f,mp4a.40.2', "...")),
    ("6.codecs", ONLY_MASTER, master("avc1.64001f,mp4a", "avc1.66.30,mp4a")),
    ("14.stereo", ONLY_MASTER, master('CHANNELS="2"', 'CHANNELS="6"')),
    ("14.stereo", ONLY_MASTER, master('CHANNELS="2"', 'CHANNELS="16/JOC"')),
    ("14.language", ONLY_MASTER, added('TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="n",INSTREAM-ID="CC1"')),
    ("14.members", ONLY_MASTER, added(ENGLISH.replace("English", "English too"))),
    ("14.members", ONLY_MASTER, added(f'{ENGLISH},CHARACTERISTICS="public.easy-to-read"')),
    ("14.members", ONLY_MASTER, added(ENGLISH.replace(",AUTOSELECT=YES", ""))),
    ("14.members", ONLY_MASTER, added(member("VIDEO", "a"), member("VIDEO", "b").replace('"n"', '"m"'))),
    (
        "14.members",
        ONLY_MASTER,
        added(
            member("CLOSED-CAPTIONS", "a", CC1),
            member("CLOSED-CAPTIONS", "b", CC1).replace('"en"', '"de"'),
        ),
    ),
    ("3.sdr", ONLY_MASTER, master("RESOLUTION(?=.*FRAME-RATE)", "VIDEO-RANGE=PQ,RESOLUTION")),
    ("14.apart", ONLY_MASTER, added('TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",CHANNELS="2"')),
    (
        "14.apart",
        {"master": MASTER.replace(',AUDIO="a"', ',VIDEO="v"')},
        added(
            member("VIDEO", "v"),
            member("VIDEO", "v", ',URI="v.m3u8"').replace('"n"', '"m"'),
        ),
    ),
    ("12.independent", VOD, master("#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
    ("12.vod", VOD, Change("en", "#EXT-X-PLAYLIST-TYPE:VOD\n", "")),
    ("8.extinf", {"en": MEDIA}, Change("en", "EXTINF:6.0", "EXTINF:6.5")),
    ("0.syntax", VOD, Change("en", "#EXT-X-TARGETDURATION:6\n", "")),
    ("8.same-target", VOD, Change("en", "TARGETDURATION:6", "TARGETDURATION:7")),
    ("8.same-total", VOD, Change("en", "^#EXTINF:6.0,\n2", "#EXTINF:5.8,\n2")),
    ("8.same-total", SOUND_ALONE, Change("large", "^#EXTINF:6.0,\n2", "#EXTINF:5.8,\n2")),
    ("11.same", VOD, Change("en", "(?=#EXTINF:6.0,\n2)", "#EXT-X-DISCONTINUITY\n")),
    ("11.same", WITH_TEXT, Change("text", "(?=#EXTINF:6.0,\n2)", "#EXT-X-DISCONTINUITY\n")),
    ("11.same", VOD, Change("iframes", "(?=#EXTINF:1.0,\n2)", "#EXT-X-DISCONTINUITY\n")),
    ("15.span", WITH_TEXT, Change("text", "^#EXTINF:6.0,\n2", "#EXTINF:5.4,\n2")),
    (
        "15.span",
        TEXT_AND_SOUND,
        Change("text", "^#EXTINF:6.0,\n2", "#EXTINF:5.4,\n2"),
    ),
    ("12.version", {"none": NO_SEGMENTS}, Change("none", "VERSION:6", "VERSION:5")),
    ("14.language", ONLY_MASTER, master(r"\Z", SESSION_DATA.replace('"en"', '"sp"'))),
    ("20.parts", {"live": PARTS}, Change("live", 'DURATION=2.0,URI="b"', 'DURATION=1.69,URI="b"')),
    ("20.parts", {"live": PARTS}, Change("live", '#EXT-X-PART:DURATION=2.0,URI="e"\n', "")),
    ("20.parts", {"live": PARTS}, Change("live", '#EXT-X-PART:DURATION=2.0,URI="b"\n', "")),
    ("12.fairplay", VOD, key('METHOD=SAMPLE-AES,URI="skd://k"')),
    ("12.fairplay", VOD, key(f'METHOD=AES-128,URI="k",KEYFORMAT="{FAIRPLAY}"')),
    ("12.no-ctr", VOD, key('METHOD=SAMPLE-AES-CTR,URI="k"')),
    ("12.same-start", SESSION, Change("en", "(?=#EXTINF:6.0,\n1)", "#EXT-X-START:TIME-OFFSET=5\n")),
    ("12.session-key", SESSION, key('METHOD=AES-128,URI="k"')),
    ("19.sequence", {"live": LIVE}, Change("live", "(?=#EXTINF:6.0,\n5)", "#EXT-X-DISCONTINUITY\n")),
    ("19.date", {"live": LIVE}, Change("live", "#EXT-X-PROGRAM-DATE-TIME.*\n", "")),
]

RIGHT: list[tuple[dict[str, str], list[Change]]] = [
    (ONLY_MASTER, []),
    (VOD, []),
    ({"live": LIVE}, []),
    ({"none": NO_SEGMENTS}, []),
    (ONLY_MASTER, [master(r"\Z", SESSION_DATA)]),
    # A part may be short if it is independent, the last of its segment or next to a gap; the first ones
    # of a segment go when they are three target durations old.
    ({"live": PARTS}, []),
    ({"live": PARTS}, [Change("live", 'DURATION=2.0,URI="b"', 'DURATION=1.7,URI="b"')]),
    ({"live": PARTS}, [Change("live", 'DURATION=2.0,URI="b"', 'DURATION=1.2,URI="b",INDEPENDENT=YES')]),
    ({"live": PARTS}, [Change("live", 'DURATION=2.0,URI="c"', 'DURATION=1.2,URI="c"')]),
    ({"live": PARTS}, [
        Change("live", 'DURATION=2.0,URI="b"', 'DURATION=1.2,URI="b"'),
        Change("live", 'URI="c"', 'URI="c",GAP=YES'),
    ]),
    ({"live": PARTS}, [
        Change("live", '#EXT-X-PART:DURATION=2.0,URI="a"\n', ""),
        Change("live", "(?=#EXT-X-PART.*g)", "".join(f"#EXTINF:6.0,\n{n}.m4s\n" for n in (8, 9))),
    ]),
    (SOUND_ALONE, []),
    (WITH_TEXT, []),
    # The last frame of sound ends a little later, after each discontinuity too.
    (VOD, [Change("en", "^#EXTINF:6.0,\n2", "#EXTINF:6.09,\n2")]),
    (VOD, [
        *(Change(name, "(?=#EXTINF:[0-9.]+,\n2)", "#EXT-X-DISCONTINUITY\n") for name in [*VOD][1:]),
        Change("en", "EXTINF:6.0", "EXTINF:6.07"),
        Change("iframes", "EXTINF:1.0", "EXTINF:5.0"),
    ]),
    (WITH_TEXT, [Change("text", "^#EXTINF:6.0,\n2", "#EXTINF:5.6,\n2")]),
    # Sound to choose from, of which one is the variant's own.
    (SOUND_ALONE, [added('TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",CHANNELS="2"')]),
    # Audio alone: no pictures are declared.
    (ONLY_MASTER, [
        master("^#EXT-X-I-FRAME.*\n", ""),
        master('avc1.6400..,|RESOLUTION=[0-9x]+,|FRAME-RATE=25.000,|#EXT-X-INDEPENDENT.*\n', ""),
    ]),
    (ONLY_MASTER, [
        master("RESOLUTION(?=.*FRAME-RATE)", "VIDEO-RANGE=PQ,RESOLUTION"),
        master("PQ(.*1280)", r"SDR\1"),
    ]),
    (ONLY_MASTER, [added(f'{ENGLISH},CHANNELS="6",DEFAULT=NO,SAMPLE-RATE=48000')]),
    (ONLY_MASTER, [added(member("CLOSED-CAPTIONS", "a", CC1), member("CLOSED-CAPTIONS", "b", CC2))]),
    (ONLY_MASTER, [added(member("VIDEO", "a"), member("VIDEO", "b", ',URI="v.m3u8"'))]),
    (ONLY_MASTER, [master('CHANNELS="2"', 'CHANNELS="6"'), added(f'{ENGLISH},CHANNELS="2"')]),
    (ONLY_MASTER, [master(',CHANNELS="2"', "")]),
    # Captions in media that cannot be read.
    (VOD, [
        added(member("CLOSED-CAPTIONS", "cc", CC1)),
        master("RESOLUTION(?=.*AUDIO)", 'CLOSED-CAPTIONS="cc",RESOLUTION'),
    ]),
    (VOD, [key(f'METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="{FAIRPLAY}",KEYFORMATVERSIONS="1"')]),
    (VOD, [key('METHOD=SAMPLE-AES,URI="data:k",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"')]),
    (SESSION, [key('METHOD=SAMPLE-AES,URI="k"')]),
    (SESSION, [key('METHOD=AES-128,URI="other"')]),
    (SESSION, [Change("en", "(?=#EXTINF:6.0,\n1)", "#EXT-X-START:TIME-OFFSET=6\n")]),
    ({"live": LIVE}, [
        Change("live", "(?=#EXTINF:6.0,\n5)", "#EXT-X-DISCONTINUITY\n"),
        Change("live", "(?=#EXT-X-TARGET)", "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"),
    ]),
    # Sound alone beside pictures, as its CODECS tells.
    (ONLY_MASTER, [
        added(member("VIDEO", "audio_only")),
        master(r"\Z", AUDIO_ONLY),
    ]),
    # A window that has ended.
    (VOD, [Change(name, "#EXT-X-PLAYLIST-TYPE:VOD\n", "#EXT-X-MEDIA-SEQUENCE:81\n") for name in [*VOD][1:]]),
    # A delta update may skip the date.
    ({"live": LIVE}, [
        Change("live", "#EXT-X-PROGRAM-DATE-TIME.*\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=9\n"),
        Change("live", "VERSION:7", "VERSION:9"),
    ]),
    (VOD, [Change("iframes", "TARGETDURATION:6", "TARGETDURATION:2")]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "playlists", "change"), WRONG, ids=[rule for rule, *_ in WRONG])
def test_what_the_text_alone_breaks(rule: str, playlists: dict[str, str], change: Change) -> None:
    assert found(playlists, change) == {rule}


@pytest.mark.parametrize(("playlists", "changes"), RIGHT, ids=range(len(RIGHT)))
def test_what_the_text_alone_does_not_break(playlists: dict[str, str], changes: list[Change]) -> None:
    assert found(playlists, *changes) == set()


@pytest.mark.parametrize(
    ("playlists", "offset", "expected"),
    [
        (VOD, "12", "pass"),
        (VOD, "-12.0", "pass"),
        (VOD, "12.5", "warn"),
        (VOD, "-13", "warn"),
        ({"live": LIVE}, "24", "pass"),
        ({"live": LIVE}, "25", "warn"),
        ({"live": LIVE}, "-18", "pass"),
        ({"live": LIVE}, "-17", "warn"),
    ],
)
def test_where_playing_begins(playlists: dict[str, str], offset: str, expected: str) -> None:
    """In the playlist, and of a live one three target durations before the end."""
    tag = f"#EXT-X-START:TIME-OFFSET={offset}\n"
    texts = {name: text.replace("#EXT-X-TARGET", f"{tag}#EXT-X-TARGET") for name, text in playlists.items()}
    if "iframes" in texts:
        texts["iframes"] = I_FRAMES
    verdicts = check(Texts(**texts), f"https://host/{next(iter(texts))}.m3u8")
    assert [verdict.status for verdict in verdicts if verdict.rule.id == "12.start"] == [expected]


def rates(first: int, second: int) -> list[Change]:
    """AVERAGE-BANDWIDTH of both variants."""
    return [master("=800,", f"={first},"), master("=8000,", f"={second},"), master("H=9", "H=99999999")]


PROTECTED = f'#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="{FAIRPLAY}"\n'

SHOULD: list[tuple[str, list[Change], bool]] = [
    ("7.first", rates(9_000_000, 2_000_000), True),
    ("7.first", rates(2_000_000, 9_000_000), False),
    ("7.aspect", [master("640x360,F", "640x480,F")], True),
    ("7.aspect", [master("640x360,F", "416x234,F")], False),
    ("14.separate", [master(',AUDIO="a"', "")], True),
    ("14.separate", [master(',URI="en.m3u8"', "")], True),
    ("14.separate", [master(',AUDIO="a"', ""), master(",mp4a.40.2", "")], False),
    ("3.h264", [master("avc1.640028|avc1.64001f(?=,)", "hvc1.1.6.L93.B0")], True),
    ("3.h264", [master("avc1.640028", "hvc1.1.6.L93.B0")], False),
    ("12.hdcp", [master(r"\Z", PROTECTED)], True),
    (
        "12.hdcp",
        [master(r"\Z", PROTECTED), master("RESOLUTION=1280", "HDCP-LEVEL=NONE,RESOLUTION=1280")],
        True,
    ),
    (
        "12.hdcp",
        [master(r"\Z", PROTECTED), master("RESOLUTION=1280", "HDCP-LEVEL=TYPE-0,RESOLUTION=1280")],
        False,
    ),
    (
        "12.hdcp",
        [
            master(r"\Z", PROTECTED),
            master("RESOLUTION=1280x720", "HDCP-LEVEL=TYPE-0,RESOLUTION=3840x2160"),
        ],
        True,
    ),
    (
        "3.h264",
        [master("avc1.640028", "hvc1.1.6.L93.B0"), master('CODECS="avc1.64001f,mp4a.40.2",', "")],
        False,
    ),
]


@pytest.mark.parametrize(("rule", "changes", "warns"), SHOULD)
def test_ladders_of_which_only_the_text_is_there(rule: str, changes: list[Change], warns: bool) -> None:
    texts = dict(ONLY_MASTER)
    for _, pattern, replacement in changes:
        texts["master"], count = re.subn(pattern, replacement, texts["master"], flags=re.M)
        assert count, pattern
    verdicts = check(Texts(**texts), "https://host/master.m3u8")
    expected = "warn" if warns else "pass"
    assert [verdict.status for verdict in verdicts if verdict.rule.id == rule] == [expected]


@pytest.mark.parametrize("value", ["9" * 5000, "1e999999999", "1/0", "-1", "0"])
def test_numbers_that_are_none_are_told(value: str) -> None:
    """Nobody computes with them."""
    names = "BANDWIDTH|RESOLUTION|FRAME-RATE|EXTINF:|BYTERANGE:|DURATION|PART-TARGET|HOLD-BACK|TIME-OFFSET"
    texts = {
        "live": PARTS.replace("#EXT-X-MAP", "#EXT-X-START:TIME-OFFSET=1\n#EXT-X-BYTERANGE:1@1\n#EXT-X-MAP")
    }
    for playlists in (VOD, texts):
        changed = {
            name: re.sub(rf"({names})([=:]?)[0-9.x@]+", rf"\g<1>\g<2>{value}", text)
            for name, text in playlists.items()
        }
        assert "0.syntax" in found(changed)
