"""Which streams belong to the video."""

from __future__ import annotations

from typing import Any

import pytest

from vod_operators.media.streams import describes_video, of_other_programmes, pictures_of


def stream(index: int, kind: str, **facts: Any) -> dict[str, Any]:
    return {"index": index, "codec_type": kind, "codec_name": "x", **facts}


def broadcast(*programmes: tuple[str, list[int]]) -> dict[str, Any]:
    streams = [stream(0, "audio"), stream(1, "video", width=64), stream(2, "audio"), stream(3, "audio")]
    return {
        "streams": streams,
        "programs": [
            {"program_num": n, "tags": {"service_name": name}, "streams": [{"index": i} for i in own]}
            for n, (name, own) in enumerate(programmes, 1)
        ],
    }


def test_the_programme_is_that_of_the_picture() -> None:
    left_out = of_other_programmes(broadcast(("Radio", [0, 3]), ("TV", [1, 2])))
    assert left_out == {
        0: "audio stream 0 (x): it belongs to another programme (Radio)",
        3: "audio stream 3 (x): it belongs to another programme (Radio)",
    }


def test_a_stream_of_two_programmes_belongs_to_both() -> None:
    assert of_other_programmes(broadcast(("Radio", [0, 2]), ("TV", [1, 2, 3]))).keys() == {0}


def test_without_a_picture_it_is_the_first_with_sound() -> None:
    data = broadcast(("A", [0]), ("B", [2, 3]))
    data["streams"] = [s for s in data["streams"] if s["codec_type"] == "audio"]
    assert of_other_programmes(data).keys() == {2, 3}


def test_files_without_programmes_keep_all() -> None:
    assert of_other_programmes({"streams": [stream(0, "audio")], "programs": []}) == {}


def test_a_picture_of_unknown_size_comes_last() -> None:
    streams = [stream(0, "video", width=0), stream(1, "video", width=64, height=48)]
    assert [s["index"] for s in pictures_of(streams)] == [1, 0]


@pytest.mark.parametrize(
    ("facts", "describes"),
    [
        ({"disposition": {"visual_impaired": 1}}, True),
        ({"disposition": {"descriptions": 1}}, True),
        ({"tags": {"language": "qad"}}, True),
        ({"tags": {"title": "English AD"}}, True),
        ({"tags": {"title": "Audio Description"}}, True),
        ({"tags": {"title": "Adagio"}}, False),
        ({"disposition": {"hearing_impaired": 1}, "tags": {"language": "eng"}}, False),
    ],
)
def test_audio_descriptions(facts: dict[str, Any], describes: bool) -> None:
    assert describes_video(stream(1, "audio", **facts)) is describes
