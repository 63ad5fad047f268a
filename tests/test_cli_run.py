"""What ``vod run`` refuses before it starts anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.settings import allow_sources
from support.steps import prepared
from vod_operators.errors import InvalidInputError
from vod_operators.storage.allow import AllowList
from vod_operators.storage.requested import RequestedStorage, find_source

RUN = """
import json, sys
from vod_operators.cli.main import main
codes = [main(["run", source]) for source in sys.argv[1:]]
print(json.dumps({"codes": codes, "airflow": "airflow" in sys.modules}))
"""


def test_a_source_that_cannot_be_read_is_refused_before_airflow_is_imported(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.mp4").touch()
    sources = [tmp_path / "none.mp4", tmp_path, tmp_path / "empty.mp4", Path("/dev/zero")]
    run = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, sources)], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == {"codes": [1] * len(sources), "airflow": False}
    told = [line.removeprefix("vod: ") for line in run.stderr.splitlines()]
    assert told == [
        f"source: {(tmp_path / 'none.mp4').as_uri()} does not exist",
        f"source: {tmp_path}: it is a folder: give the URI of one file",
        f"source: {(tmp_path / 'empty.mp4').as_uri()} is empty (0 bytes)",
        "source: /dev/zero: it is a device or a pipe: give the URI of a regular file",
    ]
    allow_sources(monkeypatch, tmp_path.as_uri(), "file:///dev")
    for source, words in zip(sources, told, strict=True):  # what the operator says
        with pytest.raises(InvalidInputError) as refusal:
            prepared(video_id="bad", source=source.as_uri(), preset="h264_small")
        assert str(refusal.value) == words


def test_a_source_that_this_user_may_not_read() -> None:
    # Not below pytest's folder, which is its owner's alone.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        path.write_bytes(b"film")
        path.chmod(0)
        Path(folder).chmod(0o755)
        store = RequestedStorage("source", AllowList("VOD_SOURCE_ALLOW", (Path(folder).as_uri(),)), "none")
        me = os.geteuid()
        if me == 0:  # may read anything
            os.seteuid(65534)
        try:
            with pytest.raises(InvalidInputError, match=r"^source: .*film\.mp4: Permission denied; "):
                find_source(store, path.as_uri())
        finally:
            os.seteuid(me)
