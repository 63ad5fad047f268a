"""A decided request: the plan, and the fingerprints and names that its files' keys are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from vod_operators.formats.base import Model
from vod_operators.media.downloads import files_of
from vod_operators.media.encryption import KeyFacts
from vod_operators.media.key_labels import labels_of
from vod_operators.media.models import Plan, Timeline
from vod_operators.pipeline import SPLIT
from vod_operators.settings import VodSettings
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys, SourceKeys, WorkKeys

PICTURES = "pictures"
"""Name of the folder of a version's still pictures, and of their marker."""


class JobRecord(Model):
    """A decided request as it is stored, in ``plan.json``."""

    plan: Plan
    source_name: str
    """The source's file name, for people; its URI may carry credentials and is never stored."""
    source_conn_id: str = ""
    """Airflow connection with the credentials of the web server that the source is on."""
    source_version: str
    """The source's identity when the run began: its size, and ETag or modification time."""
    source_fingerprint: str
    work_fingerprint: str
    content_keys: tuple[KeyFacts, ...] = ()
    """Their facts; empty if the preset does not encrypt."""
    version: str
    """Results folder that this workspace publishes into; no other workspace uses it."""
    made_by: dict[str, str]
    """Tool -> version."""
    request: dict[str, Any] | None = None
    """The ``conf`` of the run, to repeat the request; None if one of its URIs may hold a secret."""

    @model_validator(mode="before")
    @classmethod
    def _of_one_key(cls, data: Any) -> Any:
        """Take the one key of records of before there could be several."""
        if isinstance(data, Mapping) and "key" in data:
            data = dict(data)
            data["content_keys"] = [key] if (key := data.pop("key")) else []
        return data


class Job(JobRecord):
    """A decided request and where its files are: all that tasks after ``prepare`` need to know."""

    temp_uri: str
    results_uri: str

    @classmethod
    def of(cls, record: JobRecord, settings: VodSettings) -> Job:
        """The job whose files are in the deployment's stores."""
        return cls(**dict(record), temp_uri=settings.temp_uri, results_uri=settings.results_uri)

    @property
    def source_keys(self) -> SourceKeys:
        """Keys of the source's chunks."""
        return SourceKeys(
            temp_uri=self.temp_uri, video_id=self.plan.video_id, fingerprint=self.source_fingerprint
        )

    @property
    def work_keys(self) -> WorkKeys:
        """Keys of the encoded files."""
        return WorkKeys(
            temp_uri=self.temp_uri, video_id=self.plan.video_id, fingerprint=self.work_fingerprint
        )

    @property
    def result_keys(self) -> ResultKeys:
        """Keys of what is published."""
        return ResultKeys(results_uri=self.results_uri, video_id=self.plan.video_id)

    def keys_of(self, track: str) -> tuple[KeyFacts, ...]:
        """Facts of the keys of a track, in their turn; empty if it is not encrypted."""
        label = labels_of(self.plan).get(track)
        return tuple(key for key in self.content_keys if key.label == label)

    def segmented(self, track: str) -> str:
        """URI of the marker that says that a track's segments are complete in this job's version."""
        return self.work_keys.segmented(track, self.result_keys.version(self.version, track))


def read_job(temp: Storage, uri: str, settings: VodSettings) -> Job:
    """The job whose record is at ``uri``.

    :raises CorruptObjectError: it is damaged, or of another version of the package.
    :raises ObjectNotFoundError: it does not exist.
    """
    return Job.of(checkpoint.read_document(temp, uri, JobRecord), settings)


def read_timeline(temp: Storage, job: Job) -> Timeline:
    """The timeline that the split stored.

    :raises LostWorkError: it is gone or damaged.
    """
    keys = job.source_keys
    with checkpoint.relying_on(temp, keys.marker(SPLIT), step=SPLIT):
        return checkpoint.read_document(temp, keys.timeline, Timeline)


def tracks_of(plan: Plan) -> list[dict[str, str]]:
    """``{"rendition": name, "label": ...}`` of each video and sound track, then
    ``{"download": name, "label": ...}`` of each file; segmenting is mapped over them."""
    videos = [{"rendition": video.name, "label": video.label} for video in plan.renditions]
    sounds = [{"rendition": sound.name, "label": sound.label} for sound in plan.audio]
    files = [{"download": file.stem, "label": file.name(plan.video_id)} for file in files_of(plan)]
    return videos + sounds + files


def track_names(plan: Plan) -> list[str]:
    """Names of all tracks, in the playlist's order: video, sound, subtitles."""
    return [
        *(rendition.name for rendition in plan.renditions),
        *(audio.name for audio in plan.audio),
        *(text.name for text in plan.texts),
        *(text.imsc_name for text in plan.texts if plan.preset.imsc),
    ]
