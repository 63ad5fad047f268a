"""Documents that grow with the film: refused before the work, and readable if they are not refused."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from support.settings import configure
from support.sources import a_source
from support.steps import prepared
from support.tools import FFMPEG
from vod_operators.errors import InvalidInputError
from vod_operators.formats.facts import Format, Key, SegmentFacts, Stream
from vod_operators.media.models import AudioStream
from vod_operators.media.plan import make_plan
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.presets.model import Preset
from vod_operators.media.track import Track
from vod_operators.media.trick import trick_name
from vod_operators.operators.failure import code_of
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.stores import MAX_DOCUMENT_BYTES
from vod_operators.work.documents import check_documents
from vod_operators.work.job import Job
from vod_operators.work.stable import version_name

HOUR = 3600 * 25
"""Frames."""


SURROUND = AudioStream(index=1, codec="ac3", channels=6, sample_rate=48_000, time_base=Fraction(1, 48_000))


def a_job(chunk_seconds: int | None = None, sounds: tuple[AudioStream, ...] = (), **preset: Any) -> Job:
    changed = Preset.model_validate(load_preset("h264").model_dump(mode="json") | preset)
    plan = make_plan(
        video_id="film",
        source=a_source(duration_ms=None, audio=sounds),
        preset=changed,
        chunk_seconds=chunk_seconds,
        chunk_seconds_is_asked=chunk_seconds is not None,
    )
    return Job(
        plan=plan,
        source_name="film.mp4",
        source_version="1",
        source_fingerprint="0" * 12,
        work_fingerprint="0" * 12,
        version=version_name("0" * 12, "abcdef"),
        made_by={},
        temp_uri="s3://temp/vod",
        results_uri="s3://results/vod",
    )


def refusal(job: Job, frames: int) -> str:
    with pytest.raises(InvalidInputError) as refused:
        check_documents(job, frames, job.plan.chunk_frames)
    return str(refused.value)


def longest_film(job: Job) -> int:
    """Frames of the longest film that is taken, in whole segments."""
    low, high = 1, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            check_documents(job, middle * job.plan.segment_frames, job.plan.segment_frames)
            low = middle
        except InvalidInputError:
            high = middle
    return low * job.plan.segment_frames


def test_a_day_in_segments_of_a_built_in_preset_is_taken() -> None:
    for name in ("h264", "hevc", "av1", "h264_ts"):
        job = a_job(**load_preset(name).model_dump(mode="json"))
        check_documents(job, 12 * HOUR, job.plan.chunk_frames)


def test_short_segments_of_a_long_film_name_the_preset_and_what_would_do() -> None:
    job = a_job(gop_seconds=1, segment_gops=1)
    check_documents(job, 2 * HOUR, job.plan.chunk_frames)
    said = refusal(job, 12 * HOUR)
    assert said.startswith(
        "preset: gop_seconds and segment_gops make segments of 1 s, 43200 in 12:00:00 of video;"
    )
    gops = int(said.partition("ask for segment_gops of ")[2].split()[0])
    assert gops > 1
    check_documents(a_job(gop_seconds=1, segment_gops=gops), 12 * HOUR, job.plan.chunk_frames)
    refusal(a_job(gop_seconds=1, segment_gops=gops - 1), 12 * HOUR)


def test_where_no_count_of_gops_would_do_a_longer_gop_is_asked_for() -> None:
    assert refusal(a_job(gop_seconds=1, segment_gops=1), 500 * HOUR).endswith("ask for a longer gop_seconds")


def test_a_chunk_of_too_many_segments_names_chunk_seconds() -> None:
    ladders = [
        {"encoder": encoder, "encoder_preset": speed, "rungs": [
            {"name": f"{encoder}-{n}", "width": 640, "height": 360, "crf": 23, "max_bitrate_bps": 10**6,
             "buffer_bits": 10**6} for n in range(20)
        ]}
        for encoder, speed in (("libx264", "fast"), ("libx265", "fast"), ("libsvtav1", "8"))
    ]  # fmt: skip
    job = a_job(3600, gop_seconds=1, segment_gops=1, ladders=ladders)
    said = refusal(job, HOUR)
    assert said.startswith("chunk_seconds: 3600 s hold 3600 segments of 60 renditions, too many")
    seconds = int(said.partition("ask for ")[2].split()[0])
    shorter = a_job(seconds, gop_seconds=1, segment_gops=1, ladders=ladders)
    check_documents(shorter, HOUR, shorter.plan.chunk_frames)


def test_a_segment_larger_than_can_be_checked_names_the_rendition() -> None:
    ladders = load_preset("h264").model_dump(mode="json")["ladders"]
    ladders[0]["rungs"][-1]["max_bitrate_bps"] = 100_000_000
    job = a_job(gop_seconds=10, segment_gops=10, ladders=ladders)
    name = job.plan.renditions[-1].name
    said = refusal(job, HOUR)
    assert said.startswith(f"preset: {name}: max_bitrate_bps and buffer_bits let a segment of 100 s have 12")
    assert "the limit is 536870912" in said


def test_a_refusal_is_told_as_the_fault_of_what_it_names() -> None:
    error = InvalidInputError(refusal(a_job(gop_seconds=1, segment_gops=1), 12 * HOUR))
    assert code_of(error) == "preset_invalid"


def test_what_is_recorded_of_the_longest_film_that_is_taken_can_be_read(tmp_path: Path) -> None:
    """With a real film's numbers; and not much shorter than the limit, or too much would be refused."""
    job = a_job(gop_seconds=1, segment_gops=1)
    count, ticks = longest_film(job) // job.plan.segment_frames, 12_800
    rendition = max(job.plan.renditions, key=lambda r: len(r.name)).name

    def facts(at: int) -> SegmentFacts:
        begin, size = Fraction(at * ticks + 1, 12_800), 1_460_000
        key = Key(begin=0, end=size - 1, at=begin, is_idr=True)
        stream = Stream(
            kind="video", begin=begin, shown=begin, duration=Fraction(1), samples=25, size_bytes=size,
            rate=Fraction(25), starts_with_idr=True, keys=(key,),
        )  # fmt: skip
        return SegmentFacts(size_bytes=size, container="fmp4", streams=(stream,))

    names = [f"seg-{number:05d}.m4s" for number in range(1, count + 1)]
    track = Track(
        name=rendition, kind="video", codecs="avc1.640028", timescale=12_800, init_bytes=800,
        facts=tuple(facts(n) for n in range(count)),
    )  # fmt: skip
    assert [segment.name for segment in track.segments] == names
    folder = job.result_keys.version(job.version, rendition)
    objects = {name: Stored(uri=f"{folder}/{name}", size_bytes=1_460_000, sha256="0" * 64) for name in names}
    uri = (tmp_path / "marker.json").as_uri()
    checkpoint.save(LocalStorage(), uri, Marker(objects=objects, facts=track.model_dump(mode="json")))
    size = (tmp_path / "marker.json").stat().st_size
    assert 0.6 * MAX_DOCUMENT_BYTES < size <= MAX_DOCUMENT_BYTES
    assert checkpoint.read_document(LocalStorage(), uri, Marker).objects == objects


