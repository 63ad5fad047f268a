"""What is no damage of the source: a beginning in mid GOP, and colours that a filter cannot convert."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exact.codecs import HEVC, MPEG2, X265
from exact.colour import levels, mean_samples, rgb, tags
from exact.field import check_undamaged
from exact.publisher import Publisher
from support.clips import Sound, clip, one_pass, one_pass_clicks, patched, remuxed, x264
from support.published import Published
from support.tools import FFMPEG
from vod_operators.errors import InvalidInputError, VodError

MP2 = Sound(options=("-c:a", "mp2", "-b:a", "192k"))


# --- colours --------------------------------------------------------------------------------

MATRICES = {
    "fcc": 4, "smpte240m": 7, "ycgco": 8, "bt2020nc": 9, "bt2020c": 10, "smpte2085": 11,
    "chroma-derived-nc": 12, "chroma-derived-c": 13, "ictcp": 14, "ipt-c2": 15, "ycgco-re": 16,
}  # fmt: skip
TRANSFERS = {
    "bt470bg": 5, "smpte240m": 7, "linear": 8, "log100": 9, "log316": 10, "iec61966-2-4": 11, "bt1361e": 12,
    "iec61966-2-1": 13, "smpte428": 17,
}  # fmt: skip
PRIMARIES = {"bt470m": 4, "film": 8, "smpte428": 10, "smpte431": 11, "smpte432": 12, "ebu3213": 22}


def marked(whole: Path, *, matrix: int = 1, transfer: int = 1, primaries: int = 1) -> Path:
    """The same samples, said to mean something else."""
    numbers = f"matrix_coefficients={matrix}:transfer_characteristics={transfer}:colour_primaries={primaries}"
    return remuxed("clip.ts", whole, "-bsf:v", f"h264_metadata={numbers}:video_full_range_flag=0")


def published_or_refused(publish: Publisher, source: Path, name: str) -> Published | None:
    """What was published, with every picture to be seen; None if it was refused and the name said."""
    try:
        video = publish(source)
    except InvalidInputError as refusal:
        assert name in str(refusal).lower()
        return None
    video.check_clip(frames=40)
    check_undamaged(video)
    return video


@pytest.mark.parametrize("name", MATRICES)
def test_matrix(publish: Publisher, name: str) -> None:
    """Converted, or refused in the first task; never black, which is what a filter that fails leaves."""
    video = published_or_refused(publish, marked(clip("whole.mp4", frames=40), matrix=MATRICES[name]), name)

    if video is not None and name not in ("ictcp", "ipt-c2"):  # of which grey is not linear
        assert levels(video) == (pytest.approx(16, abs=3), pytest.approx(235, abs=3))


@pytest.mark.parametrize("name", TRANSFERS)
def test_transfer(publish: Publisher, name: str) -> None:
    published_or_refused(publish, marked(clip("whole.mp4", frames=40), transfer=TRANSFERS[name]), name)


@pytest.mark.parametrize("name", PRIMARIES)
def test_primaries(publish: Publisher, name: str) -> None:
    published_or_refused(publish, marked(clip("whole.mp4", frames=40), primaries=PRIMARIES[name]), name)


def of_ycgco(y: float, cg: float, co: float) -> NDArray[np.float64]:
    """Limited-range samples as red, green, blue of 0 to 1 (H.273, equations 58 to 61)."""
    light, green, orange = (y - 16) / 219, (cg - 128) / 224, (co - 128) / 224
    rest = light - green
    return np.array([rest + orange, light + green, rest - orange])


def of_weights(red_weight: float, blue_weight: float, y: float, cb: float, cr: float) -> NDArray[np.float64]:
    light, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = light + 2 * (1 - red_weight) * red, light + 2 * (1 - blue_weight) * blue
    return np.array([r, (light - red_weight * r - blue_weight * b) / (1 - red_weight - blue_weight), b])


@pytest.mark.parametrize("name", ["ycgco", "fcc", "smpte240m"])
def test_matrix_of_a_colour(publish: Publisher, name: str) -> None:
    """What is shown is the colour that the source's samples mean."""
    samples = (150, 110, 160)
    meant = {
        "ycgco": of_ycgco(*samples),
        "fcc": of_weights(0.30, 0.11, *samples),
        "smpte240m": of_weights(0.212, 0.087, *samples),
    }[name]
    assert (meant > 0.05).all() and (meant < 0.95).all()
    whole = clip("whole.mp4", frames=40, levels=(60, samples[0]), chroma=samples[1:])

    try:
        video = publish(marked(whole, matrix=MATRICES[name]))
    except InvalidInputError as refusal:
        assert name in str(refusal).lower()
        return

    for rendition in video.renditions:
        space = tags(video, rendition)["color_space"]
        assert space is not None
        # 3 of 255 codes.
        assert rgb(*mean_samples(video, rendition), space) == pytest.approx(meant, abs=0.015), rendition


# --- tools that fail ------------------------------------------------------------------------

