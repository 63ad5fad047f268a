"""Subtitle files of a request: what they are, and what is wrong with them."""

from __future__ import annotations

import json
import traceback
from typing import Any

import jsonschema
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
        (SRT.replace("00:00:03,000", "00:00:3x"), r"line 6: its times cannot be read \(column 8\); expected"),
        (SRT.replace("00:00:03", "0" * 400 + "1:00:03"), "line 6: its hours have 401 digits; the limit is 4"),
        (SRT.replace("00:00:03", "9" * 5000 + ":00:03"), "line 6: its hours have 5000 digits"),
        (VTT.replace("00:01.000", "9" * 5000 + ":00:01.000"), "line 5: its hours have 5000 digits"),
        (ASS.replace("0:00:01.00", "9" * 5000 + ":00:01.00"), "line 7: its hours have 5000 digits"),
        (SRT.replace("00:00:04,000", "00:00:02,000"), "line 6: it ends before it begins"),
        (VTT.replace("00:01.000", "1.0"), "line 5: its times cannot be read.*expected 00:00:01.000 -->"),
        (VTT.replace("00:01.000", "00:09.000"), "line 5: it ends before"),
        (ASS.replace("0:00:01.00", "soon"), "line 7: its times cannot be read"),
        (ASS.replace("MarginV, ", ""), "line 5: its columns are in another order than ffmpeg reads"),
        (ASS.replace("Dialogue", "Comment"), "it has no subtitles"),
        ("WEBVTT\n", "it has no subtitles"),
        ("<html>\n", "line 1: it is neither SubRip, WebVTT nor ASS$"),
        ("", "line 1: it is neither"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=f"a.srt.*{reason}"):
        subtitles.check(text, "a.srt")


MARKER = "s3cr3t"


@pytest.mark.parametrize(
    "data",
    [
        f'{{"key": "{MARKER}"}}',
        f"{MARKER} --> {MARKER}",
        f"00:00:09,000 --> 00:00:01,000 {MARKER}",
        f"WEBVTT\n\n{MARKER} --> 00:01.000\nHi",
        f"WEBVTT {MARKER}",
        f"[Events]\nFormat: {MARKER}, Start",
        f"[Events]\nDialogue: {MARKER}",
        f"[Events]\nDialogue: 0,0:00:09.00,0:00:01.00,{MARKER}",
        f"[V4+ Styles]\n{MARKER}",
        f"{MARKER}\0",
        f"\udcff\udcfe{MARKER}x",
        f"{MARKER}\udc81 -->",
        f"WEBVTT {MARKER}\udc81",
    ],
)
def test_no_reason_has_what_the_file_says(data: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        subtitles.check(subtitles.decode(data.encode("utf-8", "surrogateescape"), "a.srt")[0], "a.srt")
    said = "".join(traceback.format_exception(refusal.value))
    assert str(refusal.value).startswith("a.srt") and MARKER not in said


def test_a_request_is_refused_without_quoting_it() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        subtitles.parse_request(json.dumps([{"uri": MARKER, "language": MARKER * 9, "conn_id": 7}]))
    assert MARKER not in "".join(traceback.format_exception(refusal.value))


def test_the_form_refuses_a_newline_at_the_end() -> None:
    items: Any = subtitles.files_schema()["items"]
    good = {"uri": "s3://films/a.srt", "language": "en"}
    jsonschema.validate(good, items)
    for bad in ({"uri": "s3://films/a.srt\n"}, {"language": "en\n"}, {"uri": "s3://films/a\n.srt"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | bad, items)
        with pytest.raises(InvalidInputError):
            subtitles.parse_request(json.dumps([good | bad]))


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
    assert [t.hearing_impaired for t in asked] == [False, True, False, False]
    for special in ({"hearing_impaired": True}, {"commentary": True}):
        (only,) = subtitles.plan_texts([streams[0].model_copy(update=special)], [])
        assert not only.default
    deaf = Sidecar(file=file.model_copy(update={"hearing_impaired": True}), sha256="ab", encoding="UTF-8")
    assert subtitles.plan_texts([], [deaf])[0].hearing_impaired
    assert (asked[3].title, asked[3].language, asked[3].sidecar_sha256) == ("English (4)", "de", "ab")
