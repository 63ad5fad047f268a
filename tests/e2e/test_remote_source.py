"""Sources that are not on this host's disk: looked at through their ends, fetched once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles

from e2e.presentation import check_presentation
from support.tools import CLIP, FFPROBE, generate
from vod_operators.errors import InvalidInputError
from vod_operators.media import probe
from vod_operators.media.models import Source
from vod_operators.operators.prepare import VodPrepareOperator
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools
from vod_operators.settings import get_settings
from vod_operators.storage.http import HttpSource
from vod_operators.work.inspection import inspect
from vod_operators.work.source import Excerpt, place_for_probing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("origin")


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    """A web server with ranges and ETags, as an origin has them."""
    app = Starlette()
    app.mount("/", StaticFiles(directory=folder))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("index-behind.mp4", []),
        ("index-before.mp4", ["-movflags", "+faststart"]),
        ("fragmented.mp4", ["-movflags", "+frag_keyframe+empty_moov"]),
        ("film.mkv", []),
        ("film.ts", []),
        ("film.mov", []),
    ],
)
def test_a_large_source_is_known_from_its_ends(
    folder: Path, origin: str, tmp_path: Path, name: str, options: list[str]
) -> None:
    noise = ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=25:d=20,geq=random(1)*255:128:128"]
    sound = ["-f", "lavfi", "-i", "sine=440:d=20"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "22", "-g", "25", "-c:a", "aac"]
    source = folder / "made-once.mkv"
    if not source.exists():
        generate(source, *noise, *sound, *codecs)
    file = generate(folder / name, "-i", str(source), "-c", "copy", *options)
    assert file.stat().st_size > 16_000_000
    storage = HttpSource()
    found = storage.stat(f"{origin}/{name}")
    assert found is not None

    excerpt = place_for_probing(storage, found, tmp_path / "source")

    copy = tmp_path / "source"
    assert copy.stat().st_size == file.stat().st_size
    if name != "fragmented.mp4":
        assert copy.stat().st_blocks * 512 < 11_000_000, "only the ends are fetched"
    assert probed(copy) == probed(file)
    assert excerpt.is_whole == (name == "fragmented.mp4")
    inspect(LocalRunner(), Tools(), excerpt, limits=get_settings().limits)


class Counted:
    """A store that counts what is read of it."""

    def __init__(self) -> None:
        self.store, self.size_bytes, self.requests = HttpSource(), 0, 0

    def local_path(self, uri: str) -> None:
        return None

    def read(self, uri: str, **which: Any) -> Iterator[bytes]:
        self.requests += 1
        for block in self.store.read(uri, **which):
            self.size_bytes += len(block)
            yield block


@pytest.mark.parametrize("options", [[], ["-movflags", "+faststart"]], ids=["moov-last", "moov-first"])
def test_no_more_is_read_than_is_looked_at(
    folder: Path, origin: str, tmp_path: Path, options: list[str]
) -> None:
    """Of an MP4, pictures at eight places are fetched besides its ends; the trial of a cut needs no more."""
    noise = ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=25:d=20,geq=random(1)*255:128:128"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "22", "-g", "25", "-c:a", "aac"]
    film = generate(folder / "film.mp4", *noise, "-f", "lavfi", "-i", "sine=440:d=20", *codecs, *options)
    store = Counted()
    found = store.store.stat(f"{origin}/film.mp4")
    assert found is not None

    excerpt = place_for_probing(store, found, tmp_path / "source")
    ends, requests = store.size_bytes, store.requests
    source = inspect(LocalRunner(), Tools(), excerpt, limits=get_settings().limits)

    assert source.video is not None and source.video.carrier == "nut" and source.audio[0].carrier == "nut"
    assert ends <= probe.PROBE_BYTES + (1 << 20) + 500_000 and requests <= 3
    share = film.stat().st_size / 500  # bytes of a picture; a seek lands on a key frame, which is larger
    assert 0 < store.size_bytes - ends < 8 * 6 * 3 * share
    assert store.requests - requests <= 8


def inspected(file: Path, held: int | None = None) -> Source:
    """:param held: bytes that are there, from the beginning on; all if absent."""
    excerpt = Excerpt(file, file.stat().st_size, None if held is None else [(0, held)])
    return inspect(LocalRunner(), Tools(), excerpt, limits=get_settings().limits)


def test_what_was_not_fetched_is_not_called_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path / "clip.mp4", "-i", str(CLIP), "-c", "copy", "-movflags", "+faststart")
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    begin = data.index(b"mdat") + 100
    data[begin:] = bytes(len(data) - begin)
    (tmp_path / "source").write_bytes(data)
    with pytest.raises(InvalidInputError, match="cannot be decoded: nothing of its first 20 s gives a frame"):
        inspected(tmp_path / "source")
    monkeypatch.setattr(probe, "PROBE_BYTES", begin)
    inspected(tmp_path / "source", begin)


def test_a_playlist_from_a_web_server(stores: Path, folder: Path, origin: str) -> None:
    (folder / "film.mp4").write_text("#EXTM3U\n#EXTINF:9,\nclip.ts\n")
    task = VodPrepareOperator(
        task_id="prepare", video_id="web", source=f"{origin}/film.mp4?signature=secret", preset="h264_small"
    )
    with pytest.raises(InvalidInputError, match="an HLS or M3U playlist, which only lists media") as refused:
        task.execute({"dag_run": SimpleNamespace(dag_id="vod", run_id="run")})
    assert "secret" not in str(refused.value)


def probed(file: Path) -> Source:
    """What is said of it, but for the bitrate of a sound track, which MPEG-TS estimates from what it sees."""
    lines: list[str] = []
    LocalRunner().run(probe.probe(FFPROBE, file.name), folder=file.parent, on_line=lines.append)
    found = probe.parse_probe(json.loads("\n".join(lines)), size_bytes=file.stat().st_size)
    return found.model_copy(
        update={"audio": tuple(track.model_copy(update={"bitrate_bps": None}) for track in found.audio)}
    )


def test_a_video_from_a_web_server(run_dag, stores: Path, folder: Path, origin: str) -> None:
    generate(
        folder / "small clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=7", "-f", "lavfi", "-i", "sine=440:d=7"),
    )

    run = run_dag(video_id="web", source=f"{origin}/small%20clip.mp4?signature=secret", preset="h264_small")

    assert run.state == "success"
    check_presentation(stores / "results" / "web", frames=175, rate=Fraction(25))
    assert "secret" not in (stores / "results" / "web" / "video.json").read_text("utf-8")
