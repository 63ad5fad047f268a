"""What an encoding task made is decoded at both ends before it is stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.presets import LADDER, write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import generate
from vod_operators.errors import VerificationError
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools

DAMAGES = """#!{python}
import glob, subprocess, sys
code = subprocess.run([{packager!r}, *sys.argv[1:]]).returncode
for name in sorted(glob.glob("seg-*"))[{which}] if sys.argv[1].find({kind!r}) >= 0 else ():
    with open(name, "r+b") as file:
        data = bytearray(file.read())
        begin = len(data) {place} // 188 * 188
        for at in range(begin + 60, begin + 3000, 188):  # headers of MPEG-TS packets stay
            data[at : at + 120] = bytes(byte ^ 0xFF for byte in data[at : at + 120])
        file.seek(0)
        file.write(data)
sys.exit(code)
"""
"""A packager whose output is damaged."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=6", "-f", "lavfi", "-i", "sine=d=6:r=48000"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture
def steps(
    stores: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Steps]:
    def make(kind: str = "", which: str = "", place: str = "", **preset: object) -> Steps:
        if preset.get("encryption"):
            extra = {"key_uri": "https://key.test/"}
            connection = {"conn_type": "generic", "password": "5e" * 16, "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(connection))
            monkeypatch.setenv("VOD_KEY_CONN_ID", "vod_key")
        if kind:
            script = tmp_path / "packager"
            script.write_text(
                DAMAGES.format(
                    python=sys.executable, packager=Tools().packager, kind=kind, which=which, place=place
                )
            )
            script.chmod(0o755)
            monkeypatch.setenv("VOD_PACKAGER", str(script))
        configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", **preset)))
        return Steps(video_id="film", source=source.as_uri(), chunk_seconds=3)

    return make


FORMS: list[dict[str, object]] = [
    {},
    {"container": "ts"},
    {"encryption": "cbcs"},
    {"encryption": "aes-128"},
]


HEVC = LADDER | {"rungs": LADDER["rungs"][:2], "encoder": "libx265", "encoder_preset": "ultrafast"}
AV1 = LADDER | {"rungs": LADDER["rungs"][:2], "encoder": "libsvtav1", "encoder_preset": "12"}


@pytest.mark.parametrize("preset", FORMS)
@pytest.mark.parametrize(
    ("kind", "which", "place", "says"),
    [
        ("stream=video", "-1:", "// 2", "chunk-00000/half: its last second: "),
        ("stream=video", ":1", "// 3", "chunk-00000/half: its first second: "),
        ("stream=audio", "-1:", "// 2", "audio/.*: its last second: |does not begin with a header"),
    ],
)
def test_what_cannot_be_decoded_is_not_stored(
    steps: Callable[..., Steps],
    stores: Path,
    kind: str,
    which: str,
    place: str,
    says: str,
    preset: dict[str, object],
) -> None:
    with pytest.raises(VerificationError, match=says):
        steps(kind, which, place, **preset).run("audio")
    step = "audio-" if "audio" in kind else "chunk-00000"
    assert not list((stores / "temp/film").glob(f"work-*/{step}*.done.json"))
    assert list((stores / "work").iterdir()) == []


@pytest.mark.parametrize("preset", [*FORMS, {"ladders": [HEVC]}, {"ladders": [AV1]}])
def test_each_task_decodes_both_ends_of_all_its_renditions(
    steps: Callable[..., Steps], monkeypatch: pytest.MonkeyPatch, preset: dict[str, object]
) -> None:
    commands: list[list[str]] = []
    run = LocalRunner.run

    def kept(self: LocalRunner, argv: list[str], **more: object) -> list[str]:
        commands.append(list(argv))
        return run(self, argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalRunner, "run", kept)
    steps(**preset).run("publish")
    decoded = [[arg for arg in argv if arg.startswith("end-")] for argv in commands]
    inputs = [sorted({arg for arg in args if arg.count(".") == 0}) for args in decoded if args]
    pictures = ["end-full-0", "end-full-1", "end-half-0", "end-half-1"]
    assert [names for names in inputs if "end-full-0" in names] == [pictures] * 2
    assert [len(names) for names in inputs if "end-full-0" not in names] == [2]


def test_an_ffmpeg_without_the_decoder_does_not_fail_the_task(
    steps: Callable[..., Steps],
    stores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may have been built with an encoder alone."""
    script = tmp_path / "ffmpeg"
    script.write_text(
        f"""#!/bin/sh
case "$*" in
  *end-full*|*end-half*) echo "Decoding requested, but no decoder found for: av1" >&2; exit 1;;
esac
exec {Tools().ffmpeg} "$@"
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("VOD_FFMPEG", str(script))
    steps().run("publish")
    assert "chunk-00000/full: its first second is not checked" in caplog.text
    assert (stores / "results/film/index.m3u8").exists()
