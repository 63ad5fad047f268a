"""The page's API: a FastAPI app that Airflow's API server mounts under ``/vod``. It only reads.

What changes a video is a run, which the page starts through Airflow's own API.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, TypeVar

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathParam
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from vod_operators import __version__
from vod_operators.errors import CorruptObjectError, InvalidInputError, VodError
from vod_operators.page import access, form, videos
from vod_operators.page.detail import bitrates_of, video_of
from vod_operators.page.media import media
from vod_operators.page.models import Bitrates, Me, Run, Video, VideoList, VideoState
from vod_operators.page.runs import VIDEO_DAGS
from vod_operators.page.uploads import uploads_api
from vod_operators.page.videos import Sort
from vod_operators.page.work import work_of
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage.keys import VIDEO_ID_PATTERN
from vod_operators.work.worker import open_stores

STATIC = Path(__file__).parent / "static"
"""The page's built script."""

MAX_PAGE = 500

log = logging.getLogger(__name__)

Settings = Annotated[VodSettings, Depends(get_settings)]

OWN_SCRIPT = (Depends(access.require_own_origin), Depends(access.require_header))

api = APIRouter(prefix="/api", dependencies=[*OWN_SCRIPT, access.reads])

files = APIRouter(prefix="/media", dependencies=[Depends(access.require_own_origin), access.reads])


MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such thing"}}

VideoId = Annotated[str, PathParam(pattern=f"^{VIDEO_ID_PATTERN}$")]

T = TypeVar("T")


def _found(answer: T | None, what: str) -> T:
    if answer is None:
        raise HTTPException(404, f"There is no such thing as {what}")
    return answer


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


@api.get("/me")
def get_me(session: SessionDep, settings: Settings, may: Annotated[bool, Depends(access.can_act)]) -> Me:
    """What the user may do, and what the form for a new video needs."""
    return form.me(session, settings, can_act=may)


@api.get("/videos/{video_id}", responses=MISSING)
def get_video(session: SessionDep, settings: Settings, video_id: VideoId) -> Video:
    """One video, published or not."""
    return _found(video_of(session, open_stores(settings)[1], settings, video_id), f"a video {video_id}")


@api.get("/videos/{video_id}/bitrates", responses=MISSING)
def get_bitrates(settings: Settings, video_id: VideoId, version: str) -> Bitrates:
    """The bitrate of each track over time."""
    return _found(bitrates_of(settings, video_id, version), f"a version {version} of {video_id}")


@api.get("/runs/{dag_id}/{run_id}", dependencies=[access.reads_runs], responses=MISSING)
def get_run(session: SessionDep, dag_id: str, run_id: str) -> Run:
    """A run of a video: its steps and chunks, while it works and afterwards."""
    run = work_of(session, dag_id, run_id) if dag_id in VIDEO_DAGS else None
    return _found(run, f"a run {run_id} of a video in {dag_id}")


@files.api_route("/{video_id}/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
def get_media(request: Request, settings: Settings, video_id: str, path: str) -> Response:
    """A published file of a video."""
    return media(request, open_stores(settings)[1], settings, video_id, path)


def _failed(request: Request, error: Exception) -> Response:
    """The answer when a store fails, or what it has is damaged.

    The reason stays in the log: it names places of the deployment.
    """
    log.error("%s: %s", request.url.path, error)
    if isinstance(error, InvalidInputError):
        return JSONResponse(
            {"detail": "The deployment's settings do not allow it; the server's log says why"}, 500
        )
    if isinstance(error, CorruptObjectError):
        return JSONResponse({"detail": "Files of this version are damaged: verify and repair the video"}, 500)
    return JSONResponse({"detail": "The store does not answer; the server's log says why"}, 503)


class PageFiles(StaticFiles):
    """The page's script and what it loads.

    Browsers ask each time whether theirs is the newest, because its name stays from release to release.
    """

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, or that the browser has it."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app() -> FastAPI:
    """The app, without pages of documentation: those would be open to everybody."""
    app = FastAPI(
        title="vod_operators: Videos",
        description="What the page *Videos* in Airflow's UI reads, below `/vod` of Airflow's API server. "
        "Requests need the header `X-Requested-With: vod`.",
        version=__version__,
        servers=[{"url": "/vod"}],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(api)
    app.include_router(uploads_api([*OWN_SCRIPT, access.acts]), prefix="/api")
    app.include_router(files)
    if STATIC.is_dir():  # a checkout has it after `make page`
        app.mount("/static", PageFiles(directory=STATIC))
    app.add_exception_handler(VodError, _failed)
    return app
