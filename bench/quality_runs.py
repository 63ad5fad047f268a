"""Whole runs of the product: ``vod run``, with the CPU time of each media command, and what was published.

``VOD_FFMPEG`` names a script that runs ``timed.py``, which runs ffmpeg and notes its CPU time. So the share
of certificate and probes is known from inside one run, in which all are slowed alike by others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from vod_operators.media.encoders import ENCODERS

REPOSITORY = Path(__file__).resolve().parent.parent
PRESETS = REPOSITORY / "plugins" / "vod_operators" / "media" / "presets"
COMMAND = Path(sys.executable).parent / "vod"

KINDS = ("certificate", "probe", "encode", "other")
"""Of media commands: comparing pictures, encoding or comparing windows, encoding chunks, all others."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One video, made by ``vod run``."""

    folder: Path
    video: dict[str, Any]
    """``video.json``."""
    cpu_s: dict[str, float]
    """Of the media commands, by kind."""
    wall_s: float
    commit: str

    @property
    def playlists(self) -> dict[str, Path]:
        """Rendition -> its playlist."""
        return {path.parent.name: path for path in self.folder.glob("*/index.m3u8")}


def run(
    source: Path,
    preset: str,
    folder: Path,
    say: Callable[[str], None],
    *,
    presets: Path | None = None,
    **settings: str,
) -> Run:
    """Make a video, or take it as it was made before from the same file, preset and settings.

    :param folder: of all runs.
    :param presets: folder of presets that are no part of the product.
    :raises RuntimeError: the run failed.
    """
    digest = hashlib.sha256(source.read_bytes())
    digest.update(json.dumps([preset, _text(preset, presets), settings], sort_keys=True).encode())
    own = folder / f"{source.stem}-{preset}-{digest.hexdigest()[:10]}"
    record, results = own / "run.json", own / "results"
    if not record.exists():
        say(f"{source.stem}: vod run --preset {preset}")
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        record.write_text(json.dumps(_run(source, preset, own, presets, settings)), "utf-8")
    facts = json.loads(record.read_text("utf-8"))
    version = next(path.parent for path in results.glob("*/*/video.json"))
    return Run(
        folder=version, video=json.loads((version / "video.json").read_text("utf-8")),
        cpu_s=facts["cpu_s"], wall_s=facts["wall_s"], commit=facts["commit"],
    )  # fmt: skip


def _text(preset: str, presets: Path | None) -> str:
    path = next(
        path
        for path in ((presets or PRESETS) / f"{preset}.json", PRESETS / f"{preset}.json")
        if path.exists()
    )
    return path.read_text("utf-8")


def _run(
    source: Path, preset: str, own: Path, presets: Path | None, settings: dict[str, str]
) -> dict[str, Any]:
    log = own / "commands.jsonl"
    log.touch()
    wrapper = own / "ffmpeg"
    # Media tools get no environment of ours: the script names the log.
    words = (
        sys.executable,
        "-IS",
        Path(__file__).with_name("timed.py"),
        imageio_ffmpeg.get_ffmpeg_exe(),
        log,
    )
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(str(word) for word in words)} "$@"\n', "utf-8")
    wrapper.chmod(0o755)
    environment = {
        **os.environ,
        "VOD_FFMPEG": str(wrapper),
        "VOD_SANDBOX": "off",
        **({"VOD_PRESETS_DIR": str(presets)} if presets else {}),
        **settings,
    }
    command = [str(COMMAND), "run", str(source), "--preset", preset, "--video-id", "bench", "--json"]
    command += ["--results", (own / "results").as_uri(), "--tmp", (own / "tmp").as_uri()]
    begin = time.monotonic()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-3000:]}")
    shutil.rmtree(own / "tmp", ignore_errors=True)
    spent = dict.fromkeys(KINDS, 0.0)
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    for entry, kind in zip(entries, kinds([entry["argv"] for entry in entries]), strict=True):
        spent[kind] += entry["cpu_s"]
    asked = ["git", "log", "-1", "--format=%h", "--", "plugins", "dags"]
    commit = subprocess.run(asked, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {"cpu_s": spent, "wall_s": time.monotonic() - begin, "commit": commit}


def kinds(commands: Sequence[Sequence[str]]) -> list[str]:
    """Of each command of a run, in their order: windows are analysed before the first chunk is encoded."""
    texts = [" ".join(argv) for argv in commands]
    windows = [n for n, text in enumerate(texts) if "window.nut" in text or "reference.nut" in text]
    encodes = [n for n, text in enumerate(texts) if any(f":v {name}" in text for name in ENCODERS)]
    first = next((n for n in encodes if n > max(windows, default=-1)), len(texts))
    found = []
    for n, text in enumerate(texts):
        if n in windows or ("libvmaf" in text and n < first):
            found.append("probe")
        elif "libvmaf" in text:
            found.append("certificate")
        else:
            found.append("encode" if n in encodes else "other")
    return found


def plain(run: Run) -> dict[str, Any]:
    """A run's facts for the report."""
    facts = asdict(run)
    return {key: facts[key] for key in ("cpu_s", "wall_s", "commit")}
