"""The main job: a video in, HLS out, through the real DAG."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from e2e.presentation import check_presentation, tree
from support.dag_runs import Run
from support.s3_servers import S3Bucket
from support.settings import configure
from support.stores import owner_of
from support.tools import CLIP, decode, generate


@pytest.fixture(scope="module")
def clip_2997(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s at 29.97 with B-frames, key frames off the grid, and stereo sound."""
    return generate(
        tmp_path_factory.mktemp("media") / "clip 29,97.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30000/1001:d=20"),
        *("-f", "lavfi", "-i", "sine=440:r=48000:d=20", "-f", "lavfi", "-i", "sine=660:r=48000:d=20"),
        *("-filter_complex", "[1][2]join=inputs=2:channel_layout=stereo[a]", "-map", "0:v", "-map", "[a]"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "77", "-c:a", "aac", "-shortest"),
    )


def by_chunk(run: Run) -> list[dict]:
    return sorted(run.results["transcode"], key=lambda facts: facts["chunk"])


def test_a_real_clip_becomes_hls(run_dag, stores: Path) -> None:
    run = run_dag(video_id="bbb", source=CLIP.as_uri(), preset="h264_small")

    assert run.state == "success"
    video = check_presentation(stores / "results" / "bbb", frames=132, rate=Fraction(25))
    assert [(r["name"], r["width"], r["height"]) for r in video["renditions"]] == [
        ("360p", 640, 360),
        ("540p", 960, 540),
        ("audio-0", None, None),
    ]
    assert video["renditions"][2]["duration_s"] == pytest.approx(5.312, abs=2 * 1024 / 48000)
    playlist = (stores / "results" / "bbb" / "index.m3u8").as_uri()
    assert run.results["publish"] == [video | {"playlist": playlist}]
    assert video["source"]["name"] == CLIP.name
    assert set(video["made_by"]) == {"vod_operators", "ffmpeg", "ffprobe", "packager"} and all(
        video["made_by"].values()
    )
    timings = video["timings"]
    assert timings["started_at"] < timings["published_at"]
    assert timings["encode_s"] > 0 and timings["wall_s"] > 0
    assert owner_of(stores, "bbb") is None
    assert list((stores / "work").iterdir()) == []


def test_joins_are_exact_and_work_is_never_repeated(run_dag, stores: Path, clip_2997: Path) -> None:
    asked = {"video_id": "joins", "source": clip_2997.as_uri(), "chunk_seconds": 6}

    first = run_dag(**asked, preset="h264_small")
    assert first.state == "success"
    frames = 599
    video = check_presentation(stores / "results" / "joins", frames=frames, rate=Fraction(30000, 1001))
    assert video["chunks"] == 3
    assert [item["label"] for item in first.results["split"][0]] == [
        "chunk 1/3 · 0:00-0:06",
        "chunk 2/3 · 0:06-0:12",
        "chunk 3/3 · 0:12-0:20",  # 59 frames are less than a GOP and stay with the chunk before
    ]
    assert sum(result["frames"] for result in first.results["transcode"]) == frames

    # The same again: nothing in the workspace or among the segments is written again.
    before = tree(stores / "tmp" / "joins") | tree(stores / "results" / "joins" / video["version"])
    second = run_dag(**asked, preset="h264_small")
    assert second.state == "success"
    after = tree(stores / "tmp" / "joins") | tree(stores / "results" / "joins" / video["version"])
    rewritten = {path for path in after if before.get(path) != after[path]}
    assert rewritten == {"claim.json"}
    assert by_chunk(second) == by_chunk(first)

    # Another preset: shares the source's chunks and nothing else.
    preset = {
        "title": "One", "description": "One rendition.",
        "ladders": [{"encoder": "libx264", "encoder_preset": "ultrafast", "rungs": [
            {"name": "tiny", "width": 320, "height": 180, "crf": 30,
             "max_bitrate_bps": 300_000, "buffer_bits": 300_000}
        ]}],
        "audio": {"bitrate_bps": 64000},
    }  # fmt: skip
    presets = stores / "presets"
    presets.mkdir()
    (presets / "one.json").write_text(json.dumps(preset))
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, presets_dir=str(presets))
        third = run_dag(**asked, preset="one")
    assert third.state == "success"
    folders = sorted(path.name.split("-")[0] for path in (stores / "tmp" / "joins").glob("*-*"))
    assert folders == ["source", "work", "work"]
    shared = [path for path in before if path.startswith("source-")]
    now = tree(stores / "tmp" / "joins")
    assert shared and all(now[path] == before[path] for path in shared)
    # The version before stays for those who are watching it.
    assert (stores / "results" / "joins" / video["version"] / "master.m3u8").is_file()
    stable = m3u8.load(str(stores / "results" / "joins" / "index.m3u8"))
    assert not any(playlist.uri.startswith(video["version"]) for playlist in stable.playlists)


