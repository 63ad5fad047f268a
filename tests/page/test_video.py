"""One video: what is published of it, its versions, its runs, and its bitrates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from support.dag_runs import Run
from support.page import NOON, Runs
from support.results import Place, a_result, version
from support.settings import configure
from support.tools import ROOT
from vod_operators.work.stable import read_result

PRESETS = ROOT / "plugins" / "vod_operators" / "media" / "presets"
CLIP = ROOT / "tests" / "media" / "bbb-720p-5s.mp4"


def shown(client: TestClient, video_id: str = "film") -> dict[str, Any]:
    answer = client.get(f"/vod/api/videos/{video_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_published_video(viewer: TestClient, place: Place, runs: Runs) -> None:
    place.publish(1)
    place.publish(2)
    run_id = runs.add("film", "success", at=NOON, preset="h264_small", roles={"audio-0": "main"})
    found = shown(viewer)
    assert (found["state"], found["version"], found["title"]) == ("published", version(2), "film.mp4")
    assert (found["run_id"], found["by"]) == (run_id, "ada")
    stored = read_result(place.results, place.keys.metadata)
    assert stored is not None and found["result"] == json.loads(stored.model_dump_json())
    assert (found["playlist"], found["manifest"], found["storyboard"]) == ("index.m3u8", "manifest.mpd", None)
    playlist = place.keys.playlist
    assert found["urls"] == [{"place": "results", "hls": playlist, "dash": place.keys.manifest}]
    assert found["embed"] == ""
    versions = [(row["version"], row["is_current"], row["playlist"]) for row in found["versions"]]
    assert versions == [(version(number), number == 2, f"{version(number)}/master.m3u8") for number in (2, 1)]
    assert all(row["published_at"] for row in found["versions"])
    assert found["request"] == {
        "video_id": "film",
        "source": "file:///films/film.mp4",
        "preset": "h264_small",
        "roles": {"audio-0": "main"},
    }
    assert found["check"] is None  # it was made before that was recorded
    assert viewer.get(f"/vod/media/film/{found['playlist']}").status_code == 200


def test_edges(viewer: TestClient, place: Place, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(1)
    edges = ["https://one.example/vod", "https://two.example"]
    configure(monkeypatch, edges=json.dumps(edges))
    found = shown(viewer)
    assert [item["place"] for item in found["urls"]] == ["results", *edges]
    hls, dash = (f"https://one.example/vod/film/{name}" for name in ("index.m3u8", "manifest.mpd"))
    assert found["urls"][1] == {"place": edges[0], "hls": hls, "dash": dash}
    assert found["embed"] == f'<video controls playsinline src="{hls}"></video>'
    configure(monkeypatch, playlist_url_template='{edge}/play?of={video_id}"')
    found = shown(viewer)
    assert found["urls"][1]["dash"] is None
    assert 'of=film&quot;"' in found["embed"]


def test_its_runs(viewer: TestClient, place: Place, runs: Runs) -> None:
    place.publish(1)
    first = runs.add("film", "success", at=NOON)
    runs.add("film-2", "success", at=NOON)
    second = runs.add("film", "failed", dag_id="vod_manage", at=NOON + timedelta(hours=1), action="verify")
    found = shown(viewer)
    assert [(run["dag_id"], run["run_id"], run["state"]) for run in found["runs"]] == [
        ("vod_manage", second, "failed"),
        ("vod_transcode", first, "success"),
    ]
    assert found["state"] == "published"  # a verification that failed is none of the video's own


def test_a_run_at_work_and_a_failed_one(viewer: TestClient, place: Place, runs: Runs) -> None:
    runs.add("film", "failed", at=NOON)
    assert shown(viewer)["state"] == "failed"
    assert shown(viewer)["result"] is None and shown(viewer)["versions"] == []
    place.publish(1)  # later than NOON
    assert shown(viewer)["state"] == "published"
    runs.task(runs.add("film", "running", at=NOON), "prepare", "success")
    found = shown(viewer)
    assert (found["state"], found["percent"], found["version"]) == ("encoding", 2, version(1))


@pytest.mark.parametrize(
    "secret",
    [
        {"source": "https://ada:s3cret@films.example/a.mp4"},
        {"source": "https://films.example/a.mp4?signature=s3cret"},
        {"subtitles": [{"uri": "https://films.example/a.srt?key=s3cret", "language": "en"}]},
        {"callback_url": "https://cms.example/hook?token=s3cret"},
    ],
)
def test_no_secret_is_shown(viewer: TestClient, runs: Runs, secret: dict[str, Any]) -> None:
    run_id = runs.add("film", "failed", **secret)
    answers = [
        viewer.get(path).text
        for path in ("/vod/api/videos", "/vod/api/videos/film", f"/vod/api/runs/vod_transcode/{run_id}")
    ]
    assert "s3cret" not in "".join(answers)
    request = shown(viewer)["request"]
    assert (request is None) is ("callback_url" not in secret)


def test_a_damaged_document_is_told(viewer: TestClient, place: Place, runs: Runs) -> None:
    place.publish(1)
    runs.add("film", "running", at=NOON)
    place.results.write(place.keys.metadata, [b"{"])
    assert shown(viewer)["remarks"] == ["What is recorded of this video is damaged: verify and repair it."]


def test_no_such_video(viewer: TestClient, place: Place, runs: Runs) -> None:
    runs.add("film", "success", at=NOON)  # what it published is gone
    runs.add("gone", "failed", at=NOON)
    runs.add("gone", "success", dag_id="vod_manage", at=NOON + timedelta(hours=1), action="delete")
    for video_id in ("film", "gone", "nothing"):
        answer = viewer.get(f"/vod/api/videos/{video_id}")
        assert answer.status_code == 404 and video_id in answer.json()["detail"]
    assert viewer.get("/vod/api/videos/..%2ffilm").status_code == 404
    assert viewer.get("/vod/api/videos/-film").status_code == 422


def test_bitrates(viewer: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    result = a_result(version(1))
    folder = place.keys.version(version(1), "")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6", '#EXT-X-MAP:URI="init.mp4"']
    for number, seconds in enumerate((6.0, 6.0, 1.5), 1):
        lines += [f"#EXTINF:{seconds},", f"seg-{number:05}.m4s"]
        place.results.write(f"{folder}360p/seg-{number:05}.m4s", [b"x" * 1000 * number])
    place.results.write(f"{folder}360p/index.m3u8", ["\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()])
    path = f"/vod/api/videos/film/bitrates?version={version(1)}"
    assert viewer.get(path).status_code == 404  # which is not remembered
    place.results.write(place.keys.version_playlist(version(1)), [b"#EXTM3U"])
    place.results.write(place.keys.version_metadata(version(1)), [result.model_dump_json().encode()])
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "renditions": [
            {
                "name": "360p",
                "kind": "video",
                "cap_bps": None,  # of a preset that has changed
                "average_bps": 1,
                "peak_bps": 1,
                "segments": [[0, 6, 1333], [6, 6, 2667], [12, 1.5, 16000]],
            }
        ]
    }
    place.results.delete_folder(folder)
    assert viewer.get(path).json() == answer.json()  # a version never changes, so it is read once
    for other in (version(2), "..", "v-0123456789ab-012345/../.."):
        assert viewer.get(f"/vod/api/videos/film/bitrates?version={other}").status_code == 404
    assert viewer.get("/vod/api/videos/film/bitrates").status_code == 422


@pytest.mark.parametrize("lost", ["index.m3u8", "seg-00001.m4s"])
def test_bitrates_of_a_damaged_version(viewer: TestClient, place: Place, lost: str) -> None:
    place.publish(1)
    folder = place.keys.version(version(1), "360p/")
    playlist = b"#EXTM3U\n#EXTINF:6,\nseg-00001.m4s\n#EXT-X-ENDLIST\n"
    place.results.write(f"{folder}index.m3u8", [playlist])
    place.results.delete(folder + lost)
    answer = viewer.get(f"/vod/api/videos/film/bitrates?version={version(1)}")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Files of this version are damaged: verify and repair the video"}


def test_a_version_is_read_once(
    viewer: TestClient, place: Place, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = type(place.results)
    requests: list[str] = []

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(self: Any, uri: str, *rest: Any, **more: Any) -> Any:
            requests.append(uri)
            return call(self, uri, *rest, **more)

        return noting

    for name in ("stat", "read", "list", "folders"):
        monkeypatch.setattr(store, name, noted(getattr(store, name)))

    def of_versions() -> Counter[str]:
        """The requests to versions' folders, by version."""
        requests.clear()
        shown(viewer)
        parts = [uri.removeprefix(f"{place.keys.folder}/").split("/") for uri in requests]
        return Counter(part[0] for part in parts if part[-1] in ("stable.m3u8", "video.json") and part[1:])

    numbers = range(101, 106)
    for number in numbers:
        place.publish(number)
    assert of_versions() == {version(number): 2 for number in numbers}
    assert of_versions() == {}
    assert len(requests) <= 6
    place.publish(106)
    assert of_versions() == {version(106): 2}
    place.results.delete_folder(place.keys.version(version(101), ""))
    assert [row["version"] for row in shown(viewer)["versions"]] == [
        version(number) for number in range(106, 101, -1)
    ]


