"""The page's API: a FastAPI app that Airflow's API server mounts under ``/vod``. It only reads.

What changes a video is a run, which the page starts through Airflow's own API.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from vod_operators import __version__
from vod_operators.errors import InvalidInputError, VodError
from vod_operators.page import access, videos
from vod_operators.page.media import media
from vod_operators.page.models import VideoList, VideoState
from vod_operators.page.videos import Sort
from vod_operators.settings import VodSettings, get_settings
from vod_operators.work.worker import open_stores

STATIC = Path(__file__).parent / "static"
"""The page's built script."""

MAX_PAGE = 500

log = logging.getLogger(__name__)

Settings = Annotated[VodSettings, Depends(get_settings)]

api = APIRouter(
    prefix="/api",
    dependencies=[Depends(access.require_own_origin), Depends(access.require_header), access.reads],
)

files = APIRouter(prefix="/media", dependencies=[Depends(access.require_own_origin), access.reads])


@api.get("/videos")
def list_videos(
    session: SessionDep,
    settings: Settings,
    search: Annotated[str, Query(max_length=200)] = "",
    state: VideoState | None = None,
    preset: Annotated[str | None, Query(max_length=100)] = None,
    sort: Sort = "-updated_at",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> VideoList:
    """Published videos, and those at work or failed."""
    return videos.list_videos(
        session,
        videos.index_of(settings),
        search=search,
        state=state,
        preset=preset or None,
        sort=sort,
        offset=offset,
        limit=limit,
    )


@files.api_route("/{video_id}/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
def get_media(request: Request, settings: Settings, video_id: str, path: str) -> Response:
    """A published file of a video."""
    return media(request, open_stores(settings)[1], settings, video_id, path)


def _failed(request: Request, error: Exception) -> Response:
    """The answer when a store fails. The reason stays in the log: it names places of the deployment."""
    log.error("%s: %s", request.url.path, error)
    if isinstance(error, InvalidInputError):
        return JSONResponse(
            {"detail": "The deployment's settings do not allow it; the server's log says why"}, 500
        )
    return JSONResponse({"detail": "The store does not answer; the server's log says why"}, 503)


def create_app() -> FastAPI:
    """The app, without pages of documentation: those would be open to everybody."""
    app = FastAPI(
        title="vod_operators: Videos",
        description="What the page *Videos* in Airflow's UI reads, below `/vod` of Airflow's API server. "
        "Requests need the header `X-Requested-With: vod`.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(api)
    app.include_router(files)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False))
    app.add_middleware(access.SecurityHeaders)
    app.add_exception_handler(VodError, _failed)
    return app
