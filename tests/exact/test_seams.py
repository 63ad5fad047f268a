"""Nobody sees where the chunks were joined, and no player runs dry there.

Chunks of one segment, the shortest there are, against the same source in one chunk, both by the real
operators. ``EXACT_REPORT=FILE`` keeps the tables; ``EXACT_CLIPS=FOLDER`` adds the clip that cannot be here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exact.publisher import Publisher
from exact.seams import CLIPS, FRAMES, RATE, SECONDS, Encode, Seams, hard, looped, report
from support.tools import CLIP
from vod_operators.media.presets.catalog import load_preset

JOIN_VMAF = 1.0
MEAN_VMAF = 0.1
SIZE = 0.01

PRESET = load_preset("h264")
SEGMENT_SECONDS = PRESET.gop_seconds * PRESET.segment_gops
SEGMENT = SEGMENT_SECONDS * RATE


def bikes() -> Path:
    if CLIPS is None:
        pytest.skip("EXACT_CLIPS names no folder with bikes-640x272-10s.mp4")
    return looped(CLIPS / "bikes-640x272-10s.mp4", 640, 272)


@pytest.mark.exact
@pytest.mark.parametrize(
    ("preset_name", "make", "names"),
    [
        pytest.param("h264", lambda: looped(CLIP, 960, 540), ["360p", "540p"], id="bbb"),
        pytest.param("h264", bikes, ["234p", "360p"], id="bikes"),
        pytest.param("h264", hard, ["234p", "360p"], id="hard"),
        pytest.param("hevc", lambda: looped(CLIP, 416, 234), ["234p"], id="hevc-bbb"),
    ],
)
def test_seams(
    publish: Publisher,
    request: pytest.FixtureRequest,
    preset_name: str,
    make: Callable[[], Path],
    names: list[str],
) -> None:
    source, wanted = make(), load_preset(preset_name)
    (ladder,) = wanted.ladders
    rungs = {rung.name: rung for rung in ladder.rungs if rung.name in names}
    ladder = ladder.model_copy(update={"rungs": tuple(rungs.values())})
    preset = wanted.model_copy(update={"ladders": (ladder,)}).model_dump(mode="json", exclude={"name"})

    encodes: list[dict[str, Encode]] = []
    for chunk_seconds in (SEGMENT_SECONDS, SECONDS):
        video = publish(source, chunk_seconds=chunk_seconds, preset=preset)
        assert video.video["frames"] == FRAMES
        assert video.video["chunks"] == SECONDS // chunk_seconds
        assert video.renditions == names
        encodes.append({name: Encode.of(video, name, source) for name in names})

    chunked, whole = encodes
    clip = request.node.callspec.id
    table = [
        Seams(f"{clip} {name}", chunked[name], whole[name], rung, SEGMENT, range(SEGMENT, FRAMES, SEGMENT))
        for name, rung in rungs.items()
    ]
    report(table)
    for seams in table:
        fill, fill_in_one_pass = seams.lowest_fill
        assert min(seams.at_joins) >= -JOIN_VMAF, f"{seams.name}: VMAF at joins {seams.at_joins}"
        assert abs(seams.mean) <= MEAN_VMAF, f"{seams.name}: mean VMAF {seams.mean:+.2f}"
        assert abs(seams.size) <= SIZE, f"{seams.name}: size {seams.size:+.2%}"
        # Never drier than in one pass; while it holds anything at all, nobody notices.
        assert fill >= min(fill_in_one_pass, 0), f"{seams.name}: buffer down to {fill:.1%}"
