"""Who may read: Airflow decides. Refuses what another site's page makes a browser send."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, Header, HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vod_operators.pipeline import DAG_ID

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""For what is opened as a page of its own. The page's script runs in a document of Airflow's."""

HEADER_VALUE = "vod"
"""Of ``X-Requested-With``. A form or a script of another site cannot set that header without being asked for
its origin first, which no answer here allows."""

reads = Depends(requires_access_dag("GET", param_dag_id=DAG_ID))
"""Requires that the user may see ``vod_transcode``: 401 without a session, else 403."""

reads_runs = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
"""Requires that the user may see runs of the DAG that the path names."""


acts = Depends(requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=DAG_ID))
"""Requires that the user may start runs of ``vod_transcode``."""


def require_own_origin(request: Request, origin: Annotated[str | None, Header()] = None) -> None:
    """Refuse requests of other sites' pages.

    :raises HTTPException: 403.
    """
    if origin is None:
        return
    own = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc}
    if urlsplit(origin).netloc not in own - {""}:
        raise HTTPException(403, "The request comes from another site")


def require_header(x_requested_with: Annotated[str | None, Header()] = None) -> None:
    """Refuse requests without the header that only the page's own script, or a program, sends.

    :raises HTTPException: 403.
    """
    if x_requested_with != HEADER_VALUE:
        raise HTTPException(403, f"The header X-Requested-With: {HEADER_VALUE} is missing")


def can_act(user: GetUserDep) -> bool:
    """Whether Airflow lets the user start runs of ``vod_transcode``."""
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    return get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
    )


class SecurityHeaders:
    """Middleware that adds the security headers to every answer, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