def test_a_silent_video(run_dag, stores: Path, tmp_path: Path) -> None:
    source = generate(tmp_path / "silent.mkv", "-f", "lavfi", "-i", "testsrc2=s=640x272:r=24000/1001:d=7")

    run = run_dag(video_id="silent", source=source.as_uri(), preset="h264_small")

    assert run.state == "success"
    check_presentation(stores / "results" / "silent", frames=168, rate=Fraction(24000, 1001), audio=False)


def test_sound_alone(run_dag, stores: Path, tmp_path: Path) -> None:
    song = generate(tmp_path / "song.mp3", "-f", "lavfi", "-i", "sine=440:r=44100:d=14", "-ac", "2")

    run = run_dag(video_id="song", source=song.as_uri(), preset="h264_small")

    assert run.state == "success"
    folder = stores / "results" / "song"
    master = m3u8.load(str(folder / "index.m3u8"))
    (variant,) = master.playlists
    assert (variant.stream_info.codecs, variant.stream_info.resolution) == ("mp4a.40.2", None)
    segments = m3u8.load(str(folder / variant.uri)).segments
    assert [round(segment.duration) for segment in segments] == [6, 6, 2]
    assert decode(folder / variant.uri)[1] == ""
    video = json.loads((folder / "video.json").read_text("utf-8"))
    assert (video["frames"], video["frame_rate"], video["chunks"]) == (0, None, 0)
    assert video["duration_s"] == pytest.approx(14, abs=0.06)
    assert video["source"]["video_codec"] is None


def test_everything_on_s3(run_dag, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                          clip_2997: Path) -> None:  # fmt: skip
    s3_bucket.client.upload_file(str(clip_2997), s3_bucket.name, "sources/clip 29,97.mp4")
    configure(
        monkeypatch,
        temp_uri=f"{s3_bucket.uri}/tmp",
        results_uri=f"{s3_bucket.uri}/results",
        aws_conn_id=s3_bucket.conn_id,
    )

    run = run_dag(
        video_id="s3", source=f"{s3_bucket.uri}/sources/clip 29,97.mp4", preset="h264_small", chunk_seconds=6
    )

    assert run.state == "success"
    objects = s3_bucket.client.get_paginator("list_objects_v2").paginate(Bucket=s3_bucket.name)
    keys = [item["Key"] for page in objects for item in page["Contents"]]
    for key in (key for key in keys if key.startswith("results/s3/")):
        path = tmp_path / "copy" / key.removeprefix("results/s3/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3_bucket.client.download_file(s3_bucket.name, key, str(path))
    check_presentation(tmp_path / "copy", frames=599, rate=Fraction(30000, 1001))
    head = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key="results/s3/index.m3u8")
    assert (head["ContentType"], head["CacheControl"]) == (
        "application/vnd.apple.mpegurl",
        "public, max-age=2",
    )
    segment = next(key for key in keys if key.endswith(".m4s"))
    head = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=segment)
    assert head["ContentType"] == "video/iso.segment" and "immutable" in head["CacheControl"]
    claimed = s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="tmp/s3/claim.json")
    assert json.loads(claimed["Body"].read())["owner"] == ""
