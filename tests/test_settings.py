"""Settings: read from the environment, refused with the variable's name."""

from __future__ import annotations

import pytest

from tools import configure
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
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    configure(monkeypatch, **{name: value})
    with pytest.raises(InvalidInputError, match=why):
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
