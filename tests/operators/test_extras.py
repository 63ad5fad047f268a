"""Storyboards in playlists, key frames for DASH, scores, ids and pathways: published only where asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from support.breaks import judged
from support.clips import clip, decoded, numbers_in
from support.presets import write_preset
from support.settings import configure
from support.steps import Steps
from vod_operators.cli.main import main
from vod_operators.media import dash
from vod_operators.storage.local import LocalStorage
from vod_operators.work.reader import StoreReader
from vod_operators.work.steering import EdgeReader

EDGES = ("https://west.example/vod", "https://east.example:8443/other/vod")
ALL = {"pictures": {"tiles": True}, "trick_mode": True, "score": True, "stable_ids": True}


@pytest.fixture
def publish(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Publishes a clip of numbered pictures; returns ``video.json``."""

    def publish(preset: dict[str, Any], **settings: str) -> dict[str, Any]:
        folder = write_preset(stores / "presets", **preset)
        configure(monkeypatch, presets_dir=str(folder), **settings)
        Steps(video_id="film", source=clip("extras.mp4", frames=75).as_uri()).run()
        found: dict[str, Any] = json.loads((stores / "results/film/video.json").read_text("utf-8"))
        return found

    return publish


def steered(**settings: str) -> dict[str, str]:
    return {"edges": json.dumps(EDGES), "pathways": '["west", "east"]', **settings}


def test_all_of_it(
    publish: Callable[..., dict[str, Any]], stores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = publish(ALL, **steered())
    folder = stores / "results/film"
    version = folder / video["version"]

    # The storyboard.
    board = video["storyboard"]
    assert board["playlist"] == f"{video['version']}/pictures/index.m3u8"
    assert (folder / board["playlist"]).read_text("utf-8").count("#EXT-X-TILES:") == board["sheets"]
    # Key frames: one a second, of the smallest rendition only.
    trick = {track["name"]: track.get("trick_mode_bytes") for track in video["renditions"]}
    assert trick == {
        "half": sum(p.stat().st_size for p in version.glob("half/trick-*")),
        "full": None,
        "audio-0": None,
    }
    joined = version / "joined.mp4"
    parts = [version / "half/init.mp4", *sorted(version.glob("half/trick-*.m4s"))]
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert numbers_in(decoded(joined, 64, 36)) == [0, 25, 50]
    joined.unlink()
    assert "trick-00003.m4s" in (version / "SHA256SUMS").read_text("utf-8")
    # DASH.
    root = ElementTree.fromstring((folder / "manifest.mpd").read_text("utf-8"))
    kinds = [item.get("contentType") for item in root.iter(f"{{{dash.MPD}}}AdaptationSet")]
    assert kinds == ["video", "audio", "video", "image"]
    assert [element.text for element in root.iter(f"{{{dash.MPD}}}BaseURL")] == [
        f"{edge}/film/" for edge in EDGES
    ]
    # Edges serve the same files; the version's own playlist names none of them.
    for location in (version / "master.m3u8", folder / "index.m3u8"):
        reader = StoreReader(location.as_uri(), lambda _: LocalStorage())
        at_edges = EdgeReader(reader, tuple(f"{edge}/film/" for edge in EDGES), f"{folder.as_uri()}/")
        found = judged(location, at_edges)
        broken = {name for name, verdict in found.items() if verdict.status == "fail"}
        assert broken == set()
        assert found["13.tiles"].status == found["6.score"].status == found["6.stable-id"].status == "pass"
    assert found["6.pathways"].status == "pass"
    for name in ("master.m3u8", "stable.m3u8", "stable.mpd", "manifest.mpd"):
        assert "example" not in (version / name).read_text("utf-8")
    assert video["steering"]["pathways"] == {"west": f"{EDGES[0]}/film/", "east": f"{EDGES[1]}/film/"}
    assert video["steering"]["url"] == f"{EDGES[0]}/steering.json"
    assert json.loads((stores / "results/steering.json").read_text("utf-8")) == {
        "VERSION": 1, "TTL": 300, "PATHWAY-PRIORITY": ["west", "east"],
    }  # fmt: skip
    assert main(["verify", "film"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("edges", [None, ["https://new.example", "https://newer.example"]])
def test_a_rollback_to_the_same_version_takes_other_edges(
    publish: Callable[..., dict[str, Any]],
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    edges: list[str] | None,
) -> None:
    video = publish(ALL, **steered())
    changed = {"edges": json.dumps(edges), "pathways": '["a", "b"]'} if edges else {"pathways": "[]"}
    configure(monkeypatch, **changed)

    assert main(["rollback", "film", "--to", video["version"]]) == 0
    for name in ("index.m3u8", "manifest.mpd"):
        text = (stores / "results/film" / name).read_text("utf-8")
        assert "https://west.example" not in text
        assert [f"{edge}/film/" in text for edge in edges or []] == [True] * len(edges or [])
    assert ("steering" in (stores / "results/film/video.json").read_text("utf-8")) == bool(edges)
    assert main(["verify", "film"]) == 0


def test_damage_of_a_steered_playlist_is_found(publish: Callable[..., dict[str, Any]], stores: Path) -> None:
    publish({}, **steered())
    playlist = stores / "results/film/index.m3u8"
    playlist.write_text(playlist.read_text("utf-8").replace("east.example", "west.example"), "utf-8")
    assert main(["verify", "film"]) == 1


def test_an_order_that_was_put_there_stays(publish: Callable[..., dict[str, Any]], stores: Path) -> None:
    (stores / "results").mkdir(parents=True, exist_ok=True)
    (stores / "results/steering.json").write_text("{}", "utf-8")
    publish({}, **steered())
    assert (stores / "results/steering.json").read_text("utf-8") == "{}"
    assert "PATHWAY-ID" in (stores / "results/film/index.m3u8").read_text("utf-8")


def test_nothing_of_it_is_there_unasked(publish: Callable[..., dict[str, Any]], stores: Path) -> None:
    video = publish({}, edges=json.dumps(EDGES))
    folder = stores / "results/film"

    assert not (stores / "results/steering.json").exists()
    assert "playlist" not in video["storyboard"]
    assert all("trick_mode_bytes" not in track for track in video["renditions"])
    assert not list(folder.glob("v-*/*/trick-*")) and not list(folder.glob("v-*/pictures/*.m3u8"))
    for name in ("index.m3u8", "manifest.mpd"):
        text = (folder / name).read_text("utf-8")
        for word in ("IMAGE", "image", "SCORE", "STABLE", "PATHWAY", "BaseURL", "trick", "https:"):
            assert word not in text, f"{word} in {name}"
