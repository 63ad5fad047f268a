"""HDR renditions: every segment tells the same, joins are as invisible as in SDR, SDR beside them is SDR."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exact.publisher import Publisher
from support.breaks import judged
from support.clips import media, remuxed, run_ffmpeg
from support.published import Published
from support.tools import FFMPEG, ffprobe
from vod_operators.formats.mp4 import read_init
from vod_operators.media.pieces import with_boxes

SIZE = (160, 90)
SECONDS, RATE = 3, 25

MASTERING = "33c286c41d4c0bb884d03e803d1340420098968000000032"
HDR10 = (
    ":max-cll=1000,200:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
)


def rungs(name: str, crf: int) -> list[dict[str, Any]]:
    return [{"name": name, "width": 160, "height": 90, "crf": crf, "max_bitrate_bps": 900_000}]


X264 = {"encoder": "libx264", "encoder_preset": "superfast", "rungs": rungs("sdr", 23)}
X265 = {
    "encoder": "libx265", "encoder_preset": "superfast", "bit_depth": 10, "dynamic_range": "hdr",
    "rungs": rungs("hdr", 22),
}  # fmt: skip
AV1 = {
    "encoder": "libsvtav1", "encoder_preset": "11", "bit_depth": 10, "dynamic_range": "hdr",
    "rungs": rungs("av1", 30),
}  # fmt: skip
BOTH = {"ladders": [X264, X265, AV1], "source_report": {"black": "off", "frozen": "off", "flashes": "off"}}


def source(
    transfer: str,
    params: str = "",
    *,
    file: str = "clip.mp4",
    seconds: int = SECONDS,
) -> Path:
    """Moving pictures in HDR, in HEVC with a key frame a second."""
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    x265 = f"log-level=error:keyint={RATE}:min-keyint={RATE}:scenecut=0{params}"

    def build(path: Path) -> None:
        run_ffmpeg(
            "-f", "lavfi", "-i", f"testsrc2=s=160x90:r={RATE}:d={seconds}", "-vf", tags,
            "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "superfast", "-crf", "12",
            "-x265-params", x265, *(("-tag:v", "hvc1") if file.endswith("mp4") else ()), str(path),
        )  # fmt: skip

    return media(file, build, transfer, params, seconds)


def segments(video: Published, name: str) -> list[Path]:
    return sorted(video.playlist(name).parent.glob("seg-*.m4s"))


def told_by(segment: Path) -> dict[str, Any]:
    """What ffmpeg's tools say of one segment with its init segment, of its first picture above all."""
    whole = segment.with_suffix(".whole.mp4")
    whole.write_bytes((segment.parent / "init.mp4").read_bytes() + segment.read_bytes())
    try:
        (stream,) = ffprobe(whole, "-show_streams")["streams"]
        shown = subprocess.run(
            [FFMPEG, "-hide_banner", "-nostdin", "-i", str(whole), "-frames:v", "1", "-vf", "showinfo",
             "-f", "null", "-"], capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
    finally:
        whole.unlink()
    keys = ("color_range", "color_space", "color_transfer", "color_primaries", "chroma_location")
    return {
        "pix_fmt": stream["pix_fmt"],
        "colour": [stream.get(key) for key in keys],
        "display": sorted({*re.findall(r"side data - Mastering display metadata: (.*)", shown)}),
        "light": sorted({*re.findall(r"side data - Content light level metadata: (.*)", shown)}),
    }


DISPLAY = (
    "has_primaries:1 has_luminance:1 r(0.6800,0.3200) g(0.2650,0.6900) b(0.1500 0.0600) wp(0.3127, 0.3290) "
)


@pytest.mark.parametrize(
    ("transfer", "params", "file"),
    [
        pytest.param("smpte2084", HDR10, "clip.mp4", id="hdr10-mp4"),
        pytest.param("smpte2084", HDR10, "clip.mkv", id="hdr10-mkv"),
        pytest.param("arib-std-b67", "", "clip.mp4", id="hlg"),
    ],
)
def test_every_segment_tells_the_same(publish: Publisher, transfer: str, params: str, file: str) -> None:
    video = publish(source(transfer, params, file=file), preset=BOTH, certificate="true")

    wanted_range = "PQ" if transfer == "smpte2084" else "HLG"
    assert video.video["chunks"] == SECONDS
    assert video.video["source"]["hdr"]["range"] == wanted_range
    for name in ("hdr", "av1"):
        files = segments(video, name)
        assert len(files) == SECONDS
        for segment in files:
            told = told_by(segment)
            assert told["pix_fmt"] == "yuv420p10le"
            assert told["colour"] == ["tv", "bt2020nc", transfer, "bt2020", "left"]
            assert len(told["display"]) == len(told["light"]) == bool(params)
            assert all(
                words.startswith(DISPLAY) and "max_luminance=1000.0" in words for words in told["display"]
            )
            assert all(words.startswith("MaxCLL=1000, MaxFALL=200") for words in told["light"])
        init = (files[0].parent / "init.mp4").read_bytes()
        (format,) = read_init(init)[0].formats
        assert format.entry_colour == format.colour == (9, 16 if wanted_range == "PQ" else 18, 9)
        boxes = format.entry_metadata
        assert (boxes and (boxes.mastering, boxes.light)) == ((MASTERING, "03e800c8") if params else None)
    for segment in segments(video, "sdr"):
        told = told_by(segment)
        assert told["colour"][1:4] == ["bt709"] * 3 and not told["display"] and not told["light"]

    ranges = {
        (variant.stream_info.codecs.split(",")[0], variant.stream_info.video_range)
        for variant in video.master.playlists
    }
    av1 = f"av01.0.00M.10.0.111.09.{16 if wanted_range == 'PQ' else 18}.09.0"
    assert {codecs for codecs, found in ranges if found == wanted_range} == {"hvc1.2.4.L60.90", av1}
    assert {codecs[:4] for codecs, found in ranges if found == "SDR"} == {"avc1"}
    found = judged(video.folder / "index.m3u8")
    for rule in ("6.video-range", "6.codecs", "13.declared", "13.sdr", "16.format", "16.colours", "3.sdr"):
        assert found[rule].status == "pass", rule
    for rule in ("16.hdr10", "16.same", "16.configuration"):
        assert found[rule].status == ("pass" if params else "not applicable"), rule
    kinds = {made["name"]: (made["video_range"], made["quality"] is None) for made in video.tracks("video")}
    assert {kinds["hdr"], kinds["av1"]} == {(wanted_range, True)} and kinds["sdr"] == ("SDR", False)


def samples(path: Path, size: tuple[int, int]) -> NDArray[np.int64]:
    """Luma of all pictures, in ten bits."""
    command = [
        FFMPEG,
        "-v",
        "error",
        "-nostdin",
        "-i",
        str(path),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray10le",
        "-",
    ]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, "<u2").reshape(-1, size[1], size[0]).astype(np.int64)


