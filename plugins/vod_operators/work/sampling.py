"""Encodes some pictures of the source in the first task, for the estimate. Fails nothing."""

from __future__ import annotations

import logging

from vod_operators.errors import StorageError, ToolError
from vod_operators.media import frames, sampling
from vod_operators.media.models import Plan
from vod_operators.media.sampling import Sample
from vod_operators.runners.base import output
from vod_operators.work.trial import Look

LIMIT_S = 20
"""Limit of each command: a place that takes longer is left out."""

log = logging.getLogger(__name__)


def take_sample(look: Look, plan: Plan) -> Sample | None:
    """Encode pictures at several places of the source; None if that is not possible.

    Of a remote source their packets are fetched, if it has an index that tells where they are.
    """
    rendition, times = sampling.tried(plan), sampling.places(plan)
    if plan.source.video is None or rendition is None:
        return None
    excerpt, tools = look.excerpt, look.tools
    try:
        if not excerpt.is_whole:
            if not excerpt.has_index:
                return None
            listing = frames.list_packets(
                tools.ffprobe,
                look.name,
                stream=plan.source.video.index,
                times=[times[0], *times],  # the first one stands for the beginning
                count=2 * sampling.FRAMES,
            )
            excerpt.add(frames.byte_ranges(output(look.runner, listing, look.folder)))
        found = []
        for time in times:
            lines: list[str] = []
            argv = sampling.encode_sample(tools.ffmpeg, look.name, time, plan=plan, rendition=rendition)
            look.run(argv, limit_s=LIMIT_S, on_line=lines.append)
            found.append(sampling.frame_sizes(lines))
        return sampling.sample_of(found, rendition)
    except (ToolError, StorageError) as error:
        log.info("estimates without a sample: %s", error)
        return None
