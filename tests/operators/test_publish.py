"""Publishing judges the version by the rules of ``vod check``, and shows players nothing that breaks one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mpegdash.parser import MPEGDASHParser

from support.s3_servers import S3Bucket
from support.settings import configure
from support.steps import Steps, steps_with
from support.tools import generate
from vod_operators.cli.main import main
from vod_operators.errors import VerificationError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=3", "-f", "lavfi", "-i", "sine=d=3:r=48000"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture
def steps(stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    return steps_with(stores, source, monkeypatch)


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
