"""Fifty ask for one video at the same moment: one encodes and publishes, the others say why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from faults.steps import start
from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.diary import Diary
from support.published import check_published

CHUNKS = 6
SAME, OTHERS, UNNAMED = 30, 10, 10
"""With one run id; each with its own; as from the UI's form, which leaves the name to Airflow."""


@pytest.mark.faults
def test_fifty_at_once(airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]) -> None:
    running = airflow()
    conf = {
        "video_id": "clip",
        "source": numbered_clip(CHUNKS).as_uri(),
        "preset": "tiny",
        "chunk_seconds": 1,
    }
    names: list[str | None] = [*["same"] * SAME, *(f"other-{n}" for n in range(OTHERS)), *[None] * UNNAMED]
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: (name, running.submit(conf, name)), names))
    codes = Counter((("same" if name == "same" else "other"), a.status_code) for name, a in answers)
    # 409 is Airflow's word for "this run exists"; two that race hear it from the database's constraint.
    assert codes[("same", 200)] == 1 and codes[("same", 409)] == SAME - 1, codes
    # Names that Airflow makes of the moment may be equal.
    assert set(codes) <= {("same", 200), ("same", 409), ("other", 200), ("other", 409)}, codes
    runs = sorted({a.json()["dag_run_id"] for _, a in answers if a.status_code == 200})
    states = {run: running.wait(run, timeout_s=1200) for run in runs}

    winners = [run for run, state in states.items() if state == "success"]
    reasons = {run: running.reason(run) for run, state in states.items() if state == "failed"}
    unclear = {run: why for run, why in reasons.items() if "being worked on by run" not in why}
    owners = {run for run in runs if any(f"/{run}'" in why for why in reasons.values())}
    report(
        asked=len(names),
        answers={f"{kind} {code}": count for (kind, code), count in codes.items()},
        succeeded=len(winners),
        refused=len(reasons),
        named_owners=sorted(owners),
        encodes=diary.total(),
    )
    assert winners, reasons
    assert not unclear, unclear
    assert diary.total() == CHUNKS, diary.encodes()
    assert max(diary.encodes().values()) == 1
    check_published(home / "results" / "clip", frames=CHUNKS * 25)
    # Whoever began after the first one had ended found all done; nobody else got through.
    assert len({_version(running, run) for run in winners}) == 1


def _version(running: Any, run: str) -> str:
    path = f"/dags/vod_transcode/dagRuns/{run}/taskInstances/publish/xcomEntries/return_value"
    value: dict[str, Any] = running.call("GET", f"{path}?deserialize=true").raise_for_status().json()["value"]
    return str(value["version"]) if isinstance(value, dict) else str(value).partition("v-")[2][:19]


def test_four_processes_at_once(stage: Path, home: Path, configure_stage: Callable[..., None]) -> None:
    """The short form, without a scheduler: all ask, one gets the video, and the others name it."""
    diary = Diary(home / "tools")
    configure_stage(ffmpeg=str(diary.tool), sandbox="off")
    asked = {"video_id": "clip", "source": numbered_clip(2).as_uri()}
    # None gives the video back, so that whoever comes late meets the owner too.
    some = [start(run_id=f"run-{number}", until="segment", **asked) for number in range(4)]
    found = {f"run-{number}": child.result() for number, child in enumerate(some)}
    (owner,) = [run for run, result in found.items() if result["error"] is None]
    for run, result in found.items():
        if run != owner:
            assert result["error"] == "ClaimedError", result
            assert f"vod_transcode/{owner}" in result["message"] and "since" in result["message"]
    assert diary.total() == 2 and max(diary.encodes().values()) == 1
