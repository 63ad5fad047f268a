"""The form of playlists: texts that break it in one place, and texts near to them that do not."""

from __future__ import annotations

import pytest

from vod_operators.check.playlist import Playlist, parse

DATE = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n"
START = 'START-DATE="2026-01-01T00:00:00.000Z"'
NEXT = f'CLASS="c",END-ON-NEXT=YES,{START}'
LATER, LAST = (f'CLASS="c",START-DATE="2026-01-01T00:00:{second}.000Z"' for second in ("05", "10"))
ASSET = 'CLASS="com.apple.hls.interstitial",' + START


def media(lines: str, ending: str = "#EXTINF:6.0,\na.ts\n") -> Playlist:
    return parse("https://host/a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n{lines}{ending}")


def part(byte_range: str, name: str) -> str:
    return f"#EXTINF:6.0,\n#EXT-X-BYTERANGE:{byte_range}\n{name}.ts\n"


def ranges(*attributes: str) -> Playlist:
    return media(DATE + "".join(f"#EXT-X-DATERANGE:{item}\n" for item in attributes))


def master(lines: str) -> Playlist:
    return parse("https://host/m.m3u8", f"#EXTM3U\n{lines}#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n")


def session(name: str, *attributes: str) -> Playlist:
    return master("".join(f"#EXT-X-SESSION-{name}:{item}\n" for item in attributes))


