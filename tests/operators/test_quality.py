"""The published quality is that of a full measurement, and measuring it changes and endangers nothing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.presets import LADDER, write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import CLIP, FFMPEG, generate
from vod_operators.errors import InvalidInputError
from vod_operators.operators.failure import code_of
from vod_operators.operators.retry import kind_of
from vod_operators.settings import get_settings
from vod_operators.storage import checkpoint
from vod_operators.work.worker import open_stores

RUNGS = [
    {"name": "small", "width": 320, "height": 180, "crf": 38, "max_bitrate_bps": 900_000,
     "buffer_bits": 900_000},
    {"name": "large", "width": 640, "height": 360, "crf": 30, "max_bitrate_bps": 2_000_000,
     "buffer_bits": 2_000_000},
]  # fmt: skip
TWO = LADDER | {"rungs": RUNGS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real clip of 640x360, 5.3 s."""
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *(
            "-i",
            str(CLIP),
            "-vf",
            "scale=640:360",
            "-an",
            "-c:v",
            "libx264",
            "-qp",
            "8",
            "-preset",
            "ultrafast",
        ),
    )


@pytest.fixture
def steps(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    def make(source: Path, *, certificate: bool = True, video_id: str = "film", **preset: object) -> Steps:
        changes: dict[str, Any] = {"ladders": [TWO], "pictures": None} | preset
        folder = write_preset(stores / "presets", **changes)
        configure(monkeypatch, presets_dir=str(folder), certificate=str(certificate))
        return Steps(video_id=video_id, source=source.as_uri(), chunk_seconds=3)

    return make


def published(stores: Path, video_id: str = "film") -> dict[str, Any]:
    result: dict[str, Any] = json.loads((stores / f"results/{video_id}/video.json").read_text("utf-8"))
    return result


def quality_of(stores: Path, name: str, video_id: str = "film") -> dict[str, Any]:
    (made,) = [made for made in published(stores, video_id)["renditions"] if made["name"] == name]
    found: dict[str, Any] = made["quality"]
    return found


def full_run(
    stores: Path, source: Path, name: str, size: tuple[int, int], folder: Path, convert: str = "null"
) -> list[float]:
    """ffmpeg's own VMAF of each frame of a published rendition.

    :param convert: filters for the source's colours.
    """
    version = published(stores)["version"]
    track = stores / f"results/film/{version}/{name}"
    whole = folder / "whole.mp4"
    whole.write_bytes(b"".join(p.read_bytes() for p in [track / "init.mp4", *sorted(track.glob("seg-*"))]))
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic"
    # The same tags for both, or ffmpeg would convert one.
    one_colour = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    graph = (
        f"[0:v]settb=1/25,setpts=N,{one_colour},{scale}[a];"
        f"[1:v]settb=1/25,setpts=N,{convert},{one_colour},{scale}[b];"
        "[a][b]libvmaf=log_fmt=json:log_path=full.json"
    )
    subprocess.run(
        [FFMPEG, "-v", "error", "-i", str(whole), "-i", str(source), "-lavfi", graph, "-f", "null", "-"],
        cwd=folder, check=True, timeout=300,
    )  # fmt: skip
    return [f["metrics"]["vmaf"] for f in json.loads((folder / "full.json").read_text())["frames"]]


SIZES = {
    "small": {"native": (320, 180)},
    "large": {"native": (640, 360), "at_1080p": (1920, 1080)},
}
"""Rendition -> the scores that are measured in full, and the sizes for that."""


def test_it_is_near_a_full_measurement(
    steps: Callable[..., Steps], stores: Path, source: Path, tmp_path: Path
) -> None:
    steps(source).run("publish")
    assert published(stores)["warnings"] == []

    for name, sizes in SIZES.items():
        quality = quality_of(stores, name)
        for field, size in sizes.items():
            whole = full_run(stores, source, name, size, tmp_path)
            mean = sum(whole) / len(whole)
            assert abs(quality[field]["mean"] - mean) <= 0.5, (name, field, mean, quality)
            assert quality[field]["worst"] <= quality[field]["mean"]
            assert 0 <= quality[field]["worst_at_s"] < 5.28
    assert (
        quality_of(stores, "large")["at_1080p"]["mean"] > quality_of(stores, "small")["at_1080p"]["mean"] + 10
    )


def segments(stores: Path, video_id: str) -> dict[str, bytes]:
    """The published media of a video, by path in its version."""
    folder = stores / f"results/{video_id}/{published(stores, video_id)['version']}"
    media = folder.rglob("*.m4s")  # not the init segments: the packager writes the time of day into them
    return {str(path.relative_to(folder)): path.read_bytes() for path in media}


def test_the_published_segments_are_the_same_without_it(
    steps: Callable[..., Steps], stores: Path, source: Path
) -> None:
    pictures = {"poster_px": 320, "thumbnail_px": 64, "interval_s": 1}
    steps(source, pictures=pictures).run("publish")
    steps(source, pictures=pictures, certificate=False, video_id="without").run("publish")
    assert quality_of(stores, "large") is not None
    assert quality_of(stores, "large", "without") is None
    assert published(stores, "without")["warnings"] == []
    assert segments(stores, "film") == segments(stores, "without") != {}


def clip(folder: Path, name: str, *options: str, size: str = "160x90", seconds: float = 1.2) -> Path:
    noise = f"testsrc2=s={size}:r=25:d={seconds},noise=alls=12:allf=t"
    return generate(folder / name, "-f", "lavfi", "-i", noise, *options)


X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-qp", "12")
OWN = RUNGS[0] | {"name": "own", "width": 160, "height": 90, "crf": 24}
HALF = OWN | {"name": "half", "width": 80, "height": 46, "crf": 30}
FAST = {"libx265": "ultrafast", "libsvtav1": "12"}


def ladder(encoder: str = "libx264", bit_depth: int = 8) -> dict[str, Any]:
    return LADDER | {
        "encoder": encoder, "encoder_preset": FAST.get(encoder, "veryfast"), "bit_depth": bit_depth,
        "rungs": [OWN],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source_options", "preset"),
    [
        pytest.param(
            ("film.mp4", *X264, "-vf", "scale=160:96", "-flags", "+ildct+ilme"), {}, id="interlaced"
        ),
        pytest.param(("film.mp4", *X264), {"ladders": [ladder("libx265", 10)]}, id="hevc-10-bit"),
        pytest.param(("film.mp4", *X264), {"ladders": [ladder("libsvtav1")]}, id="av1"),
        pytest.param(
            ("film.mp4", *X264),
            {"ladders": [ladder(), ladder("libx265", 10) | {"rungs": [OWN | {"name": "deep"}]}]},
            id="8-and-10-bit",
        ),
        pytest.param(("film.ts", *X264), {"container": "ts"}, id="transport"),
        pytest.param(("film.mp4", *X264, "-vf", "transpose=1"), {}, id="portrait"),
        pytest.param(("film.mp4", *X264), {}, id="turned"),
        pytest.param(
            ("film.mkv", *X264, "-bsf:v", "h264_metadata=crop_left=16:crop_top=8"), {}, id="cropped"
        ),
        pytest.param(("film.mkv", *X264, "-frames:v", "2"), {}, id="two-frames"),
        pytest.param(("film.mkv", *X264, "-frames:v", "4"), {}, id="four-frames"),
        pytest.param(("film.mp4", *X264, "-vf", "scale=48:16,setsar=1"), {}, id="16-lines"),
        pytest.param(("film.mp4", *X264), {"encryption": "cbcs"}, id="cbcs"),
        pytest.param(("film.mp4", *X264), {"encryption": "aes-128"}, id="aes-128"),
    ],
)  # fmt: skip
def test_of_every_kind_of_source_it_is_plausible_or_absent(
    steps: Callable[..., Steps],
    stores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source_options: tuple[str, ...],
    preset: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    if preset.get("encryption"):
        connection = {
            "conn_type": "generic",
            "password": "5e" * 16,
            "extra": {"key_uri": "https://key.test/"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(connection))
        monkeypatch.setenv("VOD_KEY_CONN_ID", "vod_key")
    film = clip(tmp_path, *source_options)
    if request.node.callspec.id == "turned":
        film = generate(tmp_path / "turned.mp4", "-display_rotation", "90", "-i", str(film), "-c", "copy")
    steps(film, **{"ladders": [ladder()]} | preset).run("publish")
    result, kind = published(stores), request.node.callspec.id
    for made in result["renditions"]:
        if made["kind"] != "video":
            continue
        quality = made["quality"]
        if kind == "two-frames":
            assert quality is None
            assert any("shorter than three frames" in words for words in result["warnings"])
            continue
        # A wrong reference (unturned, of other fields, of other colours, shifted by a frame) scores far less.
        assert 20 <= quality["at_1080p"]["mean"] <= 100, (made["name"], quality)
        if kind == "16-lines":
            assert quality["native"] is None
            assert any("too small for VMAF at their own size: " in words for words in result["warnings"])
        else:
            assert 60 <= quality["native"]["mean"] <= 100, (made["name"], quality)
            assert result["warnings"] == []


TONE_MAPPED = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,"
    "tonemap=mobius:desat=0:peak={peak},zscale=transfer=bt709:matrix=bt709:range=limited,format=yuv420p"
)


def test_hdr_is_compared_with_its_tone_mapped_pictures(
    steps: Callable[..., Steps], stores: Path, tmp_path: Path
) -> None:
    # Options of the encoder would not do: it takes the tags of the frames.
    tags = "setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    film = clip(
        tmp_path, "film.mov", "-vf", f"format=yuv420p10le,{tags}", "-c:v", "libx264",
        "-preset", "ultrafast", "-qp", "12",
    )  # fmt: skip
    steps(film, ladders=[ladder()]).run("publish")
    told = quality_of(stores, "own")["native"]["mean"]

    def full(convert: str) -> float:
        values = full_run(stores, film, "own", (160, 90), tmp_path, convert)
        return sum(values) / len(values)

    assert told == pytest.approx(full(TONE_MAPPED.format(peak=10)), abs=1.0)
    # It would tell pictures of another brightness, and those that are not tone-mapped.
    assert abs(told - full(TONE_MAPPED.format(peak=2))) > 2
    assert abs(told - full("format=yuv420p")) > 10


def test_an_ffmpeg_without_libvmaf_publishes_without_it(
    steps: Callable[..., Steps], stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    says = "[AVFilterGraph] No such filter: 'libvmaf'"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *libvmaf*) echo "{says}" >&2; exit 8;; esac\nexec {FFMPEG} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("VOD_FFMPEG", str(script))
    steps(clip(tmp_path, "film.mp4", *X264), ladders=[ladder()]).run("publish")
    assert quality_of(stores, "own") is None
    assert published(stores)["warnings"] == [
        "quality of chunk 0 is not known: own: this ffmpeg has no libvmaf"
    ]


@pytest.mark.parametrize(
    ("min_vmaf", "says"),
    [
        ({"vmaf": 99.9}, "half reaches VMAF [0-9.]+ at its own size, 99.9 is asked: lower its crf of 30"),
        ({"vmaf": 99.9, "at": "at_1080p"},
         "half reaches VMAF [0-9.]+ at 1080p, 99.9 is asked: a larger rung than 80x44, or a lower crf"),
    ],
)  # fmt: skip
def test_a_miss_of_min_vmaf_is_told_or_refused(
    steps: Callable[..., Steps], stores: Path, tmp_path: Path, min_vmaf: dict[str, Any], says: str
) -> None:
    film = clip(tmp_path, "film.mp4", *X264)
    half = [ladder() | {"rungs": [HALF]}]
    refused = steps(film, ladders=half, certificate=False, min_vmaf=min_vmaf | {"on_miss": "refuse"})
    with pytest.raises(InvalidInputError, match=f"preset: min_vmaf: {says}") as error:
        refused.run("publish")
    # The encodes are what they are: another try would not help, and the CMS is told whose fault it is.
    assert (kind_of(error.value), code_of(error.value)) == ("permanent", "preset_invalid")
    assert not (stores / "results/film/index.m3u8").exists()

    steps(film, ladders=half, min_vmaf=min_vmaf).run("publish")
    (warning,) = published(stores)["warnings"]
    assert re.match(f"min_vmaf: {says}", warning)


def test_a_kept_min_vmaf_says_nothing(steps: Callable[..., Steps], stores: Path, tmp_path: Path) -> None:
    film = clip(tmp_path, "film.mp4", *X264)
    steps(film, ladders=[ladder()], min_vmaf={"vmaf": 20, "on_miss": "refuse"}).run("publish")
    assert published(stores)["warnings"] == []


def test_chunks_of_before_it_was_measured_are_published(
    steps: Callable[..., Steps], stores: Path, source: Path
) -> None:
    """One chunk has no scores, as if an older release had made it; the other one's count."""
    work = steps(source)
    work.run("audio")
    markers = sorted((stores / "tmp/film").glob("work-*/chunk-*.done.json"))
    assert len(markers) == 2
    temp, _ = open_stores(get_settings())
    marker = checkpoint.load(temp, markers[0].as_uri())
    assert marker is not None
    facts = {name: fact for name, fact in marker.facts.items() if name != "quality"}
    markers[0].unlink()
    checkpoint.save(temp, markers[0].as_uri(), marker.model_copy(update={"facts": facts}))
    work.run("publish")
    quality = quality_of(stores, "large")
    assert 2 < quality["measured_s"] < 2.5
    assert quality["native"]["worst_at_s"] >= 3


def test_one_that_cannot_be_compared_leaves_the_others_theirs(
    steps: Callable[..., Steps], stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparisons fail in which the smaller rendition takes part."""
    script = tmp_path / "ffmpeg"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *compared-half.mp4*) echo broken >&2; exit 8;; esac\nexec {FFMPEG} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("VOD_FFMPEG", str(script))
    both = [ladder() | {"rungs": [HALF, OWN]}]
    steps(clip(tmp_path, "film.mp4", *X264), ladders=both).run("publish")
    assert quality_of(stores, "half") is None
    assert quality_of(stores, "own")["native"]["mean"] > 60
    (warning,) = published(stores)["warnings"]
    assert warning.startswith("quality of chunk 0 is not known: half: ")