def test_an_incomplete_version_is_not_remembered(viewer: TestClient, place: Place, runs: Runs) -> None:
    place.publish(1)
    name = version(107)
    document = a_result(name).model_dump_json().encode()
    place.results.write(place.keys.version_metadata(name), [document])
    assert [row["version"] for row in shown(viewer)["versions"]] == [version(1)]
    place.results.write(place.keys.version_playlist(name), [b"#EXTM3U"])
    assert [row["version"] for row in shown(viewer)["versions"]] == [version(1), name]


def test_what_the_form_needs(viewer: TestClient, stores: Path) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(DagBag(ROOT / "dags"), "dags-folder", None)
    me = viewer.get("/vod/api/me").json()
    fields = me["form"]
    assert list(fields)[:3] == ["video_id", "source", "preset"]
    assert fields["preset"]["default"] == "h264" and "h264_small" in fields["preset"]["enum"]
    assert fields["source"]["default"] is None and fields["source"]["title"] == "Source"
    assert "URI of the original" in fields["source"]["description"]
    assert fields["chunk_seconds"]["type"] == ["null", "integer"]
    texts = {preset["name"]: preset["text"] for preset in me["presets"]}
    assert set(texts) == set(fields["preset"]["enum"]) and all(texts.values())
    assert (me["edges"], me["uploads"]) == ([], False)


