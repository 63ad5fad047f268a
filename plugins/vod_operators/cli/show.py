"""``vod show``: one video of a running Airflow, as its page *Videos* shows it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from vod_operators.cli.list import state_words, table
from vod_operators.cli.submit import airflow_of
from vod_operators.media.models import clock
from vod_operators.storage.keys import check_video_id

HEAD = ("TRACK", "CODECS", "SIZE", "kb/s", "PEAK", "VMAF", "1080p", "WORST")


FILES = ("DOWNLOAD", "MB", "FILE")


def main(args: argparse.Namespace) -> int:
    """Print what is known of a video, or the page's answer as JSON. Returns 0."""
    with airflow_of(args) as airflow:
        video = airflow.page(f"/videos/{check_video_id(args.video_id)}")
    print(json.dumps(video) if args.json else "\n".join(_lines(video)))
    return 0


def _lines(video: dict[str, Any]) -> Iterator[str]:
    yield f"{video['video_id']}  {video['title']}"
    yield ": ".join(filter(None, (state_words(video), video["reason"])))
    if result := video["result"]:
        yield f"{clock(result['duration_s'])}, preset {result['preset']}, {result['version']}"
        if locked := result.get("encryption"):
            systems = f" for {', '.join(locked['systems'])}" if locked["systems"] else ""
            yield f"encrypted with {locked['scheme']}{systems}, {len(locked['keys'])} keys"
        yield ""
        yield table([HEAD, *map(_track, result["renditions"])])
    if result and result.get("downloads"):
        yield from ("", table([FILES, *map(_file, result["downloads"])]))
    if result and (spent := result.get("cost")):
        yield from ("", *_cost(spent))
    for place in video["urls"]:
        yield from filter(None, ("", place["place"], place["hls"], place["dash"]))
    if video["remarks"]:
        yield from ("", *video["remarks"])
    if check := video["check"]:
        yield ""
        yield f"{check['rules']} rules kept, {len(check['warnings'])} warnings"
        yield from check["warnings"]
    if video["versions"]:
        yield from ("", table([_version(version) for version in video["versions"]]))
    if video["runs"]:
        yield from ("", table([_run(run) for run in video["runs"]]))


def _cost(cost: dict[str, Any]) -> Iterator[str]:
    """What it cost by step, and what had been estimated."""
    total = sum(cost["cpu_s"].values())
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in cost["cpu_s"].items())
    yield f"CPU {total:.1f} s" + (f": {steps}" if steps else "")
    wall = "" if cost["wall_s"] is None else f" in {clock(cost['wall_s'])}"
    yield f"{cost['bytes_out'] / 1e6:.1f} MB out{wall}"
    if money := cost["money"]:
        named = {"compute": "for computing", "storage_month": "a month for storage"}
        known = {words: money[name] for name, words in named.items() if money[name] is not None}
        yield "cost " + ", ".join(f"{amount:.3g} {words}" for words, amount in known.items())
    if before := cost["estimated"]:
        wall_s, cpu_s, out = (before[name] for name in ("wall_s", "cpu_s", "bytes_out"))
        yield (
            f"estimated {clock(wall_s['likely'])} ({clock(wall_s['low'])} to {clock(wall_s['high'])}), "
            f"CPU {cpu_s['likely']:.1f} s ({cpu_s['low']:.1f} to {cpu_s['high']:.1f}), "
            f"{out['likely'] / 1e6:.1f} MB ({out['low'] / 1e6:.1f} to {out['high'] / 1e6:.1f})"
        )


def _file(file: dict[str, Any]) -> tuple[str, ...]:
    return ", ".join(file["names"]), f"{file['size_bytes'] / 1e6:.1f}", file["uri"]


def _version(version: dict[str, Any]) -> tuple[str, ...]:
    mark = "*" if version["is_current"] else " "
    return mark, version["version"], (version["published_at"] or "never")[:19], version["preset"]


def _run(run: dict[str, Any]) -> tuple[str, ...]:
    return run["dag_id"], run["state"], (run["begun_at"] or "not yet")[:19], run["run_id"]


def _track(track: dict[str, Any]) -> tuple[str, ...]:
    size = f"{track['width']}x{track['height']}" if track["width"] else track["language"] or "-"
    return (
        track["name"],
        " ".join(filter(None, (track["codecs"], hdr_of(track)))),
        size,
        str(round(track["average_bps"] / 1000)),
        str(round(track["peak_bps"] / 1000)),
        *_quality(track.get("quality")),
    )


def hdr_of(track: dict[str, Any]) -> str:
    """``PQ`` or ``HLG``; empty for SDR, and for what is no video."""
    found = track.get("video_range") or "SDR"
    return "" if found == "SDR" else found


def _quality(quality: dict[str, Any] | None) -> tuple[str, str, str]:
    """Mean VMAF at the rendition's own size and at 1080p, and the worst window with its time."""
    if quality is None:
        return "-", "-", "-"
    native, at_1080p = quality["native"], quality["at_1080p"]
    worst = native or at_1080p
    return (
        f"{native['mean']:.1f}" if native else "-",
        f"{at_1080p['mean']:.1f}" if at_1080p else "-",
        f"{worst['worst']:.1f} at {clock(worst['worst_at_s'])}" if worst else "-",
    )
