"""A person's way through the page *Videos*, with real runs."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from browser.place import SHOTS, LocalAirflow
from browser.watching import MINUTE_S, badge, picture, seek, until, until_state
from support.tools import ROOT

RATE = 25
FRAMES = 900
"""36 s: six chunks of one segment, 6 s."""
CHUNKS = 6

Open = Callable[..., Any]


def new_id(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def ask_for(page: Any, source: str, video_id: str, *, preset: str = "h264_small", chunk_s: int = 6) -> None:
    """Fill in the form for a new video, and send it."""
    page.get_by_role("link", name="New video").click()
    page.locator("[name=source]").fill(source)
    page.locator("[name=video_id]").fill(video_id)
    page.get_by_text(preset, exact=True).click()
    page.get_by_text("More options").click()
    page.locator("[name=chunk_seconds]").fill(str(chunk_s))
    page.get_by_role("button", name="Encode").click()
    page.wait_for_url(f"**/plugin/videos/{video_id}")


@dataclass
class Watched:
    """A video that was asked for on the page, and what was seen until it was published."""

    video_id: str
    source: Path
    chunk_states: set[str] = field(default_factory=set)
    percents: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def seen() -> dict[str, Watched]:
    return {}


@pytest.fixture
def video(seen: dict[str, Watched], airflow: LocalAirflow, open_page: Open) -> Watched:
    """The video that the tests of this module share."""
    if "video" not in seen:
        watched = Watched(new_id("film"), airflow.source("film.mp4", FRAMES))
        page = open_page("/plugin/videos", user="editor")
        ask_for(page, watched.source.as_uri(), watched.video_id)
        deadline = time.monotonic() + 5 * MINUTE_S
        while not (state := badge(page)).startswith(("Published", "Failed")):
            assert time.monotonic() < deadline, f"still {state}"
            cells = page.locator("[data-chunk]")
            found = cells.evaluate_all("cells => cells.map(cell => cell.dataset.state)")
            if "running" in found and "running" not in watched.chunk_states:
                page.screenshot(path=SHOTS / "at-work.png")
            watched.chunk_states.update(found)
            if "%" in state:
                watched.percents.append(int(state.split()[1]))
            page.wait_for_timeout(200)
        assert state == "Published", page.locator("[role=alert]").all_inner_texts()
        seen["video"] = watched
    return seen["video"]


def test_a_video_is_asked_for_and_its_chunks_fill(video: Watched, open_page: Open) -> None:
    assert {"queued", "running", "done"} <= video.chunk_states
    assert video.percents == sorted(video.percents) and video.percents[-1] > video.percents[0]

    page = open_page(f"/plugin/videos/{video.video_id}", user="editor", height=2000)
    until_state(page, "Published")
    renditions = page.get_by_role("region", name="Renditions")
    assert renditions.get_by_role("row").count() == 1 + 3  # two of pictures, one of sound
    until(page, page.get_by_role("img", name="Bitrate over time").is_visible, "the plot")
    assert page.locator("[data-worst]").count() == 2
    worst = renditions.get_by_role("button", name="Show the worst pictures of 540p")
    at_s = 60 * int(worst.inner_text().split(":")[0]) + float(worst.inner_text().split(":")[1])
    worst.click()
    until(page, lambda: picture(page)[0] == round(at_s * RATE), "the worst pictures")
    assert page.get_by_text("of the validator are kept").is_visible()
    page.screenshot(path=SHOTS / "video.png")


def test_the_run_has_a_tab_with_its_work(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="editor")
    page.get_by_role("region", name="Runs").get_by_role("link").first.click()
    page.wait_for_url("**/dags/vod_transcode/runs/**")
    page.get_by_role("link", name="Video", exact=True).click()
    cells = page.locator("[data-chunk]")
    until(page, lambda: cells.count() == CHUNKS, "a cell for each chunk")
    assert set(cells.evaluate_all("cells => cells.map(cell => cell.dataset.state)")) == {"done"}
    page.screenshot(path=SHOTS / "tab.png")
    cells.nth(3).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.dataset.chunk") == "4"
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/transcode/mapped/4**")
    page.get_by_role("link", name="Video", exact=True).click()
    until(page, lambda: cells.count() == CHUNKS, "the same on the task's page")


def test_it_plays_seeks_and_changes_the_level(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}?play", user="viewer")
    position = page.get_by_label("Position")
    until(page, lambda: float(position.input_value()) > 1, "a second played")
    page.get_by_role("button", name="Pause").click()

    heights = set()
    levels = page.get_by_label("Quality").locator("option")
    assert levels.count() == 3  # Auto, and two renditions
    for level, at_s in [(1, 20.5), (2, 7.3)]:
        page.get_by_label("Quality").select_option(index=level)
        seek(page, at_s)
        number = int(at_s * RATE)
        until(page, lambda number=number: picture(page)[0] == number, f"picture {number}")
        heights.add(picture(page)[1])
    assert len(heights) == 2

    seek(page, 10.02)
    player = page.get_by_role("group", name=f"Player of {video.video_id}")
    player.locator("video").focus()
    for key, number in [(".", 251), (".", 252), (",", 251), ("ArrowRight", 376), ("5", 450), ("Home", 0)]:
        page.keyboard.press(key)
        until(page, lambda number=number: picture(page)[0] == number, f"picture {number} after {key}")
    page.keyboard.press("m")
    assert page.get_by_role("button", name="Sound on").is_visible()


def test_the_bar_shows_what_is_there(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="viewer")
    bar = page.get_by_label("Position")
    until(page, lambda: float(bar.get_attribute("max") or 0) > 35, "the length")
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    places = []
    for share in (0.1, 0.9):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        preview = page.locator("[data-preview]")
        until(page, lambda preview=preview: preview.get_attribute("data-preview"), "a preview")
        places.append(preview.get_attribute("data-preview"))
    assert places[0] != places[1]
    page.screenshot(path=SHOTS / "preview.png")


def test_the_list_is_searched_filtered_and_sorted(video: Watched, open_page: Open) -> None:
    page = open_page("/plugin/videos", user="viewer")
    page.get_by_label("Search by id or title").fill(video.video_id[-8:])
    rows = page.get_by_role("table", name="Videos").get_by_role("link")
    until(page, lambda: rows.all_inner_texts() == [video.video_id], "the one video")
    assert f"search={video.video_id[-8:]}" in page.url
    page.get_by_role("button", name="Failed").click()
    until(page, lambda: page.get_by_text("No video matches").is_visible(), "no failed one")
    page.get_by_role("button", name="Published").click()
    until(page, lambda: rows.count() == 1, "the published one")
    page.reload()
    until(page, lambda: rows.count() == 1, "the same filters")
    page.get_by_role("button", name="Video", exact=True).click()
    until(page, lambda: "sort=video_id" in page.url, "another order")
    page.get_by_label("Search by id or title").fill("")
    until(page, lambda: rows.count() > 1, "all published ones")
    page.screenshot(path=SHOTS / "list.png")


def test_a_failed_run_says_why_and_is_continued(airflow: LocalAirflow, open_page: Open) -> None:
    video_id, source = new_id("late"), airflow.source("late.mp4", 150)
    away = source.rename(source.with_suffix(".away"))
    page = open_page("/plugin/videos", user="editor")
    ask_for(page, source.as_uri(), video_id)
    until_state(page, "Failed")
    reason = page.get_by_role("alert").filter(has_text="failed")
    until(page, lambda: source.name in reason.first.inner_text(), "why it failed")
    page.screenshot(path=SHOTS / "failed.png")

    away.rename(source)
    page.get_by_role("button", name="Continue").click()
    until_state(page, "Published")


def test_a_run_is_cancelled(airflow: LocalAirflow, open_page: Open) -> None:
    video_id, source = new_id("long"), airflow.source("long.mp4", 3000)
    page = open_page("/plugin/videos", user="editor")
    ask_for(page, source.as_uri(), video_id, preset="h264")
    until_state(page, "Encoding")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel the run").click()
    until_state(page, "Failed")
    assert not (airflow.results / video_id / "index.m3u8").exists()


def test_a_failed_video_is_deleted(airflow: LocalAirflow, open_page: Open) -> None:
    video_id, source = new_id("never"), airflow.source("never.mp4", 150)
    source.write_bytes(b"no film")
    page = open_page("/plugin/videos", user="editor")
    ask_for(page, source.as_uri(), video_id)
    until_state(page, "Failed")
    page.get_by_role("button", name="More actions").click()
    assert page.get_by_role("menuitem").all_inner_texts() == ["Delete…"]
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("alertdialog")
    assert "None of it was published" in dialog.inner_text()
    dialog.get_by_role("textbox").fill(video_id)
    page.screenshot(path=SHOTS / "delete-failed.png")
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/plugin/videos", timeout=2 * MINUTE_S * 1000)
    page.get_by_label("Search by id or title").fill(video_id)
    until(page, page.get_by_text("No video matches").is_visible, "that it is gone from the list")
    page.goto(f"{airflow.url}/plugin/videos/{video_id}")
    until(page, page.get_by_text(f"a video {video_id}").is_visible, "that there is no such video")


def test_encoded_again_compared_and_rolled_back(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="editor")
    until_state(page, "Published")
    versions = page.get_by_role("region", name="Versions").get_by_role("listitem")
    first = versions.first.locator("p").first.inner_text()
    page.get_by_role("button", name="Encode again").click()
    dialog = page.get_by_role("dialog", name="Encode again")
    dialog.get_by_text("h264", exact=True).click()
    page.screenshot(path=SHOTS / "again.png")
    dialog.get_by_role("button", name="Encode").click()
    until(page, lambda: badge(page).startswith(("Queued", "Encoding")), "that it begins")
    until_state(page, "Published")
    until(page, lambda: versions.count() == 2, "two versions")

    page.get_by_role("link", name=f"Compare {first}").click()
    page.wait_for_url("**/compare/**")
    until(page, lambda: picture(page, 0)[0] == picture(page, 1)[0] == 0, "both begin", MINUTE_S)
    seek(page, 12.5)
    until(page, lambda: picture(page, 0)[0] == picture(page, 1)[0] == 312, "the same picture of both")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, lambda: picture(page, 0)[0] > 312 + 2 * RATE, "two seconds played")
    page.get_by_role("button", name="Pause").click()
    until(page, lambda: picture(page, 0)[0] == picture(page, 1)[0], "both at the same picture")
    both = page.get_by_role("region", name="Renditions of both")
    row = both.get_by_role("row").filter(has_text="360p").inner_text()
    assert row.count(" at ") == 2 and row.count("kb/s") == 2  # worst pictures and bitrates of both versions
    page.screenshot(path=SHOTS / "compare.png")

    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Roll back").click()
    page.wait_for_url(f"**/plugin/videos/{video.video_id}", timeout=2 * MINUTE_S * 1000)
    current = versions.filter(has=page.get_by_text("current", exact=True))
    until(page, lambda: first in current.inner_text(), "the first version again")


def test_verified(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="editor")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Verify all files").click()
    done = page.get_by_role("status").filter(has_text="Verification is done")
    until(page, done.is_visible, "that it is verified", 2 * MINUTE_S)

    done.get_by_role("link", name="Airflow run").click()
    page.wait_for_url("**/dags/vod_manage/runs/**")
    page.get_by_role("link", name="Video", exact=True).click()
    page.get_by_role("link", name="Open the video").click()
    page.wait_for_url(f"**/plugin/videos/{video.video_id}")


def test_a_viewer_sees_and_cannot_act(video: Watched, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="viewer")
    until_state(page, "Published")
    for name in ("Encode again", "More actions", "Continue", "Cancel", "Roll back"):
        assert page.get_by_role("button", name=name).count() == 0, name
    assert page.get_by_role("region", name="Addresses").is_visible()
    page.goto(page.url.replace(video.video_id, ""))
    until(page, page.get_by_role("heading", name="Videos").is_visible, "the list")
    assert page.get_by_role("link", name="New video").count() == 0
    page.goto(page.url.rstrip("/") + "/+new")
    until(page, page.get_by_text("does not let you").is_visible, "that a viewer may not")
    refused = page.evaluate(
        """() => fetch('/api/v2/dags/vod_transcode/dagRuns', {method: 'POST', body: '{"logical_date": null}',
                 headers: {'Content-Type': 'application/json'}}).then(response => response.status)"""
    )
    assert refused == 403


def test_without_a_session_one_has_to_sign_in(airflow: LocalAirflow, chromium: Any) -> None:
    page = chromium.new_page()
    page.goto(f"{airflow.url}/plugin/videos")
    page.wait_for_url("**/login**")
    for path in ("/vod/api/me", "/vod/api/videos"):
        answer = page.request.get(airflow.url + path, headers={"X-Requested-With": "vod"})
        assert answer.status == 401
    script = page.request.get(f"{airflow.url}/vod/static/videos.js")
    assert script.status == 200 and script.headers["cache-control"] == "no-cache"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400])
def test_on_a_phone(video: Watched, open_page: Open, width: int, scheme: str) -> None:
    for name, path in {"list": "", "video": f"/{video.video_id}", "new": "/+new"}.items():
        page = open_page(f"/plugin/videos{path}", user="editor", width=width, scheme=scheme)
        until(page, page.locator("h1").is_visible, "the page")
        page.wait_for_timeout(1000)
        page.screenshot(path=SHOTS / f"phone-{name}-{width}-{scheme}.png")
        # Nothing but what scrolls by itself, a table, is wider than the screen.
        for element in ("main", "html"):
            width_of = f"document.querySelector('{element}')"
            assert page.evaluate(f"() => {width_of}.scrollWidth <= {width_of}.clientWidth"), element


AXE = ROOT / "plugins" / "vod_operators" / "page" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
"""Installed by `make page`, with what checks the page's types."""