FILTER_FAILS = """[Parsed_zscale_0 @ 0x5] code 3074: no path between colorspaces
[vf#0:0 @ 0x6] Error while filtering: Generic error in an external library
[vf#0:0 @ 0x6] Task finished with error code: -542398533 (Generic error in an external library)
[vost#0:0/libx264 @ 0x7] Could not open encoder before EOF"""
MUXER_FAILS = """[out#0/mp4 @ 0x5] Could not write header (incorrect codec parameters ?): Invalid argument
[vost#0:0/libx264 @ 0x7] Could not open encoder before EOF"""
ENCODER_FAILS = """[libx264 @ 0x5] malformed picture
[vost#0:0/libx264 @ 0x7] Error submitting video frame to the encoder
[vost#0:0/libx264 @ 0x7] Could not open encoder before EOF"""


@pytest.mark.parametrize(
    "says", [FILTER_FAILS, MUXER_FAILS, ENCODER_FAILS], ids=["filter", "muxer", "encoder"]
)
@pytest.mark.parametrize("status", [187, 234])
def test_a_tool_that_fails_is_no_damage(publish: Publisher, tmp_path: Path, says: str, status: int) -> None:
    """The step fails; black is shown only where a decoder cannot make pictures of the source."""
    broken = tmp_path / "ffmpeg"
    words = tmp_path / "words"
    words.write_text(f"{says}\n")
    broken.write_text(
        f"#!/bin/sh\n"
        f'case "$*" in *libx264*nut*|*nut*libx264*) cat "{words}" >&2; exit {status};; esac\n'
        f'exec "{FFMPEG}" "$@"\n'
    )
    broken.chmod(0o755)

    with pytest.raises(VodError) as failure:
        publish(clip("whole.mp4", frames=40), ffmpeg=str(broken))

    assert not isinstance(failure.value, InvalidInputError)


# --- beginnings -----------------------------------------------------------------------------


def begun_late(file: str, encoder: tuple[str, ...], *options: str, packet: int = 188, skipped: float) -> Path:
    """A recording that was begun in mid GOP, and in mid packet."""
    whole = clip(f"whole{Path(file).suffix}", *options, frames=110, video=encoder, sound=MP2)

    def cut(path: Path) -> bytes:
        data = path.read_bytes()
        return data[round(len(data) * skipped) // packet * packet + 57 :]

    return patched(f"{skipped}-{file}", whole, cut)


@pytest.mark.parametrize("skipped", [0.06, 0.2, 0.33])
@pytest.mark.parametrize(
    ("file", "encoder", "options"),
    [
        pytest.param("clip.ts", (*MPEG2[:-1], "25"), (), id="mpeg2-ts"),
        pytest.param("clip.ts", x264(gop=27, open_gop=False), (), id="h264-ts"),
        pytest.param("clip.ts", x264(gop=27), (), id="h264-open-gop-ts"),
        pytest.param("clip.ts", (*HEVC, X265.replace("=40", "=27") + "0"), (), id="hevc-ts"),
        pytest.param("clip.mpg", (*MPEG2[:-1], "27", "-bf", "0"), ("-f", "vob"), id="mpeg2-ps"),
    ],
)
def test_recording_that_begins_in_mid_gop(
    publish: Publisher, file: str, encoder: tuple[str, ...], options: tuple[str, ...], skipped: float
) -> None:
    """It begins with the first picture that can be shown, and nothing of it is damaged."""
    source = begun_late(file, encoder, *options, skipped=skipped)
    shown = one_pass(source, Fraction(25))
    wanted = list(range(shown[0], 110))
    # ffprobe and ffmpeg misread one time of a program stream that begins so, where two have the same one.
    lost = len(set(wanted) - set(shown))
    assert shown[0] > 0 and lost <= (file == "clip.mpg")

    video = publish(source)

    if lost:
        seen = video.numbers("full")
        assert len(seen) == len(wanted) - lost
        wanted = [number for number in wanted if number in seen]
    video.check_pictures(wanted, "25")
    video.check_clicks([place for place in one_pass_clicks(source) if place >= 0])
    check_undamaged(video)
    if file != "clip.mpg":  # of some, ffprobe lists no packet before the first key frame
        assert any(words.startswith("begun ") for words in video.video["source"]["normalised"])


def test_a_recording_that_begins_in_mid_gop_is_allowed(publish: Publisher) -> None:
    """Also where damage is forbidden."""
    source = begun_late("clip.ts", (*MPEG2[:-1], "25"), skipped=0.2)

    video = publish(source, on_damage="fail")

    video.check_pictures(one_pass(source, Fraction(25)), "25")


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_ms", "adpcm_yamaha"])
def test_sound_that_is_read_block_by_block_is_not_damaged(publish: Publisher, codec: str) -> None:
    """The last block is not full."""
    source = clip(
        "clip.avi", frames=57, video=("-c:v", "mjpeg", "-q:v", "2"), sound=Sound(options=("-c:a", codec))
    )

    video = publish(source, on_damage="fail")

    video.check_clip(frames=57)
    check_undamaged(video)
