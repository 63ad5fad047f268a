"""Tells the CMS what became of a request, on behalf of a task."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from airflow.sdk import Context

from vod_operators.errors import InvalidInputError
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.credentials import callback_of, is_empty
from vod_operators.operators.runs import run_name
from vod_operators.work.webhook import Event, EventKind, deliver, event_id

_LOG = logging.getLogger(__name__)


class VodTellingOperator(VodBaseOperator):
    """Base of the operators that tell the CMS."""

    video_id: str
    callback_url: str
    """Empty for the connection's URL, if there is a connection; else nothing is sent."""
    callback_conn_id: str
    """Airflow connection that the request names, with the URL or the CMS's credentials."""

    def tell_cms(
        self, context: Context, event: EventKind, *, limit_s: float | None = None, **details: Any
    ) -> None:
        """Send an event to the callback URL. Never raises, and takes no longer than ``limit_s``.

        :param limit_s: seconds; None for the deployment's limit, which it cannot exceed.
        :param details: of the event: ``result``, or ``failure`` and ``failed_tasks``.
        """
        if is_empty(self.callback_url) and is_empty(self.callback_conn_id):
            return
        run, limit = context["dag_run"], self.settings.callback_limit_s
        try:
            message = Event(
                event=event,
                event_id=event_id(run_name(context), run.clear_number or 0, event),
                video_id=self.video_id,
                run_id=run.run_id,
                run_url=_run_url(run.dag_id, run.run_id),
                **details,
            )
            secret = _secret(self.settings.callback_conn_id)
            url, credentials = callback_of(self.settings, self.callback_url, self.callback_conn_id)
        except Exception as error:  # a callback must not fail a video
            _LOG.error("callback_url: the CMS is not told %r: %s", event, error)
            return
        accepted = deliver(
            url,
            message,
            allow=self.settings.callbacks,
            credentials=credentials,
            secret=secret,
            limit_s=min(limit, limit_s or limit),
            log=_LOG.warning,
        )
        if accepted:
            _LOG.info("the CMS was told %r", event)


def _secret(conn_id: str | None) -> str | None:
    """What signs the callbacks: the password of a connection; None if the deployment names none."""
    from airflow.sdk import Connection  # here, because the DAG file is parsed again for every task

    if conn_id is None:
        _LOG.warning("the callback is not signed: VOD_CALLBACK_CONN_ID names no Airflow connection")
        return None
    secret: str | None = Connection.get(conn_id).password
    if not secret:
        raise InvalidInputError(
            f"Airflow connection {conn_id!r} (VOD_CALLBACK_CONN_ID) has no password; "
            "put the secret there that signs the callbacks"
        )
    return secret


def _run_url(dag_id: str, run_id: str) -> str:
    """URL of the run in Airflow's UI."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="http://localhost:8080"))
    return f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"
