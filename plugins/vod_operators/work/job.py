"""One request, decided: the plan, and what names the places of its files. Stored as ``plan.json``."""

from __future__ import annotations

from typing import Any

from vod_operators.media.base import Model
from vod_operators.media.encryption import KeyFacts
from vod_operators.media.models import Plan
from vod_operators.settings import get_settings
from vod_operators.storage.keys import ResultKeys, SourceKeys, WorkKeys

PICTURES = "pictures"
"""Where a version's still pictures are, and what their marker is called by."""


class Job(Model):
    """What every task after ``prepare`` needs to know."""

    plan: Plan
    source_name: str
    """The source's file name, for people; its URI may carry credentials and is never stored."""
    source_conn_id: str = ""
    """Airflow connection with the credentials of the web server that the source is on."""
    source_version: str
    """The source's identity when the run began: its size, and ETag or modification time."""
    source_fingerprint: str
    work_fingerprint: str
    key: KeyFacts | None = None
    """Of presets that encrypt."""
    version: str
    """Folder of the results that this workspace publishes into; never used by another workspace."""
    made_by: dict[str, str]
    """Tool -> version."""
    request: dict[str, Any] | None = None
    """The ``conf`` of the run that made this, to ask for it again; None where a URI of it may be secret."""

    @property
    def source_keys(self) -> SourceKeys:
        """Keys of the source's chunks."""
        return SourceKeys(
            temp_uri=get_settings().temp_uri, video_id=self.plan.video_id, fingerprint=self.source_fingerprint
        )

    @property
    def work_keys(self) -> WorkKeys:
        """Keys of the encoded files."""
        return WorkKeys(
            temp_uri=get_settings().temp_uri, video_id=self.plan.video_id, fingerprint=self.work_fingerprint
        )

    @property
    def result_keys(self) -> ResultKeys:
        """Keys of what is published."""
        return ResultKeys(results_uri=get_settings().results_uri, video_id=self.plan.video_id)

    def segmented(self, track: str) -> str:
        """What says that a track's segments are complete where this job publishes."""
        return self.work_keys.segmented(track, self.result_keys.version(self.version, track))


def track_names(plan: Plan) -> list[str]:
    """Of pictures, sound and subtitles, in the order of the playlist."""
    return [
        *(rendition.name for rendition in plan.renditions),
        *(audio.name for audio in plan.audio),
        *(text.name for text in plan.texts),
    ]
