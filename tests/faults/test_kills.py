"""``kill -9`` at random moments: of tasks, of ffmpeg, of whole workers, of the scheduler."""

from __future__ import annotations

import os
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from faults.stage import media_digests
from support.airflows import StartAirflow
from support.clips import clip, numbered_clip, run_ffmpeg, x264
from support.diary import Diary
from support.presets import LADDER, write_preset
from support.published import check_published
from support.real_airflow import HEARTBEAT_TIMEOUT_S, RealAirflow, Work, wait_until
from support.steps import Steps
from support.tools import CLIP
from vod_operators.runners.progress import REPORT_EVERY_S
from vod_operators.work.partial import STORE_EVERY_S, PartialEncode

pytestmark = pytest.mark.faults

CHUNKS = 24
KILLS_A_RUN = 10
RUNS = int(os.environ.get("FAULTS_RUNS", "10"))
KINDS = ("task", "ffmpeg", "worker", "scheduler")
HITS_A_TASK = 3
"""A task that is hit seven times has used up its retries: kills are spread so that a run can finish."""

RUN_TIMEOUT_S = 1800


class Killer:
    """Kills one thing after another, each at a random moment of the time between."""

    def __init__(self, airflow: RealAirflow, run_id: str, seed: int, wanted: int) -> None:
        self.airflow, self.run_id = airflow, run_id
        self.random = random.Random(seed)
        self.wanted = wanted
        self.kills: Counter[str] = Counter()
        self.encodes_hit = 0
        """Encoding tasks that were alive when something above or below them was killed."""
        self.hits: Counter[str] = Counter()
        self.deck: list[str] = []
        self._next = time.monotonic() + self.random.uniform(1, 8)

    def __call__(self) -> None:
        if sum(self.kills.values()) >= self.wanted or time.monotonic() < self._next:
            return
        if not self.deck:
            self.deck = [*KINDS]
            self.random.shuffle(self.deck)
        if self._kill(self.deck[-1]):
            self.kills[self.deck.pop()] += 1
            self._next = time.monotonic() + self.random.uniform(1, 8)

    def _kill(self, kind: str) -> bool:
        names = {item.id: item.name for item in self.airflow.instances(self.run_id)}
        work = [item for item in self.airflow.work() if item.task_uuid in names]
        hit = work if kind == "scheduler" else self._choose(work, kind, names)
        if not hit or any(self.hits[names[item.task_uuid]] >= HITS_A_TASK for item in hit):
            return False
        if kind == "scheduler":
            scheduler = self.airflow.main_process("scheduler")
            if scheduler is None:
                return False
            victims = [scheduler]
        elif kind == "ffmpeg":
            victims = list(hit[0].tools)
        elif kind == "task":
            victims = [hit[0].task]
        else:  # the worker first, as the kernel would when a host goes down: nobody sees a child die
            victims = [hit[0].worker, hit[0].task, *hit[0].tools]
        for victim in victims:
            with suppress(psutil.Error):
                victim.kill()
        for item in hit:
            self.hits[names[item.task_uuid]] += 1
            self.encodes_hit += names[item.task_uuid].startswith("transcode")
        return True

    def _choose(self, work: list[Work], kind: str, names: dict[str, str]) -> list[Work]:
        able = [item for item in work if self.hits[names[item.task_uuid]] < HITS_A_TASK]
        if kind == "ffmpeg":
            able = [item for item in able if item.tools]
        return [self.random.choice(able)] if able else []


