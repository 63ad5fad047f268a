"""Fetches, checks and converts the subtitle files of a request, in the first task."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.media import ffmpeg, subtitle_limits, subtitles, webvtt
from vod_operators.media.subtitle_limits import SubtitleLimits
from vod_operators.media.subtitles import Sidecar, SubtitleFile
from vod_operators.runners.base import Runner
from vod_operators.runners.tools import Tools
from vod_operators.storage.base import ReadableStorage
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import get_bytes
from vod_operators.work.allowance import source_at_fault

CONVERT_LIMIT_S = 30
"""The slowest 8 MB of subtitles within the limits take about a second."""

CONVERTED_BYTES = 4 * subtitles.MAX_FILE_BYTES

log = logging.getLogger(__name__)


def fetch_sidecars(
    files: Sequence[SubtitleFile],
    *,
    storage: Callable[[int, SubtitleFile], ReadableStorage],
    runner: Runner,
    tools: Tools,
    limits: SubtitleLimits,
    folder: Path,
) -> list[tuple[Sidecar, bytes]]:
    """Each file's facts, and its content as WebVTT.

    :param storage: returns the store to read a file from, by the file's number.
    :param folder: scratch space.
    :raises InvalidInputError: a file does not exist, is too large, or is invalid (with the line's number).
    """
    found = []
    for number, file in enumerate(files):
        name = f"subtitles[{number}] ({redact(file.uri)})"
        store = storage(number, file)
        info = store.stat(file.uri)
        if info is None:
            raise InvalidInputError(f"{name}: it does not exist")
        if info.size > subtitles.MAX_FILE_BYTES:
            raise InvalidInputError(
                f"{name}: it has {info.size} bytes; subtitles may have {subtitles.MAX_FILE_BYTES}"
            )
        data = get_bytes(store, file.uri, limit=subtitles.MAX_FILE_BYTES)
        text, encoding = subtitles.decode(data, name)
        kind, count = subtitles.check(text, name)
        subtitle_limits.check_file(text, kind, name, limits)
        (folder / f"sidecar-{number}").write_text(text, "utf-8")
        output = f"sidecar-{number}.vtt"
        argv = ffmpeg.convert_text(tools.ffmpeg, f"sidecar-{number}", output, kind=kind)
        try:
            with source_at_fault(name):
                runner.run(argv, folder=folder, limit_s=CONVERT_LIMIT_S, output_bytes=CONVERTED_BYTES)
        except ToolError as error:
            if not error.is_answer:
                raise
            # ffmpeg's message is left out, because it may quote the file.
            raise InvalidInputError(f"{name}: ffmpeg cannot convert it; it is damaged") from None
        converted = (folder / output).read_bytes()
        cues = webvtt.parse(converted.decode(), drawings=True)
        if not cues:
            raise InvalidInputError(f"{name}: none of its {count} subtitles says anything")
        subtitle_limits.check_track(cues, name, limits)
        log.info("%s: %s in %s, %d cues", name, kind, encoding, len(cues))
        digest = hashlib.sha256(converted).hexdigest()
        found.append((Sidecar(file=file, sha256=digest, encoding=encoding), converted))
    return found
