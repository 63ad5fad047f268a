"""Subtitle files of a request (SubRip, WebVTT, ASS): recognised, decoded and checked line by line.

ffmpeg converts them, but silently skips what it does not understand. So errors are found here, where the line
can be named. Messages never quote it: a request may name a file that the reader of the error must not see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model
from vod_operators.media.models import TextRendition, TextStream
from vod_operators.media.names import LANGUAGE_PATTERN, language_name, language_tag, unique_title

MAX_FILES = 32

MAX_FILE_BYTES = 8_000_000
"""Subtitles of a long film have 0.2 MB, typeset ones up to a few MB."""

URI_PATTERN = r"^(s3|https?|file)://[^\x00-\x1f\x7f]+$"

URL_PATTERN = r"^https?://[^\x00-\x20\x7f]+$"

Format = Literal["srt", "vtt", "ass"]


class SubtitleFile(Model):
    """One subtitle file of a request."""

    uri: Annotated[str, StringConstraints(pattern=URI_PATTERN, max_length=2048)] = Field(
        description="URI of the .srt, .vtt or .ass file: s3://, https:// or file://."
    )
    language: Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN, max_length=35)] = Field(
        description="Language tag, for instance en or pt-BR (RFC 5646)."
    )
    name: Annotated[str, StringConstraints(max_length=100)] = Field(
        "", description="Name in the player's menu. Empty: the name of the language."
    )
    default: bool = Field(False, description="Whether it is shown to viewers who have not chosen a track.")
    conn_id: Annotated[str, StringConstraints(max_length=250)] = Field(
        "", description="Airflow connection with the credentials for the file's web server."
    )
    forced: bool = Field(
        False,
        description="For viewers who understand the sound: only what they miss, such as signs and names.",
    )
    hearing_impaired: bool = Field(
        False, description="For the deaf and hard of hearing: also tells of speakers, music and noises."
    )


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A subtitle file of a request that was fetched and passed all checks."""

    file: SubtitleFile
    sha256: str
    """Digest of the file as converted to WebVTT."""
    encoding: str


_FILES = TypeAdapter(Annotated[list[SubtitleFile], Field(max_length=MAX_FILES)])


def schema_pattern(pattern: str) -> str:
    """A pattern that ends in ``$``, for a JSON schema. There ``$`` also matches before a final newline."""
    return f"{pattern}(?!\\n)"


def files_schema() -> dict[str, object]:
    """JSON schema of the request's ``subtitles``."""
    items = SubtitleFile.model_json_schema()
    for field in items["properties"].values():
        if "pattern" in field:
            field["pattern"] = schema_pattern(field["pattern"])
    return {"maxItems": MAX_FILES, "items": items}


def parse_request(text: str) -> list[SubtitleFile]:
    """The request's ``subtitles``, from JSON; empty if there are none.

    :raises InvalidInputError: it is malformed; the message names the field.
    """
    if text.strip() in ("", "None", "null"):
        return []
    try:
        return _FILES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise InvalidInputError(f"subtitles{where}: {first['msg']}") from None


def plan_texts(streams: Sequence[TextStream], sidecars: Sequence[Sidecar]) -> tuple[TextRendition, ...]:
    """One rendition for each subtitle track of the source, then one for each file of the request.

    At most one is the default; the request takes precedence over the source, of which no track for the deaf
    and no commentary is.
    """
    requested = [n for n, sidecar in enumerate(sidecars, start=len(streams)) if sidecar.file.default]
    declared = [n for n, s in enumerate(streams) if s.default and not (s.hearing_impaired or s.commentary)]
    default = next(iter(requested + declared), None)
    renditions, titles = list[TextRendition](), set[str]()

    def add(track: TextStream | SubtitleFile, name: str | None, **facts: Any) -> None:
        n, language = len(renditions), language_tag(track.language)
        title = unique_title(name or language_name(language), n + 1, "Subtitles", titles)
        renditions.append(
            TextRendition(
                name=f"text-{n}",
                language=language,
                title=title,
                default=n == default,
                forced=track.forced,
                hearing_impaired=track.hearing_impaired,
                **facts,
            )
        )

    for stream in streams:
        add(stream, stream.title, commentary=stream.commentary)
    for sidecar in sidecars:
        digest, encoding = sidecar.sha256, sidecar.encoding
        add(sidecar.file, sidecar.file.name, sidecar_sha256=digest, sidecar_encoding=encoding)
    return tuple(renditions)


# --- what is in a file ----------------------------------------------------------------------


