"""Runs of another DAG, asked for from within a task: no REST, no credentials, as many as one likes."""

from __future__ import annotations

from typing import Any, Literal

from airflow.sdk import Context

from vod_operators.errors import VodError

Answer = Literal["new", "continued", "repeated", "running"]


def ask_for_run(context: Context, dag_id: str, run_id: str, conf: dict[str, Any]) -> Answer:
    """Start the run, or find the one of that name.

    ``continued``: it had failed, and goes on from what it had finished. ``repeated``: it had succeeded.
    ``running``: it is at work, or waits for its turn; nothing was changed.

    What ``TriggerDagRunOperator`` does, which can do it once a task: mapped, for ``[core] max_map_length``
    (1024) videos at most.

    :raises AirflowRuntimeError: Airflow's API fails, or refuses.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

    def trigger(*, reset: bool) -> bool:
        request = TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=conf, reset_dag_run=reset)
        answer = task_runner.SUPERVISOR_COMMS.send(request)
        return not isinstance(answer, ErrorResponse)

    if trigger(reset=False):
        return "new"
    state = context["ti"].get_dagrun_state(dag_id=dag_id, run_id=run_id)
    if state not in ("failed", "success"):
        return "running"
    if not trigger(reset=True):
        raise VodError(f"run {run_id} of {dag_id} could not be cleared")
    return "continued" if state == "failed" else "repeated"
