"""Sends one clip through the local Airflow: checks the order, submits it, and prints where the result is."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_settings import BIN, MARKER, ORIGINALS, ROOT, Trouble, local_folder, password, say

CLIP = str(ROOT / "tests" / "media" / "bbb-720p-5s.mp4")


@dataclass(frozen=True, kw_only=True)
class Order:
    """The checked arguments of `demo`."""

    source: str
    file: Path | None
    """The source, if it is a file of this machine."""
    video_id: str
    preset: str
    out: Path | None


def check_order(video: str, preset: str, out: str) -> Order:
    """Check the arguments before anything is started.

    :raises Trouble: an argument cannot be used.
    """
    if "://" in video:
        source, identity, file = video, video, None
        stem = Path(urlsplit(video).path).stem
    else:
        path = Path(video).expanduser().resolve()
        if not path.is_file():
            raise Trouble(f"VIDEO: {path} is not a file" if path.exists() else f"VIDEO: no such file: {path}")
        if not os.access(path, os.R_OK):
            raise Trouble(f"VIDEO: {path} cannot be read by you")
        facts = path.stat()
        file, stem, identity = path, path.stem, f"{path} {facts.st_size} {facts.st_mtime_ns}"
    known = preset_names()
    if preset not in known:
        raise Trouble(f"PRESET: no preset {preset!r}; there are {', '.join(sorted(known))}")
    folder = Path(out).expanduser().resolve() if out else None
    if folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Trouble(f"OUT: {folder} cannot be made: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Trouble(f"OUT: {folder} is not writable by you")
    # The digest makes another file of the same name another video, and the same file the same video.
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40] or "video"
    digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:8]
    video_id = f"{slug}-{digest}"
    if file:
        source = (ORIGINALS / video_id / file.name).as_uri()
    return Order(source=source, file=file, video_id=video_id, preset=preset, out=folder)


def hand_over(file: Path, target: Path) -> None:
    """Hard-link or copy a file into the folder that requests may read from."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # on another disk, or owned by another user
        part = target.with_name(f".{target.name}.part")
        shutil.copy2(file, part)
        part.replace(target)


def preset_names() -> set[str]:
    folders = [ROOT / "plugins" / "vod_operators" / "media" / "presets", os.environ.get("VOD_PRESETS_DIR")]
    return {path.stem for folder in folders if folder for path in Path(folder).glob("*.json")}


def demo(order: Order, state: dict[str, Any]) -> int:
    """Submit the order to the running Airflow and wait; returns the exit code of `vod submit`."""
    results = local_folder(state["results"])
    if order.out and not results:
        raise Trouble(f"OUT: the results are at {state['results']}; copy them from there")
    env = os.environ | state["settings"]
    # `vod submit` is no component, so `make down` must not kill it: it ends by itself when Airflow is gone.
    env.pop(MARKER)
    env |= {
        "VOD_AIRFLOW_URL": state["url"],
        "VOD_AIRFLOW_USER": "admin",
        "VOD_AIRFLOW_PASSWORD": password(),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    say(f"{order.file or order.source} -> {order.video_id} ({order.preset})")
    target = local_folder(order.source) if order.file else None
    if order.file and target:
        hand_over(order.file, target)
    argv = [str(BIN / "vod"), "submit", order.source, "--video-id", order.video_id]
    argv += ["--preset", order.preset, "--wait", "--json"]
    # Its progress goes to the terminal through stderr; its JSON result is dropped.
    code = subprocess.run(argv, env=env, stdout=subprocess.PIPE).returncode
    if code:
        return code
    if results and order.out:
        shutil.copytree(
            results / order.video_id,
            order.out / order.video_id,
            ignore=shutil.ignore_patterns(".*"),
            dirs_exist_ok=True,
        )
        results = order.out
    print(f"playlist: {results / order.video_id / 'index.m3u8' if results else state['results']}")
    for edge in state["edges"]:
        print(f"URL:      {edge}/{order.video_id}/index.m3u8")
    return 0