def key(attributes: str) -> Playlist:
    return media(f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k",{attributes}\n')


WRONG = [
    # Date ranges.
    (ranges(f'ID="a",{START}', 'ID="b"'), "the date range b has no START-DATE"),
    (ranges('ID="a",CLASS="c"', f'ID="a",{START}'), "the date range a has no START-DATE"),
    (ranges(START), "EXT-X-DATERANGE has no ID"),
    (media(f'#EXT-X-DATERANGE:ID="a",{START}\n'), "no EXT-X-PROGRAM-DATE-TIME"),
    (ranges('ID="a",START-DATE="today"'), "START-DATE=today does not have the form"),
    (ranges(f'ID="a",{START},END-DATE="2025-12-31T23:59:59Z"'), "ends before it begins"),
    (ranges(f'ID="a",{START},END-DATE="2026-01-01T00:00:09+0100"'), "ends before it begins"),
    (ranges(f'ID="a",{START},END-DATE="2026-01-01T00:00:09Z",DURATION=8'), "has another DURATION"),
    (ranges(f'ID="a",{START},DURATION=-1'), "DURATION=-1 does not have the form"),
    (ranges(f'ID="a",{START},PLANNED-DURATION=-1'), "PLANNED-DURATION=-1 does not have the form"),
    (ranges(f'ID="a",{START},END-ON-NEXT=YES'), "has END-ON-NEXT and no CLASS"),
    (ranges(f'ID="a",{START},END-ON-NEXT=NO,CLASS="c"'), "END-ON-NEXT=NO does not have the form"),
    (ranges(f'ID="a",{START},END-ON-NEXT=YES,CLASS="c",DURATION=1'), "has END-ON-NEXT and DURATION"),
    (ranges(f'ID="a",{START},CUE="PRE,POST"'), "has a CUE of both PRE and POST"),
    (ranges(f'ID="a",{START},SCTE35-OUT=FC'), "SCTE35-OUT=FC does not have the form"),
    (ranges(f'ID="a",{START},X-A="b"', 'ID="a",X-A="c"'), "X-A of the date range a is not that"),
    (ranges(f'ID="a",{ASSET}'), "is an interstitial without exactly one of"),
    (ranges(f'ID="a",{ASSET},X-ASSET-URI="https://a/b",X-ASSET-LIST="c"'), "without exactly one of"),
    (ranges(f'ID="a",{ASSET},X-ASSET-URI="b.m3u8"'), "has an X-ASSET-URI that is not absolute"),
    (ranges(f'ID="a",{NEXT}', f'ID="b",{LATER},DURATION=9', f'ID="c",{LAST}'), "b and c of the CLASS c"),
    (
        ranges(f'ID="a",{LATER},END-ON-NEXT=YES', f'ID="b",CLASS="c",{START},DURATION=6'),
        "b and a of the CLASS c",
    ),
    # Whitespace.
    (media("", "#EXTINF:6.0,\n a.ts\n"), "whitespace around or in 'a.ts'"),
    (media("", "#EXTINF:6.0,\na.ts \n"), "whitespace around or in 'a.ts'"),
    (media("", "#EXTINF:6.0,\na b.ts\n"), "whitespace around or in 'a b.ts'"),
    (media(" #EXT-X-VERSION:3\n"), "whitespace around or in '#EXT-X-VERSION:3'"),
    (media("#EXT-X-DISCONTINUITY \n"), "whitespace around or in '#EXT-X-DISCONTINUITY'"),
    # Order, and tags of the other kind of playlist.
    (media("#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "comes after EXT-X-DISCONTINUITY"),
    (master('#EXT-X-KEY:METHOD=AES-128,URI="k"\n'), "EXT-X-KEY is a tag of media playlists"),
    (master(DATE), "EXT-X-PROGRAM-DATE-TIME is a tag of media playlists"),
    # Sessions.
    (session("DATA", 'DATA-ID="a"'), "has not exactly one of VALUE and URI"),
    (session("DATA", 'DATA-ID="a",VALUE="b",URI="c"'), "has not exactly one of VALUE and URI"),
    (session("DATA", *['DATA-ID="a",VALUE="b",LANGUAGE="en"'] * 2), "appears twice"),
    (session("DATA", 'DATA-ID="a",URI="b",FORMAT=XML'), "FORMAT=XML does not have the form"),
    (session("KEY", "METHOD=NONE"), "has METHOD=NONE"),
    (session("KEY", "METHOD=SAMPLE-AES"), "METHOD=SAMPLE-AES has no URI"),
    (session("KEY", *['METHOD=SAMPLE-AES,URI="k"'] * 2), "appears twice"),
    # Forms of values.
    (key('KEYFORMATVERSIONS="1.0"'), "KEYFORMATVERSIONS=1.0 does not have the form"),
    (key("IV=0x1234"), "IV is not 0x and 32 hexadecimal digits"),
    (media('#EXT-X-MAP:URI="i.mp4",BYTERANGE="100"\n'), "does not say where it begins"),
    (media("#EXT-X-BYTERANGE:100@\n"), "EXT-X-BYTERANGE:100@ is not a length and a position"),
    (media(f"{part('9@0', 'a')}{part('9@0', 'b')}{part('9', 'a')}"), "no byte range right before it"),
    (media("#EXT-X-BYTERANGE:100\n"), "no byte range right before it says where its own begins"),
    (media("#EXT-X-START:TIME-OFFSET=early\n"), "TIME-OFFSET=early does not have the form"),
    (media("#EXT-X-PART-INF:PART-TARGET=short\n"), "PART-TARGET=short does not have the form"),
    (master('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",SAMPLE-RATE=48k\n'), "SAMPLE-RATE=48k does not"),
    (master('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",STABLE-RENDITION-ID="c d"\n'), "=c d does not"),
    (master("#EXT-X-STREAM-INF:BANDWIDTH=fast\nb.m3u8\n"), "BANDWIDTH=fast does not have the form"),
    (master("#EXT-X-STREAM-INF:BANDWIDTH=1,SCORE=-1\nb.m3u8\n"), "SCORE=-1 does not have the form"),
    (master("#EXT-X-STREAM-INF:BANDWIDTH=1,BANDWIDTH=1\nb.m3u8\n"), "BANDWIDTH appears twice"),
]

RIGHT = [
    ranges(f'ID="a",{START}', f'ID="b",{START}'),
    ranges(f'ID="a",{START}', 'ID="a",DURATION=1.5', f'ID="a",{START},X-COM-A="b"'),
    ranges(f'ID="a",{START},END-DATE="2026-01-01T01:00:09.250+01",DURATION=9.25'),
    ranges(f'ID="a",{START},END-DATE="2025-12-31T23:30:00,5-0030",DURATION=.5'),
    ranges(f'ID="a",{START},END-ON-NEXT=YES,CLASS="c",CUE="PRE,ONCE",SCTE35-OUT=0xFC002F'),
    ranges(f'ID="a",{NEXT}', f'ID="b",{LATER},DURATION=5', f'ID="c",{LAST}', f'ID="d",{LAST},DURATION=0'),
    ranges(f'ID="a",{NEXT}', f'ID="b",CLASS="other",{START},DURATION=9', f'ID="c",{LATER}'),
    ranges(f'ID="a",CLASS="c",{START},DURATION=9', f'ID="b",{LATER}'),
    ranges(f'ID="a",CLASS="c",{START},DURATION={"9" * 400}', f'ID="b",{LATER},DURATION={"9" * 15}'),
    ranges(f'ID="a",{NEXT}', 'ID="b",CLASS="c",START-DATE="0001-01-01T00:00:00Z"'),
    ranges(f'ID="a",{ASSET},X-ASSET-URI="https://a/b.m3u8",X-RESUME-OFFSET=-1.5'),
    ranges(f'ID="a",{ASSET},X-ASSET-LIST="b.json"'),
    # What is absent may have been skipped.
    media('#EXT-X-SKIP:SKIPPED-SEGMENTS=9\n#EXT-X-DATERANGE:ID="a",DURATION=1\n'),
    media("# a comment with spaces \n#EXT-X-CUE-OUT:30 \n\n", "#EXTINF:6.0,a title \r\na%20b.ts\r\n"),
    media("#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-DISCONTINUITY\n"),
    session("DATA", 'DATA-ID="a",VALUE="b"', 'DATA-ID="a",VALUE="b",LANGUAGE="en"', 'DATA-ID="b",URI="c"'),
    session("KEY", 'METHOD=SAMPLE-AES,URI="k"', 'METHOD=SAMPLE-AES,URI="other"'),
    key('KEYFORMAT="com.example",KEYFORMATVERSIONS="1/2/5",IV=0x' + "0f" * 16),
    media('#EXT-X-MAP:URI="i.mp4",BYTERANGE="100@0"\n#EXT-X-BYTERANGE:100@100\n'),
    media(f"{part('9@0', 'b')}{part('9@0', 'a')}{part('9', 'a')}{part('9', 'a')}"),
    media("#EXT-X-START:TIME-OFFSET=-12.5,PRECISE=YES\n"),
    master('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",SAMPLE-RATE=48000,STABLE-RENDITION-ID="c+/=.-_"\n'),
    master("#EXT-X-STREAM-INF:BANDWIDTH=1,SCORE=1.5\nb.m3u8\n"),
]


@pytest.mark.parametrize(("playlist", "error"), WRONG, ids=[error for _, error in WRONG])
def test_another_form_is_reported(playlist: Playlist, error: str) -> None:
    assert error in " ".join(playlist.errors)
    assert len(playlist.errors) == 1


@pytest.mark.parametrize("playlist", RIGHT, ids=range(len(RIGHT)))
def test_the_form_of_the_text_is_right(playlist: Playlist) -> None:
    assert playlist.errors == []


def test_a_carriage_return_alone_ends_a_line() -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6", "#EXTINF:6,", "a.ts", ""]
    alone, fed = (parse("https://host/a.m3u8", end.join(lines)) for end in ("\r", "\r\n"))
    assert alone.errors == ["a carriage return without a line feed ends a line"]
    assert fed.errors == []
    assert alone.entries == fed.entries
