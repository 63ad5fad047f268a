"""Damage of what is published, and of what it is made of: found, told, and only that is made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faults.stage import media_digests
from support.diary import Diary
from support.presets import write_preset
from support.s3_servers import S3Bucket
from support.settings import allow_sources, configure
from support.steps import Steps
from support.tools import ROOT, generate
from vod_operators.errors import InvalidInputError
from vod_operators.settings import get_settings
from vod_operators.storage.checksums import FILE
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.stores import storage_for
from vod_operators.work.verification import Verification, verify

CHUNKS = 3
SEGMENT = "full/seg-00002.m4s"


def slow(*values: str) -> list[Any]:
    """Params that are left to ``make test-faults``."""
    return [pytest.param(value, marks=pytest.mark.faults) for value in values]


class Film:
    """A finished video, and what becomes of it."""

    def __init__(self, stores: Path, source: Path, diary: Diary) -> None:
        self.stores, self.diary = stores, diary
        self.asked = {"video_id": "film", "source": source.as_uri()}
        self.folder = stores / "results" / "film"
        Steps(**self.asked).run()
        self.media = media_digests(self.folder)
        self.version = self.shown()

    def shown(self) -> Path:
        (name,) = {
            path.name
            for path in self.folder.glob("v-*")
            if path.name in (self.folder / "index.m3u8").read_text()
        }
        return self.folder / name

    def verify(self) -> Verification:
        settings = get_settings()
        keys = ResultKeys(results_uri=settings.results_uri, video_id="film")
        return verify(storage_for(keys.results_uri, settings.aws_conn_id), keys)

    def damaged(self) -> list[str]:
        """Names of the files, from the video's folder."""
        return [
            item.uri.partition("/film/")[2].removeprefix(f"{self.shown().name}/")
            for item in self.verify().damage
        ]

    def ask_again(self, *, verify: bool = False) -> tuple[list[str], int]:
        """What of it was found damaged, and how many chunks were encoded."""
        self.diary.forget()
        steps = Steps(**self.asked, verify=verify)
        steps.run()
        return steps.pushed["damage"], self.diary.total()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *(
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=s=128x72:r=25:d={CHUNKS}",
            "-f",
            "lavfi",
            "-i",
            f"sine=d={CHUNKS}:r=48000",
        ),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Film]:
    folder = tmp_path_factory.mktemp("finished")
    diary = Diary(folder / "tools")
    with pytest.MonkeyPatch.context() as patch:
        configure(
            patch,
            temp_uri=(folder / "tmp").as_uri(),
            results_uri=(folder / "results").as_uri(),
            work_dir=str(folder / "work"),
            presets_dir=str(write_preset(folder / "presets")),
            ffmpeg=str(diary.tool),
            sandbox="off",  # the diary lies beside it
        )
        yield Film(folder, source, diary)


@pytest.fixture
def film(finished: Film) -> Film:
    """As it was published, for each test; what were two names of a file are two files."""
    kept = finished.stores / "kept"
    if not kept.exists():
        for name in ("tmp", "results"):
            _copy(finished.stores / name, kept / name)
    for name in ("tmp", "results"):
        shutil.rmtree(finished.stores / name, ignore_errors=True)
        _copy(kept / name, finished.stores / name)
    get_settings.cache_clear()  # another test may have moved the stores
    return finished


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copytree(source, target)


