"""One sound track, encoded whole: never cut, so never a gap."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.media import ffmpeg
from vod_operators.media.damage import complaints
from vod_operators.media.damage import in_words as damage_in_words
from vod_operators.media.hls import check_audio_length
from vod_operators.media.isobmff import read_fragments
from vod_operators.operators.base import VodBaseOperator
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker


class VodEncodeAudioOperator(VodBaseOperator):
    """Encode one whole sound track as AAC, beside the chunks.

    :param plan: URI of ``plan.json``.
    :param track: one item of ``prepare``'s ``audio``: ``{"rendition": name, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "track")

    def __init__(self, *, plan: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"rendition", "samples", "seconds", "damage"}``.

        :raises VerificationError: the result is not as long as the source's sound.
        """
        job = self.open_job(context, self.plan)
        timeline = self.load_timeline(job)
        audio = job.plan.audio_rendition(self.track["rendition"])
        keys = job.work_keys
        done = checkpoint.load(self.temp, keys.marker(audio.name))
        if done is not None:
            self.log.info("%s is encoded already", audio.name)
            return done.facts
        split = job.source_keys.marker("split")
        source = checkpoint.require(self.temp, split, step="split")
        samples = timeline.audio_samples(audio)
        begin = time.monotonic()
        with self.scratch() as folder:
            with checkpoint.relying_on(self.temp, split, step="split"):
                checkpoint.obtain(self.temp, source.objects[audio.track], folder / "audio.nut")
            argv = ffmpeg.encode_audio(
                self.tools.ffmpeg,
                "audio.nut",
                "audio.mp4",
                audio=audio,
                time_base=timeline.sounds[audio.track].time_base,
                samples=samples,
            )
            progress = self.progress(context, job, samples / audio.sample_rate)
            found = complaints(self.runner.run(argv, folder=folder, on_line=progress), audio.stream.codec)
            damage = [damage_in_words(f"sound {audio.title}", found)] if found else []
            self.report_damage(damage)
            with (folder / "audio.mp4").open("rb") as file:
                encoded = sum(fragment.duration for fragment in read_fragments(file))
            check_audio_length(audio.name, encoded, samples)
            stored = checkpoint.put(self.temp, folder / "audio.mp4", keys.audio(audio.name))
            facts = {
                "rendition": audio.name,
                "samples": samples,
                "damage": damage,
                "seconds": round(time.monotonic() - begin, 3),
            }
            marker = Marker(objects={audio.name: stored}, facts=facts)
            return checkpoint.save(self.temp, keys.marker(audio.name), marker).facts