def decode(data: bytes, name: str) -> tuple[str, str]:
    """A subtitle file's text with ``\\n`` as line ends, and its encoding.

    Encodings are UTF-8, UTF-16 with a byte order mark, otherwise Windows-1252, as in old SubRip files.

    :raises InvalidInputError: it is no text, or in another encoding.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif b"\0" in data:
        raise InvalidInputError(f"{name}: it is not a text file; expected SubRip, WebVTT or ASS in UTF-8")
    else:
        encoding = "UTF-8"
    try:
        text = data.decode("utf-8-sig" if encoding == "UTF-8" else "utf-16")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        if encoding == "UTF-16":
            raise InvalidInputError(f"{name}: its UTF-16 is damaged; save it as UTF-8") from None
        encoding = "Windows-1252"
        if data.lstrip().startswith(b"WEBVTT"):
            raise InvalidInputError(
                f"{name}, line {line}: it is not UTF-8, as WebVTT must be; save it as UTF-8"
            ) from None
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise InvalidInputError(
                f"{name}, line {line}: it is neither UTF-8 nor UTF-16 nor Windows-1252; save it as UTF-8"
            ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def check(text: str, name: str) -> tuple[Format, int]:
    """The format of subtitles, and their number of cues.

    :raises InvalidInputError: the format is unknown, a line is malformed, or there is no cue.
    """
    kind: Format
    if re.match(r"WEBVTT(?:[ \t\n]|\Z)", text):
        kind, count = "vtt", len(list(_timings(text, name, "vtt")))
    elif re.search(r"^\[(?:Script Info|V4\+? Styles|Events)\]", text[:65536], re.M | re.I):
        kind, count = "ass", _dialogues(text, name)
    elif "-->" in text:
        kind, count = "srt", len(list(_timings(text, name, "srt")))
    else:
        raise InvalidInputError(f"{name}, line 1: it is neither SubRip, WebVTT nor ASS")
    if not count:
        raise InvalidInputError(f"{name}: it has no subtitles")
    return kind, count


_TIMES = {
    "srt": (
        re.compile(
            r"\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})(?:\s.*)?", re.ASCII
        ),
        "00:00:01,000 --> 00:00:02,500",
    ),
    "vtt": (
        re.compile(
            r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})[ \t]+-->[ \t]+"
            r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})(?:[ \t].*)?"
        ),
        "00:00:01.000 --> 00:00:02.500",
    ),
}


def _timings(text: str, name: str, kind: Literal["srt", "vtt"]) -> Iterator[None]:
    pattern, example = _TIMES[kind]
    for number, line in enumerate(text.split("\n"), start=1):
        if "-->" not in line or (kind == "vtt" and line.startswith("NOTE")):
            continue
        match = pattern.fullmatch(line)
        if match is None:
            raise InvalidInputError(
                f"{name}, line {number}: its times cannot be read (column {_column(line)}); "
                f"expected {example}"
            )
        begin, end = (_seconds(match.groups()[at : at + 4], name, number) for at in (0, 4))
        if end < begin:
            raise InvalidInputError(f"{name}, line {number}: it ends before it begins")
        yield


MAX_HOUR_DIGITS = 4
"""9,999 hours are more than a year."""


def _seconds(time: Sequence[str | None], name: str, line: int) -> float:
    """The seconds of a time that is given as hours, minutes, seconds and fraction.

    :raises InvalidInputError: the hours have too many digits.
    """
    hours, minutes, seconds, fraction = (part or "0" for part in time)
    if len(hours) > MAX_HOUR_DIGITS:
        raise InvalidInputError(
            f"{name}, line {line}: its hours have {len(hours)} digits; the limit is {MAX_HOUR_DIGITS}"
        )
    whole_seconds = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    return whole_seconds + float(f"0.{fraction}")


_ASS_COLUMNS = ("Start", "End", "Style", "Name", "MarginL", "MarginR", "MarginV", "Effect", "Text")

_ASS_TIME = re.compile(r"\s*(\d+):(\d\d):(\d\d)\.(\d{1,3})\s*", re.ASCII)


def _dialogues(text: str, name: str) -> int:
    count, inside = 0, False
    for number, line in enumerate(text.split("\n"), start=1):
        key, _, value = line.partition(":")
        if line.startswith("["):
            inside = line.strip().lower() == "[events]"
        elif inside and key == "Format":
            columns = [column.strip() for column in value.split(",")]
            if [columns[:1] in (["Layer"], ["Marked"]), *columns[1:]] != [True, *_ASS_COLUMNS]:
                raise InvalidInputError(
                    f"{name}, line {number}: its columns are in another order than ffmpeg reads; "
                    f"expected Layer, {', '.join(_ASS_COLUMNS)}"
                )
        elif inside and key == "Dialogue":
            times = [_ASS_TIME.fullmatch(field) for field in value.split(",", len(_ASS_COLUMNS))[1:3]]
            if len(times) < 2 or not times[0] or not times[1]:
                raise InvalidInputError(
                    f"{name}, line {number}: its times cannot be read; "
                    "expected Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,text"
                )
            begin, end = (_seconds(time.groups(), name, number) for time in (times[0], times[1]))
            if end < begin:
                raise InvalidInputError(f"{name}, line {number}: it ends before it begins")
            count += 1
    return count


def _column(line: str) -> int:
    """Column, from 1, of the first character that cannot be part of a line of times."""
    return len(re.match(r"[\d:,. \t>-]*", line, re.ASCII)[0]) + 1  # type: ignore[index]  # it matches always
