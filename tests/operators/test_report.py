"""Defects of a source are found to the frame by the real operators, also over joins, and judged as asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.clips import run_ffmpeg
from support.presets import write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import FFMPEG
from vod_operators.errors import InvalidInputError

RATE, SECONDS = 25, 5
FRAME_S = 1 / RATE
"""Chunks have two seconds, and a lead-in of three."""

PAN = "testsrc2=s=512x288:r=25:d={},crop=256:144:'128+120*sin(2*t)':'72+70*cos(2.6*t)'"
"""A picture that moves everywhere, without a cut."""

PLACES = {"beginning": 0.0, "join": 1.76, "within": 3.12, "end": 4.48}
"""When a defect begins that lasts 0.52 s, a whole number of frames; the join is at 2 s."""

LENGTH_S = 0.52


def film(
    path: Path, picture: str = "null", sound: str = "anull", *options: str, seconds: int = SECONDS
) -> Path:
    """A moving picture and a noise, with these filters."""
    noise = f"anoisesrc=c=pink:a=0.4:r=48000:d={seconds},aformat=channel_layouts=stereo"
    run_ffmpeg(
        "-filter_complex", f"{PAN.format(seconds)},{picture},format=yuv420p[v];{noise},{sound}[a]",
        "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "veryfast", "-g", "40",
        "-c:a", "aac", "-ac", "2", *options, str(path),
    )  # fmt: skip
    return path


@pytest.fixture
def publish(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Publish a source, and return its ``video.json``."""

    def run(source: Path, until: str = "release", chunk_s: int = 2, **preset: object) -> dict[str, Any]:
        configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", **preset)))
        Steps(video_id="film", source=source.as_uri(), chunk_seconds=chunk_s).run(until)
        result: dict[str, Any] = json.loads((stores / "results/film/video.json").read_text("utf-8"))
        return result

    return run


def seconds_of(found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(interval["start_s"], interval["end_s"]) for interval in found]


def check_found(found: list[dict[str, Any]], tolerance_s: float = FRAME_S) -> None:
    """There is one interval at each place, and no other."""
    planned = [(begin, begin + LENGTH_S) for begin in PLACES.values()]
    assert seconds_of(found) == [pytest.approx(interval, abs=tolerance_s + 1e-6) for interval in planned]


def within(unit: str = "n") -> str:
    """An ffmpeg expression that is true in all places."""
    scale = RATE if unit == "n" else 1
    last = 1 if unit == "n" else 0
    return "+".join(
        f"between({unit}\\,{round(begin * scale, 3):g}\\,{round((begin + LENGTH_S) * scale - last, 3):g})"
        for begin in PLACES.values()
    )


