"""The airflow DAG as it is, with the bench's runner; what each step took is noted in ``BENCH_LOG``."""

from __future__ import annotations

import importlib.util
import resource
import sys
from pathlib import Path
from typing import Any

import psutil

from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.tool_runner import new_runner
from vod_operators.work.worker import Worker

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.runner import RecordingRunner, note  # noqa: E402


def record(context: Any) -> None:
    """Airflow's callback before a task is executed: give it a runner that records."""
    task = context["ti"].task
    if isinstance(task, VodBaseOperator):
        settings = task.settings
        task.worker = Worker(
            settings, lambda *inherited: RecordingRunner(new_runner(settings, *inherited, runs_on_host=True))
        )


def note_cost(context: Any) -> None:
    """Airflow's callback when a task has succeeded."""
    # The kernel adds those of children that have ended; a task's process begins at 0.
    io = psutil.Process().io_counters()
    tools = resource.getrusage(resource.RUSAGE_CHILDREN)
    note(
        step=context["ti"].task_id,
        tools_cpu_s=tools.ru_utime + tools.ru_stime,
        tools_peak_mb=tools.ru_maxrss / 1024,
        read=io.read_chars,
        written=io.write_chars,
        own_peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        # Without what is shared with the process that it was forked from.
        own_mb=psutil.Process().memory_full_info().uss / 1e6,
    )


_spec = importlib.util.spec_from_file_location("vod_transcode_as_it_is", ROOT / "dags" / "vod_transcode.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)  # Airflow finds the DAGs that are made meanwhile
for _dag in _module.DAGS:
    for _task in _dag.tasks:
        _task.on_execute_callback = [record]
        if _task.task_id != "tracks":
            _task.on_success_callback = [note_cost]
