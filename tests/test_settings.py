"""Settings: read from the environment, refused with the variable's name."""

from __future__ import annotations

import re

import jsonschema
import pytest

from support.settings import configure
from vod_operators.errors import InvalidInputError
from vod_operators.settings import get_settings


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("file:///srv/my folder/", "file:///srv/my%20folder"),
        ("file:///srv/my%20folder", "file:///srv/my%20folder"),
        ("file:///srv//vod", "file:///srv/vod"),
    ],
)
def test_a_storage_uri_has_one_spelling(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    configure(monkeypatch, results_uri=given)
    assert get_settings().results_uri == used


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("temp_uri", "/srv/vod", "VOD_TEMP_URI: .*is not a storage URI; use s3://bucket/prefix or file:///"),
        ("results_uri", "https://host/x", "VOD_RESULTS_URI: .*is not a storage URI"),
        ("edges", '["cdn.example.com"]', "VOD_EDGES: .*is not an edge's base URL"),
        ("edges", "https://cdn.example.com", 'field "edges"'),
        ("playlist_url_template", "{edge}/{video}", "VOD_PLAYLIST_URL_TEMPLATE: .*may use {edge} and"),
        ("chunk_seconds", "soon", "VOD_CHUNK_SECONDS: "),
        ("claim_ttl_s", "1", "VOD_CLAIM_TTL_S: "),
        ("max_pixels", "0", "VOD_MAX_PIXELS: "),
        ("source_allow", '["/srv"]', "VOD_SOURCE_ALLOW: .*'/srv' is not usable; use public, file:///folder"),
        ("callback_allow", '["http://host/?x"]', "VOD_CALLBACK_ALLOW: .*is not usable"),
        ("video_id_pattern", "team-(", "VOD_VIDEO_ID_PATTERN: .*is not a regular expression"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    configure(monkeypatch, **{name: value})
    with pytest.raises(InvalidInputError, match=why):
        get_settings()


TWO = '["https://a.example/vod", "https://b.example:8443/x"]'


@pytest.mark.parametrize(
    ("edges", "names", "why"),
    [
        (TWO, '["a", "b c"]', "'b c' is not a name of an edge"),
        (TWO, '["a", ".."]', "'..' is not a name of an edge"),
        (TWO, '["a", "a"]', "two edges have one name"),
        (TWO, '["a"]', "it has 1 names, VOD_EDGES 2 edges; name each of two or more"),
        ('["https://a.example"]', '["a"]', "it has 1 names, VOD_EDGES 1 edges"),
        ("[]", '["a", "b"]', "it has 2 names, VOD_EDGES 0 edges"),
        ('["https://a.example", "https://a.example:8443/x"]', '["a", "b"]', "two edges of VOD_EDGES are one"),
    ],
)
def test_names_that_do_not_fit_the_edges_are_refused(
    monkeypatch: pytest.MonkeyPatch, edges: str, names: str, why: str
) -> None:
    configure(monkeypatch, edges=edges, pathways=names)
    with pytest.raises(InvalidInputError, match=f"VOD_PATHWAYS: .*{re.escape(why)}"):
        get_settings()


def test_an_edge_names_the_playlist(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        edges='["https://a.example/vod/", "https://b.example"]',
        playlist_url_template="{edge}/v/{video_id}/index.m3u8",
    )
    assert get_settings().playlist_urls("film") == [
        "https://a.example/vod/v/film/index.m3u8",
        "https://b.example/v/film/index.m3u8",
    ]


def test_the_folder_of_ingest_counts_as_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, source_allow="[]", ingest_uri="s3://inbox/new/")
    assert get_settings().sources.entries == ("s3://inbox/new",)
    assert get_settings().callbacks.setting == "VOD_CALLBACK_ALLOW"


def test_the_folder_of_uploads_counts_as_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, source_allow='["s3://films"]', ingest_uri="s3://inbox/new", uploads_uri="s3://up/")
    assert get_settings().uploads_uri == "s3://up"
    assert get_settings().sources.entries == ("s3://films", "s3://inbox/new", "s3://up")


@pytest.mark.parametrize(
    "uri", ["file:///srv/vod/results", "file:///srv/vod/results/in", "file:///srv/vod", "file:///srv/tmp/x"]
)
def test_uploads_are_kept_apart_from_what_is_published(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    stores = {"results_uri": "file:///srv/vod/results", "temp_uri": "file:///srv/tmp"}
    configure(monkeypatch, **stores, uploads_uri=uri)
    with pytest.raises(InvalidInputError, match=r"VOD_UPLOADS_URI: .* lie in each other; keep uploads apart"):
        get_settings()
    configure(monkeypatch, **stores, uploads_uri="file:///srv/vod/results-in")
    assert get_settings().uploads_uri == "file:///srv/vod/results-in"


@pytest.mark.parametrize("pattern", [None, "(?:team)-a-.+|x"])
def test_a_video_id_is_one_for_the_form_and_for_the_operators(
    monkeypatch: pytest.MonkeyPatch, pattern: str | None
) -> None:
    configure(monkeypatch, **({"video_id_pattern": pattern} if pattern else {}))
    settings = get_settings()

    def is_taken(video_id: str) -> bool:
        try:
            jsonschema.validate(video_id, {"pattern": settings.video_id_schema})
        except jsonschema.ValidationError:
            with pytest.raises(InvalidInputError, match="video_id: "):
                settings.check_video_id(video_id)
            return False
        return settings.check_video_id(video_id) == video_id

    assert is_taken("team-a-1") and is_taken("x")
    assert is_taken("film") is (pattern is None)
    bad = [
        "",
        "-x",
        "a b",
        "a/b",
        "..",
        "x\n",
        "team-a-1\n",
        "\nx",
        "é",
        "x" * 129,
        "x\0",
        "team-a-é",
        "team-a-1/x",
    ]
    assert not any(is_taken(video_id) for video_id in bad)
