"""The answers of the page's API. Times are UTC; ``_s``: seconds; ``_bps``: bits a second; None: not known."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from vod_operators.media.cost import MoneyRange, Range
from vod_operators.work.result import VideoResult

VideoState = Literal["queued", "encoding", "published", "failed"]

StepState = Literal["waiting", "queued", "running", "retrying", "done", "skipped", "failed"]

ChunkState = Literal["queued", "running", "done", "retried", "failed"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PresetText(_Answer):
    """A preset, for the form."""

    name: str
    title: str
    text: str
    aims: list[str]
    """What it aims at besides its ladder, in a few words each; empty for most."""


class Me(_Answer):
    """What the user may do here, and what the page needs to know of the deployment."""

    can_act: bool
    """Whether Airflow lets the user start runs of ``vod_transcode``."""
    uploads: bool
    """Whether sources can be uploaded."""
    edges: list[str]
    presets: list[PresetText]
    form: dict[str, dict[str, Any]]
    """Param of ``vod_transcode`` -> its JSON schema, with title, description and default."""


class VideoRow(_Answer):
    """A video in the list.

    A published video with a newer run that is at work, or has failed, has that run's state, and keeps poster
    and version.
    """

    video_id: str
    title: str
    """File name of the source."""
    state: VideoState
    percent: float | None = None
    """How much of the run is done, 0 to 99; only while encoding."""
    reason: str | None = None
    """Why the run failed, in one line; only if it did."""
    duration_s: float | None = None
    preset: str | None = None
    updated_at: datetime
    """When it was published, or its newest run was asked for, or failed."""
    by: str | None = None
    """The user that asked for the newest run."""
    poster: str | None = None
    """Path below ``media/{video_id}/``."""
    version: str | None = None
    """The version that players get; None if none was published."""
    dag_id: str | None = None
    run_id: str | None = None
    """The newest run."""


class Counts(_Answer):
    """How many videos are in each state."""

    queued: int = 0
    encoding: int = 0
    published: int = 0
    failed: int = 0


class VideoList(_Answer):
    """A page of the list."""

    videos: list[VideoRow]
    total: int
    """How many match all filters."""
    counts: Counts
    """Of the videos that match the search and the preset, whatever their state."""
    presets: list[str]
    """Presets of all videos."""


class Place(_Answer):
    """Where players get a video."""

    place: str
    """An edge, or ``results``: the store itself."""
    hls: str
    dash: str | None


class VersionRow(_Answer):
    """A version that the stable playlist points to, or can point to."""

    version: str
    preset: str
    published_at: datetime | None
    """When it was last shown; None: never."""
    is_current: bool
    playlist: str
    poster: str | None


class RunRow(_Answer):
    """A run of a video."""

    dag_id: str
    run_id: str
    state: str
    begun_at: datetime | None
    ended_at: datetime | None
    by: str | None
    preset: str | None
    note: str | None


class Check(_Answer):
    """What the validator found when the version was published."""

    rules: int
    """How many rules applied."""
    warnings: list[str]


class Video(VideoRow):
    """One video. Paths are below ``media/{video_id}/``."""

    result: VideoResult | None
    """``video.json``; None if nothing was published."""
    playlist: str | None
    manifest: str | None
    storyboard: str | None
    urls: list[Place]
    embed: str
    """HTML of a ``<video>`` with the HLS playlist at the first edge, for browsers that play HLS themselves
    (desktop Firefox does not); empty if there is no edge."""
    versions: list[VersionRow]
    runs: list[RunRow]
    """Newest first, at most 50."""
    remarks: list[str]
    """What was normalised, left out or concealed; sentences."""
    check: Check | None
    request: dict[str, Any] | None
    """``conf`` that asks for the video again; None if it is not known, or may hold a secret."""


class RenditionBits(_Answer):
    """The bitrate of a track over time."""

    name: str
    kind: str
    cap_bps: int | None
    """The preset's limit for it."""
    average_bps: int
    peak_bps: int
    segments: list[tuple[float, float, int]]
    """Of each segment: where it begins, its length, both in seconds, and its bits a second."""


class Bitrates(_Answer):
    """The bitrates of all tracks of a version."""

    renditions: list[RenditionBits]


class Step(_Answer):
    """A step of a run."""

    step: str
    state: StepState
    """``waiting``: for an earlier step; ``queued``: for a slot."""
    begun_at: datetime | None
    ended_at: datetime | None
    wall_s: float | None
    """From its first beginning to its last end, or until now."""
    tries: int
    """Most tries of one of its tasks."""


class Chunk(_Answer):
    """An encoding task."""

    index: int
    label: str
    state: ChunkState
    """``retried``: a try failed, and the next has not begun."""
    percent: float | None
    host: str | None
    tries: int
    wall_s: float | None


class RunEstimate(_Answer):
    """What a run takes."""

    words: str
    """As it was estimated before the work began, in one line."""
    wall_s: Range
    """While it runs, corrected by the chunks that are encoded; as are the CPU seconds."""
    cpu_s: Range
    bytes_out: Range
    money: MoneyRange | None
    """None if the deployment has no rates."""
    runs: int
    """How many earlier runs it is based on."""


class Run(_Answer):
    """A run at work, or after it."""

    video_id: str | None
    state: str
    percent: float | None
    begun_at: datetime | None
    ended_at: datetime | None
    eta_s: float | None
    """Seconds until the chunks are encoded and published; None until a chunk tells how long it takes."""
    eta_error_s: float | None
    """By how much ``eta_s`` may be wrong, by the spread of the chunks' times."""
    waits_for: str | None
    reason: str | None
    estimate: RunEstimate | None
    """None if the source does not declare its length, or until ``prepare`` has probed it."""
    cpu_s: float | None
    """CPU time of the tasks that have ended, with their media tools."""
    steps: list[Step]
    chunks: list[Chunk]
