"""A dry run estimates and leaves nothing; a real run tells its cost, and the next estimate learns of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.presets import write_preset
from support.settings import configure
from support.steps import prepared
from support.tools import CLIP
from vod_operators.errors import InvalidInputError
from vod_operators.operators import prepare
from vod_operators.work.result import VideoResult


def history(stores: Path) -> list[dict[str, Any]]:
    found = list(stores.glob("results/_history/*.json"))
    assert len(found) == 1
    runs: list[dict[str, Any]] = json.loads(found[0].read_text())["content"]["runs"]
    return runs


def test_a_dry_run(run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, price_cpu_hour="0.05", price_gb_month="0.02")
    asked = {"video_id": "film", "source": CLIP.as_uri(), "preset": "h264_small"}
    dry = run_dag(**asked, estimate=True)
    assert (dry.state, dry.errors) == ("success", {})
    assert sorted(dry.results) == ["prepare", "release"]  # all others were skipped
    assert not list(stores.glob("results/*")) and not list(stores.glob("tmp/*"))
    (released,) = dry.results["release"]
    before = released["estimate"]
    assert before["runs"] == 0 and before["chunks"] == 1 and before["workers"] == 1
    assert before["words"].startswith("about 0:") and before["money"]["compute"]["likely"] > 0
    for amount in (before["wall_s"], before["cpu_s"], before["bytes_out"]):
        assert 0 < amount["low"] < amount["likely"] < amount["high"]
    assert before["cpu_s"]["high"] > 3 * before["cpu_s"]["low"]  # nobody has seen this host encode

    whole = run_dag(**asked)
    assert whole.state == "success"
    result = VideoResult.model_validate_json((stores / "results/film/video.json").read_text())
    cost = result.cost
    assert cost is not None and cost.estimated is not None and cost.money is not None
    assert {"prepare", "split", "transcode", "audio", "pictures"} == set(cost.cpu_s)
    assert all(seconds > 0 for seconds in cost.cpu_s.values())
    assert cost.bytes_out == sum(track.size_bytes for track in result.renditions)
    assert cost.estimated.model_dump() == {k: before[k] for k in ("wall_s", "cpu_s", "bytes_out")}
    assert cost.money.compute == pytest.approx(sum(cost.cpu_s.values()) / 3600 * 0.05, abs=1e-6)
    assert cost.money.storage_month == pytest.approx(cost.bytes_out * 0.02e-9, abs=1e-6)
    (run,) = history(stores)
    assert run["version"] == result.version and run["source"] == "1280x720 h264"
    assert run["cpu_s"] == cost.cpu_s and run["wall_s"] == cost.wall_s

    (again,) = run_dag(**asked, estimate=True).results["release"]
    after = again["estimate"]
    assert after["runs"] == 1
    # The same source again: the estimate is what it cost.
    assert after["bytes_out"]["likely"] == pytest.approx(cost.bytes_out, rel=0.1)
    assert after["cpu_s"]["likely"] == pytest.approx(sum(cost.cpu_s.values()), rel=0.2)
    assert after["bytes_out"]["high"] / after["bytes_out"]["low"] < 1.5

    # A run that finds all its work done cost no time that others could learn from.
    assert run_dag(**asked).state == "success"
    (same,) = history(stores)
    assert same["version"] == result.version and same["wall_s"] is None


def test_a_dry_run_is_refused_as_a_real_one(run_dag, stores: Path) -> None:
    missing = (stores / "none.mp4").as_uri()
    dry = run_dag(video_id="film", source=missing, preset="h264_small", estimate=True)
    assert dry.state == "failed" and list(dry.errors) == ["prepare", "release"]
    assert "does not exist" in str(dry.errors["prepare"])


def test_a_dry_run_beside_a_run_of_the_video(run_dag, stores: Path) -> None:
    """It needs no claim, and leaves that of others alone."""
    from vod_operators.storage import claim
    from vod_operators.storage.keys import claim_key
    from vod_operators.storage.local import LocalStorage

    temp, uri = LocalStorage(), claim_key((stores / "tmp").as_uri(), "film")
    held = claim.hold(temp, uri, owner="dag/other", ttl_s=3600, holder="", is_dead=lambda _: False)
    dry = run_dag(video_id="film", source=CLIP.as_uri(), preset="h264_small", estimate=True)
    assert dry.state == "success"
    present = claim.read_claim(temp, uri)
    assert present is not None and present.owner == held.owner


def test_the_estimate_that_is_kept_is_of_this_package(run_dag, stores: Path) -> None:
    """One that cannot be read fails nothing."""
    asked = {"video_id": "film", "source": CLIP.as_uri(), "preset": "h264_small"}
    (stores / "results/_history").mkdir(parents=True)
    run_dag(**asked, estimate=True)
    assert run_dag(**asked).state == "success"
    (path,) = stores.glob("results/_history/*.json")
    path.write_bytes(path.read_bytes()[:-20] + b"damaged")
    (kept,) = stores.glob("tmp/film/work-*/estimate.json")
    kept.write_text("{}")
    (released,) = run_dag(**asked, estimate=True).results["release"]
    assert released["estimate"]["runs"] == 0
    assert run_dag(**asked).state == "success"
    result = VideoResult.model_validate_json((stores / "results/film/video.json").read_text())
    assert result.cost is not None
    assert len(history(stores)) == 1  # it began anew


def test_a_dry_run_looks_for_the_key_and_the_encoders(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``prepare`` refuses of a plan, a dry run refuses, too."""
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    asked = {"video_id": "film", "source": CLIP.as_uri(), "preset": "tiny", "estimate": "True"}
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", encryption="cbcs")))
    with pytest.raises(InvalidInputError, match="VOD_KEY_CONN_ID names no Airflow connection"):
        prepared(**asked)
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets")))
    with monkeypatch.context() as context, pytest.raises(InvalidInputError, match="does not work here"):
        context.setattr(prepare, "require_encoders", lacking)
        prepared(**asked)
    with pytest.raises(DownstreamTasksSkipped):
        prepared(**asked)
    assert not list(stores.glob("results/*")) and not list(stores.glob("tmp/*"))


def lacking(*_: Any, **__: Any) -> None:
    """As on a host whose encoders do not work."""
    raise InvalidInputError("preset: libx264 does not work here")
