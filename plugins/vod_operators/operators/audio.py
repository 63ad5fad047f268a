"""Encodes one sound track as a whole, so that it has no gaps at chunk boundaries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import ToolError, VerificationError
from vod_operators.formats.isobmff import read_fragments
from vod_operators.formats.ts import AAC_FRAME
from vod_operators.media import ffmpeg_sound, loudness
from vod_operators.media.damage import complaints, in_words
from vod_operators.media.ffmpeg import decode_first_frame, gave_a_frame
from vod_operators.media.loudness import Normalised
from vod_operators.media.measure import check_audio_length
from vod_operators.media.models import AudioRendition, Timeline
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.content_key import packager_key
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.cutting import Cutter, obtain_cut
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import SOUND, TRACK, package_sound, store_piece

BEGINNING_S = 0.5
"""How much of a recording may precede its first whole frame of sound."""


class VodEncodeAudioOperator(VodBaseOperator):
    """Encode one whole sound track as AAC, beside the chunks.

    :param plan: URI of ``plan.json``.
    :param source: URI of the original, for sound that the split did not store.
    :param track: one item of ``prepare``'s ``sounds``: ``{"rendition": name, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "source", "track")

    def __init__(self, *, plan: str, source: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.source = source
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"rendition", "samples", "seconds", "loudness", "damage"}``.

        ``seconds`` is the worker's time.

        :raises VerificationError: the encoded track is not as long as the source's sound.
        :raises InvalidInputError: the source changed since the run began, or the key that the packager needs.
        """
        job = self.open_job(context, self.plan)
        timeline = read_timeline(self.worker.temp, job)
        audio = job.plan.audio_rendition(self.track["rendition"])
        keys = job.work_keys
        done = checkpoint.load(self.worker.temp, keys.marker(audio.name))
        if done is not None:
            self.log.info("%s is encoded already", audio.name)
            return done.facts
        key = packager_key(self.settings, job)
        samples = timeline.audio_samples(audio, job.plan.frame_rate)
        begin, media_s = time.monotonic(), samples / audio.sample_rate
        stream = audio.stream
        source_bps = stream.bitrate_bps or 32 * stream.channels * stream.sample_rate
        with self.worker.scratch(media_s * (2 * audio.bitrate_bps + source_bps) / 8) as folder:
            self._obtain(job, audio, timeline, folder)
            found, encoded, normalised = self._encode(context, job, audio, timeline, folder)
            damage = in_words(f"sound {audio.title}", found)
            self.worker.report_damage(damage)
            check_audio_length(audio.name, encoded, samples)
            (folder / "audio.mp4").rename(folder / TRACK)
            piece = package_sound(
                self.worker.runner, self.worker.tools.packager, job.plan, audio, folder, key
            )
            stored = store_piece(self.worker.temp, keys, SOUND, audio.name, piece, folder)
            facts = {
                "rendition": audio.name,
                "samples": samples,
                "damage": damage,
                "loudness": normalised.model_dump() if normalised else None,
                "seconds": round(time.monotonic() - begin, 3),
            }
            marker = Marker(objects=stored, facts=facts)
            return checkpoint.save(self.worker.temp, keys.marker(audio.name), marker).facts

    def _obtain(self, job: Job, audio: AudioRendition, timeline: Timeline, folder: Path) -> None:
        """Put the track's packets into ``audio.nut``."""
        if timeline.in_place:
            cutter = Cutter(self.worker.runner, self.worker.tools, timeline, folder)
            original = self.original(self.source, job)
            cutter.sound_in_place(original, "audio.nut", plan=job.plan, track=audio.track)
        else:
            obtain_cut(self.worker, job, audio.track, folder / "audio.nut")

    def _encode(
        self, context: Context, job: Job, audio: AudioRendition, timeline: Timeline, folder: Path
    ) -> tuple[list[str], int, Normalised | None]:
        """Write ``audio.mp4``; returns the decoder's complaints, the encoded samples and the loudness."""
        samples = timeline.audio_samples(audio, job.plan.frame_rate)
        seconds, codec = samples / audio.sample_rate, audio.stream.codec

        def run(argv: list[str]) -> list[str]:
            return self.worker.run_media(
                argv, folder, seconds=seconds, codec=codec, report=self.reporter(context, job)
            )

        base = timeline.sounds[audio.track].time_base
        messages, normalised = self._normalise(run, audio, samples, "audio.nut", base)
        encoded, whole = _measure(folder / "audio.mp4")
        if not whole:
            self.log.info("%s: its channels or its rate change on the way: decoded first", audio.name)
            messages = run(
                ffmpeg_sound.decode_audio(self.worker.tools.ffmpeg, "audio.nut", "samples.nut", audio=audio)
            )
            base = Fraction(1, audio.sample_rate)
            _, normalised = self._normalise(run, audio, samples, "samples.nut", base)
            encoded, whole = _measure(folder / "audio.mp4")
            if not whole:
                raise VerificationError(f"{audio.name}: a frame does not last {AAC_FRAME} samples")
        found = self._without_beginning(complaints(messages, codec), codec, folder)
        return found, encoded, normalised() if normalised else None

    def _without_beginning(self, found: list[str], codec: str, folder: Path) -> list[str]:
        """Drop complaints from before the decoder's first frame, because a recording may begin within one."""
        if not found:
            return found
        lines: list[str] = []
        argv = decode_first_frame(self.worker.tools.ffmpeg, "audio.nut", stream=0, seconds=BEGINNING_S)
        try:
            messages = self.worker.runner.run(argv, folder=folder, on_line=lines.append)
        except ToolError as error:
            if not error.is_answer:
                raise
            return found
        if gave_a_frame(lines):
            found = list((Counter(found) - Counter(complaints(messages, codec))).elements())
        return found

    def _normalise(
        self,
        run: Callable[[list[str]], list[str]],
        audio: AudioRendition,
        samples: int,
        source: str,
        time_base: Fraction,
    ) -> tuple[list[str], Callable[[], Normalised] | None]:
        """Encode with the gain that the preset's loudness needs.

        Returns ffmpeg's messages, and a function that checks the loudness; None if the preset sets none.
        """
        tool = self.worker.tools.ffmpeg

        def encode(gain_db: float) -> list[str]:
            return run(
                ffmpeg_sound.encode_audio(
                    tool,
                    source,
                    "audio.mp4",
                    audio=audio,
                    time_base=time_base,
                    samples=samples,
                    gain_db=gain_db,
                )
            )

        target = audio.loudness_lufs
        if target is None or not samples:
            return encode(0), None
        before = loudness.parse(
            run(
                ffmpeg_sound.measure_loudness(tool, source, audio=audio, time_base=time_base, samples=samples)
            )
        )
        gain = loudness.gain_to(target, before)
        messages = encode(gain.db)
        after = loudness.parse(run(ffmpeg_sound.measure_encoded(tool, "audio.mp4")))
        if less := loudness.softer(gain, after):
            gain = less
            messages = encode(gain.db)
            after = loudness.parse(run(ffmpeg_sound.measure_encoded(tool, "audio.mp4")))
        return messages, lambda: loudness.check(audio.name, target, before, gain, after)


def _measure(path: Path) -> tuple[int, bool]:
    """Samples of an encoded track, and whether all frames but the last have ``AAC_FRAME`` samples."""
    with path.open("rb") as file:
        durations = [sample.duration for fragment in read_fragments(file) for sample in fragment.samples]
    return sum(durations), all(ticks == AAC_FRAME for ticks in durations[:-1])
