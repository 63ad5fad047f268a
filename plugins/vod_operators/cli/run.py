"""``vod run``: runs the real ``vod_transcode`` DAG in a child process, without server or scheduler."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO, cast

from vod_operators import processes
from vod_operators.cli.interrupt import Child, Interrupted, KilledError, ignore_signals, raise_on_signals
from vod_operators.cli.main import request, settings_of
from vod_operators.cli.output import ProgressBar, print_result, step_label
from vod_operators.errors import StorageError, VodError
from vod_operators.pipeline import (
    ANALYSE,
    AUDIO,
    CORRECT,
    DAG_ID,
    OPTIONAL,
    PARTS,
    PREPARE,
    PUBLISH,
    SEGMENT,
    SPLIT,
    TRACKS_KEY,
    TRANSCODE,
    WEIGHTS,
)
from vod_operators.runners.scratch import clear_up, scratch_folder
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage import claim
from vod_operators.storage.allow import check_entries
from vod_operators.storage.keys import claim_key
from vod_operators.storage.redact import redact
from vod_operators.storage.requested import RequestedStorage, find_source
from vod_operators.storage.s3 import SCHEME as S3_SCHEME
from vod_operators.work.worker import open_stores

RELEASE_S = 2.0
"""How long the store may take to release the claim."""


def main(args: argparse.Namespace) -> int:
    """Run the DAG to its end; print the playlist's location, or one JSON object. Returns 0."""
    begin = time.monotonic()
    raise_on_signals()
    settings_of(args)
    conf = request(args)
    admit(conf)
    with private_airflow() as home:
        result = run(conf, home)
    print_result(result, wall_s=time.monotonic() - begin, as_json=args.json)
    return 0


def admit(conf: dict[str, Any]) -> None:
    """Allow this process to read the request's files, and check the source, before Airflow is imported.

    :raises InvalidInputError: as ``prepare`` would raise it.
    """
    source = conf["source"]
    _allow(source, *(file["uri"] for file in conf.get("subtitles") or ()))
    get_settings.cache_clear()
    settings = get_settings()
    if source.startswith(S3_SCHEME):
        return  # its credentials are in an Airflow connection, and Airflow is not imported yet
    with contextlib.suppress(StorageError):  # ``prepare`` checks again, with retries
        find_source(RequestedStorage("source", settings.sources, settings.aws_conn_id), source)


def run(conf: dict[str, Any], home: Path) -> dict[str, Any]:
    """Run the DAG in a child process; returns what ``publish`` returned.

    Whatever ends it, no process is left and the claim is released.

    :param conf: the request, which ``admit`` has accepted; fields with None are left out.
    :param home: folder of the private Airflow.
    :raises VodError: the run failed; the first failure's error, where it is known.
    """
    settings = get_settings()
    with quiet(home / "run.log") as terminal:
        # Imported here, because Airflow reads its environment when it is imported. Imported before the child
        # is started, because releasing the claim after a signal must not wait for imports.
        import airflow.dag_processing.dagbag

        import vod_operators.operators.base  # noqa: F401

        if settings.temp_uri.startswith(S3_SCHEME):
            import airflow.providers.amazon.aws.hooks.s3  # noqa: F401

        child = Child(lambda: _run_dag(conf, terminal))
        try:
            return cast("dict[str, Any]", child.result())
        except (Interrupted, KilledError):
            if terminal.isatty():
                print(file=terminal)  # ends the progress bar's line
            raise
        finally:
            child.end()
            # In a thread, because the store may not answer. The claim then ends when it expires.
            release = threading.Thread(
                target=_release, args=(settings, conf["video_id"], child.name), daemon=True
            )
            release.start()
            release.join(RELEASE_S)
            clear_up(settings.work_dir)


def _allow(*uris: str) -> None:
    """Allow this run to read the URIs on the command line, because it only has that user's own rights."""
    allowed = json.loads(os.environ.get("VOD_SOURCE_ALLOW") or '["public"]')
    # Entries have no user and no query. What is no URI is refused when it is read.
    entries = [redact(uri).removesuffix("?...") for uri in uris]
    usable = [entry for entry in entries if _is_entry(entry)]
    os.environ["VOD_SOURCE_ALLOW"] = json.dumps([*allowed, *usable])


def _is_entry(text: str) -> bool:
    try:
        return "://" in text and bool(check_entries([text]))
    except ValueError:
        return False


def _release(settings: VodSettings, video_id: str, process: str) -> None:
    """Release the claim if the DAG's teardown was killed before it could."""
    uri = claim_key(settings.temp_uri, video_id)
    with contextlib.suppress(VodError):
        storage, _ = open_stores(settings)
        present = claim.read_claim(storage, uri)
        if present is not None and present.holder == claim.process_holder(process):
            claim.release(storage, uri, owner=present.owner)


def _run_dag(conf: dict[str, Any], terminal: TextIO) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import AirflowException

    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    if DAG_ID not in bag.dags:
        raise VodError(f"the DAG cannot be loaded: {'; '.join(bag.import_errors.values())}")
    dag = bag.dags[DAG_ID]
    follower = _Follower(ProgressBar(terminal), claim.process_holder(processes.number(os.getpid())))
    for task in dag.tasks:
        task.on_execute_callback = [follower.started]
        task.on_success_callback = [follower.done]
        task.on_failure_callback = [follower.failed]
    try:
        run = dag.test(run_conf={key: value for key, value in conf.items() if value is not None})
    except (AirflowException, ValueError) as error:  # a param's schema refuses its value
        raise VodError(str(error).split("\n\n")[0]) from None  # the schema follows behind an empty line
    finally:
        follower.bar.close()
    if str(run.state) != "success" or follower.published is None:
        raise follower.error or VodError(f"the run ended as {run.state}")
    return follower.published