def test_a_hundred_kills(
    airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]
) -> None:
    """Every run ends as an undisturbed one would; each kill costs at most the chunk that it hit."""
    running = airflow()
    asked = {"source": numbered_clip(CHUNKS).as_uri(), "preset": "tiny", "chunk_seconds": 1}
    running.submit({"video_id": "calm", **asked}, "calm").raise_for_status()
    begin = time.monotonic()
    assert running.wait("calm", timeout_s=RUN_TIMEOUT_S) == "success"
    calm_s = time.monotonic() - begin
    assert diary.total() == CHUNKS
    check_published(home / "results" / "calm", frames=CHUNKS * 25)
    wanted = media_digests(home / "results" / "calm")

    problems, total, wasted, hits = [], Counter[str](), 0, 0
    for number in range(RUNS):
        run_id = f"storm-{number}"
        diary.forget()
        begin = time.monotonic()
        running.submit({"video_id": run_id, **asked}, run_id).raise_for_status()
        killer = Killer(running, run_id, seed=number, wanted=KILLS_A_RUN)
        state = running.wait(run_id, timeout_s=RUN_TIMEOUT_S, meanwhile=killer)
        total += killer.kills
        wasted += diary.total() - CHUNKS
        hits += killer.encodes_hit
        report(
            run=run_id,
            state=state,
            seconds=round(time.monotonic() - begin),
            kills=killer.kills,
            encodes=diary.total(),
            encodes_hit=killer.encodes_hit,
        )
        if state != "success":
            problems.append(f"{run_id} {state}: {running.reason(run_id)}\n{running.describe(run_id)}")
            continue
        try:
            check_published(home / "results" / run_id, frames=CHUNKS * 25)
            assert media_digests(home / "results" / run_id) == wanted
        except AssertionError as error:
            problems.append(f"{run_id}: {error}")
        if diary.total() > CHUNKS + killer.encodes_hit:
            problems.append(f"{run_id}: {diary.total()} encodes, {CHUNKS} chunks, {killer.encodes_hit} hit")
    # What was left behind may take a heartbeat's timeout to notice that nobody wants it.
    with suppress(AssertionError):
        wait_until(lambda: not leftovers(running), timeout_s=2 * HEARTBEAT_TIMEOUT_S, what="orphans to end")
    # Whatever works next on this host clears up after the dead.
    running.submit({"video_id": "after", **asked, "source": numbered_clip(1).as_uri()}, "after")
    assert running.wait("after", timeout_s=RUN_TIMEOUT_S) == "success"
    scratch = [str(path) for path in (home / "work").glob("*")]
    report(
        calm_s=round(calm_s),
        runs=RUNS,
        kills=sum(total.values()),
        by_kind=total,
        encodes_hit=hits,
        encodes_wasted=wasted,
        scheduler_restarts=running.restarts("scheduler"),
        scratch_left=len(scratch),
    )
    assert not problems, "\n".join(problems)
    assert not leftovers(running), "orphans"
    assert not scratch, f"{len(scratch)} scratch folders of dead tasks: {scratch[:3]} ..."
    assert sum(total.values()) == RUNS * KILLS_A_RUN, "runs ended before all was killed"


CHOOSING = ("analyse", "analyse", "correct", "correct")
"""Of each run. *choose* works for less than a second; ``tests/operators/test_target.py`` has its loss."""


class StepKiller:
    """Kills tasks of each step, at a random moment of their work, and half the time their tools with them."""

    def __init__(self, airflow: RealAirflow, run_id: str, seed: int, steps: Sequence[str]) -> None:
        self.airflow, self.run_id = airflow, run_id
        self.random = random.Random(seed)
        self.left = [*steps]
        self.kills: Counter[str] = Counter()

    def __call__(self) -> None:
        steps = {item.id: item.task_id for item in self.airflow.instances(self.run_id)}
        hit = next((item for item in self.airflow.work() if steps.get(item.task_uuid) in self.left), None)
        if hit is None:
            return
        time.sleep(self.random.uniform(0, 0.5))
        for victim in (hit.task, *(hit.tools if self.random.random() < 0.5 else ())):
            with suppress(psutil.Error):
                victim.kill()
        self.left.remove(steps[hit.task_uuid])
        self.kills[steps[hit.task_uuid]] += 1


def test_kills_of_what_chooses_the_ladder(
    airflow: StartAirflow, home: Path, report: Callable[..., None]
) -> None:
    """Analysis and correction end as in an undisturbed run: the same rates, the same bytes."""
    rungs = [
        {"name": name, "width": width, "height": height, "max_bitrate_bps": cap, "quality": {"vmaf": vmaf}}
        for name, width, height, cap, vmaf in (("half", 64, 36, 120_000, 95), ("full", 128, 72, 900_000, 90))
    ]
    write_preset(home / "presets", "aimed", ladders=[LADDER | {"rungs": rungs}])
    source = clip("noisy.mp4", frames=150, video=x264(gop=25, open_gop=False), filters="noise=alls=20:allf=t")
    running = airflow()
    asked = {"source": source.as_uri(), "preset": "aimed", "chunk_seconds": 1}
    kills: Counter[str] = Counter()
    for number, run_id in enumerate(("calm", "storm-0", "storm-1", "storm-2")):
        running.submit({"video_id": run_id, **asked}, run_id).raise_for_status()
        killer = StepKiller(running, run_id, number, CHOOSING if number else ())
        state = running.wait(run_id, timeout_s=RUN_TIMEOUT_S, meanwhile=killer)
        kills += killer.kills
        assert state == "success", f"{running.reason(run_id)}\n{running.describe(run_id)}"
        assert media_digests(home / "results" / run_id) == media_digests(home / "results" / "calm")
    report(kills=kills)
    assert kills == {"analyse": 6, "correct": 6}


