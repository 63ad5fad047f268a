"""Changes one published video as somebody asks: verify, repair, roll back, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from vod_operators.errors import InvalidInputError, NoSuchVideoError
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.runs import ask_for_run, holder_of, is_owner_dead, run_name
from vod_operators.pipeline import DAG_ID, OUTCOME_KEY
from vod_operators.storage.keys import ResultKeys
from vod_operators.work.deletion import Removed
from vod_operators.work.management import Manager
from vod_operators.work.verification import Verification, repair_request, verify

DAMAGE_LISTED = 100
"""How many damaged objects the report lists; the log has all of them."""


class VodManageOperator(VodBaseOperator):
    """Verify a published video, have it repaired, roll it back, or delete it.

    :param action: one of ``ACTIONS``.
    :param video_id: the video.
    :param version: for ``rollback``: the version to show; empty for the one before the current one.
    :param confirm: for ``delete``: the video's id once more.
    """

    template_fields: Sequence[str] = ("action", "video_id", "version", "confirm")

    def __init__(
        self, *, action: str, video_id: str, version: str = "", confirm: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.video_id = video_id
        self.version = version
        self.confirm = confirm

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"video_id", "action", "outcome"}`` and what is listed at each action below.

        ``outcome`` is one sentence; it is also an XCom of its own, from which the run's note is made.

        :raises InvalidInputError: a parameter is bad, or there is no such video or version.
        :raises ClaimedError: a run works on the video, which only ``verify`` and ``repair`` allow.
        :raises AirflowFailException: ``verify`` found damage; the return value is there all the same.
        """
        self.facts["video_id"] = self.settings.check_video_id(self.video_id)
        if self.action not in ACTIONS:
            raise InvalidInputError(f"action: {self.action!r} is none of {', '.join(ACTIONS)}")
        report = {"video_id": self.video_id, "action": self.action} | ACTIONS[self.action](self, context)
        self.log.info("%s: %s", self.video_id, report["outcome"])
        context["ti"].xcom_push(key=OUTCOME_KEY, value=report["outcome"])
        if self.action == "verify" and report["damaged"]:
            context["ti"].xcom_push(key="return_value", value=report)
            raise AirflowFailException(f"{self.video_id}: {report['outcome']}")
        return report

    def _verify(self, context: Context) -> dict[str, Any]:
        """``version``, ``objects``, ``size_bytes``; ``damaged``, a number; ``damage``, the first of it."""
        return _described(self._verified())

    def _repair(self, context: Context) -> dict[str, Any]:
        """As ``verify``, and ``run``: ``{"dag_id", "run_id", "state"}`` of the run that repairs; or None."""
        verification = self._verified()
        report = _described(verification)
        if not verification.damage:
            return report | {"run": None, "outcome": f"nothing to repair: {report['outcome']}"}
        request = repair_request(self.worker.temp, self.settings, self.video_id, verification)
        # The scrub's name for it, so that a damage is repaired once, whoever finds it.
        run_id = f"vod.{self.video_id}.verify.{verification.version}"
        state = ask_for_run(context, DAG_ID, run_id, request)
        if state != "running":
            telemetry.count("vod.asked")
        run = {"dag_id": DAG_ID, "run_id": run_id, "state": state}
        return report | {"run": run, "outcome": f"{report['outcome']}; run {run_id} repairs it"}

    def _roll_back(self, context: Context) -> dict[str, Any]:
        """``version``: the one that players get from now on."""
        shown = self._manager(context).roll_back(self.video_id, self.version or None)
        return {"version": shown.version, "outcome": f"rolled back to {shown.version}"}

    def _delete(self, context: Context) -> dict[str, Any]:
        """``removed``: counts of versions, workspaces, objects and bytes."""
        try:
            removed = self._manager(context).delete(self.video_id, self.confirm)
        except NoSuchVideoError:
            # Its runs failed before they stored anything. When this one succeeds, lists leave them out.
            removed = Removed()
        return {"removed": removed.as_dict(), "outcome": f"deleted: {removed}"}

    def _verified(self) -> Verification:
        keys = ResultKeys(results_uri=self.settings.results_uri, video_id=self.video_id)
        verification = verify(self.worker.results, keys)
        self.facts |= {"objects": verification.objects, "damaged": len(verification.damage)}
        for item in verification.damage:
            self.log.warning("damaged: %s", item)
        return verification

    def _manager(self, context: Context) -> Manager:
        return Manager(
            settings=self.settings,
            temp=self.worker.temp,
            results=self.worker.results,
            owner=run_name(context),
            holder=holder_of(context["dag_run"]),
            is_dead=is_owner_dead,
        )


def _described(verification: Verification) -> dict[str, Any]:
    damaged = len(verification.damage)
    return verification.report(DAMAGE_LISTED) | {
        "damaged": damaged,
        "outcome": f"{damaged} of {verification.objects} files are damaged"
        if damaged
        else f"all {verification.objects} files match their checksums",
    }


ACTIONS: Mapping[str, Callable[[VodManageOperator, Context], dict[str, Any]]] = {
    "verify": VodManageOperator._verify,
    "repair": VodManageOperator._repair,
    "rollback": VodManageOperator._roll_back,
    "delete": VodManageOperator._delete,
}
"""Action -> what does it."""
