"""The airflow DAG as it is, with the bench's runner in place of its own."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from vod_operators.operators.base import VodBaseOperator  # noqa: E402

from bench.runner import RecordingRunner  # noqa: E402

if "BENCH_LOG" in os.environ and not hasattr(VodBaseOperator, "own_runner"):
    VodBaseOperator.own_runner = VodBaseOperator.runner.func
    VodBaseOperator.runner = cached_property(lambda self: RecordingRunner(self.own_runner()))
    VodBaseOperator.runner.__set_name__(VodBaseOperator, "runner")

_spec = importlib.util.spec_from_file_location("vod_transcode_as_it_is", ROOT / "dags" / "vod_transcode.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)  # Airflow finds the DAGs that are made meanwhile
