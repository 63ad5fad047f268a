"""A source that changes while the run is under way: said so, and two versions are never mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.s3_servers import S3Bucket
from support.steps import prepared as prepare
from support.tools import generate
from vod_operators.errors import InvalidInputError, ObjectChangedError, ToolError, VerificationError
from vod_operators.operators import split
from vod_operators.runners.local import LocalRunner
from vod_operators.work import source

CONTEXT = {"dag_run": SimpleNamespace(dag_id="vod", run_id="run")}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Two films of the same length; the first has three chunks."""
    folder = tmp_path_factory.mktemp("clips")
    options = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p"]
    first, second = (
        generate(folder / f"{name}.mkv", "-f", "lavfi", "-i", f"{name}=s=64x36:r=25:d=18", *options)
        for name in ("testsrc", "testsrc2")
    )
    return first.read_bytes(), second.read_bytes()


def prepared(uri: str) -> dict[str, Any]:
    return prepare(video_id="film", source=uri, preset="h264_small", chunk_seconds="6")


def cut(plan: str, uri: str) -> list[dict[str, Any]]:
    return split.VodSplitOperator(task_id="split", plan=plan, source=uri).execute(CONTEXT)


def after(calls: int, change: Callable[[], object]) -> Callable[[Any], Any]:
    """Makes of a function one that lets ``change`` happen after so many calls of it."""

    def wrap(function: Any) -> Any:
        left = [calls]

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            left[0] -= 1
            if left[0] == 0:
                change()
            return result

        return wrapped

    return wrap


def rewrite_in_place(file: Path, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.truncate()
        opened.write(data)


def replace(file: Path, data: bytes) -> None:
    file.with_suffix(".new").write_bytes(data)
    file.with_suffix(".new").replace(file)


def remove(file: Path, data: bytes) -> None:
    file.unlink()


CHANGES = pytest.mark.parametrize("change", [rewrite_in_place, replace, remove])
WHY = r"source: file:///.*film\.mkv (has changed|is gone) since the run began; ask for the video again"


@pytest.fixture
def film(stores: Path, clips: tuple[bytes, bytes]) -> Path:
    (stores / "film.mkv").write_bytes(clips[0])
    return stores / "film.mkv"


def test_a_file_that_stays_as_it_is(film: Path) -> None:
    assert len(cut(prepared(film.as_uri())["plan"], film.as_uri())) == 3


@CHANGES
def test_a_file_that_changes_before_the_split(
    film: Path, clips: tuple[bytes, bytes], change: Callable[[Path, bytes], None]
) -> None:
    plan = prepared(film.as_uri())["plan"]
    change(film, clips[1])
    with pytest.raises(InvalidInputError, match=WHY):
        cut(plan, film.as_uri())


@pytest.mark.parametrize(
    "calls", [1, 2, 4], ids=["after the packets are read", "after a trial", "after a cut"]
)
@CHANGES
def test_a_file_that_changes_while_it_is_cut(
    film: Path,
    clips: tuple[bytes, bytes],
    change: Callable[[Path, bytes], None],
    calls: int,
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = prepared(film.as_uri())["plan"]
    monkeypatch.setattr(split.VodSplitOperator, "_in_place", lambda *_: False)
    with monkeypatch.context() as patch:
        patch.setattr(LocalRunner, "run", after(calls, lambda: change(film, clips[1]))(LocalRunner.run))
        # ffmpeg may trip over the change before we see it; that is tried again.
        with pytest.raises((InvalidInputError, ToolError, VerificationError)):
            cut(plan, film.as_uri())
    with pytest.raises(InvalidInputError, match=WHY):
        cut(plan, film.as_uri())
    assert not [path for path in stores.rglob("*.json") if "split" in path.name]


def test_a_file_that_changes_while_it_is_looked_at(
    film: Path, clips: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalRunner, "run", after(1, lambda: rewrite_in_place(film, clips[1]))(LocalRunner.run))
        with pytest.raises(ObjectChangedError, match=r"film\.mkv was changed while it was looked at"):
            prepared(film.as_uri())
    prepared(film.as_uri())  # tried again, it is a source like any other


# --- remote ---------------------------------------------------------------------------------


def put(bucket: S3Bucket, data: bytes) -> str:
    bucket.client.put_object(Bucket=bucket.name, Key="film.mkv", Body=data)
    return f"{bucket.uri}/film.mkv"


@pytest.mark.parametrize("second", [b"other", None], ids=["replaced", "deleted"])
def test_an_object_that_changes_before_it_is_fetched(
    bucket: S3Bucket, clips: tuple[bytes, bytes], second: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the download."""
    uri = put(bucket, clips[0])
    plan = prepared(uri)["plan"]
    fetch = source.fetch

    def change_and_fetch(*args: Any, **kwargs: Any) -> None:
        if second is None:
            bucket.client.delete_object(Bucket=bucket.name, Key="film.mkv")
        else:
            put(bucket, clips[1])
        fetch(*args, **kwargs)

    monkeypatch.setattr(source, "fetch", change_and_fetch)
    with pytest.raises(InvalidInputError, match=r"film\.mkv (has changed|is gone) since the run began"):
        cut(plan, uri)


def test_an_object_that_changes_between_two_ranges(
    bucket: S3Bucket, clips: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beginning of one version and the end of another would make one source."""
    uri = put(bucket, clips[0])
    monkeypatch.setattr(source, "PROBE_BYTES", 10_000)
    read = source._read

    def read_and_change(*args: Any) -> Iterator[bytes]:
        yield from read(*args)
        put(bucket, clips[1])

    monkeypatch.setattr(source, "_read", read_and_change)
    with pytest.raises(ObjectChangedError, match=r"film\.mkv was changed or deleted while it was read"):
        prepared(uri)
