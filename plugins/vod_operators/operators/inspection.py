"""Can this source be worked on? Asked of the whole file, or of its ends, in the first task."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path

from vod_operators.errors import InvalidInputError, ToolError, ToolKilledError, ToolOverdueError
from vod_operators.media import admission, ffmpeg, probe, protection
from vod_operators.media.models import Source
from vod_operators.runners.base import Runner, output
from vod_operators.runners.tools import Tools

PATIENCE_S = 5
"""How long a first frame is waited for; a stream that takes longer is taken on trust."""

log = logging.getLogger(__name__)


def inspect(
    runner: Runner, tools: Tools, file: Path, *, whole: bool, size_bytes: int, limits: admission.Limits
) -> Source:
    """What the source is, having been found good.

    :param file: the source, or a sparse copy of its ends.
    :param whole: whether all of it is there.
    :raises InvalidInputError: it cannot be worked on; the message says why, and what would be right.
    """
    with file.open("rb") as opened:
        head = opened.read(probe.PROBE_BYTES)
        admission.check_beginning(head)
        packets = protection.transport_packets(head)
        protection.check(protection.scrambled(packets) if packets else protection.protected_tracks(opened))
    try:
        text = "\n".join(output(runner, probe.probe(tools.ffprobe, file.name), file.parent))
    except ToolKilledError:
        raise
    except ToolError as error:
        # A damaged header asks for impossible memory too; but then the demuxer has more to say of it.
        if error.lacks_means and len(error.stderr_tail.strip().splitlines()) == 1:
            raise
        why = admission.why_unreadable(error.stderr_tail)
        raise InvalidInputError(
            f"source: it is not a video that can be read: {why}; expected {admission.MEDIA}"
        ) from error
    data = json.loads(text)
    left_out = admission.check_probe(data, limits=limits, decoders=decoders(runner, tools), present=packets)
    for reason in left_out.values():
        log.warning("left out: %s", reason)
    try:
        source = probe.parse_probe(text, size_bytes=size_bytes, without=left_out)
    except (ValueError, ArithmeticError) as error:  # a damaged header may claim anything
        raise InvalidInputError("source: what its header says makes no sense; it is damaged") from error
    used = {sound.index for sound in source.audio} | ({source.video.index} if source.video else set())
    there = used if whole else used & _at_hand(runner, tools, file)
    for stream in data["streams"]:
        if stream["index"] in there and not _gives_a_frame(runner, tools, file, stream["index"]):
            raise admission.undecodable(
                stream, f"nothing of its first {ffmpeg.DECODED_S} s gives a frame; it is damaged or encrypted"
            )
    return source


def decoders(runner: Runner, tools: Tools) -> frozenset[str]:
    """Names of the codecs that this worker's ffmpeg decodes; ffprobe is of another build."""
    return admission.decoders_of("\n".join(output(runner, ffmpeg.list_codecs(tools.ffmpeg), Path("/"))))


def _at_hand(runner: Runner, tools: Tools, file: Path) -> set[int]:
    """Streams whose first key frame lies in the beginning that was fetched. That the rest of a sparse copy
    decodes to nothing says nothing.
    """
    lines: list[str] = []
    argv = probe.first_packets(tools.ffprobe, file.name)
    # In a sparse copy it may search the zeros for hours; what it found until then counts.
    with suppress(ToolOverdueError):
        runner.run(argv, folder=file.parent, on_line=lines.append, limit_s=PATIENCE_S)
    found: dict[int, bool] = {}
    for line in lines:
        packet = dict(field.split("=", 1) for field in line.split("|") if "=" in field)
        place, size = packet.get("pos", ""), packet.get("size", "")
        if "K" in packet.get("flags", "") and place.isdecimal() and size.isdecimal():
            found.setdefault(int(packet["stream_index"]), int(place) + int(size) <= probe.PROBE_BYTES)
    return {index for index, inside in found.items() if inside}


def _gives_a_frame(runner: Runner, tools: Tools, file: Path, stream: int) -> bool:
    """Whether one can be decoded. True also if that takes long, or if there is nothing to decode so early."""
    lines: list[str] = []
    argv = ffmpeg.decode_first_frame(tools.ffmpeg, file.name, stream=stream)
    try:
        runner.run(argv, folder=file.parent, on_line=lines.append, limit_s=PATIENCE_S)
    except ToolOverdueError:
        return True
    except ToolKilledError:
        raise
    except ToolError as error:
        if error.lacks_means:
            raise
        log.info("%s", error)
        return any(line[:1].isdigit() for line in lines)
    return True
