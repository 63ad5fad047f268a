"""Files to download: joined from the published segments, byte for byte, and counted wherever files are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.presets import LADDER, write_preset
from support.s3_servers import S3Bucket
from support.settings import configure
from support.steps import Steps
from support.tools import FFMPEG, ffprobe, generate
from vod_operators.cli.main import main
from vod_operators.errors import InvalidInputError, LostWorkError

CHAPTERS = [
    {"start": 0, "title": "Anfang & <Ende>"},
    {"start": 0.5, "title": "第二章", "language": "zh"},
    {"start": 1.25, "title": "x" * 255},
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds, and a length of which the last frame of AAC is only partly heard."""
    return generate(
        tmp_path_factory.mktemp("source") / "film.mkv",
        *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=30000/1001:d=2.1"),
        *("-f", "lavfi", "-i", "sine=d=2.2:r=48000", "-f", "lavfi", "-i", "sine=f=880:d=2.2:r=48000"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata:s:a:1", "language=ger"),
    )


@pytest.fixture
def steps(stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    def make(asked: dict[str, Any] | None = None, **preset: object) -> Steps:
        configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", **preset)))
        return Steps(video_id="film", source=source.as_uri(), **(asked or {}))

    return make


def video_of(stores: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stores / "results/film/video.json").read_text("utf-8"))
    return found


def samples(path: Path, stream: str) -> list[tuple[Any, ...]]:
    """Presentation time, flags and digest of each sample."""
    args = ("-select_streams", stream, "-show_entries", "packet=pts_time,flags,data_hash")
    packets = ffprobe(path, "-allowed_extensions", "ALL", *args, "-show_data_hash", "md5")["packets"]
    # ffprobe marks samples that an edit list hides; a playlist's segments tell of their beginning only.
    return [(packet["pts_time"], packet["flags"][0], packet["data_hash"]) for packet in packets]


def decoded(path: Path, *args: str, seek: Sequence[str] = ()) -> bytes:
    options = ("-allowed_extensions", "ALL") if path.suffix == ".m3u8" else ()
    command = [FFMPEG, "-v", "error", "-nostdin", *options, *seek, "-i", str(path), *args, "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_files_are_the_segments_of_the_version(
    steps: Callable[..., Steps], stores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps({"chapters": CHAPTERS}, downloads=["half", "best", "audio", "full"]).run()
    video, folder = video_of(stores), stores / "results/film"
    names = [file["names"] for file in video["downloads"]]
    assert names == [["half"], ["best", "full"], ["audio"], ["audio"]]
    best = folder / video["downloads"][1]["uri"]
    version = folder / video["version"]
    assert sorted(path.name for path in (version / "downloads").iterdir()) == [
        "film-audio-0.m4a", "film-audio-1.m4a", "film-full.mp4", "film-half.mp4",
    ]  # fmt: skip
    assert all((folder / file["uri"]).stat().st_size == file["size_bytes"] for file in video["downloads"])

    # Each sample, its time and its bytes.
    assert samples(best, "v:0") == samples(version / "full/index.m3u8", "v:0")
    assert samples(best, "a:0") == samples(version / "audio-0/index.m3u8", "a:0")
    assert samples(best, "a:1") == samples(version / "audio-1/index.m3u8", "a:0")
    alone = version / "downloads/film-audio-1.m4a"
    assert samples(alone, "a:0") == samples(version / "audio-1/index.m3u8", "a:0")
    # Each picture; and the sound, to the sample.
    pictures = decoded(best, "-map", "0:v", "-f", "framemd5")
    assert pictures == decoded(version / "full/index.m3u8", "-map", "0:v", "-f", "framemd5")
    sound = decoded(best, "-map", "0:a:0", "-f", "s16le")
    length = round(63 * 1001 * 48_000 / 30_000)
    assert len(sound) == 4 * length
    assert sound == decoded(version / "audio-0/index.m3u8", "-map", "0:a", "-f", "s16le")[: len(sound)]

    # What players make of it.
    found = ffprobe(best, "-show_streams", "-show_chapters", "-show_format")
    kinds = [(s["codec_type"], s["start_pts"], s["disposition"]["default"]) for s in found["streams"]]
    assert kinds[:3] == [("video", 0, 1), ("audio", 0, 1), ("audio", 0, 0)]
    assert found["streams"][2]["tags"]["language"] == "deu"
    assert [(c["start"], c["end"], c["tags"]["title"]) for c in found["chapters"]] == [
        (0, 500, CHAPTERS[0]["title"]), (500, 1250, "第二章"), (1250, 2102, "x" * 255),
    ]  # fmt: skip
    content = best.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    *_, digest = picture = pictures.splitlines()[-20].split(b",")  # any of them, sought by its time
    seek = ("-ss", f"{(int(picture[2]) * 1001 - 500) / 30_000:.6f}")
    sought = decoded(best, "-map", "0:v", "-frames:v", "1", "-f", "framemd5", seek=seek)
    assert sought.splitlines()[-1].split(b",")[-1] == digest

    # What is told of chapters.
    assert [c["title"] for c in video["chapters"]] == [c["title"] for c in CHAPTERS]
    told = json.loads((folder / video["chapter_files"]["json_uri"]).read_text("utf-8"))
    begins = [(c["start-time"], c["titles"][0]["language"]) for c in told]
    assert begins == [(0, "und"), (0.5, "zh"), (1.25, "und")]
    webvtt = ffprobe(folder / video["chapter_files"]["webvtt_uri"], "-show_packets")["packets"]
    assert [packet["pts"] for packet in webvtt] == [0, 500, 1250]
    assert f'{video["version"]}/chapters.json"' in (folder / "index.m3u8").read_text("utf-8")

    # It is checked, and counted.
    assert main(["check", str(folder / "index.m3u8")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["pass", "12.chapters"] for line in lines), lines
    assert video["cost"]["bytes_out"] == sum(
        item["size_bytes"] for item in (*video["renditions"], *video["downloads"])
    )
    assert main(["verify", "film"]) == 0
    content = bytearray(content)
    content[-100] ^= 1
    best.write_bytes(content)
    assert main(["verify", "film"]) == 1
    assert "film-full.mp4: its content has changed" in capsys.readouterr().out


def test_an_interrupted_run_joins_only_what_is_missing(
    steps: Callable[..., Steps], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps({"downloads": ["best", "audio"]}, downloads=["half"])
    run.run("segment")
    (file,) = stores.glob("results/film/v-*/downloads/film-full.mp4")
    (sound,) = stores.glob("results/film/v-*/downloads/film-audio-0.m4a")
    assert not file.with_name("film-half.mp4").exists()  # the request's files in place of the preset's
    before, sound_before = file.read_bytes(), sound.stat()
    # Ended before its marker; and since, what it is joined from was damaged (the version has links to it).
    (marker,) = stores.glob("tmp/film/work-*/hls-downloads-full-*.done.json")
    marker.unlink()
    (segment,) = stores.glob("tmp/film/work-*/chunk-00001/full/seg-00002.m4s")
    content = segment.read_bytes()
    segment.unlink()
    segment.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(LostWorkError, match=r"seg-00002.m4s: .*transcode made it"):
        steps({"downloads": ["best", "audio"]}, downloads=["half"]).run("segment")
    again = steps({"downloads": ["best", "audio"]}, downloads=["half"])
    again.run(clears=1)
    assert file.read_bytes() == before
    assert sound.stat().st_mtime_ns == sound_before.st_mtime_ns
    assert video_of(stores)["chapter_files"] is None


def test_a_name_on_s3(
    steps: Callable[..., Steps], s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps(downloads=["best"])
    configure(monkeypatch, results_uri=f"{s3_bucket.uri}/results", aws_conn_id=s3_bucket.conn_id)
    run.run()
    listed = s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]
    (key,) = [item["Key"] for item in listed if "/downloads/" in item["Key"]]
    head = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=key)
    assert head["ContentDisposition"] == 'attachment; filename="film-full.mp4"'
    assert head["ContentType"] == "video/mp4"
    assert "immutable" in head["CacheControl"]


def test_what_cannot_be_made_is_said(steps: Callable[..., Steps], stores: Path) -> None:
    # The rung ``own`` is made of larger sources only.
    steps(downloads=["own", "half"], ladders=[LADDER]).run()
    video = video_of(stores)
    assert [file["names"] for file in video["downloads"]] == [["half"]]
    assert video["warnings"] == ["download 'own' left out: this video has no such rendition"]


def test_a_chapter_after_the_end_is_refused(steps: Callable[..., Steps]) -> None:
    chapters = [{"start": 0, "title": "a"}, {"start": 2.15, "title": "b"}]
    with pytest.raises(InvalidInputError, match=r"chapters\[1\].start: 2.15 s is not inside the video"):
        steps({"chapters": chapters}).run("split")
    with pytest.raises(InvalidInputError, match=r"chapters\[1\].start: 99 s is not inside the video"):
        steps({"chapters": [chapters[0], {"start": 99, "title": "b"}]}).run("prepare")