def test_black_and_silence(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    source = film(
        tmp_path / "film.mp4", f"drawbox=c=black:t=fill:enable={within()}", f"volume=0:enable={within('t')}"
    )
    report = publish(source)["source_report"]
    check_found(report["black"])
    check_found(report["silent"])
    assert {interval["track"] for interval in report["silent"]} == {"audio-0"}
    assert (report["frozen"], report["flashes"], report["clipped"], report["bars"]) == ([], [], [], None)
    (loudness,) = report["loudness"]
    assert loudness["integrated_lufs"] == pytest.approx(-24, abs=3)


def test_frozen_and_clipped(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    begins = "+".join(f"eq(n\\,{round(begin * RATE)})" for begin in PLACES.values())
    frozen = f"select=not({within()})+{begins},fps=25,tpad=stop_mode=clone:stop=-1,trim=duration={SECONDS}"
    clipped = f"volume=30dB:enable={within('t')},aformat=s16"
    report = publish(film(tmp_path / "film.mp4", frozen, clipped))["source_report"]
    check_found(report["frozen"])
    check_found(report["clipped"])
    assert all(interval["samples"] > 2_000 for interval in report["clipped"])
    assert (report["black"], report["flashes"], report["silent"]) == ([], [], [])


def test_flashes(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = {round(begin * RATE) for begin in PLACES.values()}
    even = "+".join(
        f"({within()})*eq(mod(n-{frame}\\,2)\\,0)*between(n\\,{frame}\\,{frame + 12})" for frame in first
    )
    report = publish(film(tmp_path / "film.mp4", f"drawbox=c=white:t=fill:enable={even}"))["source_report"]
    check_found(report["flashes"])
    assert (report["black"], report["frozen"]) == ([], [])


def test_bars_in_pixels_of_the_upright_source(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    bars = "drawbox=0:0:iw:18:black:fill,drawbox=0:122:iw:22:black:fill"
    source = film(tmp_path / "film.mp4", bars)
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", "90", "-i", str(source), "-c", "copy", str(turned))
    bars_of = [publish(path)["source_report"]["bars"] for path in (source, turned)]
    assert bars_of[0] == {"left": 0, "top": 18, "right": 0, "bottom": 22}
    assert bars_of[1] == {"left": 18, "top": 0, "right": 22, "bottom": 0}


def test_times_count_from_the_first_picture(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """The sound begins half a second before the picture."""
    film(tmp_path / "film.mp4", "null", "volume=0:enable=between(t\\,2\\,2.8)")
    late = tmp_path / "late.mp4"
    run_ffmpeg(
        "-itsoffset", "0.6", "-i", str(tmp_path / "film.mp4"), "-i", str(tmp_path / "film.mp4"),
        "-map", "0:v", "-map", "1:a", "-c", "copy", str(late),
    )  # fmt: skip
    ((begin, end), *_) = seconds_of(publish(late)["source_report"]["silent"])
    assert (begin, end) == (pytest.approx(1.4, abs=FRAME_S), pytest.approx(2.2, abs=FRAME_S))


def test_a_variable_rate(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Pictures are shown for one, two and three frames in turn, and once for 0.8 s."""
    varying = "select=not(eq(mod(n\\,6)\\,2)+eq(mod(n\\,6)\\,4)+eq(mod(n\\,6)\\,5)+between(n\\,61\\,80))"
    source = film(tmp_path / "film.mkv", varying, "anull", "-fps_mode", "passthrough")
    result = publish(source)
    assert "variable frame rate" in result["source"]["normalised"]
    ((begin, end),) = seconds_of(result["source_report"]["frozen"])
    assert (begin, end) == (pytest.approx(60 / RATE), pytest.approx(81 / RATE))


def test_chunks_that_cannot_be_decoded_are_black(
    publish: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ffmpeg that decodes nothing of any chunk, as of one whose parameter sets are lost."""
    blind = tmp_path / "ffmpeg"
    blind.write_text(
        f'#!/bin/sh\ncase "$*" in *chunk.nut*filter_complex*libx264*)\n'
        'echo "[h264 @ 0x1] non-existing PPS 0 referenced" >&2\n'
        f'echo "Could not open encoder before EOF" >&2; exit 234;; esac\nexec "{FFMPEG}" "$@"\n'
    )
    blind.chmod(0o755)
    configure(monkeypatch, ffmpeg=str(blind))
    result = publish(film(tmp_path / "film.mp4", seconds=4))
    assert ["shown black" in words for words in result["source"]["damage"]] == [True, True]
    assert seconds_of(result["source_report"]["black"]) == [(0, 4)]


# --- policy ---------------------------------------------------------------------------------


def test_what_is_refused_is_not_published(
    publish: Callable[..., dict[str, Any]], stores: Path, tmp_path: Path
) -> None:
    source = film(tmp_path / "film.mp4", "drawbox=c=black:t=fill:enable=between(n\\,44\\,59)")
    with pytest.raises(InvalidInputError, match=r"source: .*black picture at 0:02 \(0.64 s from 1.76 s\)"):
        publish(source, "transcode", source_report={"black": "refuse"})
    assert not (stores / "results").exists() or not list((stores / "results").rglob("*.m3u8"))


def test_what_only_the_whole_film_tells_is_refused_before_anything_is_published(
    publish: Callable[..., dict[str, Any]], stores: Path, tmp_path: Path
) -> None:
    frozen = "select=not(between(n\\,45\\,64)),fps=25"
    with pytest.raises(InvalidInputError, match=r"source: .*frozen picture at 0:02 \(0.84 s from 1.76 s\)"):
        publish(film(tmp_path / "film.mp4", frozen), source_report={"frozen": "refuse"})
    assert not (stores / "results/film/index.m3u8").exists()


def test_a_warning_is_published(publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", "null", "volume=0:enable=between(t\\,1\\,2)")
    result = publish(source, source_report={"silent": "warn", "black": "off"})
    (warning,) = result["warnings"]
    assert warning.startswith("silence in audio-0 at 0:01 (")
    assert result["source_report"]["black"] is None


def test_the_segments_are_what_they_are_without_a_report(
    publish: Callable[..., dict[str, Any]], stores: Path, tmp_path: Path
) -> None:
    source = film(tmp_path / "film.mp4", seconds=3)
    off = dict.fromkeys(("black", "frozen", "silent", "clipped", "bars", "flashes", "loudness"), "off")
    media = []
    for policy in ({}, off):
        result = publish(source, source_report=policy)
        version = stores / "results/film" / result["version"]
        media.append({
            path.relative_to(version): path.read_bytes()
            for path in version.rglob("*")
            if path.suffix in (".m4s", ".jpg")  # an init segment has the time of its making
        })  # fmt: skip
    assert media[0] == media[1]
    assert len(media[0]) > 6
    assert result["source_report"] is None


# --- clean clips ----------------------------------------------------------------------------

CLEAN = {
    "pan": PAN.format(4),
    "grain": f"{PAN.format(4)},noise=alls=8:allf=t",
    "slides": "color=navy:s=256x144:r=25:d=2,drawbox=20:20:90:9:white:fill[a];"
    "color=white:s=256x144:r=25:d=2,drawbox=20:20:60:9:black:fill[b];[a][b]concat=n=2",
    "typing": "color=0xf0f0f0:s=256x144:r=25:d=4,"
    "drawbox=20:30:'1+5*floor(6*min(t\\,1.5)+3*max(0\\,t-3))':4:black:fill",
    "title": f"{PAN.format(2)}[a];color=gray:s=256x144:r=25:d=1,drawbox=60:50:120:30:white:fill[b];"
    f"{PAN.format(1)}[c];[a][b][c]concat=n=3",
    "fades": f"{PAN.format(4)},fade=in:0:20,fade=out:st=3.2:d=0.7",
    "night": f"{PAN.format(4)},lutyuv=y='16+(val-16)*0.12'",
    "credits": "color=black:s=256x144:r=25:d=4[b];"
    "color=black:s=120x400:r=25:d=4,drawgrid=w=0:h=30:t=8:c=white[c];[b][c]overlay=68:'144-t*50'",
    "lightning": f"{PAN.format(4)},drawbox=c=white:t=fill:enable=lt(mod(n\\,13)\\,2)",
    "fence": "color=white:s=768x144:r=25:d=4,drawgrid=w=64:h=0:t=32:c=black[p];"
    "color=gray:s=256x144:r=25:d=4[b];[b][p]overlay='-mod(t*250\\,512)':0",
}  # fmt: skip


@pytest.mark.parametrize("kind", CLEAN)
def test_a_clean_clip(kind: str, publish: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    sound = "anoisesrc=c=pink:a=0.2:r=48000:d=4,volume=-20dB"
    run_ffmpeg(
        "-filter_complex", f"{CLEAN[kind]},format=yuv420p[v];{sound}[a]",
        "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", str(source),
    )  # fmt: skip
    report = publish(source)["source_report"]
    del report["loudness"], report["stills_are_usual"]
    assert not any(report.values()), report
