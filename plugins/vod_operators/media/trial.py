"""Tries whether a stream can be cut: decodes a cut beginning and compares it with that of the file itself."""

from __future__ import annotations

from collections.abc import Sequence

import ffmpeg

from vod_operators.media import filters
from vod_operators.media.ffmpeg import (
    BARE,
    CARRIER_OPTIONS,
    DECODED_S,
    LOSSLESS_SOUND,
    UNCROPPED,
    Argv,
    command,
    source_input,
)
from vod_operators.media.ffmpeg_sound import as_rendition
from vod_operators.media.models import AudioRendition, Carrier, Plan, VideoStream

PICTURES, PACKETS = 24, 48
"""Pictures that are compared, and packets that are cut: decoders hold back 16 at most (H.264, A.3.1)."""

SOUND_FRAMES, SOUND_PACKETS = 32, 48
"""The same for sound: a decoder may need some packets before it outputs the first frame."""


def _beginning(source: str, transport: bool) -> filters.Stream:
    return source_input(source, transport=transport, noautorotate=None, t=DECODED_S, **UNCROPPED)


def try_together(
    tool: str, source: str, *, video: int | None, sounds: Sequence[int], transport: bool
) -> Argv:
    """Decode the beginnings of these streams from the file itself, and copy their packets, in one command.

    For the stream with index N it writes ``direct-N`` and ``cut-N``.
    """
    media = _beginning(source, transport)
    outputs = [] if video is None else [
        _hashes(media[str(video)], f"direct-{video}", PACKETS),
        media[str(video)].output(f"cut-{video}", codec="copy", **_FIRST_PICTURES, **_NUT),
    ]  # fmt: skip
    for index in sounds:
        outputs += [
            _samples(media[str(index)], f"direct-{index}", SOUND_FRAMES),
            media[str(index)].output(f"cut-{index}", codec="copy", **{"frames:a": SOUND_PACKETS}, **_NUT),
        ]
    return command(tool, ffmpeg.merge_outputs(*outputs))


def decode_together(tool: str, *, video: VideoStream | None, sounds: Sequence[int]) -> Argv:
    """Decode what ``try_together`` has cut, into ``decoded-N``."""
    outputs = []
    if video is not None:
        media = _cut_input(f"cut-{video.index}", format="nut")
        outputs.append(_hashes(media["v:0"], f"decoded-{video.index}", PACKETS))
    for index in sounds:
        outputs.append(_cut_samples(f"cut-{index}", f"decoded-{index}"))
    return command(tool, ffmpeg.merge_outputs(*outputs))


_FIRST_PICTURES = {"frames:v": PACKETS, "copyinkf:v": None}
_NUT = {**CARRIER_OPTIONS["nut"], **BARE}


def decode_pictures(tool: str, source: str, output: str, *, stream: int, transport: bool, count: int) -> Argv:
    """Decode pictures from the file itself, and write a line with the hash of each."""
    return command(tool, _hashes(_beginning(source, transport)[str(stream)], output, count))


def cut_pictures(
    tool: str, source: str, output: str, *, stream: int, transport: bool, carrier: Carrier, count: int
) -> Argv:
    """Copy packets as ``ffmpeg.cut_video`` does."""
    media = _beginning(source, transport)
    out = media[str(stream)].output(
        output, codec="copy", **{"frames:v": count, "copyinkf:v": None}, **CARRIER_OPTIONS[carrier], **BARE
    )
    return command(tool, out)


def decode_cut_pictures(tool: str, source: str, output: str) -> Argv:
    """Decode what ``cut_pictures`` has cut, and write a line with the hash of each picture."""
    return command(tool, _hashes(_cut_input(source)["v:0"], output, PACKETS))


def _cut_input(source: str, **options: str) -> filters.Stream:
    return ffmpeg.input(source, noautorotate=None, protocol_whitelist="file", **UNCROPPED, **options)


def _hashes(stream: filters.Stream, output: str, count: int) -> filters.Output:
    return stream.output(output, format="framemd5", fps_mode="passthrough", **{"frames:v": count}, **BARE)


def read_hashes(listing: bytes) -> list[str]:
    """The hash of each picture, from what these commands wrote."""
    lines = listing.decode("ascii", "replace").splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


def same_pictures(direct: Sequence[str], cut: Sequence[str]) -> bool:
    """Whether decoding the cut gives all pictures that decoding the file gives, in the same order.

    More pictures are allowed: those that an edit list hides, and later ones.
    """
    places = [at for at, picture in enumerate(cut) if picture == direct[0]] if direct else [0]
    return any(list(cut[at : at + len(direct)]) == list(direct) for at in places)


def decode_sound(
    tool: str, source: str, output: str, *, stream: int, transport: bool, begins_late: bool, count: int
) -> Argv:
    """Decode sound from the file itself into raw samples."""
    media = source_input(source, transport=transport, begins_late=begins_late)
    return command(tool, _samples(media[str(stream)], output, count))


def cut_sound(
    tool: str, source: str, output: str, *, stream: int, transport: bool, begins_late: bool, count: int
) -> Argv:
    """Copy packets as ``ffmpeg.cut_audio`` does."""
    media = source_input(source, transport=transport, begins_late=begins_late)
    out = media[str(stream)].output(
        output, codec="copy", **{"frames:a": count}, **CARRIER_OPTIONS["nut"], **BARE
    )
    return command(tool, out)


def decode_cut_sound(tool: str, source: str, output: str) -> Argv:
    """Decode what ``cut_sound`` has cut into raw samples."""
    return command(tool, _cut_samples(source, output))


def _samples(stream: filters.Stream, output: str, count: int) -> filters.Output:
    return stream.output(output, format="f32le", **{"c:a": LOSSLESS_SOUND, "frames:a": count}, **BARE)


def _cut_samples(source: str, output: str) -> filters.Output:
    media = ffmpeg.input(source, format="nut", protocol_whitelist="file")
    return _samples(media["a:0"], output, SOUND_PACKETS)


def same_sound(direct: bytes, cut: bytes) -> bool:
    """Whether the samples of the cut contain those of the file; a decoder's priming may come before them."""
    return direct in cut


def filter_pictures(tool: str, source: str, *, plan: Plan) -> Argv:
    """Send the source's first picture through the filters of every rendition; prints a line for each."""
    video = plan.source.video
    assert video is not None
    picture = filters.upright(_beginning(source, plan.source.is_transport)[str(video.index)], plan)
    outputs = [
        stream.output("pipe:1", format="framecrc", **{"frames:v": 1})
        for _, stream in filters.cascade(picture, plan, converted=False)
    ]
    return command(tool, ffmpeg.merge_outputs(*outputs))


def filter_sound(
    tool: str, source: str, *, audio: AudioRendition, transport: bool, begins_late: bool
) -> Argv:
    """Convert a track's first sound to the rendition's channels and rate; prints a line for each frame."""
    media = source_input(source, transport=transport, begins_late=begins_late)[str(audio.stream.index)]
    out = as_rendition(media, audio).output(
        "pipe:1", format="framecrc", ac=audio.channels, ar=audio.sample_rate, **{"frames:a": 2}
    )
    return command(tool, out)
