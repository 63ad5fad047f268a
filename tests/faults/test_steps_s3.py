"""Without a scheduler, in seconds: a bad network, an outage, a publisher that slept, wrong clocks."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults.s3_proxy import KINDS, S3Proxy
from faults.stage import check_workspace, download
from faults.steps import start
from support.clips import clip, numbered_clip, x264
from support.published import Published, check_published
from support.s3_servers import S3Bucket
from support.steps import Steps

CHUNKS = 4


@pytest.fixture
def on_s3(
    stage: Path,
    s3_settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    configure_stage: Callable[..., None],
) -> Path:
    configure_stage(**s3_settings)
    return stage


# --- 2: faults of the network ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [*(pytest.param(kind, marks=pytest.mark.faults) for kind in KINDS), "all"])
def test_a_tenth_of_all_requests_goes_wrong(
    kind: str, on_s3: Path, proxy: S3Proxy, s3_bucket: S3Bucket, report: Callable[..., None]
) -> None:
    proxy.share = 0.1
    proxy.kinds = KINDS if kind == "all" else (kind,)
    steps = Steps(video_id="clip", source=numbered_clip(CHUNKS).as_uri(), tries=5)
    steps.run()
    proxy.share = 0
    check_published(
        download(s3_bucket.client, s3_bucket.name, "results/clip", on_s3 / "got"), frames=CHUNKS * 25
    )
    objects = check_workspace(s3_bucket)
    report(requests=proxy.requests, tries_that_failed=steps.retried, objects_checked=objects)


@pytest.mark.faults
def test_an_outage_of_20_s(
    on_s3: Path, proxy: S3Proxy, s3_bucket: S3Bucket, report: Callable[..., None]
) -> None:
    """Begins in mid-transfer; what is tried again afterwards goes on where it was."""
    steps = Steps(video_id="clip", source=numbered_clip(CHUNKS).as_uri(), tries=60)
    seen = 0

    def watch(method: str, path: str) -> None:
        nonlocal seen
        seen += 1
        if seen == 40:
            proxy.cut_off()
            threading.Timer(20, lambda: setattr(proxy, "outage", False)).start()

    proxy.watch = watch
    steps.run()
    assert proxy.requests["outage"] > 0
    check_published(
        download(s3_bucket.client, s3_bucket.name, "results/clip", on_s3 / "got"), frames=CHUNKS * 25
    )
    report(requests=proxy.requests, tries_that_failed=len(steps.retried), objects=check_workspace(s3_bucket))


# --- 5: a publisher that slept --------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("before", ["video.json", "index.m3u8"])
@pytest.mark.parametrize("published_before", [False, True], ids=["first", "again"])
def test_a_publisher_that_slept_does_not_overwrite(
    published_before: bool,
    before: str,
    on_s3: Path,
    proxy: S3Proxy,
    s3_bucket: S3Bucket,
) -> None:
    """SIGSTOP when the write of that file is sent: it is lost, and sent again when the process goes on."""
    plain = x264(gop=25, open_gop=False)
    old, new = clip("old.mp4", frames=50, video=plain), clip("new.mp4", frames=75, video=plain)
    if published_before:
        Steps(video_id="clip", source=numbered_clip(1).as_uri(), run_id="zero").run()
    Steps(video_id="clip", source=old.as_uri(), run_id="sleeper").run("segment")
    stopped = threading.Event()

    def watch(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith(f"/clip/{before}") and not stopped.is_set():
            os.kill(sleeper.process.pid, signal.SIGSTOP)
            stopped.set()
            raise OSError("this write never arrives")

    proxy.watch = watch
    sleeper = start(video_id="clip", source=old.as_uri(), run_id="sleeper", until="publish")
    try:
        assert stopped.wait(60), f"it never wrote {before}: {sleeper.result()}"
        _lapse(s3_bucket)
        Steps(video_id="clip", source=new.as_uri(), run_id="successor").run()
        wanted = _stable(s3_bucket)
    finally:
        os.kill(sleeper.process.pid, signal.SIGCONT)
    found = sleeper.result()
    assert _stable(s3_bucket) == wanted, f"the sleeper overwrote what came after it, and ended with {found}"
    Published(download(s3_bucket.client, s3_bucket.name, "results/clip", on_s3 / "got")).check_pictures(
        range(75), "25"
    )
    assert found["error"] == "ClaimedError", found


def _lapse(bucket: S3Bucket) -> None:
    """The video's claim, as it is for everyone else when its owner has slept for longer than the TTL."""
    key = "tmp/clip/claim.json"
    claim = json.loads(bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read())
    assert claim["owner"] == "vod_transcode/sleeper"
    lapsed = json.dumps(claim | {"expires_at": claim["since"]})
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=lapsed.encode())


def _stable(bucket: S3Bucket) -> dict[str, bytes]:
    """What of a video is not immutable."""
    return {
        name: bucket.client.get_object(Bucket=bucket.name, Key=f"results/clip/{name}")["Body"].read()
        for name in ("index.m3u8", "video.json")
    }


# --- 6: clocks ------------------------------------------------------------------------------


@pytest.mark.parametrize("clock_s", [600, -600], ids=["ahead", "behind"])
@pytest.mark.parametrize("ttl_s", [pytest.param(21_600, marks=pytest.mark.faults), 1_800])
def test_a_clock_that_is_10_minutes_off_steals_nothing(
    ttl_s: int, clock_s: int, on_s3: Path, configure_stage: Callable[..., None]
) -> None:
    """Each host in turn has the right time, and the other must see that the video is taken."""
    configure_stage(claim_ttl_s=str(ttl_s))
    asked: dict[str, Any] = {"source": numbered_clip(1).as_uri()}
    Steps(video_id="right", run_id="right", **asked).run("prepare")
    other = start(video_id="right", run_id="wrong", clock_s=clock_s, until="prepare", **asked)
    wrong = start(video_id="wrong", run_id="wrong", clock_s=clock_s, until="prepare", **asked)
    assert wrong.result()["error"] is None
    found = other.result()
    assert found["error"] == "ClaimedError" and "vod_transcode/right" in found["message"], found
    from vod_operators.errors import ClaimedError

    with pytest.raises(ClaimedError, match="vod_transcode/wrong"):
        Steps(video_id="wrong", run_id="right", **asked).run("prepare")
