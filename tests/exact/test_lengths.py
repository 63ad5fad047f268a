"""Very short clips, and lengths around those of a chunk."""

from __future__ import annotations

import pytest

from exact.codecs import MPEG4
from exact.publisher import Publisher
from support.clips import PCM, clip, one_pass_clicks, x264


@pytest.mark.parametrize(
    ("frames", "chunks"),
    [
        pytest.param(1, 1, id="one-frame"),
        pytest.param(2, 1, id="two-frames"),
        pytest.param(12, 1, id="shorter-than-a-segment"),
        pytest.param(25, 1, id="exactly-one-chunk"),
        # What is over is less than a GOP, so it stays with the chunk before it.
        pytest.param(26, 1, id="one-frame-over-a-chunk"),
        pytest.param(50, 2, id="exactly-two-chunks"),
        pytest.param(51, 2, id="one-frame-over-two-chunks"),
    ],
)
def test_length(publish: Publisher, frames: int, chunks: int) -> None:
    video = publish(clip("clip.mp4", frames=frames))

    video.check_clip(frames=frames)
    assert video.video["chunks"] == chunks


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mov", "clip.mkv", "clip.ts", "clip.flv", "clip.avi"])
def test_chunks_that_are_reached_by_seeking(publish: Publisher, file: str) -> None:
    """Chunks far from the start are reached by seeking, each container in its own way."""
    how = {"video": MPEG4, "sound": PCM} if file == "clip.avi" else {"video": x264(gop=70)}
    source = clip(file, frames=700, **how)  # type: ignore[arg-type]

    video = publish(source, chunk_seconds=6)

    video.check_pictures(range(700), "25")
    video.check_clicks([place for place in one_pass_clicks(source) if place >= 0])
    assert video.video["chunks"] == 5
