"""What a deployment is told while a video is made: metrics, a line for each step, the asset's event."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dag_runs import Run
from support.tools import CLIP, ROOT
from vod_operators.operators.telemetry import METRICS


class Recorder:
    """A backend of Airflow's stats that remembers."""

    def __init__(self) -> None:
        self.sent: dict[str, list[float]] = {}
        self.kinds: dict[str, str] = {}

    def incr(self, stat: str, count: int = 1, **_: Any) -> None:
        self._keep("counter", stat, count)

    def gauge(self, stat: str, value: float, **_: Any) -> None:
        self._keep("gauge", stat, value)

    def timing(self, stat: str, dt: Any, **_: Any) -> None:
        self._keep("timer", stat, dt.total_seconds() if hasattr(dt, "total_seconds") else dt)

    def decr(self, *_: Any, **__: Any) -> None: ...

    def _keep(self, kind: str, stat: str, value: float) -> None:
        if stat.startswith("vod."):
            self.kinds[stat] = kind
            self.sent.setdefault(stat, []).append(value)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    from airflow.sdk.observability import stats

    recorder = Recorder()
    for name in ("incr", "gauge", "timing"):
        monkeypatch.setattr(stats, name, getattr(recorder, name))
    yield recorder


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``log_step`` writes."""
    from vod_operators.operators import telemetry

    found: list[dict[str, Any]] = []
    monkeypatch.setattr(telemetry, "log_step", lambda event, **facts: found.append({"event": event} | facts))
    return found


def events() -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = session.query(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return [event.extra for event in query.filter(AssetModel.uri == "vod://published/videos")]


def test_a_video(
    run_dag: Callable[..., Run], stores: Path, recorder: Recorder, lines: list[dict[str, Any]]
) -> None:
    assert run_dag(video_id="told", source=CLIP.as_uri(), preset="h264_small").state == "success"

    video = json.loads((stores / "results" / "told" / "video.json").read_text())
    files = (stores / "results" / "told").rglob("*")
    segments = sum(path.stat().st_size for path in files if path.suffix in (".mp4", ".m4s"))
    sent = recorder.sent
    assert sent["vod.chunks"] == [1] and sent["vod.published"] == [1]
    assert sent["vod.media_seconds"] == [5] and sent["vod.encode_speed"][0] > 0  # 132 frames of 25 a second
    assert sent["vod.source_bytes"] == [CLIP.stat().st_size]
    assert sent["vod.published_bytes"] == [segments]
    assert sent["vod.time_to_publish"] == [video["timings"]["wall_s"]]
    assert recorder.kinds == {name: METRICS[name][0] for name in recorder.kinds}

    assert {line["event"] for line in lines} == {"step done"}
    assert Counter(line["step"] for line in lines) == {
        "prepare": 1, "split": 1, "transcode": 1, "audio": 1, "pictures": 1, "segment": 3,
        "publish": 1, "release": 1,
    }  # fmt: skip
    (chunk,) = [line for line in lines if line["step"] == "transcode"]
    assert chunk["video_id"] == "told" and chunk["frames"] == 132
    assert {line["video_id"] for line in lines} == {"told"}

    told = events()[-1]
    assert told["video_id"] == "told" and told["version"] == video["version"]
    assert told["playlist"] == (stores / "results" / "told" / "index.m3u8").as_uri()
    assert told["renditions"] == ["360p", "540p", "audio-0"]


def test_a_failure(
    run_dag: Callable[..., Run], tmp_path: Path, recorder: Recorder, lines: list[dict[str, Any]]
) -> None:
    source = tmp_path / "no.mp4"
    source.write_text("no video")
    before = len(events())
    assert run_dag(video_id="bad", source=source.as_uri()).state == "failed"
    assert recorder.sent == {"vod.failures.permanent": [1]}
    (failed,) = [line for line in lines if line["event"] == "step failed"]
    assert (failed["step"], failed["kind"], failed["error"]) == ("prepare", "permanent", "InvalidInputError")
    assert failed["again"] is False
    assert len(events()) == before


# --- names ----------------------------------------------------------------------------------


def test_the_dashboard_and_the_page_name_what_is_sent() -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    # statsd_exporter's names: Airflow's prefix, and underscores for dots.
    ours = {f"airflow_{name.replace('.', '_')}": name for name in METRICS}
    shown = set(re.findall(r"\bairflow_vod_\w+", asked))
    assert shown == set(ours), (shown - set(ours), set(ours) - shown)
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    for name, (kind, meaning) in METRICS.items():
        assert f"| `{name}` | {kind} | {meaning} |" in page


def test_the_dashboard_names_airflows_own_metrics_as_airflow_does() -> None:
    import airflow.sdk._shared.observability.metrics as metrics

    template = (Path(metrics.__path__[0]) / "metrics_template.yaml").read_text("utf-8")
    dashboard = (ROOT / "docs" / "grafana.json").read_text("utf-8")
    assert set(re.findall(r"\bairflow_(?!vod_)\w+", dashboard)) == {
        "airflow_dag_vod_transcode_transcode_scheduled_duration",
        "airflow_dag_vod_transcode_bulk_transcode_scheduled_duration",
        "airflow_pool_scheduled_slots_",
    }
    for name in ("dag.{dag_id}.{task_id}.scheduled_duration", "pool.scheduled_slots.{pool_name}"):
        assert f'legacy_name: "{name}"' in template


def test_the_example_that_follows_waits_for_the_asset_that_is_updated() -> None:
    """Airflow knows an asset by its name and URI together."""
    from airflow.dag_processing.dagbag import DagBag

    from vod_operators.operators.publish import PUBLISHED

    bag = DagBag(ROOT / "examples", safe_mode=False)
    (awaited,) = bag.dags["after_publish"].timetable.asset_condition.objects
    assert (awaited.name, awaited.uri) == (PUBLISHED.name, PUBLISHED.uri)
