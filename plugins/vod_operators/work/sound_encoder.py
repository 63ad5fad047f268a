"""Encodes or copies one sound track as a whole, and stores its segments."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vod_operators.errors import ToolError, VerificationError
from vod_operators.formats.dolby import read_unit
from vod_operators.formats.isobmff import read_at, read_fragments
from vod_operators.media import ffmpeg_sound, loudness, passthrough
from vod_operators.media.damage import complaints, in_words
from vod_operators.media.ffmpeg import decode_first_frame, gave_a_frame, guard_ticks
from vod_operators.media.ffmpeg_report import SOUND_BYTES_A_SECOND
from vod_operators.media.loudness import Normalised
from vod_operators.media.measure import check_audio_length
from vod_operators.media.models import AudioRendition
from vod_operators.media.sound_codecs import CODECS
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.cutting import obtain_cut
from vod_operators.work.encoding import EncodingTask
from vod_operators.work.ends import Ends
from vod_operators.work.packaged import SOUND, TRACK, package_sound, store_piece
from vod_operators.work.report import REPORT, refuse, track_facts

BEGINNING_S = 0.5
"""How much of a recording may precede its first whole frame of sound."""

CUT = "audio.nut"
FRAMES = "frames"
ENCODED = "audio.mp4"

COPIED, NOT_COPIED = "copied", "not_copied"
"""Facts of a track that was to be copied: whether it was, and why not, in words."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SoundEncoder(EncodingTask):
    """Encodes one whole sound track, with the loudness that the preset asks for, or copies it."""

    audio: AudioRendition

    @property
    def _samples(self) -> int:
        return self.timeline.audio_samples(self.audio, self.job.plan.frame_rate)

    @property
    def _seconds(self) -> float:
        return self._samples / self.audio.sample_rate

    @property
    def _reports(self) -> bool:
        """Whether this task reports on its track; of two renditions of one track, one does."""
        return self.audio.name == self.audio.track and self.job.plan.preset.source_report.sound

    def encode(self) -> Marker:
        """Encode the track and store its segments, the marker last; returns the marker.

        :raises VerificationError: the encoded track is not as long as the source's sound, or its ends cannot
            be decoded.
        :raises InvalidInputError: the source changed since the run began.
        """
        audio, worker, keys = self.audio, self.worker, self.job.work_keys
        spent = worker.meter()
        source_bps = audio.stream.bitrate_bps or 32 * audio.stream.channels * audio.stream.sample_rate
        made_bps = 2 * audio.bitrate_bps
        if audio.passthrough:  # the frames alone, and twice in fragments
            made_bps = max(made_bps, 3 * source_bps)
        needed = self._seconds * ((made_bps + source_bps) / 8 + SOUND_BYTES_A_SECOND)
        with worker.scratch(needed) as folder:
            self._obtain(folder)
            why = self._copy(folder) if audio.passthrough else None
            is_copied = audio.passthrough and why is None
            found, encoded, normalised = self._copied(folder) if is_copied else self._encode(folder)
            damage = in_words(f"sound {audio.title}", found)
            worker.report_damage(damage)
            check_audio_length(audio, encoded, self._samples)
            report = track_facts(folder, audio, self._seconds) if self._reports else None
            refuse(self.job.plan, self.timeline, None, {audio.track: report} if report else {})
            (folder / ENCODED).rename(folder / TRACK)
            runner, packager = worker.runner, worker.tools.packager
            own = self.keys.get(audio.name)
            piece = package_sound(
                runner, packager, self.job.plan, audio, folder, own, place=self.job.work_fingerprint
            )
            ends = Ends(worker=worker, folder=folder, task=SOUND, keys=self.keys)
            ends.add(audio.name, piece)
            ends.check()
            stored = store_piece(worker.temp, keys, SOUND, audio.name, piece, folder)
            facts = spent() | {
                "rendition": audio.name,
                "samples": self._samples,
                "damage": damage,
                "loudness": normalised.model_dump() if normalised else None,
                **({COPIED: is_copied, NOT_COPIED: why} if audio.passthrough else {}),
                REPORT: report.model_dump(mode="json") if report else None,
            }
            marker = Marker(objects=stored, facts=facts)
            return checkpoint.save(worker.temp, keys.marker(audio.name), marker)

    def _obtain(self, folder: Path) -> None:
        """Put the track's packets into ``audio.nut``."""
        if self.original is None:
            obtain_cut(self.worker, self.job, self.audio.track, folder / CUT)
            return
        self.cutter(folder).sound_in_place(self.original, CUT, plan=self.job.plan, track=self.audio.track)

    def _copied(self, folder: Path) -> tuple[list[str], int, Normalised | None]:
        """As ``_encode``, of what ``_copy`` wrote."""
        return [], _measure(folder / ENCODED, self.audio)[0], None

    def _copy(self, folder: Path) -> str | None:
        """Write ``audio.mp4`` of the source's own frames; returns why that cannot be, in words.

        :raises ToolError: a tool failed.
        """
        codec, sound = self.audio.stream.codec, self.timeline.sounds[self.audio.track]
        if sound.decoded:
            return "its packets cannot be cut as they are"

        def run(argv: list[str]) -> list[str]:
            return self.worker.run_media(argv, folder, seconds=self._seconds, codec=codec, report=self.report)

        tools, guard = self.worker.tools, guard_ticks(sound.time_base) * sound.time_base
        told: list[str] = []
        listing = ffmpeg_sound.list_packets(tools.ffprobe, CUT)
        self.worker.runner.run(listing, folder=folder, on_line=told.append)
        times = [line.strip(" ,") for line in told if line.strip(" ,")]
        if not all(time[-1].isdigit() for time in times):
            return "some of its packets have no time"
        taken = passthrough.choose([Fraction(time) - guard for time in times], self._samples)
        if isinstance(taken, str):
            return taken
        run(ffmpeg_sound.take_frames(tools.ffmpeg, CUT, FRAMES, taken=taken))
        run(ffmpeg_sound.copy_audio(tools.ffmpeg, FRAMES, ENCODED, audio=self.audio, taken=taken))
        if fault := _fault_of(folder / ENCODED, self.audio):
            return fault
        found = complaints(run(ffmpeg_sound.decode_copied(tools.ffmpeg, ENCODED)), codec)
        return f"its decoder complains: {found[0]}" if found else None

    def _encode(self, folder: Path) -> tuple[list[str], int, Normalised | None]:
        """Write ``audio.mp4``; returns the decoder's complaints, the encoded samples and the loudness."""
        audio, codec = self.audio, self.audio.stream.codec

        def run(argv: list[str]) -> list[str]:
            return self.worker.run_media(argv, folder, seconds=self._seconds, codec=codec, report=self.report)

        base = self.timeline.sounds[audio.track].time_base
        messages, normalised = self._normalise(run, CUT, base)
        encoded, is_even = _measure(folder / ENCODED, audio)
        if not is_even:
            log.info("%s: its channels or its rate change on the way: decoded first", audio.name)
            tool = self.worker.tools.ffmpeg
            messages = run(ffmpeg_sound.decode_audio(tool, CUT, "samples.nut", audio=audio))
            _, normalised = self._normalise(run, "samples.nut", Fraction(1, audio.sample_rate))
            encoded, is_even = _measure(folder / ENCODED, audio)
            if not is_even:
                frame = CODECS[audio.codec].frame
                raise VerificationError(f"{audio.name}: a frame does not last {frame} samples")
        found = self._without_beginning(complaints(messages, codec), codec, folder)
        return found, encoded, normalised() if normalised else None

    def _without_beginning(self, found: list[str], codec: str, folder: Path) -> list[str]:
        """Drop complaints from before the decoder's first frame, because a recording may begin within one."""
        if not found:
            return found
        lines: list[str] = []
        argv = decode_first_frame(self.worker.tools.ffmpeg, CUT, stream=0, seconds=BEGINNING_S)
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
        self, run: Callable[[list[str]], list[str]], source: str, time_base: Fraction
    ) -> tuple[list[str], Callable[[], Normalised] | None]:
        """Encode with the gain that the preset's loudness needs.

        Returns ffmpeg's messages, and a function that checks the loudness; None if the preset sets none.
        """
        tool, audio, samples = self.worker.tools.ffmpeg, self.audio, self._samples

        def encode(gain_db: float, dialogue_lufs: int | None = None) -> list[str]:
            argv = ffmpeg_sound.encode_audio(
                tool, source, ENCODED, audio=audio, time_base=time_base, samples=samples, gain_db=gain_db,
                dialogue_lufs=dialogue_lufs, report=self._reports,
            )  # fmt: skip
            return run(argv)

        target = audio.loudness_lufs
        if target is None or not samples:
            return encode(0), None
        measure = ffmpeg_sound.measure_loudness
        before = loudness.parse(run(measure(tool, source, audio=audio, time_base=time_base, samples=samples)))
        gain = loudness.gain_to(target, before)
        messages = encode(gain.db, loudness.dialogue(before, gain))
        after = loudness.parse(run(ffmpeg_sound.measure_encoded(tool, ENCODED)))
        if less := loudness.softer(gain, after):
            gain = less
            messages = encode(gain.db, loudness.dialogue(before, gain))
            after = loudness.parse(run(ffmpeg_sound.measure_encoded(tool, ENCODED)))
        return messages, lambda: loudness.check(audio.name, target, before, gain, after)


def _measure(path: Path, audio: AudioRendition) -> tuple[int, bool]:
    """Samples of an encoded track, and whether all frames but the last have as many as the codec's."""
    with path.open("rb") as file:
        durations = [sample.duration for fragment in read_fragments(file) for sample in fragment.samples]
    return sum(durations), all(ticks == CODECS[audio.codec].frame for ticks in durations[:-1])


def _fault_of(path: Path, audio: AudioRendition) -> str | None:
    """Why a copied track cannot be published as it is, in words; None if it can."""
    entry, first, number = CODECS[audio.codec].family, None, 0
    with path.open("rb") as file:
        for fragment in list(read_fragments(file)):
            for sample in fragment.samples:
                unit = read_unit(read_at(file, sample.position, sample.size))
                coded, samples = (unit.format, unit.samples) if unit else (None, 0)
                if fault := passthrough.fault_of(samples, coded, first, entry):
                    return f"frame {number}: {fault}"
                first, number = coded, number + 1
    return None
