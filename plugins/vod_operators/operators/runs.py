"""Starts other runs from within a task, and asks whether one has ended; without REST and credentials."""

from __future__ import annotations

import logging
from typing import Any, Literal

from airflow.sdk import Context

from vod_operators.errors import VodError
from vod_operators.storage.claim import Claim, is_process_dead

_LOG = logging.getLogger(__name__)

Answer = Literal["new", "continued", "repeated", "running"]


def ask_for_run(context: Context, dag_id: str, run_id: str, conf: dict[str, Any]) -> Answer:
    """Start the run, or clear the one of that name if it has ended; returns which.

    ``new``: it was started. ``continued``: it had failed, was cleared, and keeps its finished work.
    ``repeated``: it had succeeded and was cleared. ``running``: it is running or queued, and was left alone.

    ``TriggerDagRunOperator`` starts one run a task, so mapping it would limit a list to ``[core]
    max_map_length`` (1024) videos.

    :raises AirflowRuntimeError: Airflow's API fails, or refuses.
    :raises VodError: an ended run could not be cleared.
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


def run_name(context: Context) -> str:
    """The run's name as owner of claims: ``dag_id/run_id``."""
    run = context["dag_run"]
    return f"{run.dag_id}/{run.run_id}"


def holder_of(run: Any) -> str:
    """The holder of a claim of an Airflow run: when the run was requested, and how often it was cleared.

    The run's name would not suffice, because two Airflows that share a store may have runs of the same name.
    A cleared run must be another holder, so that it writes its claim anew before it continues.
    """
    asked = getattr(run, "run_after", None)  # Airflow's runs always have it
    return f"run {asked.isoformat()} {run.clear_number or 0}" if asked else ""


def is_owner_dead(claim: Claim) -> bool:
    """Whether a claim's owner is known to have ended: its process is gone, or this Airflow ended its run.

    Owners of which that cannot be known count as alive: a run of another Airflow, a deleted run, or any run
    while Airflow's API fails.
    """
    return is_process_dead(claim) or _is_over(claim)


def _is_over(claim: Claim) -> bool:
    kind, _, rest = claim.holder.partition(" ")
    dag_id, slash, run_id = claim.owner.partition("/")
    if kind != "run" or not slash:
        return False
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import DagRunResult, GetDagRun

    try:
        run = task_runner.SUPERVISOR_COMMS.send(GetDagRun(dag_id=dag_id, run_id=run_id))
    except Exception as error:  # a run that does not exist is an exception too
        _LOG.info("whether %s is over is not known: %s", claim.owner, error)
        return False
    if not isinstance(run, DagRunResult):
        return False
    return run.run_after.isoformat() == rest.partition(" ")[0] and run.state in ("success", "failed")
