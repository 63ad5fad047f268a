"""The bitrates of a version over time, from its playlists and a listing of its folder. No media is read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate

import m3u8

from vod_operators.errors import CorruptObjectError, InvalidInputError, ObjectNotFoundError
from vod_operators.formats.base import Model
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.presets.sound import AudioRung
from vod_operators.media.renditions import SURROUND
from vod_operators.media.sound_codecs import STEREO_BPS, SUFFIXES, SURROUND_SUFFIX
from vod_operators.settings import VodSettings
from vod_operators.storage.base import ReadableStorage
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.stores import get_bytes
from vod_operators.work.result import RenditionResult, VideoResult


class TrackBits(Model):
    """The bitrate of a track over time."""

    name: str
    kind: str
    cap_bps: int | None
    """Most that the preset allows; None if it has changed since."""
    average_bps: int
    peak_bps: int
    segments: tuple[tuple[float, float, int], ...]
    """Of each segment: where it begins, its length, both in seconds, and its bits a second."""


def bitrates(
    results: ReadableStorage, keys: ResultKeys, result: VideoResult, settings: VodSettings
) -> tuple[TrackBits, ...]:
    """The bitrates of the video and sound tracks of a version.

    :param result: the version's ``video.json``.
    :raises CorruptObjectError: a playlist is not there, or names a segment that is not.
    :raises StorageError: the store failed.
    """
    folder = keys.version(result.version, "")
    sizes = {info.uri.removeprefix(folder): info.size for info in results.list(folder)}
    caps = _caps(result, settings)
    return tuple(
        TrackBits(
            name=track.name,
            kind=track.kind,
            cap_bps=caps.get(track.name),
            average_bps=track.average_bps,
            peak_bps=track.peak_bps,
            segments=_segments(results, folder, track, sizes),
        )
        for track in result.renditions
        if track.kind != "text"
    )


def _segments(
    results: ReadableStorage, folder: str, track: RenditionResult, sizes: Mapping[str, int]
) -> tuple[tuple[float, float, int], ...]:
    uri = f"{folder}{track.name}/index.m3u8"
    try:
        playlist = m3u8.loads(get_bytes(results, uri).decode("utf-8", "replace"))
    except ObjectNotFoundError as error:
        raise CorruptObjectError(f"{uri} is not there") from error
    lengths = [float(segment.duration) for segment in playlist.segments]
    found = []
    for at, length, segment in zip(
        accumulate(lengths, initial=0.0), lengths, playlist.segments, strict=False
    ):
        size = sizes.get(f"{track.name}/{segment.uri}")
        if size is None or length <= 0:
            raise CorruptObjectError(f"{uri}: its segment {segment.uri} is not there, or has no duration")
        found.append((round(at, 3), round(length, 3), round(8 * size / length)))
    return tuple(found)


def _caps(result: VideoResult, settings: VodSettings) -> dict[str, int]:
    """Name of a track -> most bits a second that its preset allows; empty if the preset has changed."""
    with suppress(InvalidInputError):
        preset = load_preset(result.preset, settings.presets_dir)
        if fingerprint(preset) == result.preset_fingerprint:
            caps = {rung.name: rung.max_bitrate_bps for ladder in preset.ladders for rung in ladder.rungs}
            for track in result.renditions:
                if track.kind == "audio":
                    bitrate = _bitrate_of(preset.audio, track)
                    caps |= {track.name: bitrate} if bitrate and not track.copied else {}
            return caps
    return {}


def _bitrate_of(audio: AudioRung, track: RenditionResult) -> int | None:
    """What the preset gives a sound track."""
    is_surround = (track.channels or 0) >= SURROUND
    others = {
        SURROUND_SUFFIX: audio.surround_bitrate_bps,
        SUFFIXES["ac3"]: audio.ac3_bitrate_bps if is_surround else STEREO_BPS["ac3"],
        SUFFIXES["eac3"]: audio.eac3_bitrate_bps if is_surround else STEREO_BPS["eac3"],
        SUFFIXES["opus"]: audio.opus_bitrate_bps,
    }
    return next((bitrate for end, bitrate in others.items() if track.name.endswith(end)), audio.bitrate_bps)