def psnr(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each picture."""
    error = ((a - b) ** 2).mean(axis=(1, 2))
    ratio: NDArray[np.float64] = 10 * np.log10(1023**2 / np.maximum(error, 1e-4))
    return ratio


SHORT, LONG = 2, 8
"""Seconds of the chunks that are joined, and of all in one."""

JOIN_DB, MEAN_DB, SIZE_PART, NEAR = 0.5, 0.1, 0.02, 5
"""Loss of PSNR within ``NEAR`` frames of a join and over all, and difference in size, against one pass."""


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_joins_are_as_in_one_pass(publish: Publisher, transfer: str) -> None:
    """The last two of four chunks begin later than the video, lead-in and all."""
    clip = source(transfer, seconds=LONG)
    shown: dict[int, dict[str, NDArray[np.float64]]] = {}
    sizes: dict[int, dict[str, int]] = {}
    truth = samples(clip, SIZE)
    for chunk_seconds in (SHORT, LONG):
        video = publish(clip, preset=BOTH, chunk_seconds=chunk_seconds)
        assert video.video["chunks"] == LONG // chunk_seconds
        shown[chunk_seconds] = {
            name: psnr(samples(video.playlist(name), SIZE), truth) for name in ("hdr", "av1")
        }
        sizes[chunk_seconds] = {made["name"]: made["size_bytes"] for made in video.tracks("video")}
    for name in ("hdr", "av1"):
        chunked, whole = shown[SHORT][name], shown[LONG][name]
        assert len(chunked) == len(whole) == len(truth) == LONG * RATE
        gained = chunked - whole
        joins = [gained[n - NEAR : n + NEAR].mean() for n in range(SHORT * RATE, len(gained), SHORT * RATE)]
        print(
            f"{transfer} {name}: {whole.mean():.2f} dB, at joins {np.round(joins, 3)}, "
            f"mean {gained.mean():+.3f}"
        )
        assert whole.mean() > 35
        assert min(joins) >= -JOIN_DB and abs(gained.mean()) <= MEAN_DB
        assert abs(sizes[SHORT][name] / sizes[LONG][name] - 1) <= SIZE_PART


def dolby_vision(profile: int, base: int, *, layers: int = 0b101) -> bytes:
    """A ``dvvC`` box.

    :param layers: whether there is an RPU, an enhancement layer and a base layer.
    """
    payload = bytes([1, 0, profile << 1, 1 << 3 | layers, base << 4]) + bytes(19)
    return (8 + len(payload)).to_bytes(4, "big") + b"dvvC" + payload


def as_dolby_vision(clip: Path, profile: int, base: int) -> Path:
    """The same with the header of Dolby Vision, turned as a phone held upright turns it."""
    turned = remuxed("turned.mp4", clip, "-c", "copy", before=("-display_rotation", "90"))

    def build(path: Path) -> None:
        path.write_bytes(with_boxes(turned.read_bytes(), dolby_vision(profile, base)))

    return media("dolby.mp4", build, clip.read_bytes().hex()[:200], profile, base)


def test_a_phone_held_upright_with_dolby_vision(publish: Publisher) -> None:
    """Profile 8.4, as iPhones record it: HLG with metadata for each picture."""
    video = publish(as_dolby_vision(source("arib-std-b67"), 8, 4), preset={"ladders": [X264, X265]})

    words = "Dolby Vision profile 8.4: its dynamic metadata are not kept; HDR renditions show its HLG base"
    assert words in video.video["warnings"]
    assert video.video["source"]["hdr"]["dynamic"] == ["Dolby Vision profile 8.4"]
    for name in ("sdr", "hdr"):
        stream = video.stream(name)
        assert stream["width"] < stream["height"]
    assert video.stream("hdr")["color_transfer"] == "arib-std-b67"


def test_dolby_vision_without_a_base_layer_is_refused(publish: Publisher) -> None:
    with pytest.raises(
        Exception, match=r"Dolby Vision profile 5 without another layer.*export it as SDR, HDR10"
    ):
        publish(as_dolby_vision(source("smpte2084"), 5, 0), preset={"ladders": [X264, X265]})


def test_a_chunk_that_is_damaged_has_the_metadata_of_the_others(publish: Publisher) -> None:
    """The second of three seconds cannot be decoded: the last picture before it stays."""
    clip = source("smpte2084", HDR10)

    def build(path: Path) -> None:
        data = bytearray(clip.read_bytes())
        packets = ffprobe(clip, "-show_entries", "packet=pos,size,pts_time", "-select_streams", "v")[
            "packets"
        ]
        for packet in packets:
            if 0.99 < float(packet["pts_time"]) < 2 - 1 / RATE / 2:
                at, size = int(packet["pos"]), int(packet["size"])
                data[at + 4 : at + size] = bytes(size - 4)
        path.write_bytes(data)

    video = publish(
        media("damaged.mp4", build, "damaged"), preset={"ladders": [X264, X265]}, on_damage="conceal"
    )

    assert video.video["source"]["damage"]
    told = [told_by(segment) for segment in segments(video, "hdr")]
    assert len(told) == SECONDS and told[0]["display"] and all(other == told[0] for other in told)
    pictures = samples(video.playlist("hdr"), SIZE)
    assert pictures.shape[0] == SECONDS * RATE
    assert (psnr(pictures[RATE : 2 * RATE], pictures[RATE]) > 60).all()


def test_a_chunk_of_which_nothing_can_be_decoded_is_black_in_hdr_too(
    publish: Publisher, tmp_path: Path
) -> None:
    """An ffmpeg that decodes nothing of the second of three chunks."""
    blind = tmp_path / "ffmpeg"
    blind.write_text(
        f'#!/bin/sh\ncase "$*" in *chunk.nut*end_pts={2 * RATE + 10}*libx265*)\n'
        'echo "[hevc @ 0x1] PPS id out of range: 0" >&2\n'
        f'echo "Could not open encoder before EOF" >&2; exit 234;; esac\nexec "{FFMPEG}" "$@"\n'
    )
    blind.chmod(0o755)
    video = publish(
        source("smpte2084", HDR10), preset={"ladders": [X264, X265]}, on_damage="conceal", ffmpeg=str(blind)
    )

    (damage,) = video.video["source"]["damage"]
    assert "shown black" in damage
    told = [told_by(segment) for segment in segments(video, "hdr")]
    assert told[0]["display"] and all(other == told[0] for other in told)
    for name in ("hdr", "sdr"):
        pictures = samples(video.playlist(name), SIZE)
        assert pictures[RATE : 2 * RATE].max() <= 2
        assert pictures[:RATE].max() > 500 and pictures[2 * RATE :].max() > 500


@pytest.mark.parametrize(
    ("params", "remark"),
    [
        pytest.param(":max-cll=0,0:master-display=" + HDR10.partition("display=")[2], None, id="max-cll-0"),
        pytest.param(
            ":max-cll=1000,200:master-display=G(34000,16000)B(7500,3000)R(13250,34500)WP(15635,16450)"
            "L(10000000,50)",
            "the mastering display that it declares is impossible or incomplete, and is left out",
            id="absurd",
        ),
    ],
)
def test_odd_metadata(publish: Publisher, params: str, remark: str | None) -> None:
    video = publish(source("smpte2084", params), preset={"ladders": [X264, X265]})

    (told, *others) = [told_by(segment) for segment in segments(video, "hdr")]
    assert all(other == told for other in others)
    facts = video.video["source"]["hdr"]
    if remark:
        assert remark in video.video["warnings"]
        assert not told["display"] and told["light"] and facts["display_nits"] is None
    else:
        assert told["display"] and facts["max_cll"] is None
        assert not [words for words in video.video["warnings"] if "left out" in words]


def test_other_colours_of_pq_become_those_of_hdr10(publish: Publisher) -> None:
    """Display P3 in full range, as cameras and computers record it: the grey in it stays as bright."""

    def build(path: Path) -> None:
        tags = "setparams=color_primaries=smpte432:color_trc=smpte2084:colorspace=bt2020nc:range=pc"
        run_ffmpeg(
            "-f", "lavfi", "-i", f"color=c=0x949494:s=160x90:r={RATE}:d=1,format=yuv444p10le", "-vf", tags,
            "-c:v", "ffv1", "-color_primaries", "smpte432", "-color_trc", "smpte2084", "-colorspace",
            "bt2020nc", "-color_range", "pc", str(path),
        )  # fmt: skip

    clip = media("p3.mkv", build)
    before = samples(clip, SIZE).mean() / 1023
    video = publish(clip, preset={"ladders": [X264, X265]})

    told = told_by(segments(video, "hdr")[0])
    assert told["colour"] == ["tv", "bt2020nc", "smpte2084", "bt2020", "left"]
    after = samples(video.playlist("hdr"), SIZE).mean() / 1023  # ffmpeg makes full range of it
    assert after == pytest.approx(before, abs=0.01)


def test_metadata_of_av1_are_read_though_ffprobe_does_not_decode_it(publish: Publisher) -> None:
    """SVT-AV1 writes them into the stream only, and ffmpeg's MP4 muxer does not see them."""

    def build(path: Path) -> None:
        tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
        told = "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"
        run_ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=1", "-vf", tags, "-pix_fmt", "yuv420p10le",
            "-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", f"{told}:content-light=1000,200",
            str(path),
        )  # fmt: skip

    video = publish(media("av1.mp4", build), preset={"ladders": [X264, X265]})

    facts = video.video["source"]["hdr"]
    assert (facts["display_nits"], facts["max_cll"], facts["max_fall"]) == ([0.005, 1000.0], 1000, 200)


def test_an_sdr_source_has_no_hdr_renditions(publish: Publisher) -> None:
    def build(path: Path) -> None:
        run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=1", "-c:v", "libx264", str(path))

    video = publish(media("sdr.mp4", build), preset={"ladders": [X264, X265]})

    assert video.renditions == ["sdr"]
    assert "HDR renditions (HEVC): the source is SDR" in video.video["source"]["skipped"]
    assert "VIDEO-RANGE" not in (video.folder / "index.m3u8").read_text("utf-8")
    assert video.video["source"]["hdr"] is None
