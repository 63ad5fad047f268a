"""Nobody sees where the chunks were joined, and no player runs dry there.

Chunks of one segment, the shortest there are, against the same source in one chunk, both by the real
operators. ``EXACT_REPORT=FILE`` keeps the tables; ``EXACT_CLIPS=FOLDER`` adds the clip that cannot be here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pytest

from exact.publisher import Publisher
from exact.seams import CLIPS, FRAMES, RATE, SECONDS, Encode, Seams, hard, looped, report
from support.tools import CLIP
from vod_operators.errors import ToolKilledError
from vod_operators.media.models import Chunk
from vod_operators.media.presets.catalog import load_preset
from vod_operators.work.partial import PartialEncode, _Rendition

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


def by_chunks(_: pytest.MonkeyPatch) -> dict[str, int]:
    """A join at each segment, because each is a chunk."""
    return {"chunk_seconds": SEGMENT_SECONDS}


def by_kills(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A join at each segment, because the encode is killed when it has stored it."""
    ready, join = _Rendition.ready, PartialEncode.join

    def at_most_a_segment(self: _Rendition, path: Path, chunk: Chunk) -> int:
        return min(ready(self, path, chunk), chunk.first + SEGMENT)

    def killed(self: PartialEncode) -> None:
        self._pool.shutdown()
        if self.rest.first < FRAMES - SEGMENT:
            self._store_span()
            assert self._spans[-1].last == self.rest.first + SEGMENT
            raise ToolKilledError(["ffmpeg"], -9, "")
        join(self)

    monkeypatch.setattr(_Rendition, "ready", at_most_a_segment)
    monkeypatch.setattr(PartialEncode, "join", killed)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return {"chunk_seconds": SECONDS, "tries": SECONDS // SEGMENT_SECONDS}


@pytest.mark.exact
@pytest.mark.parametrize("joined", [by_chunks, by_kills])
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
    joined: Callable[[pytest.MonkeyPatch], dict[str, int]],
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
    for divide in (joined, lambda _: {"chunk_seconds": SECONDS}):
        with pytest.MonkeyPatch.context() as monkeypatch:
            how = divide(monkeypatch)
            video = publish(source, preset=preset, **how)
        rmtree(publish.folder / "tmp")  # so that the next one is encoded
        assert video.video["frames"] == FRAMES
        assert video.video["chunks"] == SECONDS // how["chunk_seconds"]
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