def test_segments_of_key_frames_have_room_too() -> None:
    """A second object beside each segment of the smallest rendition."""
    job = a_job(gop_seconds=1, segment_gops=1, trick_mode=True)
    count = longest_film(job) // job.plan.segment_frames
    name = job.plan.renditions[0].name
    begin, size = Fraction(12_801, 12_800), 146_000
    key = Key(begin=0, end=size - 1, at=begin, is_idr=True)
    stream = Stream(
        kind="video", begin=begin, shown=begin, duration=Fraction(1), samples=25, size_bytes=size,
        rate=Fraction(25), starts_with_idr=True, keys=(key,),
    )  # fmt: skip
    track = Track(
        name=name, kind="video", codecs="avc1.640028", timescale=12_800, init_bytes=800,
        facts=(SegmentFacts(size_bytes=size, container="fmp4", streams=(stream,)),) * count,
        trick_bytes=(12_345,) * count,
    )  # fmt: skip
    folder = job.result_keys.version(job.version, name)
    files = [file for n in range(1, count + 1) for file in (f"seg-{n:05d}.m4s", trick_name(n))]
    objects = {file: Stored(uri=f"{folder}/{file}", size_bytes=146_000, sha256="0" * 64) for file in files}
    recorded = len(Marker(objects=objects, facts=track.model_dump(mode="json")).model_dump_json())
    assert 0.6 * MAX_DOCUMENT_BYTES < recorded <= MAX_DOCUMENT_BYTES


def test_what_is_recorded_of_sound_of_dolby_has_room_too() -> None:
    """Each of its segments tells how it is coded, which is more than one key frame is."""
    audio = load_preset("h264").audio.model_dump(mode="json") | {"eac3_bitrate_bps": 384_000}
    job = a_job(sounds=(SURROUND,), gop_seconds=1, segment_gops=1, audio=audio)
    count = longest_film(job) // job.plan.segment_frames
    (dolby,) = [sound.name for sound in job.plan.audio if sound.codec == "eac3"]
    coded = Format(
        kind="audio", codecs="ec-3", entry="ec-3", channels=16, sample_rate=48_000, speakers=0xFE01, joc=16
    )

    def facts(at: int) -> SegmentFacts:
        begin = Fraction(at * 48_001 + 1, 48_000)
        stream = Stream(
            kind="audio", begin=begin, shown=begin, duration=Fraction(48_001, 48_000), samples=32,
            size_bytes=96_000, rate=Fraction(48_000, 1536), coded=coded,
        )  # fmt: skip
        return SegmentFacts(size_bytes=96_000, container="fmp4", streams=(stream,))

    track = Track(
        name=dolby, kind="audio", codecs="ec-3", timescale=48_000, init_bytes=800,
        facts=tuple(facts(n) for n in range(count)),
    )  # fmt: skip
    folder = job.result_keys.version(job.version, dolby)
    objects = {
        segment.name: Stored(uri=f"{folder}/{segment.name}", size_bytes=96_000, sha256="0" * 64)
        for segment in track.segments
    }
    size = len(Marker(objects=objects, facts=track.model_dump(mode="json")).model_dump_json())
    assert 0.6 * MAX_DOCUMENT_BYTES < size <= MAX_DOCUMENT_BYTES


def test_prepare_refuses_a_long_film_before_any_work(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven hours of one picture a second, of which each is a segment."""
    film = stores / "film.mp4"
    color = "color=size=64x64:rate=1:duration=40000"
    subprocess.run(
        [FFMPEG, "-v", "error", "-f", "lavfi", "-i", color, "-preset", "ultrafast", "-g", "100", str(film)],
        check=True,
    )
    preset = load_preset("h264_small").model_dump(mode="json", exclude={"name"})
    (stores / "short.json").write_text(json.dumps(preset | {"gop_seconds": 1, "segment_gops": 1}))
    configure(monkeypatch, presets_dir=str(stores))

    with pytest.raises(InvalidInputError, match=r"^preset: gop_seconds and segment_gops make segments of 1"):
        prepared(video_id="film", source=film.as_uri(), preset="short")
    assert [path.name for path in (stores / "tmp" / "film").iterdir()] == ["claim.json"]

    prepared(video_id="film", source=film.as_uri(), preset="h264_small")
