"""What tasks cut from the source themselves is, byte for byte, what the split would have stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.s3_servers import S3Bucket
from support.settings import configure
from support.steps import Steps, prepared
from support.tools import generate
from vod_operators.errors import InvalidInputError, StorageError
from vod_operators.media import ffmpeg
from vod_operators.media.models import Timeline
from vod_operators.operators import split
from vod_operators.operators.split import VodSplitOperator
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.stores import storage_for
from vod_operators.work import source, source_reader
from vod_operators.work.cutting import Cutter
from vod_operators.work.job import read_timeline
from vod_operators.work.source_reader import SourceReader

CONTEXT: Any = {"dag_run": SimpleNamespace(dag_id="vod", run_id="run")}
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=20,noise=alls=20:allf=t")
SOUND = ("-f", "lavfi", "-i", "anoisesrc=r=48000:d=20")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3")
KINDS: dict[str, tuple[str, ...]] = {
    "index-behind.mp4": (*H264, "-c:a", "aac"),
    "index-before.mp4": (*H264, "-c:a", "aac", "-movflags", "+faststart"),
    "open-gop.mp4": ("-c:v", "libx265", "-g", "50", "-x265-params", "open-gop=1:log-level=1", "-c:a", "ac3"),
    "intra.mov": ("-c:v", "prores_ks", "-c:a", "pcm_s16le"),
    "silent.mp4": (*H264, "-an"),
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    made = {name: generate(folder / name, *PICTURE, *SOUND, *options) for name, options in KINDS.items()}
    # Begins between two key frames: an edit list hides the pictures from the first one on.
    made["trimmed.mp4"] = generate(
        folder / "trimmed.mp4", "-ss", "1.3", "-i", str(made["index-behind.mp4"]), "-c", "copy"
    )
    made["two-sounds.mp4"] = generate(
        folder / "two-sounds.mp4", *("-i", str(made["index-behind.mp4"]), *SOUND),
        *("-map", "0:v", "-map", "0:a", "-map", "1:a", "-c:v", "copy", "-c:a:1", "alac"),
    )  # fmt: skip
    made["film.mkv"] = generate(folder / "film.mkv", "-i", str(made["silent.mp4"]), "-c", "copy")
    return made


def upload(bucket: S3Bucket, file: Path) -> str:
    bucket.client.upload_file(str(file), bucket.name, file.name)
    return f"{bucket.uri}/{file.name}"


def parts(uri: str, folder: Path) -> tuple[Timeline, dict[str, bytes]]:
    """The timeline, and all chunks and sound tracks as the tasks that encode them get them."""
    plan = prepared(video_id="film", source=uri, preset="h264_small", chunk_seconds="6")["plan"]
    task = VodSplitOperator(task_id="split", plan=plan, source=uri)
    task.execute(CONTEXT)
    job = task.open_job(CONTEXT)
    timeline, original = read_timeline(task.worker.temp, job), task.original(uri, job)
    names = [chunk.name for chunk in timeline.chunks] + [audio.track for audio in job.plan.audio]
    if not timeline.in_place:
        keys = job.source_keys
        return timeline, {name: b"".join(task.worker.temp.read(keys.packets(name))) for name in names}
    folder.mkdir()
    cutter = Cutter(LocalRunner(), Tools(), timeline, folder)
    for chunk in timeline.chunks:
        cutter.chunk_in_place(original, chunk.name, plan=job.plan, chunk=chunk)
    for audio in job.plan.audio:
        cutter.sound_in_place(original, audio.track, plan=job.plan, track=audio.track)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    return timeline, {name: (folder / name).read_bytes() for name in names}


def without_ranges(timeline: Timeline) -> Timeline:
    unknown = {"byte_range": None}
    chunks = tuple(chunk.model_copy(update=unknown) for chunk in timeline.chunks)
    windows = tuple(window.model_copy(update=unknown) for window in timeline.windows)
    return timeline.model_copy(update={"chunks": chunks, "windows": windows, "in_place": False})


@pytest.mark.parametrize("name", [*KINDS, "trimmed.mp4", "two-sounds.mp4"])
def test_the_same_bytes(
    clips: dict[str, Path], name: str, bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips[name]
    fetched: list[int] = []
    read = source._read

    def counted(*args: Any) -> Iterator[bytes]:
        for block in read(*args):
            fetched.append(len(block))
            yield block

    monkeypatch.setattr(source, "_read", counted)
    monkeypatch.setattr(source, "HEAD_BYTES", 1 << 16)
    monkeypatch.setattr(source_reader, "TRIAL_S", 0.2)
    timeline, from_s3 = parts(upload(bucket, clip), tmp_path / "s3")
    assert timeline.in_place
    # Each chunk's own packets, those of its lead-in, and sound; the index and a beginning for each task.
    encoded = sum(chunk.frames + chunk.lead_in + chunk.lead_out for chunk in timeline.chunks)
    share = clip.stat().st_size * encoded / timeline.frames
    if name == "silent.mp4":
        assert sum(fetched) < 1.5 * share + 12 * (1 << 16)

    by_index, in_place = parts(clip.as_uri(), tmp_path / "local")
    assert by_index == timeline
    with monkeypatch.context() as patch:
        patch.setattr(VodSplitOperator, "_in_place", lambda *_: False)
        patch.setattr(SourceReader, "_read_index", lambda *_: None)  # every packet, by ffprobe's parsers
        patch.setenv("VOD_TEMP_URI", (tmp_path / "other").as_uri())
        configure(patch)
        by_packets, stored = parts(clip.as_uri(), tmp_path / "none")
    assert not by_packets.in_place and len(by_packets.chunks) >= 3
    assert without_ranges(by_packets) == without_ranges(timeline)

    assert from_s3.keys() == in_place.keys() == stored.keys()
    assert [name for name in stored if stored[name] != in_place[name]] == []
    assert [name for name in stored if stored[name] != from_s3[name]] == []


def test_the_index_is_not_trusted_blindly(clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path) -> None:
    """It says that the file has more than there is: all of it is fetched, looked at, and stored."""
    cut_off = tmp_path / "cut-off.mp4"
    cut_off.write_bytes(clips["index-before.mp4"].read_bytes()[:-500_000])
    timeline, _ = parts(upload(bucket, cut_off), tmp_path / "none")
    assert not timeline.in_place
    assert timeline.damage


def test_fragments_are_not_overlooked(clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path) -> None:
    """An index that tells only of the first packets: the others are in fragments behind."""
    file = generate(
        tmp_path / "hybrid.mp4", "-i", str(clips["silent.mp4"]), "-c", "copy", "-movflags", "+frag_keyframe"
    )
    timeline, _ = parts(upload(bucket, file), tmp_path / "none")
    assert not timeline.in_place
    assert timeline.frames == 500


@pytest.mark.parametrize("where", ["file", "s3"])
def test_a_source_that_changes_before_a_chunk_is_cut(
    clips: dict[str, Path], bucket: S3Bucket, where: str, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(clips["silent.mp4"].read_bytes())
    uri = film.as_uri() if where == "file" else upload(bucket, film)
    steps = Steps(video_id="film", source=uri, preset="h264_small", chunk_seconds=6)

    def change() -> None:
        film.write_bytes(clips["trimmed.mp4"].read_bytes())
        if where == "s3":
            upload(bucket, film)

    steps.before["transcode"] = change
    with pytest.raises(
        InvalidInputError, match=r"film\.mp4 has changed since the run began; ask for the vid"
    ):
        steps.run()


@pytest.mark.parametrize("name", ["silent.mp4", "film.mkv"])
def test_a_source_that_is_gone_before_a_chunk_is_cut(
    clips: dict[str, Path], stores: Path, name: str, tmp_path: Path
) -> None:
    film = tmp_path / name
    film.write_bytes(clips[name].read_bytes())
    steps = Steps(video_id="film", source=film.as_uri(), preset="h264_small", chunk_seconds=6)
    steps.before["transcode"] = film.unlink
    with pytest.raises(
        InvalidInputError, match=f"{name} is gone since the run began; ask for the video agai"
    ):
        steps.run()


def test_another_way_to_the_same_source_is_not_taken_for_the_first(
    clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A split that left all to the tasks is done again for a URL that may lapse."""
    timeline, _ = parts(upload(bucket, clips["silent.mp4"]), tmp_path / "s3")
    assert timeline.in_place
    monkeypatch.setattr(split, "S3", "ftp://")
    timeline, _ = parts(f"{bucket.uri}/silent.mp4", tmp_path / "none")
    assert not timeline.in_place


