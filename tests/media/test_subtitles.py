"""Subtitle files of a request: what they are, and what is wrong with them."""

from __future__ import annotations

import json

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.media import subtitles
from vod_operators.media.models import TextStream
from vod_operators.media.subtitles import Sidecar, SubtitleFile

SRT = "1\n00:00:01,000 --> 00:00:02,500\nGrüße\n\n2\n00:00:03,000 --> 00:00:04,000\nZwei\n"
VTT = "WEBVTT - title\n\nNOTE a --> b\n\n00:01.000 --> 00:02.500 line:0\nHi\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Comment: 0,x,y\nDialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,Hi, you\n"
)


def test_a_request_is_read() -> None:
    text = json.dumps([{"uri": "s3://films/a.srt", "language": "pt-BR", "default": True}])

    (file,) = subtitles.parse_request(text)

    assert (file.uri, file.language, file.name, file.default, file.forced) == (
        "s3://films/a.srt", "pt-BR", "", True, False,
    )  # fmt: skip
    for nothing in ("", "None", "null", "[]"):
        assert subtitles.parse_request(nothing) == []


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ([{"uri": "s3://a/b.srt"}], r"subtitles\[0\]\.language: "),
        ([{"uri": "/a/b.srt", "language": "en"}], r"subtitles\[0\]\.uri: "),
        ([{"uri": "s3://a/b.srt", "language": "en"}, {"uri": "s3://a/b.srt", "language": 'e"'}],
         r"subtitles\[1\]\.language: "),
        ([{"uri": "s3://a/b.srt", "language": "en", "lang": "x"}], r"subtitles\[0\]\.lang: "),
        ({"uri": "s3://a/b.srt"}, "subtitles: "),
        ([{"uri": "s3://a/b.srt", "language": "en"}] * 33, "subtitles: .*32"),
    ],
)  # fmt: skip
def test_a_bad_request_names_the_field(request_: object, where: str) -> None:
    with pytest.raises(InvalidInputError, match=where):
        subtitles.parse_request(json.dumps(request_))


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (SRT.encode(), "UTF-8"),
        (SRT.replace("\n", "\r\n").encode("utf-8-sig"), "UTF-8"),
        (SRT.encode("utf-16"), "UTF-16"),
        ("\ufeff".encode("utf-16-be") + SRT.encode("utf-16-be"), "UTF-16"),
        (SRT.encode("cp1252"), "Windows-1252"),
    ],
)
def test_encodings(data: bytes, encoding: str) -> None:
    assert subtitles.decode(data, "a.srt") == (SRT, encoding)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (SRT.encode("utf-16-le"), "not a text file"),
        (b"\x1aE\xdf\xa3\x00\x00", "not a text file"),
        (b"ok\nok\n\x81\x8d", "line 3: it is neither UTF-8 nor UTF-16 nor Windows-1252"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nGrüße".encode("cp1252"), "line 4: it is not UTF-8, as WebVTT"),
        (b"\xff\xfea", "UTF-16 is damaged"),
    ],
)
def test_what_cannot_be_decoded_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=f"a.srt.*{reason}"):
        subtitles.decode(data, "a.srt")


@pytest.mark.parametrize(("text", "found"), [(SRT, ("srt", 2)), (VTT, ("vtt", 1)), (ASS, ("ass", 1))])
def test_kinds(text: str, found: tuple[str, int]) -> None:
    assert subtitles.check(text, "a") == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SRT.replace("00:00:03,000", "00:00:3x"), "line 6: its times cannot be read: found '00:00:3x -->"),
        (SRT.replace("00:00:04,000", "00:00:02,000"), "line 6: it ends before it begins"),
        (VTT.replace("00:01.000", "1.0"), "line 5: its times cannot be read.*expected 00:00:01.000 -->"),
        (VTT.replace("00:01.000", "00:09.000"), "line 5: it ends before"),
        (ASS.replace("0:00:01.00", "soon"), "line 7: its times cannot be read"),
        (ASS.replace("MarginV, ", ""), "line 5: its columns are in another order than ffmpeg reads"),
        (ASS.replace("Dialogue", "Comment"), "no subtitle in it"),
        ("WEBVTT\n", "no subtitle in it"),
        ("<html>\n", "line 1: it is neither SubRip, WebVTT nor ASS: found '<html>'"),
        ("", "line 1: it is neither"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=f"a.srt.*{reason}"):
        subtitles.check(text, "a.srt")


def test_tracks_have_names_of_their_own_and_one_default() -> None:
    streams = [
        TextStream(index=3, codec="subrip", language="eng", default=True),
        TextStream(index=4, codec="ass", language="eng", default=True, hearing_impaired=True),
        TextStream(index=5, codec="ass", title='Signs "x"', forced=True),
    ]
    file = SubtitleFile(uri="s3://a/b.srt", language="ger", name="English")

    alone = subtitles.plan_texts(streams, [])
    asked = subtitles.plan_texts(
        streams, [Sidecar(file=file.model_copy(update={"default": True}), sha256="ab", encoding="UTF-8")]
    )

    assert [(t.name, t.title, t.default, t.forced) for t in alone] == [
        ("text-0", "English", True, False),
        ("text-1", "English (2)", False, False),
        ("text-2", "Signs x", False, True),
    ]
    assert [t.default for t in asked] == [False, False, False, True]
    assert (asked[3].title, asked[3].language, asked[3].sidecar_sha256) == ("English (4)", "de", "ab")
