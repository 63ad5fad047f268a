"""The airflow DAG as it is, with the bench's runner; what each step took is noted in ``BENCH_LOG``."""

from __future__ import annotations

import importlib.util
import resource
import sys
from pathlib import Path
from typing import Any

import psutil

from vod_operators.operators.base import VodBaseOperator

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.runner import RecordingRunner, note  # noqa: E402

if not hasattr(VodBaseOperator, "own_runner"):
    VodBaseOperator.own_runner = VodBaseOperator.make_runner
    VodBaseOperator.own_post_execute = VodBaseOperator.post_execute

    def post_execute(self: Any, context: Any, result: Any = None) -> None:
        self.own_post_execute(context, result)
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

    VodBaseOperator.post_execute = post_execute
    VodBaseOperator.make_runner = lambda self, *inherited: RecordingRunner(self.own_runner(*inherited))

_spec = importlib.util.spec_from_file_location("vod_transcode_as_it_is", ROOT / "dags" / "vod_transcode.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)  # Airflow finds the DAGs that are made meanwhile
