"""Downloads and chapters on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vod_operators.cli.main import build_parser, request
from vod_operators.cli.show import _lines
from vod_operators.errors import InvalidInputError


def asked(*arguments: str) -> dict[str, Any]:
    return request(build_parser().parse_args(["submit", "s3://a/b.mp4", "--video-id", "film", *arguments]))


def test_a_request(tmp_path: Path) -> None:
    file = tmp_path / "chapters.json"
    file.write_text('[{"start": 0, "title": "Ö"}]', "utf-8")
    found = asked("--download", "best", "--download", "audio", "--chapters", str(file))
    assert found["downloads"] == ["best", "audio"]
    assert found["chapters"] == [{"start": 0, "title": "Ö"}]
    assert asked()["downloads"] is None and asked()["chapters"] is None


@pytest.mark.parametrize(("text", "words"), [("{", "cannot be read"), ("{}", "is no list such as")])
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "chapters.json"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidInputError, match=rf"--chapters: .*{words}"):
        asked("--chapters", str(file))
    with pytest.raises(InvalidInputError, match=r"--chapters: .*cannot be read"):
        asked("--chapters", str(tmp_path / "nothing"))


def test_show_lists_files() -> None:
    files = [{"names": ["best", "1080p"], "size_bytes": 12_345_678, "uri": "v-1/downloads/film-1080p.mp4"}]
    result = {"duration_s": 1, "preset": "h264", "version": "v-1", "renditions": [], "downloads": files}
    empty = {"urls": [], "remarks": [], "check": None, "versions": [], "runs": [], "reason": None}
    video = {"video_id": "film", "title": "film.mp4", "state": "published", "percent": None} | empty
    text = "\n".join(_lines(json.loads(json.dumps(video | {"result": result}))))
    assert "DOWNLOAD     MB    FILE\nbest, 1080p  12.3  v-1/downloads/film-1080p.mp4" in text
