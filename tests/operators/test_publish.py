"""Publishing judges the version by the rules of ``vod check``, and shows players nothing that breaks one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from mpegdash.parser import MPEGDASHParser

from support.presets import write_preset
from support.s3_servers import S3Bucket
from support.settings import configure
from support.steps import Steps
from support.tools import generate
from vod_operators.cli.main import main
from vod_operators.errors import LostWorkError, VerificationError
from vod_operators.operators.publish import VodPublishOperator
from vod_operators.work.publication import Publication


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=3", "-f", "lavfi", "-i", "sine=d=3:r=48000"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture
def steps(stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    def make(**preset: object) -> Steps:
        configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", **preset)))
        return Steps(video_id="film", source=source.as_uri())

    return make


def version_of(stores: Path, shown: bool) -> Path:
    """The version that players see, or the one that they do not."""
    stable = (stores / "results/film/index.m3u8").read_text("utf-8")
    return next(path for path in (stores / "results/film").glob("v-*") if (path.name in stable) == shown)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("*/index.m3u8", "#EXT-X-ENDLIST", "#EXT-X-ENDLISX", "12.endlist: .*no EXT-X-ENDLIST"),
        ("*/index.m3u8", "EXTINF:1.000000", "EXTINF:1.900000", "8.extinf: .*found EXTINF 1.9 s"),
        ("*/iframes.m3u8", "BYTERANGE:", "BYTERANGE:1", "13.picture: .*the picture ends"),
    ],
)
def test_nothing_that_breaks_a_rule_is_shown(
    steps: Callable[..., Steps], stores: Path, file: str, old: str, new: str, words: str
) -> None:
    steps().run()
    stable = stores / "results/film/index.m3u8"
    before = stable.read_bytes(), (stores / "results/film/video.json").read_bytes()

    again = steps(gop_seconds=1, max_frame_rate=30)
    again.run("segment")
    for path in version_of(stores, shown=False).glob(file):
        content = path.read_text("utf-8")
        changed = content.replace(old, new)
        # Of the same size, so that only the rules can tell.
        path.write_text(changed[: len(content) - 1] + "\n", "utf-8")
    with pytest.raises(VerificationError, match=rf"breaks rules, and is not published: .*({words})"):
        again.run("publish")
    assert (stable.read_bytes(), (stores / "results/film/video.json").read_bytes()) == before


def test_what_is_published_passes_vod_check(
    steps: Callable[..., Steps],
    stores: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps().run()
    assert "target duration of 6 s" in caplog.text  # the preset's segments last one second
    shown = version_of(stores, shown=True)
    manifest = MPEGDASHParser.parse(str(stores / "results/film/manifest.mpd"))
    for adaptation in manifest.periods[0].adaptation_sets:
        for representation in adaptation.representations:
            template = representation.segment_templates[0]
            assert (stores / "results/film" / template.initialization).parent.parent == shown
    assert main(["check", str(stores / "results/film/index.m3u8")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith("FAIL") for line in lines)
    assert lines[-1].split(",")[1:3] == [" 0 failed", " 1 warned"]


def test_a_version_in_s3_is_judged_there(
    steps: Callable[..., Steps], s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps()
    configure(monkeypatch, results_uri=f"{s3_bucket.uri}/results", aws_conn_id=s3_bucket.conn_id)
    run.run("segment")
    listed = s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]
    key = next(item["Key"] for item in listed if item["Key"].endswith("audio-0/index.m3u8"))
    good = s3_bucket.client.get_object(Bucket=s3_bucket.name, Key=key)["Body"].read()
    bad = good.replace(b"#EXT-X-ENDLIST", b"#EXT-X-ENDLISX")
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key=key, Body=bad)
    with pytest.raises(VerificationError, match=r"12\.endlist: audio-0/index\.m3u8"):
        run.run("publish")
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key=key, Body=good)
    run.run("publish")
    stable = s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="results/film/index.m3u8")["Body"].read()
    assert b"/full/index.m3u8" in stable


# --- what is stored is decoded --------------------------------------------------------------

JOIN = "full/seg-00002.m4s"
"""Chunks last a second, as segments do."""


def damage(path: Path, count: int = 1) -> bytes:
    """Flip bytes in the middle of a file, which may be linked from the temp store; returns what it held."""
    before = path.read_bytes()
    at = len(before) // 2
    flipped = bytes(byte ^ 0xFF for byte in before[at : at + count])
    path.unlink()
    path.write_bytes(before[:at] + flipped + before[at + count :])
    return before


@pytest.mark.parametrize("encryption", [None, "aes-128", "cbcs"])
def test_damage_at_a_join_is_found_and_repaired(
    steps: Callable[..., Steps], stores: Path, encryption: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset: dict[str, Any] = {}
    if encryption:
        preset = {"encryption": encryption}
        connection = {
            "conn_type": "generic",
            "password": "5e" * 16,
            "extra": {"key_uri": "https://key.test/"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(connection))
        monkeypatch.setenv("VOD_KEY_CONN_ID", "vod_key")
    run = steps(**preset)
    run.run("segment")
    (path,) = (stores / "results/film").glob(f"v-*/{JOIN}")
    good = damage(path)
    with pytest.raises(LostWorkError, match=r"full/seg-00002.m4s: expected SHA-256 .*; segment made it"):
        run.run("publish")
    assert not (stores / "results/film/index.m3u8").exists()
    run.run("publish")
    assert path.read_bytes() == good and (stores / "results/film/index.m3u8").exists()
    assert list((stores / "work").iterdir()) == []


def test_what_was_made_undecodable_is_made_again(
    steps: Callable[..., Steps], stores: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As if the encoder had made it so: the object is what its marker says."""
    caplog.set_level("INFO")
    run = steps()
    run.run("segment")
    (path,) = (stores / "results/film").glob(f"v-*/{JOIN}")
    operator = VodPublishOperator(task_id="publish", plan=run.pushed["plan"])
    job = operator.open_job(run.context)
    publication = Publication.load(operator.worker, job)
    good = damage(path, count=4000)
    digests = publication.digests | {path.as_uri(): hashlib.sha256(path.read_bytes()).hexdigest()}
    markers = [Path(unquote(urlsplit(job.work_keys.marker(f"chunk-0000{n}")).path)) for n in range(3)]
    with pytest.raises(LostWorkError, match=r"full/seg-0000[123].m4s: .*; transcode made it"):
        replace(publication, digests=digests).check(None)
    assert [marker.exists() for marker in markers].count(False) >= 1 and not markers[1].exists()
    run.run("publish")
    assert path.read_bytes() == good
    assert "decoded 4 of 4 places" in caplog.text


def test_a_film_is_not_decoded_without_end(
    steps: Callable[..., Steps], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("vod_operators.work.gate.LIMIT_S", -1)
    steps().run("publish")
    assert "decoded 0 of 4 places" in caplog.text
