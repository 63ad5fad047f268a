"""What Airflow's API server mounts in place of the page's app, which it makes for the first request.

Making it takes 0.2 s, half of it for models of media that a server without visitors never needs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Page:
    """An ASGI app."""

    @cached_property
    def app(self) -> ASGIApp:
        """The page's FastAPI app, inside of what adds the headers: its own middleware would not see a 500."""
        from vod_operators.page.access import SecurityHeaders
        from vod_operators.page.app import create_app

        return SecurityHeaders(create_app())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        await self.app(scope, receive, send)
