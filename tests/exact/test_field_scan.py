"""Fields and rates of which the stream's header says nothing, or something that is not so."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from exact.codecs import MPEG2
from exact.field import appended, check_undamaged, words
from exact.publisher import Publisher
from support import ebml
from support.clips import PCM, SOUND, Sound, clip, one_pass, one_pass_clicks, patched, remuxed, x264
from support.published import Published

MP2 = Sound(options=("-c:a", "mp2", "-b:a", "192k"))
INTERLACED_MPEG2 = (*MPEG2, "-flags", "+ilme+ildct")
INTERLACED_MPEG4 = ("-c:v", "mpeg4", "-q:v", "2", "-g", "20", "-flags", "+ilme+ildct")
DV = ("-c:v", "dvvideo")
NTSC, PAL = "30000/1001", "25"


def interlaced(
    name: str, file: str, *video: str, fields: str = "tff", pixels: str = "yuv420p", rate: str = PAL,
    size: tuple[int, int] = (128, 72), sound: Sound | None = PCM,
) -> object:  # fmt: skip
    return pytest.param(file, video, fields, pixels, rate, size, sound, id=name)


@pytest.mark.parametrize(
    ("file", "video", "fields", "pixels", "rate", "size", "sound"),
    [
        interlaced("dv-ntsc-avi", "clip.avi", *DV, fields="bff", pixels="yuv411p", rate=NTSC,
                   size=(720, 480)),
        interlaced("dv-ntsc-mov", "clip.mov", *DV, fields="bff", pixels="yuv411p", rate=NTSC,
                   size=(720, 480)),
        interlaced("dv-ntsc-dv", "clip.dv", *DV, fields="bff", pixels="yuv411p", rate=NTSC,
                   size=(720, 480)),
        interlaced("dv-ntsc-mkv", "clip.mkv", *DV, fields="bff", pixels="yuv411p", rate=NTSC,
                   size=(720, 480)),
        interlaced("dv-pal-avi", "clip.avi", *DV, fields="bff", size=(720, 576)),
        interlaced("dv-pal-mov", "clip.mov", *DV, fields="bff", size=(720, 576)),
        interlaced("dv-pal-dv", "clip.dv", *DV, fields="bff", size=(720, 576)),
        interlaced("dvcpro-pal-mxf", "clip.mxf", *DV, fields="bff", pixels="yuv422p", size=(720, 576)),
        interlaced("asp-tff-avi", "clip.avi", *INTERLACED_MPEG4),
        interlaced("asp-bff-avi", "clip.avi", *INTERLACED_MPEG4, fields="bff"),
        interlaced("asp-mp4", "clip.mp4", *INTERLACED_MPEG4, rate=NTSC, sound=SOUND),
        interlaced("asp-mkv", "clip.mkv", *INTERLACED_MPEG4, fields="bff", rate=NTSC),
        interlaced("asp-b-frames-mp4", "clip.mp4", *INTERLACED_MPEG4, "-bf", "2", sound=SOUND),
        interlaced("h264-mp4", "clip.mp4", *x264(more=":tff=1"), sound=SOUND),
        interlaced("h264-bff-mkv", "clip.mkv", *x264(more=":bff=1"), fields="bff", sound=SOUND),
        interlaced("h264-avi", "clip.avi", *x264(b_frames=0, more=":tff=1")),
        interlaced("h264-flv", "clip.flv", *x264(more=":tff=1"), sound=SOUND),
        interlaced("mpeg2-mxf", "clip.mxf", *INTERLACED_MPEG2),
        interlaced("mpeg2-bff-mkv", "clip.mkv", *INTERLACED_MPEG2, fields="bff"),
        interlaced("mpeg2-vob", "clip.vob", *INTERLACED_MPEG2, sound=MP2),
        interlaced("prores-mov", "clip.mov", "-c:v", "prores_ks", "-flags", "+ildct", pixels="yuv422p10le",
                   size=(128, 144)),
        interlaced("uncompressed-mov", "clip.mov", "-c:v", "rawvideo", "-field_order", "tt",
                   pixels="uyvy422"),
        interlaced("ffv1-mkv", "clip.mkv", "-c:v", "ffv1", fields="bff"),
    ],
)  # fmt: skip
def test_fields(
    publish: Publisher,
    file: str,
    video: tuple[str, ...],
    fields: str,
    pixels: str,
    rate: str,
    size: tuple[int, int],
    sound: Sound | None,
) -> None:
    source = clip(
        file, frames=66, fields=fields, video=video, pixel_format=pixels, rate=rate, size=size, sound=sound
    )
    twice = 2 * Fraction(rate)
    assert one_pass(source, twice, "bwdif=send_field:deint=interlaced") == list(range(132))

    published = publish(source)

    published.check_pictures(range(132), twice)
    published.check_clicks(one_pass_clicks(source))
    assert "interlaced" in published.normalised
    check_undamaged(published)


# --- mixed ----------------------------------------------------------------------------------

STRIPES = "geq=lum='if(lt(Y,8),16+219*mod(Y+N,2),p(X,Y))':cb=128:cr=128"
"""Lines that change with every picture, beside where its number is: a deinterlacer makes them even."""


def contrast(video: Published) -> list[float]:
    """How much neighbouring lines of the stripes differ, for each picture."""
    lines = video.pictures("full")[:, 1:7].astype(np.float32)
    found: list[float] = np.abs(np.diff(lines, axis=1)).mean(axis=(1, 2)).tolist()
    return found


CODECS = {
    "mpeg2": {"tff": INTERLACED_MPEG2, "bff": INTERLACED_MPEG2, "": MPEG2},
    "h264": {
        "tff": x264(gop=25, more=":tff=1"),
        "bff": x264(gop=25, more=":bff=1"),
        "": x264(gop=25, open_gop=False),
    },
}
FRAMES = 60


def recording(codec: str, parts: Sequence[str]) -> Path:
    """One behind the other: of fields in that order, or progressive; each 60 frames of 1/25 s."""
    return appended(
        f"{'-'.join(parts)}.ts",
        *(
            clip(
                f"{number}.ts", "-output_ts_offset", f"{1 + number * FRAMES / 25}",
                frames=FRAMES, first=1000 * number, fields=fields or None, video=CODECS[codec][fields],
                filters="" if fields else STRIPES, sound=MP2,
            )
            for number, fields in enumerate(parts)
        ),
    )  # fmt: skip


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "parts",
    [("", "tff"), ("", "bff"), ("tff", ""), ("", "tff", ""), ("tff", "", "tff"), ("tff", "bff")],
    ids=lambda parts: "-".join(part or "progressive" for part in parts),
)
def test_mixed_scan(publish: Publisher, parts: tuple[str, ...], codec: str) -> None:
    """A progressive trailer and an interlaced programme, as a recorder of broadcasts finds them."""
    source = recording(codec, parts)
    wanted = [
        1000 * number + (place if fields else place // 2)
        for number, fields in enumerate(parts)
        for place in range(2 * FRAMES)
    ]
    # Where the header of MPEG-2 changes, ffmpeg's decoder drops the picture that it holds back.
    with_a_drop = one_pass(source, Fraction(50), "bwdif=send_field:deint=interlaced")
    assert sum(a != b for a, b in zip(wanted, with_a_drop, strict=True)) <= 3 * (len(parts) - 1)

    video = publish(source)

    video.check_pictures(with_a_drop if video.numbers("full") == with_a_drop else wanted, "50")
    video.check_clicks(one_pass_clicks(source))
    told = "interlaced" if "" not in parts else "partly interlaced"
    assert told in video.normalised
    # Where H.264 recordings are joined its decoder misses pictures that the new one refers to.
    assert not [line for line in video.video["source"]["damage"] if codec != "h264" or "mmco" not in line]
    untouched = [n for n, number in enumerate(wanted) if not parts[number // 1000]]
    lines = contrast(video)
    assert all(lines[n] > 100 for n in untouched), "a progressive picture was deinterlaced"


@pytest.mark.parametrize("file", ["clip.mkv", "clip.mp4"])
def test_mixed_scan_with_an_index(publish: Publisher, file: str) -> None:
    source = remuxed(file, recording("mpeg2", ("", "tff")))

    video = publish(source)

    wanted = [*(n // 2 for n in range(2 * FRAMES)), *range(1000, 1000 + 2 * FRAMES)]
    with_a_drop = one_pass(source, Fraction(50), "bwdif=send_field:deint=interlaced")
    video.check_pictures(with_a_drop if video.numbers("full") == with_a_drop else wanted, "50")
    assert "partly interlaced" in video.normalised


def test_a_short_interlaced_part(publish: Publisher) -> None:
    """0.8 s in the middle of 8, where a look at the beginning and the end does not find it."""
    lengths, first, parts = (100, 20, 80), 0, []
    wanted: list[int] = []
    for number, length in enumerate(lengths):
        fields = "tff" if number == 1 else ""
        parts.append(
            clip(
                f"{number}.ts", "-output_ts_offset", f"{1 + first / 25}", frames=length, first=1000 * number,
                fields=fields or None, video=CODECS["mpeg2"][fields], sound=MP2,
            )
        )  # fmt: skip
        wanted += [1000 * number + (place if fields else place // 2) for place in range(2 * length)]
        first += length
    source = appended("clip.ts", *parts)

    video = publish(source)

    shown = video.numbers("full")
    assert -1 not in shown, "combed pictures were published"
    with_a_drop = one_pass(source, Fraction(50), "bwdif=send_field:deint=interlaced")
    video.check_pictures(with_a_drop if shown == with_a_drop else wanted, "50")
    assert "partly interlaced" in video.normalised


def test_progressive_pictures_in_an_interlaced_stream(publish: Publisher) -> None:
    """Both fields of one moment, as film is sent: each picture twice."""
    source = clip("clip.ts", frames=66, video=x264(more=":tff=1"), filters="setfield=tff")

    video = publish(source)

    shown = video.numbers("full")
    assert shown == [n // 2 for n in range(132)] if video.rate == 50 else shown == list(range(66))
    check_undamaged(video)


# --- declared rates -------------------------------------------------------------------------


def check_every_picture(publish: Publisher, source: Path) -> None:
    """Each at its own time; the last one may last as long as the wrong rate says."""
    shown = one_pass(source, Fraction(25))
    assert shown[:109] == list(range(109)) and set(shown[109:]) <= {109}
    wanted = list(range(110)) + shown[110:]

    video = publish(source)

    video.check_pictures(wanted, "25")
    video.check_clicks(SOUND.schedule(110 / 25))
    check_undamaged(video)


@pytest.mark.parametrize(
    "nanoseconds", [1_000_000, 8_333_333, 16_666_667, 20_000_000, 33_366_667, 100_000_000]
)
def test_matroska_declares_a_wrong_rate(publish: Publisher, nanoseconds: int) -> None:
    """Its DefaultDuration, while every picture has its time."""

    def declared(path: Path) -> bytes:
        return ebml.with_fields(path.read_bytes(), track={ebml.DEFAULT_DURATION: nanoseconds})

    check_every_picture(publish, patched(f"{nanoseconds}.mkv", clip("whole.mkv"), declared))


@pytest.mark.parametrize("rate", [1.0, 12.5, 30.0, 50.0, 1000.0])
def test_flash_declares_a_wrong_rate(publish: Publisher, rate: float) -> None:
    def declared(path: Path) -> bytes:
        data, key = path.read_bytes(), b"framerate\0"
        at = data.index(key) + len(key)
        return data[:at] + np.array(rate, ">f8").tobytes() + data[at + 8 :]

    check_every_picture(publish, patched(f"{rate}.flv", clip("whole.flv"), declared))


@pytest.mark.parametrize("file", ["clip.ts", "clip.flv"])
@pytest.mark.parametrize("ticks", ["20", "60", "100", "48000/1001"])
def test_h264_declares_a_wrong_rate(publish: Publisher, file: str, ticks: str) -> None:
    """The timing in its parameter sets, half of these ticks a second; the container has the right one."""
    source = remuxed(file, clip("whole.mp4"), "-bsf:v", f"h264_metadata=tick_rate={ticks}")

    check_every_picture(publish, source)


def test_a_few_pictures_at_another_rate(publish: Publisher) -> None:
    """One second of 25 pictures, then ten of 50: what the first look would take it for, loses half."""
    steps = [40] * 25 + [20] * 200
    pts = np.concatenate([[0], np.cumsum(steps)]).tolist()
    source = clip("clip.mp4", frames=len(pts), rate="50", pts=pts, video=x264(gop=25))

    video = publish(source)

    video.check_pictures(one_pass(source, video.rate), video.rate)
    assert set(range(25, 226)) <= set(video.numbers("full")), words(video)
