"""Other runs, from within a task: no REST, no credentials. To ask for one, and to ask whether one is over."""

from __future__ import annotations

import logging
from typing import Any, Literal

from airflow.sdk import Context

from vod_operators.errors import VodError
from vod_operators.storage.claim import Claim, is_process_dead

_LOG = logging.getLogger(__name__)

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


def holder_of(run: Any) -> str:
    """The holder of a claim whose owner is a run of Airflow: when it was asked for, and how often cleared.

    Names alone would not do: two Airflows that share a store may have runs of one name. And a run that is
    cleared must be another holder, so that it writes its claim anew before it works on.
    """
    asked = getattr(run, "run_after", None)  # Airflow's runs always have it
    return f"run {asked.isoformat()} {run.clear_number or 0}" if asked else ""


def is_owner_dead(claim: Claim) -> bool:
    """Whether a claim's owner is known to be no more: its process has ended, or this Airflow has its run as
    over. What cannot be known is alive: another Airflow's run, a deleted one, one of which Airflow's API does
    not tell now.
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
    except Exception as error:  # also what says that there is no such run
        _LOG.info("whether %s is over is not known: %s", claim.owner, error)
        return False
    if not isinstance(run, DagRunResult):
        return False
    return run.run_after.isoformat() == rest.partition(" ")[0] and run.state in ("success", "failed")