def flip(path: Path, *, secretly: bool = False) -> None:
    """Change a bit in place, so that all names of the file have it.

    :param secretly: the file keeps its times, as when a disk forgets.
    """
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(status.st_size // 2)
        byte = file.read(1)
        file.seek(status.st_size // 2)
        file.write(bytes([byte[0] ^ 1]))
    if secretly:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(film: Film, segment: str) -> None:
    """As ``segment`` left it: the published file is another name of the workspace's."""
    (made,) = film.stores.glob(f"tmp/film/work-*/*/{segment}")
    (film.version / segment).unlink()
    os.link(made, film.version / segment)


def test_nothing_is_damaged_and_nothing_done(film: Film) -> None:
    found = film.verify()
    assert found.damage == () and found.version == film.version.name
    assert (
        found.objects == sum(path.is_file() for path in film.version.rglob("*")) - 2
    )  # itself, and video.json
    assert film.ask_again(verify=True) == ([], 0)
    assert film.shown() == film.version


@pytest.mark.faults
def test_foreign_tools_can_tell_too(film: Film) -> None:
    check = ["sha256sum", "--check", "--quiet", FILE]
    assert subprocess.run(check, cwd=film.version, check=False).returncode == 0
    flip(film.version / SEGMENT)
    told = subprocess.run(check, cwd=film.version, check=False, capture_output=True, text=True)
    assert told.returncode == 1 and told.stdout == f"{SEGMENT}: FAILED\n"


@pytest.mark.parametrize("secretly", [pytest.param(False, marks=pytest.mark.faults), True])
def test_a_flipped_bit_costs_its_chunk(film: Film, secretly: bool) -> None:
    link(film, SEGMENT)
    assert film.ask_again() == ([], 0)  # and what the store calls the files now is known
    flip(film.version / SEGMENT, secretly=secretly)
    before = {path: path.read_bytes() for path in film.version.rglob("*") if path.is_file()}
    assert film.damaged() == [SEGMENT]
    if secretly:  # only reading tells
        assert film.ask_again() == ([], 0) and film.damaged() == [SEGMENT]

    damage, encoded = film.ask_again(verify=secretly)

    assert encoded == 1 and [name.rpartition("/film/")[2].count(SEGMENT) for name in damage] == [1, 1]
    assert film.verify().damage == () and media_digests(film.folder) == film.media
    # Another version, because caches have the damaged one; whoever plays that one has it as it was.
    assert film.shown() != film.version
    assert {path: path.read_bytes() for path in film.version.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", ["zeros", *slow("flip", "truncate", "remove")])
def test_what_the_workspace_has_is_copied(film: Film, damage: str) -> None:
    path = film.version / SEGMENT
    if damage == "flip":
        flip(path)
    elif damage == "zeros":
        path.write_bytes(bytes(path.stat().st_size))
    elif damage == "truncate":
        os.truncate(path, 100)
    else:
        path.unlink()
    assert film.damaged() == [SEGMENT]
    told, encoded = film.ask_again()
    assert encoded == 0 and len(told) == 1 and SEGMENT in told[0]
    assert film.verify().damage == () and media_digests(film.folder) == film.media


INNER = ("manifest.mpd", "video.json", FILE, "full/index.m3u8", "audio-0/init.mp4", "pictures/poster.jpg")


@pytest.mark.parametrize("file", ["master.m3u8", *slow("stable.m3u8", *INNER)])
def test_every_kind_of_file(film: Film, file: str) -> None:
    path = film.version / file
    path.write_bytes(path.read_bytes()[:-3] + b"???")
    assert film.damaged()
    told, encoded = film.ask_again()
    assert told and encoded == 0
    assert film.verify().damage == () and media_digests(film.folder) == film.media


@pytest.mark.parametrize("file", [*slow("index.m3u8", "manifest.mpd", "video.json")])
def test_what_is_stable(film: Film, file: str) -> None:
    path = film.folder / file
    path.write_bytes(path.read_bytes()[:40])
    assert [item.uri.partition("/film/")[2] for item in film.verify().damage] == [file]
    assert film.ask_again()[1] == 0
    assert film.verify().damage == () and film.shown() == film.version


@pytest.mark.faults
def test_damaged_work_is_done_again_for_nothing_published(film: Film) -> None:
    (made,) = film.stores.glob(f"tmp/film/work-*/*/{SEGMENT}")
    flip(made, secretly=True)
    assert film.verify().damage == ()
    damage, encoded = film.ask_again(verify=True)
    assert len(damage) == 1 and encoded == 1
    assert film.shown() == film.version and film.verify().damage == ()


@pytest.mark.faults
def test_a_restored_store_is_not_damaged(film: Film) -> None:
    """It gives other versions to files of the same content."""
    for path in film.version.rglob("*.m4s"):
        os.utime(path)
    assert film.ask_again() == ([], 0) and film.shown() == film.version


@pytest.mark.faults
def test_what_there_is_not(film: Film) -> None:
    (film.version / FILE).unlink()
    with pytest.raises(
        InvalidInputError, match="has no SHA256SUMS: it was made before there were any, or lost it"
    ):
        film.verify()
    assert film.ask_again() == ([], 0)
    assert film.verify().damage == () and film.shown() == film.version
    shutil.rmtree(film.folder)
    with pytest.raises(InvalidInputError, match="video_id: there is no video 'film' in"):
        film.verify()


@pytest.mark.faults
def test_in_s3(source: Path, stores: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        temp_uri=f"{s3_bucket.uri}/tmp",
        results_uri=f"{s3_bucket.uri}/results",
        aws_conn_id=s3_bucket.conn_id,
        presets_dir=str(write_preset(stores / "presets")),
    )
    allow_sources(monkeypatch, source.parent.as_uri())
    asked = {"video_id": "film", "source": source.as_uri()}
    Steps(**asked).run()
    keys = ResultKeys(results_uri=f"{s3_bucket.uri}/results", video_id="film")
    results = storage_for(keys.results_uri, s3_bucket.conn_id)
    found = verify(results, keys)
    assert found.damage == ()

    where: dict[str, Any] = {"Bucket": s3_bucket.name, "Key": f"results/film/{found.version}/{SEGMENT}"}
    data = s3_bucket.client.get_object(**where)["Body"].read()
    s3_bucket.client.put_object(**where, Body=data[:-1] + b"?")
    (item,) = verify(results, keys).damage
    assert item.uri == keys.version(found.version, SEGMENT)

    again = Steps(**asked)
    again.run()  # its ETag is another one
    assert len(again.pushed["damage"]) == 1
    mended = verify(results, keys)
    assert mended.damage == () and mended.version != found.version


# --- the scrub and the command line ---------------------------------------------------------


@pytest.fixture
def scrub(airflow_db: None) -> Callable[..., tuple[str, dict[str, Any] | None]]:
    """Runs ``vod_scrub``: its state, and what its task says."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)

    def run(**conf: Any) -> tuple[str, dict[str, Any] | None]:
        done = bag.dags["vod_scrub"].test(run_conf={"parts": 1} | conf)
        return str(done.state), done.get_task_instance("read").xcom_pull(task_ids="read")

    return run


def asked_for() -> list[dict[str, Any]]:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == "vod_transcode_bulk")
        return [run.conf for run in found if run.run_id.startswith("vod.film.verify.")]


@pytest.mark.faults
def test_the_scrub(film: Film, scrub: Callable[..., tuple[str, dict[str, Any] | None]]) -> None:
    state, report = scrub()
    assert state == "success" and report is not None
    assert {name: report[name] for name in ("videos", "damaged", "unread")} == {
        "videos": 1, "damaged": 0, "unread": 0,
    }  # fmt: skip
    assert report["objects"] == film.verify().objects
    flip(film.version / SEGMENT, secretly=True)
    assert scrub()[0] == "failed" and asked_for() == []
    state, report = scrub(repair=True)
    assert state == "success" and report is not None
    assert report["items"] == [{"video_id": "film", "objects": 1, "became": "asked for again"}]
    (conf,) = asked_for()
    assert conf == film.asked | {"preset": "tiny", "chunk_seconds": 1, "verify": True}
    write_preset(film.stores / "presets", gop_seconds=2)  # would make another video
    assert scrub(repair=True)[0] == "failed" and len(asked_for()) == 1
    write_preset(film.stores / "presets")
    shutil.rmtree(film.stores / "tmp")  # as the janitor does, when its days are over
    assert scrub(repair=True)[0] == "failed"


@pytest.mark.faults
def test_vod_manage_repairs_what_it_finds(film: Film, airflow_db: None) -> None:
    """By a run of the lane of people, with the request that made the video."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags")
    sync_bag_to_db(bag, "dags-folder", None)

    def manage(action: str) -> tuple[str, dict[str, Any]]:
        done = bag.dags["vod_manage"].test(run_conf={"action": action, "video_id": "film"})
        return str(done.state), done.get_task_instance("manage").xcom_pull(task_ids="manage")

    assert manage("repair")[1]["run"] is None
    flip(film.version / SEGMENT, secretly=True)
    state, report = manage("verify")
    assert (state, report["damaged"]) == ("failed", 1)
    state, report = manage("repair")
    run_id = f"vod.film.verify.{film.version.name}"
    assert state == "success"
    assert report["run"] == {"dag_id": "vod_transcode", "run_id": run_id, "state": "new"}
    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == "vod_transcode", DagRun.run_id == run_id)
        assert found.one().conf == film.asked | {"preset": "tiny", "chunk_seconds": 1, "verify": True}
    assert manage("repair")[1]["run"]["state"] == "running"  # it is queued, and not asked for twice


def test_each_video_has_its_day(film: Film) -> None:
    from vod_operators.operators.scrub import VodScrubOperator

    def videos(parts: str, day: int) -> list[str]:
        run = SimpleNamespace(run_after=datetime(2026, 11, day, tzinfo=timezone.utc))
        context: Any = {"dag_run": run}
        return list(VodScrubOperator(task_id="read", parts=parts)._videos(context))

    assert videos("1", 1) == ["film"]
    assert sorted(name for day in range(1, 8) for name in videos("7", day)) == ["film"]
    with pytest.raises(InvalidInputError, match="parts: '0' is not a whole number of 1 or more"):
        videos("0", 1)


def vod(film: Film, *options: str) -> tuple[int, str, str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-m", "vod_operators.cli.main", "verify", "film", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.faults
def test_the_command_line(film: Film) -> None:
    found = film.verify()
    count = f"film {film.version.name}: {found.objects} files, {found.size_bytes} bytes"
    assert vod(film)[:2] == (0, f"{count}: all match their checksums\n")
    link(film, SEGMENT)
    flip(film.version / SEGMENT, secretly=True)
    uri = (film.version / SEGMENT).as_uri()
    words = f"damaged: {uri}: its content has changed (SHA-256)\n{count}: 1 damaged\n"
    assert vod(film)[:2] == (1, words)
    status, out, _ = vod(film, "--json")
    assert status == 1 and json.loads(out)["damage"] == [
        {"uri": uri, "found": "its content has changed (SHA-256)"}
    ]
    film.diary.forget()

    status, out, err = vod(film, "--repair")

    assert status == 0, err
    assert film.diary.total() == 1 and film.shown() != film.version
    assert out == f"{words}film {film.shown().name}: repaired; all files match their checksums\n"
    assert vod(film)[0] == 0 and media_digests(film.folder) == film.media


@pytest.mark.faults
def test_what_the_command_line_cannot_repair(film: Film) -> None:
    flip(film.version / SEGMENT)
    shutil.rmtree(film.stores / "tmp")
    status, _, err = vod(film, "--repair")
    assert status == 1
    where = get_settings().temp_uri
    assert err.splitlines()[-1] == (
        f"vod: video_id: the workspace of film in {where} is gone, so nothing can be copied from it; "
        "ask for the whole video again, with film.mp4: vod submit SOURCE --video-id film"
    )