def test_sound_that_lies_everywhere_takes_few_requests(
    clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only the packets of the track are kept."""
    uri = upload(bucket, clips["index-behind.mp4"])
    monkeypatch.setattr(source, "JOINED_RANGES", 100)  # of 940 packets
    asked: list[int] = []
    read = source._read

    def counted(*args: Any) -> Iterator[bytes]:
        asked.append(args[2])
        return read(*args)

    plan = prepared(video_id="film", source=uri, preset="h264_small", chunk_seconds="60")["plan"]
    task = VodSplitOperator(task_id="split", plan=plan, source=uri)
    task.execute(CONTEXT)
    job = task.open_job(CONTEXT)
    monkeypatch.setattr(source, "_read", counted)
    add = source.Original.add_scattered
    kept: list[int] = []

    def add_and_look(self: source.Original, path: Path, ranges: Any) -> None:
        before = path.stat().st_blocks
        add(self, path, ranges)
        kept.append((path.stat().st_blocks - before) * 512)

    monkeypatch.setattr(source.Original, "add_scattered", add_and_look)
    (tmp_path / "sound").mkdir()
    cutter = Cutter(LocalRunner(), Tools(), read_timeline(task.worker.temp, job), tmp_path / "sound")
    cutter.sound_in_place(task.original(uri, job), "sound.nut", plan=job.plan, track="audio-0")
    assert len(asked) < 30
    assert kept[0] < clips["index-behind.mp4"].stat().st_size * 0.7


def test_a_store_that_sends_too_little_is_not_believed(
    clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = upload(bucket, clips["silent.mp4"])
    steps = Steps(video_id="film", source=uri, preset="h264_small", chunk_seconds=6)
    read = source._read

    def stingy(*args: Any) -> Iterator[bytes]:
        data = b"".join(read(*args))
        yield data if len(data) < 1000 else data[:-1]  # the headers of boxes are whole

    steps.before["transcode"] = lambda: monkeypatch.setattr(source, "_read", stingy)
    with pytest.raises(StorageError, match="nothing came from byte"):
        steps.run()


def test_a_source_that_changes_while_a_chunk_is_cut(
    clips: dict[str, Path], bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(clips["silent.mp4"].read_bytes())
    steps = Steps(video_id="film", source=film.as_uri(), preset="h264_small", chunk_seconds=6)
    cut = ffmpeg.cut_video

    def change_and_cut(*args: Any, **kwargs: Any) -> list[str]:
        film.write_bytes(b"something else")
        return cut(*args, **kwargs)

    def break_later() -> None:
        monkeypatch.setattr(ffmpeg, "cut_video", change_and_cut)

    steps.before["transcode"] = break_later
    with pytest.raises(InvalidInputError, match="has changed since the run began"):
        steps.run()


def test_all_steps_from_s3_without_a_copy(
    clips: dict[str, Path], bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOD_TEMP_URI", f"{bucket.uri}/tmp")
    monkeypatch.setenv("VOD_RESULTS_URI", f"{bucket.uri}/results")
    configure(monkeypatch)
    uri = upload(bucket, clips["index-behind.mp4"])
    Steps(video_id="film", source=uri, preset="h264_small", chunk_seconds=6).run()
    store = storage_for(bucket.uri, bucket.conn_id)
    assert isinstance(store, S3Storage)
    names = [found.uri.rpartition("/")[2] for found in store.list(f"{bucket.uri}/tmp/film/source-")]
    assert names == ["split.done.json", "timeline.json"]
    assert store.stat(f"{bucket.uri}/results/film/index.m3u8")
