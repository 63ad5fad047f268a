"""Players choose between SDR and HDR as the screen and their settings want it.

Headless Chromium has an SDR screen. It decodes AV1 of 10 bits, but no HEVC; of that it is only asked whether
players leave it alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from players.playing import DASH, DASH_JS, HLS_JS, SHAKA
from players.published import Film
from support.clips import media, run_ffmpeg
from support.session import Session

SECONDS, RATE = 6, 25


def _ladder(encoder: str, speed: str, name: str, **facts: Any) -> dict[str, Any]:
    rung = {"width": 320, "height": 180, "crf": 30, "max_bitrate_bps": 900_000}
    small = {"width": 160, "height": 90, "crf": 30, "max_bitrate_bps": 400_000}
    rungs = [{"name": f"{name}-small", **small}, {"name": name, **rung}]
    return {"encoder": encoder, "encoder_preset": speed, "rungs": rungs, **facts}


HDR = {"bit_depth": 10, "dynamic_range": "hdr"}
PRESET: dict[str, Any] = {
    "title": "HDR", "description": "In two codecs, beside SDR.", "gop_seconds": 1, "segment_gops": 1,
    "ladders": [
        _ladder("libx264", "superfast", "sdr"),
        _ladder("libx265", "superfast", "hevc", **HDR),
        _ladder("libsvtav1", "11", "av1", **HDR),
    ],
    "audio": {"bitrate_bps": 64_000},
}  # fmt: skip


def _source(transfer: str) -> Path:
    def build(path: Path) -> None:
        tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
        run_ffmpeg(
            "-f", "lavfi", "-i", f"testsrc2=s=320x180:r={RATE}:d={SECONDS}",
            "-f", "lavfi", "-i", f"sine=d={SECONDS}", "-vf", tags, "-pix_fmt", "yuv420p10le",
            "-c:v", "libx265", "-preset", "superfast", "-x265-params", "log-level=error", "-tag:v", "hvc1",
            "-c:a", "aac", str(path),
        )  # fmt: skip

    return media(f"{transfer}.mp4", build, transfer, SECONDS)


@pytest.fixture(scope="module", params=["smpte2084", "arib-std-b67"], ids=["pq", "hlg"])
def hdr(
    request: pytest.FixtureRequest, publish: Callable[..., Film], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Film, str]:
    """A film in HDR beside SDR, and its range."""
    folder = tmp_path_factory.mktemp("presets")
    (folder / "hdr.json").write_text(json.dumps(PRESET), "utf-8")
    film = publish(_source(request.param), "hdr", presets_dir=str(folder))
    return film, {"smpte2084": "PQ", "arib-std-b67": "HLG"}[request.param]


def _requested(session: Session) -> set[str]:
    """Renditions of which segments were fetched."""
    urls = session.ask("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    return {url.split("/")[-2] for url in urls if "/seg-" in url and "/audio-" not in url}


@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, DASH, DASH_JS])
def test_an_sdr_screen_gets_sdr(
    watch: Callable[..., Session], hdr: tuple[Film, str], player: str, manifest: str
) -> None:
    session = watch(player, hdr[0].manifest(manifest))
    session.play()
    session.play_to_the_end()
    session.check_no_errors()
    assert _requested(session) <= {"sdr", "sdr-small"}


@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, DASH])
def test_hdr_is_played_where_it_is_preferred(
    watch: Callable[..., Session], hdr: tuple[Film, str], player: str, manifest: str
) -> None:
    film, video_range = hdr
    config: dict[str, Any] = {"preferredVideo": [{"hdrLevel": video_range}]}
    if player == "hls.js":
        config = {"videoPreference": {"preferHDR": True, "allowedVideoRanges": [video_range]}}
    session = watch(player, film.manifest(manifest), config=config)
    active = next(level for level in session.ask("() => player.levels()") if level["active"])
    assert (active["range"], active["codecs"][:4]) == (video_range, "av01")
    session.play()
    session.play_to_the_end()
    session.check_no_errors()
    assert _requested(session) <= {"av1", "av1-small"}  # never HEVC, which this browser does not decode


def test_dash_js_offers_no_hdr_unless_it_is_told_to(
    watch: Callable[..., Session], hdr: tuple[Film, str]
) -> None:
    """It goes by the essential properties: by default it knows those of SDR only."""
    session = watch("dash.js", hdr[0].manifest("manifest.mpd"))
    assert {level["id"] for level in session.ask("() => player.levels()")} == {"sdr", "sdr-small"}
