"""Estimates by prior and history, their correction, and prices; by hand-worked numbers."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from fractions import Fraction

import pytest

from support.sources import a_source
from vod_operators.media import sampling
from vod_operators.media.cost import Done, Estimate, History, PastRun, Rates, price
from vod_operators.media.forecast import corrected, estimate, makespan
from vod_operators.media.models import AudioStream, Plan
from vod_operators.media.plan import make_plan
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.regression import Prior, predict
from vod_operators.media.sampling import Sample
from vod_operators.media.workload import chunk_frames, work_of

SAMPLE = Sample(rendition="360p", key_bits=0.6, other_bits=0.015)


def a_plan(preset: str = "h264_small", seconds: int | None = 60, chunk_seconds: int | None = None) -> Plan:
    source = a_source(duration_ms=None if seconds is None else 1000 * seconds)
    return make_plan(
        video_id="film",
        source=source,
        preset=load_preset(preset),
        chunk_seconds=chunk_seconds,
        chunk_seconds_is_asked=chunk_seconds is not None,
    )


def known(plan: Plan, sample: Sample | None = None, **facts: object) -> Estimate:
    found = estimate(plan, History(), sample=sample, **facts)  # type: ignore[arg-type]
    assert found is not None
    return found


def a_run(plan: Plan, *, cpu: float = 1, out: float = 1, wall_s: float | None = 50, at: int = 0) -> PastRun:
    """A run that took ``cpu`` times the CPU time of the prior, and ``out`` times its bytes."""
    work = work_of(plan, None, SAMPLE)
    assert work is not None
    return PastRun(
        version=f"v-{at}",
        at=datetime(2026, 11, 30, tzinfo=timezone.utc),
        source="",
        work=work,
        cpu_s={"prepare": 1.0, "transcode": cpu * work.cpu_s, "audio": 1.0},
        busy_s={"transcode": cpu * work.cpu_s / 1.6, "audio": 1.0},
        wall_s=wall_s,
        lanes=1,
        bytes_out={name: round(out * bits / 8) for name, bits in work.bits.items()}
        | {"sound": round(work.sound_bits / 8)},
    )


def test_files_to_download_are_stored_besides() -> None:
    plan = a_plan()
    before = known(plan, SAMPLE).bytes_out.likely
    asked = plan.model_copy(update={"downloads": ("audio", "360p", "best")})
    assert not plan.audio and len(plan.renditions) == 2
    assert known(asked, SAMPLE).bytes_out.likely == pytest.approx(2 * before, rel=1e-6)


def test_a_regression_believes_its_prior_until_it_sees_more() -> None:
    prior = Prior(offset=0.6, slopes=(0.0,), local=0.0, noise=0.8)
    mean, error = predict(prior, [], (0.0,))
    assert (mean, error) == (0, pytest.approx(1.0))  # 0.6 and 0.8 are a right triangle's sides
    # Variance 0.36 against 0.64: the mean of prior and sample, weighted 0.64 to 0.36.
    mean, error = predict(prior, [((0.0,), 1.0)], (0.0,))
    assert mean == pytest.approx(0.36)
    assert error == pytest.approx(math.sqrt(0.36 - 0.36 * 0.36 + 0.64))


def test_a_regression_finds_a_slope_and_what_is_local() -> None:
    prior = Prior(offset=1, slopes=(1,), local=0.5, noise=0.01, reach=0.1)
    line = [((x / 10,), 2 + 0.7 * x / 10) for x in range(-10, 11)]
    assert predict(prior, line, (2.0,))[0] == pytest.approx(3.4, abs=0.2)
    bump = [*line, ((0.5,), 3.0), ((0.5,), 3.0), ((0.5,), 3.0)]
    assert predict(prior, bump, (0.5,))[0] > predict(prior, bump, (0.8,))[0]


def test_tasks_begin_on_the_first_free_worker() -> None:
    assert makespan([3, 3, 3], 1) == 9
    assert makespan([3, 3, 3], 2) == 6
    assert makespan([5, 1, 1, 1], 2) == 5
    assert makespan([1, 1], 64) == 1
    assert makespan([], 2) == 0


def test_chunks_are_encoded_with_their_lead_in() -> None:
    plan = a_plan(seconds=60, chunk_seconds=12)
    fps = plan.frame_rate
    assert fps == Fraction(25)
    # 12 s are 300 frames; from the second on three GOPs of 50 before, and the lookahead of 10 after.
    assert chunk_frames(plan) == [310, 460, 460, 460, 450]


def test_a_source_without_a_length_has_no_estimate() -> None:
    assert estimate(a_plan(seconds=None), History()) is None


def test_without_a_history_the_ranges_are_wide() -> None:
    found = known(a_plan())
    assert found.runs == 0 and found.workers == 1 and found.chunks == 1
    assert found.cpu_s.high > 3 * found.cpu_s.low
    assert found.bytes_out.high > 2 * found.bytes_out.low
    assert found.money is None


def test_a_history_corrects_the_prior_and_narrows_the_range() -> None:
    plan = a_plan()
    before = known(plan, SAMPLE)
    runs = tuple(a_run(plan, cpu=2, out=1.3, at=n) for n in range(20))
    after = estimate(plan, History(runs=runs), sample=SAMPLE)
    assert after is not None and after.runs == 20
    assert after.chunked.cpu_s == pytest.approx(2 * before.chunked.cpu_s, rel=0.03)
    assert after.chunked.bytes_out == pytest.approx(1.3 * before.chunked.bytes_out, rel=0.03)
    assert after.wall_s.likely == pytest.approx(50, rel=0.1)
    assert after.cpu_s.high / after.cpu_s.low < 1.5


def test_similar_pictures_tell_more_than_others() -> None:
    """Of two kinds of sources, each is estimated by its own."""
    plan = a_plan()
    still = Sample(rendition="360p", key_bits=0.6, other_bits=0.001)
    runs = []
    for number in range(16):
        sample, out = (SAMPLE, 1.4) if number % 2 else (still, 0.8)
        work = work_of(plan, None, sample)
        assert work is not None
        run = a_run(plan, at=number)
        bytes_out = {name: round(out * bits / 8) for name, bits in work.bits.items()}
        runs.append(run.model_copy(update={"work": work, "bytes_out": bytes_out}))
    for sample, out in ((SAMPLE, 1.4), (still, 0.8)):
        before = known(plan, sample)
        after = estimate(plan, History(runs=tuple(runs)), sample=sample)
        assert after is not None
        assert after.chunked.bytes_out == pytest.approx(out * before.chunked.bytes_out, rel=0.05)


def test_bytes_never_exceed_the_caps() -> None:
    plan = a_plan()
    noise = Sample(rendition="360p", key_bits=20, other_bits=20)
    most = sum(made.max_bitrate_bps for made in plan.renditions) * 60 / 8
    assert known(plan, noise).chunked.bytes_out == pytest.approx(most)


def test_a_rung_that_titles_leave_out_counts_by_how_often_it_is_made() -> None:
    plan = a_plan()
    runs = []
    for number in range(10):
        run = a_run(plan, at=number)
        made = {name: size for name, size in run.bytes_out.items() if name != "540p" or number % 2}
        runs.append(run.model_copy(update={"bytes_out": made}))
    all_made = estimate(plan, History(runs=tuple(a_run(plan, at=n) for n in range(10))), sample=SAMPLE)
    half = estimate(plan, History(runs=tuple(runs)), sample=SAMPLE)
    assert all_made is not None and half is not None
    large = runs[1].bytes_out["540p"]
    assert all_made.chunked.bytes_out - half.chunked.bytes_out == pytest.approx(large / 2, rel=0.1)


def test_more_workers_take_less_time_and_the_same_work() -> None:
    plan = a_plan(seconds=600, chunk_seconds=60)
    one, five = known(plan, workers=1), known(plan, workers=5)
    assert one.cpu_s == five.cpu_s and one.bytes_out == five.bytes_out
    outside = work_of(plan)
    assert outside is not None
    saved = one.wall_s.likely - outside.overhead_s
    assert five.wall_s.likely - outside.overhead_s == pytest.approx(saved / 5, rel=0.1)


def test_runs_without_cpu_time_or_a_whole_wall_time_tell_the_rest() -> None:
    """Tools ran in containers, or an earlier run had done part of the work."""
    plan = a_plan()
    run = a_run(plan, out=1.5, wall_s=None).model_copy(update={"cpu_s": {}})
    after = estimate(plan, History(runs=(run,)), sample=SAMPLE)
    before = known(plan, SAMPLE)
    assert after is not None
    assert after.cpu_s == before.cpu_s and after.wall_s == before.wall_s
    assert after.chunked.bytes_out > 1.3 * before.chunked.bytes_out


def test_chunks_that_are_done_correct_the_estimate() -> None:
    before = known(a_plan(seconds=600, chunk_seconds=60), SAMPLE)
    assert before.chunks == 10
    part = before.chunked
    tenth = Done(
        share=0.1, seconds=0.2 * part.busy_s, cpu_s=0.2 * part.cpu_s, bytes_out=0.15 * part.bytes_out
    )
    after = corrected(before, [tenth])
    # Twice and 1.5 times what was estimated; one chunk is believed, but for its own noise.
    assert after.chunked.cpu_s == pytest.approx(2 * part.cpu_s, rel=0.12)
    assert after.chunked.bytes_out == pytest.approx(1.5 * part.bytes_out, rel=0.15)
    assert after.chunked.cpu_error < part.cpu_error
    assert after.wall_s.likely - before.wall_s.likely == pytest.approx(
        after.chunked.busy_s - part.busy_s, rel=0.01
    )
    for amount in (after.cpu_s, after.wall_s, after.bytes_out):
        assert amount.low < amount.likely < amount.high
    whole = corrected(before, [tenth.model_copy(update={"share": 0.1})] * 10)
    assert whole.chunked.cpu_s == pytest.approx(2 * part.cpu_s)
    assert whole.chunked.cpu_error < 1e-9
    assert corrected(before, []) == before
    assert corrected(before, [Done(share=0.1)]) == before


def test_prices() -> None:
    rates = Rates(cpu_hour=0.05, gb_month=0.02)
    found = known(a_plan(), rates=rates)
    assert found.money is not None and found.money.compute is not None
    assert found.money.storage_month is not None
    assert found.money.compute.likely == pytest.approx(found.cpu_s.likely / 3600 * 0.05, abs=1e-6)
    assert found.money.storage_month.high == pytest.approx(found.bytes_out.high * 0.02e-9, abs=1e-6)
    spent = price(7200, 3e9, rates)
    assert spent is not None and (spent.compute, spent.storage_month) == (0.1, 0.06)
    unknown = price(None, 3e9, rates)
    assert unknown is not None and unknown.compute is None
    assert price(7200, 3e9, Rates()) is None


def test_sound_only() -> None:
    a_sound = AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, time_base=Fraction(1, 48_000))
    plan = make_plan(
        video_id="song",
        source=a_source(audio=(a_sound,)).model_copy(update={"video": None}),
        preset=load_preset("h264_small"),
        chunk_seconds=None,
        chunk_seconds_is_asked=False,
    )
    found = known(plan)
    assert found.chunks == 0 and found.chunked.bytes_out == 0
    assert found.bytes_out.likely == pytest.approx(60 * 128_000 / 8, rel=0.01)


# --- the sample ------------------------------------------------------------------------------


def test_what_ffmpeg_prints_of_a_sample() -> None:
    lines = [
        "#software: Lavf",
        "#dimensions 0: 640x360",
        *(f"0, {n}, {n}, 1, {s}, 0x00" for n, s in enumerate((9000, 300, 500))),
    ]
    assert sampling.frame_sizes(lines) == [9000, 300, 500]
    rendition = a_plan().rendition("360p")
    sample = sampling.sample_of([[9000, 300, 500], [3000, 400], [7]], rendition)
    assert sample is not None
    pixels = 640 * 360
    assert sample.key_bits == pytest.approx(8 * 6000 / pixels)
    assert sample.other_bits == pytest.approx(8 * 400 / pixels)
    assert sampling.sample_of([[7], []], rendition) is None


@pytest.mark.parametrize(("seconds", "count"), [(10, 2), (60, 2), (200, 8), (7200, 8)])
def test_a_sample_is_a_small_part(seconds: int, count: int) -> None:
    times = sampling.places(a_plan(seconds=seconds))
    assert len(times) == count
    assert all(0 < time < seconds for time in times)


def test_the_sampled_rendition() -> None:
    assert (tried := sampling.tried(a_plan("h264"))) is not None
    assert tried.name == "360p"
    assert sampling.tried(a_plan("h264_nvenc")) is None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_slots_of_a_ladder_by_title_are_not_all_estimated_as_made(codec: str) -> None:
    """Before there is a history: 19 slots would be twice the work of the fixed ladder, of which few are
    made."""
    fixed, by_title = known(a_plan(codec)), known(a_plan(f"{codec}_title"))
    assert 0.5 * fixed.chunked.cpu_s < by_title.chunked.cpu_s < 1.1 * fixed.chunked.cpu_s
    assert 0.3 * fixed.bytes_out.likely < by_title.bytes_out.likely < fixed.bytes_out.likely


def test_the_first_estimate_counts_the_analysis() -> None:
    """It is 16 s and more of windows, with four encodes of each size: most of the work of a clip."""
    fixed, aimed = work_of(a_plan("h264")), work_of(a_plan("h264_quality"))
    assert fixed is not None and aimed is not None
    assert fixed.analyse_cpu_s == 0 and "analyse_cpu_s" not in fixed.model_dump()
    # About what 70 to 115 s of the video's own encoding cost, as measured.
    assert 50 / 60 < aimed.analyse_cpu_s / aimed.cpu_s < 115 / 60
    assert aimed.other_cpu_s == fixed.other_cpu_s + aimed.analyse_cpu_s
    assert known(a_plan("h264_quality")).cpu_s.likely > known(a_plan("h264")).cpu_s.likely + 300
    # A longer video pays a smaller share; a clip is analysed whole.
    whole, film = work_of(a_plan("h264_title", 10)), work_of(a_plan("h264_title", 1200))
    assert whole is not None and film is not None
    assert whole.analyse_cpu_s > 3 * whole.cpu_s and film.analyse_cpu_s < 0.1 * film.cpu_s
