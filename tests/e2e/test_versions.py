"""Versions of a video through the real DAGs: a late publisher, a rollback, the janitor."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from e2e.presentation import check_presentation
from support.settings import configure
from support.stores import owner_of
from support.tools import CLIP, ROOT
from vod_operators.cli.main import main
from vod_operators.errors import ClaimedError
from vod_operators.storage import claim
from vod_operators.storage.keys import ResultKeys, claim_key
from vod_operators.storage.local import LocalStorage
from vod_operators.work.stable import point_to, read_result, shown_version

STORE = LocalStorage()
TINY = {
    "title": "Tiny", "description": "One rendition.",
    "ladders": [{"encoder": "libx264", "encoder_preset": "ultrafast", "rungs": [
        {"name": "tiny", "width": 320, "height": 180, "crf": 30,
         "max_bitrate_bps": 300_000, "buffer_bits": 300_000}
    ]}],
    "audio": {"bitrate_bps": 64000},
}  # fmt: skip


def names(video: dict[str, Any]) -> list[str]:
    return [rendition["name"] for rendition in video["renditions"]]


def test_versions(
    run_dag: Any, stores: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (stores / "tiny.json").write_text(json.dumps(TINY))
    configure(monkeypatch, presets_dir=str(stores))
    keys = ResultKeys(results_uri=(stores / "results").as_uri(), video_id="film")
    claimed = claim_key((stores / "tmp").as_uri(), "film")
    asked = {"video_id": "film", "source": CLIP.as_uri()}
    shown = {"frames": 132, "rate": Fraction(25)}

    assert run_dag(**asked, preset="tiny").state == "success"
    first = check_presentation(stores / "results" / "film", **shown)

    # The second run is stopped right before its last writes, until its lease has ended and a third
    # one has published the first version again. Its last look at the claim was before.
    check = claim.check

    def sleep_after_the_look(storage: Any, uri: str, mine: Any) -> None:
        check(storage, uri, mine)
        monkeypatch.setattr(claim, "check", check)
        lapsed = mine.model_copy(update={"expires_at": mine.since})
        STORE.write(claimed, [lapsed.model_dump_json().encode()])
        third = claim.hold(STORE, claimed, owner="vod_transcode/third", ttl_s=600)
        result = read_result(STORE, keys.version_metadata(first["version"]))
        playlist = b"".join(STORE.read(keys.version_playlist(first["version"])))
        point_to(STORE, keys, result, playlist, None, still_owner=lambda: check(STORE, claimed, third))

    monkeypatch.setattr(claim, "check", sleep_after_the_look)
    late = run_dag(**asked, preset="h264_small")

    assert late.state == "failed"
    assert isinstance(late.errors["publish"], ClaimedError)
    assert "no longer holds the claim on this video; 'vod_transcode/third' (token" in str(
        late.errors["publish"]
    )
    assert shown_version(STORE, keys) == first["version"]
    assert names(check_presentation(stores / "results" / "film", **shown)) == ["tiny", "audio-0"]
    assert owner_of(stores, "film") == "vod_transcode/third"  # the late one's teardown left it

    claim.release(STORE, claimed, owner="vod_transcode/third")
    assert run_dag(**asked, preset="h264_small").state == "success"
    second = check_presentation(stores / "results" / "film", **shown)
    assert names(second) == ["360p", "540p", "audio-0"]
    assert [p["version"] for p in second["history"]] == [second["version"], first["version"]]

    capsys.readouterr()
    assert main(["rollback", "film"]) == 0
    assert capsys.readouterr().out.startswith(f"* {first['version']}  ")
    back = check_presentation(stores / "results" / "film", **shown)
    assert names(back) == ["tiny", "audio-0"] and owner_of(stores, "film") is None

    from airflow.dag_processing.dagbag import DagBag

    def janitor(**conf: Any) -> str:
        return str(DagBag(ROOT / "dags").dags["vod_janitor"].test(run_conf=conf).state)

    before = sorted(stores.glob("*/film/*"))
    assert janitor(dry_run=True, grace_hours=0) == "success"
    assert janitor() == "success"  # all is within its grace
    assert sorted(stores.glob("*/film/*")) == before
    assert janitor(grace_hours=0) == "success"
    assert {path.name for path in stores.glob("*/film/*")} == {
        "claim.json",
        "index.m3u8",
        "manifest.mpd",
        "video.json",
        first["version"],
    }
    assert names(check_presentation(stores / "results" / "film", **shown)) == ["tiny", "audio-0"]