def test_what_a_preset_aims_at(viewer: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    preset = json.loads((PRESETS / "h264_small.json").read_text())
    for rung in preset["ladders"][0]["rungs"]:
        del rung["crf"]
    preset["ladders"][0]["quality"] = {"vmaf": 92.5}
    preset["min_vmaf"] = {"vmaf": 80, "on_miss": "refuse"}
    (tmp_path / "aimed.json").write_text(json.dumps(preset))
    configure(monkeypatch, presets_dir=str(tmp_path))
    presets = {preset["name"]: preset for preset in viewer.get("/vod/api/me").json()["presets"]}
    assert presets["aimed"]["aims"] == ["aims at VMAF 92.5", "refuses below VMAF 80"]
    assert presets["h264_title"]["aims"] == ["chooses renditions by title"]
    assert presets["hevc_hdr"]["aims"] == ["keeps HDR"]
    assert presets["h264"]["aims"] == []
    assert presets["h264"]["title"] == "H.264, full ladder"


def test_a_real_video_from_the_run_to_the_page(
    run_dag: Callable[..., Run], viewer: TestClient, runs: Runs, stores: Path
) -> None:
    run = run_dag(video_id="bbb", source=CLIP.as_uri(), preset="h264_small")
    assert run.state == "success", run.errors
    (video,) = viewer.get("/vod/api/videos").json()["videos"]
    assert (video["video_id"], video["state"], video["title"]) == ("bbb", "published", CLIP.name)
    assert viewer.get(f"/vod/media/bbb/{video['poster']}").content[:2] == b"\xff\xd8"

    found = shown(viewer, "bbb")
    assert found["check"]["rules"] > 50 and found["run_id"] == video["run_id"] is not None
    assert found["dag_id"] == "vod_transcode"
    for path in (found["playlist"], found["manifest"], found["storyboard"], found["versions"][0]["playlist"]):
        assert viewer.get(f"/vod/media/bbb/{path}").status_code == 200

    query = f"version={found['version']}"
    tracks = viewer.get(f"/vod/api/videos/bbb/bitrates?{query}").json()["renditions"]
    made = {track["name"]: track for track in found["result"]["renditions"]}
    assert [track["name"] for track in tracks] == list(made)
    for track in tracks:
        assert track["cap_bps"] >= 96_000
        seconds = sum(length for _, length, _ in track["segments"])
        bits = sum(length * bps for _, length, bps in track["segments"])
        assert seconds == pytest.approx(made[track["name"]]["duration_s"], abs=0.05)
        assert bits / seconds == pytest.approx(track["average_bps"], rel=0.02)

    run_id = found["run_id"]
    work = viewer.get(f"/vod/api/runs/vod_transcode/{run_id}").json()
    assert work["state"] == "success" and work["video_id"] == "bbb"
    assert {chunk["state"] for chunk in work["chunks"]} == {"done"}
    assert work["chunks"][0]["label"].startswith("chunk 1/")
    assert {step["state"] for step in work["steps"]} <= {"done", "skipped"}


def test_a_real_failure_tells_why(
    run_dag: Callable[..., Run], viewer: TestClient, runs: Runs, stores: Path
) -> None:
    missing = stores / "nothing.mp4"
    assert run_dag(video_id="bad", source=missing.as_uri(), preset="h264_small").state == "failed"
    found = shown(viewer, "bad")
    assert (found["state"], found["title"]) == ("failed", "nothing.mp4")
    assert found["reason"].startswith("prepare: source: ") and "does not exist" in found["reason"]
    work = viewer.get(f"/vod/api/runs/{found['dag_id']}/{found['run_id']}").json()
    assert work["reason"] == found["reason"]
    assert {step["step"]: step["state"] for step in work["steps"]}["prepare"] == "failed"