class _Follower:
    """Shows the tasks' progress in one bar, and keeps the result of ``publish`` or the first error.

    :param claim_holder: of the tasks' claims, instead of Airflow's run.
    """

    def __init__(self, bar: ProgressBar, claim_holder: str) -> None:
        self.bar = bar
        self._claim_holder = claim_holder
        self.published: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self._counts = {TRANSCODE: 1, AUDIO: 1, SEGMENT: 1}
        self._weights = {task: weight for task, weight in WEIGHTS.items() if task not in OPTIONAL}
        self._fractions: dict[tuple[str, int], float] = {}

    def started(self, context: Any) -> None:
        """Airflow's callback at the start of a try."""
        task = context["ti"].task
        task.watch, task.claim_holder = self.progress, self._claim_holder
        self._show(context, 0)

    def progress(self, context: Any, progress: Any) -> None:
        """An encoding task's report, every few seconds."""
        self._show(context, progress.percent)

    def done(self, context: Any) -> None:
        """Airflow's callback after success."""
        instance = context["ti"]
        if instance.task_id in (PREPARE, SPLIT, TRACKS_KEY, PUBLISH):
            result = instance.xcom_pull(task_ids=instance.task_id)
            if instance.task_id == SPLIT:
                self._counts |= {TRANSCODE: len(result), CORRECT: len(result)}
            elif instance.task_id == PREPARE:
                parts = instance.xcom_pull(task_ids=PREPARE, key=PARTS)
                self._counts |= {AUDIO: max(1, len(result)), ANALYSE: len(parts)}
                if parts:
                    self._weights = dict(WEIGHTS)
            elif instance.task_id == TRACKS_KEY:
                self._counts[SEGMENT] = len(result)
            else:
                self.published = result
        self._show(context, 100)

    def failed(self, context: Any) -> None:
        """Airflow's callback after a task's last try; the first error is kept."""
        self.error = self.error or context["exception"]

    def _show(self, context: Any, percent: float) -> None:
        instance = context["ti"]
        self._fractions[instance.task_id, instance.map_index or 0] = percent / 100
        done = sum(
            part * self._weights.get(task, 0) / self._counts.get(task, 1)
            for (task, _), part in self._fractions.items()
        )
        total = 100 * done / sum(self._weights.values())
        label = step_label(instance.task_id, instance.rendered_map_index)
        self.bar.show(label, 100 if self.published is not None else min(99, total))


# --- environment ----------------------------------------------------------------------------


@contextlib.contextmanager
def private_airflow() -> Iterator[Path]:
    """An Airflow home for this run only, deleted at the end; an installed Airflow's database is never used.

    :raises VodError: Airflow is already imported in this process.
    """
    if "airflow" in sys.modules:
        raise VodError("vod run needs a process of its own: Airflow is already imported in this one")
    # There is no scheduler here, and only the default pool exists.
    os.environ["VOD_TRANSCODE_POOL"] = "default_pool"
    # No task waits for a worker here, so the claim of a killed run may expire soon.
    os.environ.setdefault("VOD_CLAIM_TTL_S", "300")
    get_settings.cache_clear()
    # A scratch folder, so that the next task or run removes it if this process is killed.
    with scratch_folder(get_settings().work_dir) as home:
        os.environ.update(
            {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            }
        )
        shutil.copyfile(_empty_database(home), home / "airflow.db")
        try:
            yield home
        finally:
            ignore_signals()


def _empty_database(home: Path) -> Path:
    """Path of a migrated, empty metadata database, cached between runs because creating one takes 10 s."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vod"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        cache = home
    database = cache / f"airflow-{version('apache-airflow')}.db"
    with (cache / "airflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.is_file():
            migration = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                capture_output=True,
                text=True,
                check=False,
            )
            if migration.returncode:
                raise VodError(f"airflow db migrate failed: {migration.stderr.strip()[-500:]}")
            (home / "airflow.db").replace(home / "empty.db")
            shutil.copyfile(home / "empty.db", database.with_suffix(".part"))
            database.with_suffix(".part").replace(database)
    return database


def dags_folder() -> Path:
    """The folder of the DAG files: beside ``plugins/`` in a checkout, inside the package if installed."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "dags"
    return checkout if (checkout / f"{DAG_ID}.py").is_file() else package / "dags"


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[TextIO]:
    """Redirect stdout and stderr to a file; yields the terminal's stderr.

    :raises VodError: for any unexpected error; the message names a copy of the log.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("wb") as file, os.fdopen(os.dup(2), "w") as terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield terminal
        except VodError:
            raise
        except Exception as error:
            copy = Path(tempfile.gettempdir()) / f"vod-run-{os.getpid()}.log"
            shutil.copyfile(log, copy)
            raise VodError(f"{type(error).__name__}: {error} (log: {copy})") from error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, number in zip(saved, (1, 2), strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
