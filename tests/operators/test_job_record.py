"""Records of jobs, also those of releases before."""

from __future__ import annotations

from typing import Any

import pytest

from vod_operators.work.job import JobRecord

KEY = {"uri": "https://keys.example/film", "key_id": "01" * 16, "fingerprint": "ab" * 8}


@pytest.mark.parametrize("key", [None, KEY])
def test_one_key_of_before_is_read(key: dict[str, Any] | None) -> None:
    """Their workspaces are continued, and their videos verified and deleted."""
    found = JobRecord.model_validate(
        {
            "plan": PLAN, "source_name": "film.mp4", "source_version": "1", "source_fingerprint": "a",
            "work_fingerprint": "b", "version": "v-1", "made_by": {}, "key": key,
        }
    )  # fmt: skip
    assert [facts.model_dump() for facts in found.content_keys] == ([KEY] if key else [])


PLAN: dict[str, Any] = {
    "video_id": "film",
    "preset": {
        "name": "p", "title": "p", "description": "p", "audio": {"bitrate_bps": 128_000},
        "ladders": [{
            "encoder": "libx264", "encoder_preset": "fast",
            "rungs": [{"name": "360p", "width": 640, "height": 360, "crf": 25, "max_bitrate_bps": 500_000}],
        }],
    },
    "source": {"container": "mov", "size_bytes": 1, "audio": [
        {"index": 0, "codec": "aac", "channels": 2, "sample_rate": 48_000, "time_base": "1/48000"},
    ]},
    "frame_rate": "25", "timescale": 12_800, "gop_frames": 50, "segment_frames": 150, "chunk_frames": 150,
    "lookahead_frames": 0, "renditions": [], "audio": [],
}  # fmt: skip
