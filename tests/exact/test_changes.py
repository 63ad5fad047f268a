"""Sources that change on the way: a recording that goes on through another programme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exact.publisher import Publisher
from support.clips import Sound, clip, media, one_pass_clicks, x264

AC3 = Sound(options=("-c:a", "ac3", "-b:a", "384k"))
SURROUND = Sound(channels=6, options=AC3.options)


@pytest.mark.parametrize(
    ("second", "sound"),
    [
        pytest.param({"size": (256, 144)}, AC3, id="picture-size"),
        pytest.param({"filters": "setsar=4/3"}, AC3, id="pixel-aspect"),
        pytest.param({}, SURROUND, id="channels"),
        pytest.param({}, Sound(sample_rate=44_100, options=AC3.options), id="sample-rate"),
    ],
)
def test_change_in_mid_stream(publish: Publisher, second: dict[str, Any], sound: Sound) -> None:
    plain = x264(gop=20, b_frames=0)
    parts = [
        clip("a.ts", frames=60, video=plain, sound=AC3, filters="setsar=1"),
        clip("b.ts", "-output_ts_offset", "2.4", frames=60, first=60, video=plain, sound=sound, **second),
    ]

    def append(path: Path) -> None:
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

    source = media("clip.ts", append, *map(str, parts))

    video = publish(source)

    # Not what one pass shows, whose grid begins anew where the pictures change.
    video.check_pictures(range(120), "25")
    video.check_clicks(one_pass_clicks(source))