def faults_of(page: Any) -> list[str]:
    """What axe finds that is serious or worse."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(video: Watched, open_page: Open, scheme: str) -> None:
    faults = []
    for path in ("", f"/{video.video_id}", "/+new"):
        page = open_page(f"/plugin/videos{path}", user="editor", scheme=scheme)
        until(page, page.locator("h1").is_visible, "the page")
        page.wait_for_timeout(2000)
        if path == f"/{video.video_id}":
            page.get_by_role("button", name="More actions").click()
        page.screenshot(path=SHOTS / f"axe-{scheme}{path.replace('/', '-')}.png")
        faults += [f"{path} {scheme}: {fault}" for fault in faults_of(page)]
    assert not faults, "\n".join(faults)


def test_a_video_is_estimated_before_it_is_made(airflow: LocalAirflow, open_page: Open) -> None:
    source, video_id = airflow.source("weighed.mp4", 150), new_id("weighed")
    page = open_page("/plugin/videos/+new", user="editor")
    page.locator("[name=source]").fill(source.as_uri())
    page.locator("[name=video_id]").fill(video_id)
    page.get_by_text("h264_small", exact=True).click()
    page.get_by_role("button", name="Estimate").click()
    estimate = page.get_by_role("region", name="Estimate for h264_small")
    until(page, estimate.is_visible, "the estimate", 3 * MINUTE_S)
    for name in ("Time", "CPU time", "Size"):
        assert name in estimate.inner_text()
    page.screenshot(path=SHOTS / "estimate.png")
    page.get_by_text("hevc", exact=True).click()
    assert estimate.count() == 0  # it was for another preset
    page.get_by_role("link", name="Videos").first.click()
    page.get_by_label("Search by id or title").fill(video_id)
    until(page, page.get_by_text("No video matches").is_visible, "that nothing was made")


def test_a_file_is_uploaded_and_encoded(airflow: LocalAirflow, open_page: Open) -> None:
    page = open_page("/plugin/videos/+new", user="editor")
    page.get_by_label("File to upload").set_input_files(airflow.source("sent.mp4", 150))
    until(page, page.get_by_text("Uploaded", exact=True).first.is_visible, "the upload's end")
    assert page.locator("[name=source]").input_value().endswith("/sent.mp4")
    video_id = new_id("sent")
    page.locator("[name=video_id]").fill(video_id)
    page.get_by_text("h264_small", exact=True).click()
    page.screenshot(path=SHOTS / "new.png")
    page.get_by_role("button", name="Encode").click()
    page.wait_for_url(f"**/plugin/videos/{video_id}")
    until_state(page, "Published")


def test_an_upload_goes_on_after_a_reload(airflow: LocalAirflow, open_page: Open) -> None:
    source = airflow.source("halved.mp4", 150)
    part = 16 * 2**20
    with source.open("ab") as file:  # bytes behind the film's last box: a "free" box of four parts
        file.write((4 * part).to_bytes(4, "big") + b"free" + bytes(4 * part - 8))
    there = f"{2 * part / 1e6:.0f} MB of {source.stat().st_size / 1e6:.0f} MB"
    page = open_page("/plugin/videos/+new", user="editor")
    stored: list[str] = []
    page.on("response", lambda answer: stored.append(answer.url) if "/parts/" in answer.url else None)

    def first_two(route: Any) -> None:
        if route.request.url.endswith(("/1", "/2")):
            route.continue_()

    page.route("**/vod/api/uploads/*/parts/*", first_two)
    page.get_by_label("File to upload").set_input_files(source)
    until(page, lambda: len(stored) == 2, "two parts are stored")
    assert page.get_by_text(there).is_visible()
    page.reload()
    open_upload = page.get_by_role("listitem").filter(has_text="halved.mp4")
    until(page, open_upload.is_visible, "what was sent")
    assert f"{there} are there" in open_upload.inner_text()
    page.screenshot(path=SHOTS / "upload-open.png")

    page.unroute("**/vod/api/uploads/*/parts/*")
    page.get_by_label("File to upload").set_input_files(source)
    until(page, page.get_by_text("Uploaded", exact=True).first.is_visible, "the upload's end", 2 * MINUTE_S)
    assert sorted(url.rsplit("/", 1)[1] for url in stored) == ["1", "2", "3", "4", "5"]
    uri = page.locator("[name=source]").input_value()
    assert Path(urlsplit(uri).path).read_bytes() == source.read_bytes()


def answer(route: Any, **data: Any) -> None:
    route.fulfill(json=data)


def test_200_chunks_come_in_one_request(video: Watched, open_page: Open) -> None:
    """The answer is made here, for its size; what makes it is tested in ``tests/page``."""
    asked: list[str] = []
    chunk = {"label": "", "percent": None, "host": "encoder", "tries": 1, "wall_s": None}

    def work(route: Any) -> None:
        done = 40 * len(asked)
        asked.append(route.request.url)
        chunks = [chunk | {"index": n, "state": "done" if n < done else "queued"} for n in range(200)]
        steps: list[Any] = []
        times = {"begun_at": "2026-11-29T12:00:00Z", "ended_at": None, "eta_s": 60, "eta_error_s": 6}
        facts = {
            "video_id": video.video_id,
            "state": "running",
            "percent": 10,
            "cpu_s": None,
            "estimate": None,
        }
        answer(route, **facts, **times, waits_for=None, reason=None, steps=steps, chunks=chunks)

    page = open_page("/plugin/videos", user="viewer")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.route("**/vod/api/runs/**", work)
    run = page.evaluate(
        """() => fetch('/vod/api/videos', {headers: {'X-Requested-With': 'vod'}})
                 .then(response => response.json()).then(list => list.videos[0])"""
    )
    page.goto(page.url.replace("/plugin/videos", f"/dags/{run['dag_id']}/runs/{run['run_id']}/plugin/vod"))
    done = page.locator("[data-chunk][data-state=done]")
    until(page, lambda: done.count() == 80, "the third answer")
    assert page.locator("[data-chunk]").count() == 200
    page.screenshot(path=SHOTS / "200-chunks.png")
    ours = [url for url in requests if "/vod/api/" in url and not url.endswith(("/me", "/videos"))]
    assert set(ours) == set(asked) and len(ours) == len(asked)


def quality(mean: float, worst_at_s: float, **target: Any) -> dict[str, Any]:
    score = {"mean": mean, "p5": mean - 5, "worst": mean - 12.3, "worst_at_s": worst_at_s}
    native = score if mean > 60 else None
    at_1080p = score | {"mean": mean - 20}
    return {
        "model": "vmaf_v0.6.1",
        "native": native,
        "at_1080p": at_1080p,
        "measured_s": 12.0,
        "target": target or None,
    }


def everything_found(result: dict[str, Any]) -> None:
    """Add all that can be said of a version, whatever is true of this one."""
    low, *_, high, sound = result["renditions"]
    result["renditions"] = [low, high, sound]
    low["quality"] = quality(50, 2.0)
    high["quality"] = quality(91.6, 8.0, vmaf=93, crf=22.4, first_crf=23.1, missed_by=-1.4, capped=False)
    result["ladder"] = {
        "by_title": True,
        "left_out": [{"name": "432p-high", "why": "adds 1.2 VMAF over 432p"}],
    }
    result["warnings"] = ["540p has a VMAF of 78.3, below 80"]
    stretch = {"start_s": 6.0, "end_s": 6.52}
    loudness = {"integrated_lufs": -23.1, "true_peak_dbtp": -1.04, "range_lu": 6.2}
    result["source_report"] = {
        "black": [stretch | {"start_s": 0.1 * n, "faded": n == 0} for n in range(12)],
        "frozen": [stretch],
        "flashes": [stretch],
        "silent": [stretch | {"track": sound["name"]}],
        "clipped": [stretch | {"track": sound["name"], "samples": 120}],
        "bars": {"left": 0, "top": 42, "right": 0, "bottom": 40},
        "loudness": [{"track": sound["name"], **loudness}],
        "stills_are_usual": False,
        "left_out": {"black": 7},
    }
    spread = {"low": 60, "likely": 85, "high": 120}
    result["cost"] = {
        "cpu_s": {"analyse": 10.2, "transcode": 150.3},
        "wall_s": 92.4,
        "bytes_out": 12_345_678,
        "money": {"compute": 0.00123, "storage_month": 0.0003},
        "estimated": {"wall_s": spread, "cpu_s": spread, "bytes_out": spread},
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 320)])
def test_quality_source_and_cost(video: Watched, open_page: Open, scheme: str, width: int) -> None:
    """The answer is completed here, because no video has all of it."""

    def complete(route: Any) -> None:
        body = route.fetch().json()
        everything_found(body["result"])
        route.fulfill(json=body)

    page = open_page("/plugin/videos", user="viewer", width=width, height=2600, scheme=scheme)
    page.route(f"**/vod/api/videos/{video.video_id}", complete)
    page.goto(f"{page.url}/{video.video_id}")
    renditions = page.get_by_role("region", name="Renditions")
    rows = renditions.get_by_role("row")
    until(page, lambda: rows.count() == 4, "the renditions")
    assert "—" in rows.nth(1).inner_text()
    for words in ("91.6", "86.6", "79.3 at", "missed by 1.4", "CRF 22.4, at first 23.1"):
        assert words in rows.nth(2).inner_text(), words
    assert "432p-high: adds 1.2 VMAF over 432p" in renditions.inner_text()
    assert page.get_by_role("status").filter(has_text="1 warning").get_by_text("78.3").is_visible()
    until(page, lambda: page.locator("[data-worst]").count() == 1, "the worst window in the plot")
    renditions.get_by_label("VMAF of pictures").select_option("at_1080p")
    until(page, lambda: page.locator("[data-worst]").count() == 2, "of both")
    assert "71.6" in rows.nth(2).inner_text()
    source = page.get_by_role("region", name="Found in the source")
    for words in (
        "6.5 s, faded",
        "4 more",
        "and 7 more that are not listed",
        "42 lines above, 40 lines below",
        "120 samples",
        "−23.1 LUFS, peak −1.0 dBTP, range 6.2 LU",
    ):
        assert words in source.inner_text(), words
    cost = page.get_by_role("region", name="Cost").inner_text()
    for words in ("analyse", "1 min 32 s", "1 min 25 s (+9 %)", "1 min to 2 min", "0.00123 for encoding"):
        assert words in cost, words
    page.screenshot(path=SHOTS / f"quality-{width}-{scheme}.png")
    for element in ("main", "html"):
        width_of = f"document.querySelector('{element}')"
        assert page.evaluate(f"() => {width_of}.scrollWidth <= {width_of}.clientWidth"), element
    assert not faults_of(page)

    renditions.get_by_role("button", name="Show the worst pictures of 540p at 0:08.0").click()
    until(page, lambda: picture(page)[0] == 8 * RATE, "the worst pictures")
    source.get_by_role("button", name="Show silence at 0:06.0").click()
    until(page, lambda: picture(page)[0] == 6 * RATE, "the silence")


def test_10000_videos_come_in_pages(open_page: Open) -> None:
    """The answer is made here; ``make bench PARTS=listing`` measures the real one."""
    row = {"title": "a.mp4", "state": "published", "percent": None, "reason": None, "duration_s": 60.0}
    row |= {"preset": "h264", "updated_at": "2026-11-29T12:00:00Z", "by": "anna", "poster": None}
    row |= {"version": "v-1", "dag_id": None, "run_id": None}

    def videos(route: Any) -> None:
        asked = dict(parse_qsl(urlsplit(route.request.url).query))
        first = int(asked["offset"])
        rows = [row | {"video_id": f"video-{n}"} for n in range(first, first + int(asked["limit"]))]
        counts = {"queued": 0, "encoding": 0, "published": 10_000, "failed": 0}
        answer(route, videos=rows, total=10_000, counts=counts, presets=["h264"])

    page = open_page("/dags", user="viewer")
    page.route("**/vod/api/videos?*", videos)
    page.goto(page.url.replace("/dags", "/plugin/videos"))
    until(page, page.get_by_text("1–50 of 10,000 videos").is_visible, "the first page")
    page.get_by_role("button", name="Next").click()
    until(page, page.get_by_text("51–100 of 10,000 videos").is_visible, "the second page")
    rows = page.get_by_role("table", name="Videos").get_by_role("link")
    until(page, lambda: rows.first.inner_text() == "video-50", "its rows")
    assert rows.count() == 50
    page.reload()
    until(page, page.get_by_text("51–100 of 10,000 videos").is_visible, "the second page again")


def test_sound_and_subtitles_are_chosen(airflow: LocalAirflow, open_page: Open) -> None:
    video_id, source = new_id("tongues"), airflow.source("tongues.mp4", 150, sounds=2)
    text = source.with_suffix(".srt")
    text.write_text("1\n00:00:01,000 --> 00:00:03,000\nHallo\n", "utf-8")
    page = open_page("/plugin/videos/+new", user="editor")
    page.locator("[name=source]").fill(source.as_uri())
    page.locator("[name=video_id]").fill(video_id)
    page.get_by_text("h264_small", exact=True).click()
    page.get_by_text("More options").click()
    page.locator("[name=subtitles]").fill("no JSON")
    page.get_by_role("button", name="Encode").click()
    assert page.get_by_text("This is not JSON").is_visible()
    page.locator("[name=subtitles]").fill(json.dumps([{"uri": text.as_uri(), "language": "de"}]))
    page.get_by_role("button", name="Encode").click()
    until_state(page, "Published")

    sounds, texts = page.get_by_label("Sound track", exact=True), page.get_by_label("Subtitles", exact=True)
    until(page, lambda: texts.count() and sounds.count(), "both menus")
    assert sounds.locator("option").count() == 2 and texts.locator("option").count() == 2
    sounds.select_option(index=1)
    until(page, lambda: sounds.input_value() == "1", "the other sound")
    texts.select_option(index=0)
    page.locator("video").focus()
    page.keyboard.press("c")
    assert texts.input_value() == "0"
    seek(page, 2)
    shown = """() => [...document.querySelector('video').textTracks].filter(track => track.mode === 'showing')
        .flatMap(track => [...(track.activeCues ?? [])].map(cue => cue.text))"""
    until(page, lambda: page.evaluate(shown) == ["Hallo"], "the subtitle")


def test_deleted_after_its_name_was_typed(video: Watched, airflow: LocalAirflow, open_page: Open) -> None:
    page = open_page(f"/plugin/videos/{video.video_id}", user="admin")
    until_state(page, "Published")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("alertdialog")
    assert dialog.get_by_role("button", name="Delete").is_disabled()
    page.screenshot(path=SHOTS / "delete.png")
    dialog.get_by_role("textbox").fill(video.video_id)
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/plugin/videos", timeout=2 * MINUTE_S * 1000)
    assert not (airflow.results / video.video_id / "index.m3u8").exists()
