"""ffprobe, ffmpeg and m3u8 agree with what the playlists say of every variant and rendition."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest

from players.film import FRAMES
from players.published import Film
from support.session import RATE
from support.tools import decode, ffprobe

AAC_FRAME_S = 1024 / 48_000


def stream_of(playlist: Path) -> dict[str, Any]:
    found = ffprobe(playlist, "-allowed_extensions", "ALL", "-show_streams")
    (stream,) = found["streams"]
    return dict(stream)


def is_of(stream: dict[str, Any], codec: str) -> bool:
    """Whether that is the stream's RFC 6381 string, as far as ffprobe tells."""
    if stream["codec_name"] == "hevc":  # hvc1.PROFILE.COMPATIBLE.L_LEVEL
        return (
            codec.startswith("hvc1.1.") and f".L{stream['level']}." in codec and stream["profile"] == "Main"
        )
    if stream["codec_name"] == "av1":  # av01.PROFILE.LEVEL_TIER.BITS
        return codec.startswith(f"av01.0.{stream['level']:02d}M.08") and stream["profile"] == "Main"
    return bool(stream["mime_codec_string"] == codec)


def test_every_variant_decodes_and_is_what_is_said_of_it(published: Film) -> None:
    master = m3u8.load(str(published.folder / "index.m3u8"))
    assert len({variant.uri for variant in master.playlists}) >= 2
    for uri, said in {variant.uri: variant.stream_info for variant in master.playlists}.items():
        assert decode(published.folder / uri, "-map", "0:v", "-xerror") == (FRAMES, ""), uri
        stream = stream_of(published.folder / uri)
        assert any(is_of(stream, codec) for codec in said.codecs.split(",")), f"{uri}: {stream}"
        assert (stream["width"], stream["height"]) == said.resolution, uri
        assert Fraction(stream["avg_frame_rate"]) == RATE == said.frame_rate, uri


def test_every_sound_decodes_and_is_what_is_said_of_it(published: Film) -> None:
    master = m3u8.load(str(published.folder / "index.m3u8"))
    sounds = {media.uri: media for media in master.media if media.type == "AUDIO"}
    assert {(sound.language, sound.channels) for sound in sounds.values()} >= {("en", "2"), ("fr", "2")}
    for uri, said in sounds.items():
        playlist = published.folder / uri
        frames, complaints = decode(playlist, "-map", "0:a", "-xerror")
        assert complaints == "", uri
        assert frames * AAC_FRAME_S == pytest.approx(FRAMES / RATE, abs=2 * AAC_FRAME_S), uri
        stream = stream_of(playlist)
        users = [v for v in master.playlists if v.stream_info.audio == said.group_id]
        assert users and all(
            any(is_of(stream, codec) for codec in user.stream_info.codecs.split(",")) for user in users
        )
        assert stream["channels"] == int(said.channels), uri


def test_every_key_picture_decodes_alone(published: Film, tmp_path: Path) -> None:
    master = m3u8.load(str(published.folder / "index.m3u8"))
    assert master.iframe_playlists
    for listed in master.iframe_playlists:
        playlist = published.folder / listed.uri
        pictures = m3u8.load(str(playlist))
        init = b"".join((playlist.parent / part.uri).read_bytes() for part in pictures.segment_map)
        for number, picture in enumerate(pictures.segments):
            size, offset = map(int, picture.byterange.split("@"))
            alone = tmp_path / f"{number}.mp4"
            alone.write_bytes(init + (playlist.parent / picture.uri).read_bytes()[offset : offset + size])
            frames, complaints = decode(alone, "-map", "0:v")
            assert frames == 1, f"{listed.uri}: {complaints}"
