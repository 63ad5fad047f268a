"""Encodes one sound track as a whole, so that it has no gaps at chunk boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.content_key import packager_keys
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.job import read_timeline
from vod_operators.work.report import REPORT
from vod_operators.work.sound_encoder import SoundEncoder


class VodEncodeAudioOperator(VodStepOperator):
    """Encode one whole sound track as AAC, beside the chunks.

    :param source: URI of the original, for sound that the split did not store.
    :param track: one item of what ``VodPrepareOperator`` returns: ``{"rendition": name, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "source", "track")
    precedes_choice = True

    def __init__(self, *, source: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"rendition", "samples", "loudness", "damage"}``, and those of
        ``Worker.meter``.

        :raises VerificationError: the encoded track is not as long as the source's sound.
        :raises InvalidInputError: the source changed since the run began, or the key that the packager needs.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        audio = job.plan.audio_rendition(self.track["rendition"])
        done = checkpoint.load(self.worker.temp, job.work_keys.marker(audio.name))
        if done is not None:
            self.log.info("%s is encoded already", audio.name)
            return _told(done)
        encoder = SoundEncoder(
            worker=self.worker,
            job=job,
            timeline=timeline,
            audio=audio,
            original=self.original(self.source, job) if timeline.in_place else None,
            keys=packager_keys(self.settings, job, [audio.name]),
            report=self.reporter(context, job),
        )
        return _told(encoder.encode())


def _told(marker: Marker) -> dict[str, Any]:
    """The facts without the report, which would be large for an XCom."""
    return {name: value for name, value in marker.facts.items() if name != REPORT}
