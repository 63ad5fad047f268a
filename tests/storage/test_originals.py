"""Which objects are originals, which videos they become, where those of a day lie."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.storage.keys import is_video_id
from vod_operators.storage.originals import (
    check_pattern,
    is_media,
    is_same_source,
    listed,
    prefixes_of,
    video_id_of,
)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("uri", "stem"),
    [
        ("s3://originals/2026/11/24/film.mp4", "film"),
        ("s3://originals/Der Große Film (final).MXF", "Der-Gro-e-Film-final"),
        ("s3://originals/a#b?c.mov", "a-b-c"),
        ("s3://originals/100%25.mp4", "100-25"),  # S3's keys are not encoded
        ("file:///in/100%25%20ok.mp4", "100-ok"),
        ("https://host/film.mp4?signature=x/y.z", "film"),
        ("s3://originals/日本.mp4", "video"),
        ("s3://originals/_-_.mp4", "video"),
        ("s3://originals/" + "x" * 300 + ".mp4", "x" * 100),
    ],
)
def test_a_video_is_named_after_its_file(uri: str, stem: str) -> None:
    found = video_id_of(uri)
    assert found.rpartition("-")[0] == stem
    assert is_video_id(found)


def test_the_id_is_that_of_the_uri_alone() -> None:
    # The hash, by `printf %s s3://originals/film.mp4 | sha256sum`.
    assert video_id_of("s3://originals/film.mp4") == "film-33fd79cf28ccfbd9"
    assert video_id_of("file:///a%20b.mp4") == video_id_of("file:///a b.mp4")


def test_no_two_originals_become_one_video() -> None:
    alike = [
        f"s3://{bucket}/{folder}film{tail}"
        for bucket in ("one", "two")
        for folder in ("", "a/", "a-", "A/")
        for tail in (".mp4", ".MP4", ".mov", " .mp4", "_.mp4", "é.mp4", "ê.mp4")
    ]
    assert len({video_id_of(uri).lower() for uri in alike}) == len(alike) == 56


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file:///in/film (1).mp4", "file:///in/film%20%281%29.mp4"),
        ("https://host/film (1).mp4", "https://host/film%20%281%29.mp4"),
        ("https://Host:443/a/film.mp4", "https://host/a/film.mp4"),
        ("HTTP://host/%66ilm.mp4", "http://host:80/film.mp4"),
        ("file:///in/%FF.mp4", "file:///in/\udcff.mp4"),  # a name that is no UTF-8
    ],
)
def test_two_spellings_of_a_place_are_one_source(one: str, other: str) -> None:
    assert is_same_source(one, other)
    assert video_id_of(one) == video_id_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/film (1).mp4", "s3://b/film%20%281%29.mp4"),  # S3's keys are not encoded
        ("file:///a/film.mp4", "file:///b/film.mp4"),
        ("file:///in/100%2525.mp4", "file:///in/100%25.mp4"),
        ("https://host/a%2Fb.mp4", "https://host/a/b.mp4"),
        ("https://host/Film.mp4", "https://host/film.mp4"),
        ("https://host/film.mp4", "https://host:8443/film.mp4"),
        ("https://host/film.mp4", "http://host/film.mp4"),
    ],
)
def test_two_places_are_two_sources(one: str, other: str) -> None:
    assert not is_same_source(one, other)
    assert video_id_of(one) != video_id_of(other)


def test_a_signature_makes_no_other_source() -> None:
    assert is_same_source("https://host/film.mp4?signature=x", "https://host/film.mp4?signature=y")


def test_media_is_known_by_its_name() -> None:
    assert all(
        map(is_media, ["s3://b/a.MP4", "s3://b/a.b.mxf", "file:///a%2Emov", "https://h/a.webm?x=.txt"])
    )
    assert not any(
        map(is_media, ["s3://b/a.srt", "s3://b/mp4", "s3://b/.mp4", "s3://b/a.mp4.part", "s3://b/a/"])
    )


def test_the_folders_of_an_interval() -> None:
    daily, week = "{prefix}/%Y/%m/%d/", (at(2026, 2, 27), at(2026, 3, 2))
    assert prefixes_of(daily, "s3://in", *week) == [
        "s3://in/2026/02/27/",
        "s3://in/2026/02/28/",
        "s3://in/2026/03/01/",
    ]
    assert prefixes_of("{prefix}/%Y-%m", "s3://in", *week) == ["s3://in/2026-02", "s3://in/2026-03"]
    hours = prefixes_of("{prefix}/%d/%H_", "s3://in", at(2026, 1, 1, 23), at(2026, 1, 2, 1))
    assert hours == ["s3://in/01/23_", "s3://in/02/00_"]
    # An interval that begins within an hour touches it; one that ends with an hour does not touch the next.
    assert prefixes_of("{prefix}/%H", "s3://in", at(2026, 1, 1, 5, 30), at(2026, 1, 1, 7)) == [
        "s3://in/05",
        "s3://in/06",
    ]
    # What an encoded prefix holds is no directive.
    assert prefixes_of("{prefix}/100%%/%d", "file:///a%20d", at(2026, 1, 2), at(2026, 1, 3)) == [
        "file:///a%20d/100%/02"
    ]


@pytest.mark.parametrize(
    "pattern",
    ["%Y/%m/%d", "{prefix}", "{prefix}/film", "{prefix}%Y", "{prefix}/%M", "{prefix}/%Y%", "{prefix}/%%"],
)
def test_a_pattern_that_cannot_be_used(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"usable"):
        check_pattern(pattern)


def test_a_line_of_a_list() -> None:
    assert listed(" film-42  s3://b/a b.mp4 ") == ("film-42", "s3://b/a b.mp4")
    assert listed("s3://b/a b.mp4") == (video_id_of("s3://b/a b.mp4"), "s3://b/a b.mp4")
    for line in ("", "film-42", "/film.mp4", "a.b s3://b/c.mp4", "one two s3://b/c.mp4", "ftp://h/c.mp4"):
        with pytest.raises(InvalidInputError, match="videos: "):
            listed(line)
