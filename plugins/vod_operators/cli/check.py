"""``vod check``: check an HLS presentation against the rules."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from vod_operators.check.crypto import WHOLE
from vod_operators.check.decode import RUN_BYTES
from vod_operators.check.presentation import Answer
from vod_operators.check.rule import Verdict
from vod_operators.check.rules import check
from vod_operators.cli.main import as_uri
from vod_operators.errors import InvalidInputError, NoRoomError, StorageError, ToolError
from vod_operators.runners.scratch import scratch_folder
from vod_operators.runners.tools import Tools
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage.local import SCHEME, decoded_path
from vod_operators.storage.stores import readable_for
from vod_operators.work import allowance
from vod_operators.work.decoding import FfmpegDecoder
from vod_operators.work.reader import WEB, StoreReader

ASKED_AS = {"Accept-Encoding": "gzip", "Origin": "https://player.example"}
"""Headers that a browser sends for a player on another host."""

SHOWN = {"pass": "pass", "fail": "FAIL", "warn": "warn", "not applicable": "n/a"}

TIMEOUT_S = 30

USUAL = ("index.m3u8", "master.m3u8")
"""Usual names of a master playlist."""


def main(args: argparse.Namespace) -> int:
    """Print a line for each rule. Returns 0: no MUST is broken; 1: one is; 2: the check is impossible."""
    location = as_uri(args.location)
    try:
        _require_file(location)
        key = _key(args.key_file)
        # Airflow logs to stdout while it looks up a connection, and stdout is for the result.
        with contextlib.redirect_stdout(sys.stderr), httpx.Client(timeout=TIMEOUT_S) as client:
            decoder = _decoder(get_settings()) if args.decode else None
            verdicts = check(_Reader(location, client), location, key=key, decoder=decoder)
    except (InvalidInputError, StorageError, NoRoomError, ToolError) as error:
        print(f"vod: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(location, verdicts)) if args.json else as_text(verdicts))
    return int(any(verdict.status == "fail" for verdict in verdicts))


def _require_file(location: str) -> None:
    """Refuse a folder.

    :raises InvalidInputError: the location is a folder; the message names the playlist in it.
    """
    folder = Path(decoded_path(location)) if location.startswith(SCHEME) else None
    if folder is None or not folder.is_dir():
        return
    playlists = {path.name: path for path in sorted(folder.glob("*.m3u8"))}
    candidate = next((playlists[name] for name in (*USUAL, *playlists) if name in playlists), None)
    advice = f"did you mean {candidate}?" if candidate else "give the playlist itself"
    raise InvalidInputError(f"{folder} is a folder; {advice}")


class _Reader(StoreReader):
    """Also reads the headers of web servers."""

    def __init__(self, location: str, client: httpx.Client) -> None:
        super().__init__(location, lambda uri: readable_for(uri, get_settings().aws_conn_id))
        self._client = client

    def answer(self, uri: str) -> Answer | None:
        """The status and headers of a GET, whose body is not read; None if the URI is not on the web."""
        if urlsplit(uri).scheme not in WEB:
            return None
        try:
            with self._client.stream("GET", uri, headers=ASKED_AS) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(uri=uri, status=response.status_code, headers=headers)
        except httpx.HTTPError as error:
            raise StorageError(f"{uri}: {error}") from error


def _decoder(settings: VodSettings) -> FfmpegDecoder:
    """ffmpeg, confined as it is around sources."""
    from vod_operators.operators.tool_runner import new_runner  # here, because it imports Airflow

    runner = new_runner(settings, runs_on_host=settings.runner == "local")
    runner.limits = allowance.before_probe(settings, RUN_BYTES)
    return FfmpegDecoder(
        runner=runner,
        tool=Tools(settings.ffmpeg).ffmpeg,
        scratch=lambda needed: scratch_folder(settings.work_dir, round(needed)),
        limit_s=lambda seconds: allowance.FLOOR_S + settings.tool_time_factor * seconds,
    )


def _key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"--key-file: {path}: {error.strerror or error}") from error
    if len(key) not in WHOLE.values():
        raise InvalidInputError(
            f"--key-file: {path} has {len(key)} bytes; an AES-128 key has 16, an AES-256-GCM key 32"
        )
    return key


def as_json(location: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The verdicts for programs: ``{"location", "passed", "rules": [...]}``."""
    return {
        "location": location,
        "passed": not any(verdict.status == "fail" for verdict in verdicts),
        "rules": [
            {
                "id": verdict.rule.id,
                "status": verdict.status,
                "level": "MUST" if verdict.rule.must else "SHOULD",
                "says": verdict.rule.says,
                "source": verdict.rule.source,
                "findings": [asdict(finding) for finding in verdict.findings],
            }
            for verdict in verdicts
        ],
    }


def as_text(verdicts: Sequence[Verdict]) -> str:
    """The verdicts for a person: a line for each rule, and one for each place where it is broken."""
    lines = []
    for verdict in verdicts:
        rule = verdict.rule
        lines.append(f"{SHOWN[verdict.status]:4}  {rule.id:17} {rule.says} [{rule.source}]")
        lines += [f"        {f.where}: found {f.found}, expected {f.expected}" for f in verdict.findings]
    count = Counter(verdict.status for verdict in verdicts)
    lines.append(
        f"{count['pass']} passed, {count['fail']} failed, {count['warn']} warned, "
        f"{count['not applicable']} not applicable"
    )
    return "\n".join(lines)
