"""Presentations that the tests of the validator judge."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from support.presentations import PQ, X264, by_ffmpeg, by_packager, dolby, good, low_latency, picture, tone
from support.tools import generate
from support.transport import cut, encoded, listed, packed
from vod_operators.formats.audio_frames import adts

GOP = (*X264, "-g", "50", "-keyint_min", "50")
B_PICTURES = (*picture("128x72"), *GOP, "-bf", "2")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params",
        "log-level=none:keyint=50:min-keyint=50:scenecut=0:open-gop=0")  # fmt: skip


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Master playlists by name, each made when it is first asked for."""
    root = tmp_path_factory.mktemp("bases")

    def hevc() -> Path:
        return by_packager(root / "hevc", generate(root / "hevc.mp4", *picture("128x72"), *X265))

    def hdr(name: str, params: str = "", transfer: str = "smpte2084") -> Path:
        x265 = (*X265[:-1], X265[-1] + params)
        tags = PQ.replace("smpte2084", transfer)
        clip = generate(
            root / f"{name}.mp4", *picture("128x72"), "-vf", tags, "-pix_fmt", "yuv420p10le", *x265
        )
        return by_packager(root / name, clip)

    sound = ("-c:a", "aac", "-ac", "2", "-b:a", "96k")
    both = (*picture("128x72"), *tone(440), "-map", "0:v", "-map", "1:a")

    def packed_audio() -> Path:
        (root / "packed").mkdir()
        segments = packed(cut(encoded(root / "packed.aac"), adts), Fraction(1024, 48_000))
        return listed(root / "packed", segments, ".aac").rename(root / "packed" / "master.m3u8")

    makers: dict[str, Callable[[], Path]] = {
        "good": lambda: good(root / "good"),
        "web": lambda: bases("good"),
        "dolby": lambda: dolby(root / "dolby"),
        "ts": lambda: by_ffmpeg(root / "ts", *both, *GOP, *sound),
        "live": lambda: low_latency(root / "live", *both, *GOP, *sound),
        "muxed": lambda: by_ffmpeg(root / "muxed", *both, *GOP, *sound, container="fmp4"),
        "fields": lambda: by_ffmpeg(
            root / "fields", *picture("128x72"), *GOP, "-flags", "+ildct+ilme", streams="v:0"
        ),
        "packed": packed_audio,
        "oblong": lambda: by_packager(
            root / "oblong",
            generate(root / "oblong.mp4", *picture("128x72"), "-vf", "setsar=4/3", *GOP, *X264),
        ),
        "oblong-hevc": lambda: by_packager(
            root / "oblong-hevc",
            generate(root / "oblong-hevc.mp4", *picture("128x72"), "-vf", "setsar=4/3", *X265),
        ),
        "hevc": hevc,
        "hevc-ts": lambda: by_ffmpeg(
            root / "hevc-ts", *picture("128x72"), *X265[:4], *X265[6:], streams="v:0"
        ),
        "hdr": lambda: hdr("hdr"),
        "hdr10": lambda: hdr(
            "hdr10",
            ":max-cll=1000,200:master-display="
            "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
        ),
        "hlg-in-sei": lambda: hdr("hlg-in-sei", ":atc-sei=18", "bt2020-10"),
        "hdr-h264": lambda: by_ffmpeg(
            root / "hdr-h264", *picture("128x72"), "-vf", PQ, *GOP, container="fmp4", streams="v:0"
        ),
        "reordered": lambda: by_ffmpeg(root / "reordered", *B_PICTURES, container="fmp4", streams="v:0"),
        "open-gop-ts": lambda: by_ffmpeg(
            root / "open-gop-ts",
            *picture("128x72"),
            *X264,
            "-flags",
            "-cgop",
            "-bf",
            "3",
            "-x264-params",
            "open-gop=1:keyint=50:min-keyint=50:scenecut=0",
            streams="v:0",
        ),
        "reordered-ts": lambda: by_ffmpeg(root / "reordered-ts", *B_PICTURES, streams="v:0"),
    }
    made: dict[str, Path] = {}

    def bases(name: str) -> Path:
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    return bases