LONG_S = 45
"""Length of a chunk that is encoded for half a minute, so that spans of it are stored."""

KILLED_AFTER_S = 18


def lost_task(work: Work) -> list[psutil.Process]:
    """The kernel's choice when memory is short."""
    return [work.task, *work.tools]


def lost_worker(work: Work) -> list[psutil.Process]:
    """A host that goes down: nobody sees a child die."""
    return [work.worker, work.task, *work.tools]


def evicted(work: Work) -> list[psutil.Process]:
    """A platform's notice, which ``scripts/evict.sh`` passes on."""
    work.worker.terminate()
    return []


def test_a_killed_encode_goes_on(
    airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]
) -> None:
    """A try begins where the one before had stored, without its lead-in at most ``STORE_EVERY_S`` earlier."""
    running = airflow()
    asked = {"source": numbered_clip(LONG_S).as_uri(), "preset": "tiny", "chunk_seconds": LONG_S}
    for kill in (lost_task, evicted, lost_worker):
        run_id = kill.__name__
        diary.forget()
        running.submit({"video_id": run_id, **asked}, run_id).raise_for_status()
        wait_until(lambda: diary.total() == 1, timeout_s=RUN_TIMEOUT_S, what="the encode")
        time.sleep(KILLED_AFTER_S)
        names = {item.id: item.task_id for item in running.instances(run_id)}
        (hit,) = [work for work in running.work() if names.get(work.task_uuid) == "transcode"]
        for victim in kill(hit):
            with suppress(psutil.Error):
                victim.kill()
        begin = time.monotonic()
        wait_until(lambda: diary.total() == 2, timeout_s=RUN_TIMEOUT_S, what="the next try", every_s=0.1)
        lost_s = time.monotonic() - begin
        assert running.wait(run_id, timeout_s=RUN_TIMEOUT_S) == "success", running.describe(run_id)
        check_published(home / "results" / run_id, frames=LONG_S * 25)
        first, second = diary.begins()
        report(kill=run_id, lost_s=round(lost_s, 1), began_at_s=second, killed_at_s=KILLED_AFTER_S * 1.5)
        assert first == 0
        assert second >= (KILLED_AFTER_S - STORE_EVERY_S - REPORT_EVERY_S) * 1.5 - 4


KILL_EVERY_S = 30
"""Of an encode of about two minutes."""


def test_what_a_kill_costs(
    stores: Path, monkeypatch: pytest.MonkeyPatch, report: Callable[..., None]
) -> None:
    """CPU time of the preset ``h264`` without kills, and with some; of all tools, killed ones included."""
    source = stores / "film.mp4"
    run_ffmpeg(
        "-stream_loop", "7", "-i", str(CLIP), "-t", "40", "-an", "-c:v", "libx264", "-preset", "ultrafast",
        "-crf", "12", str(source),
    )  # fmt: skip
    look, begun, kills = PartialEncode._look, [0.0], [0]
    monkeypatch.setattr("time.sleep", lambda _: None)

    def killing(self: PartialEncode) -> None:
        look(self)
        if begun[0] and time.monotonic() - begun[0] > KILL_EVERY_S and kills[0] < 3:
            begun[0] = time.monotonic()
            kills[0] += 1
            self.worker.kill()

    monkeypatch.setattr(PartialEncode, "_look", killing)
    spent = {}
    for video_id in ("calm", "killed"):
        steps = Steps(video_id=video_id, source=source.as_uri(), preset="h264", chunk_seconds=120, tries=8)
        steps.run("split")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun[0] = 0.0 if video_id == "calm" else time.monotonic()
        steps.run("transcode")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent[video_id] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lost = (spent["killed"] - spent["calm"]) / kills[0]
    report(
        kills=kills[0], cpu_s=spent, lost_cpu_s_a_kill=lost, share_of_5_minutes=lost / (300 * os.cpu_count())
    )
    assert kills[0]
    assert lost < spent["calm"] / 2, "a kill costs about as much as what had been encoded"


def leftovers(running: RealAirflow) -> list[str]:
    return running.orphans() + [str(process) for process in running.media_tools()]
