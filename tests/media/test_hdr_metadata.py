"""Static metadata of HDR: what of a source's is believed, and how each encoder and box is told."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from media.plans import a_plan
from support.tools import FFMPEG
from vod_operators.formats.hdr import Light, StaticMetadata, boxes_of, of_obus, static_metadata
from vod_operators.media import ffmpeg, frames, hdr, renditions
from vod_operators.media.encoders import encoder_options
from vod_operators.media.hdr import CHANGES, NO_DISPLAY, NO_LIGHT, Hdr, SourceHdr, of_fields, source_hdr
from vod_operators.media.models import Colour, Plan, Rendition
from vod_operators.media.plan import hdr_lost, make_plan
from vod_operators.media.presets.catalog import load_preset

DISPLAY = {
    "red_x": "34000/50000", "red_y": "16000/50000", "green_x": "13250/50000", "green_y": "34500/50000",
    "blue_x": "7500/50000", "blue_y": "3000/50000", "white_point_x": "15635/50000",
    "white_point_y": "16450/50000", "min_luminance": "50/10000", "max_luminance": "10000000/10000",
}  # fmt: skip
LIGHT = {"max_content": 1000, "max_average": 200}

DISPLAY_HEX = "33c286c41d4c0bb884d03e803d13404200989680" + "00000032"
WHOLE = StaticMetadata(mastering=DISPLAY_HEX, light="03e800c8")
PQ = Colour(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc")


def test_what_is_right_is_believed() -> None:
    assert of_fields(DISPLAY | LIGHT) == (WHOLE, ())
    assert WHOLE.words == "a display of 0.005 to 1000 cd/m2, MaxCLL 1000, MaxFALL 200"
    assert of_fields({}) == (StaticMetadata(), ())


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"max_luminance": "0/10000"}, id="black"),
        pytest.param({"max_luminance": "200000000/10000"}, id="brighter-than-pq"),
        pytest.param({"min_luminance": "10000001/10000"}, id="black-above-white"),
        pytest.param({"red_x": "60000/50000"}, id="outside"),
        pytest.param({"red_x": "13250/50000", "green_x": "34000/50000"}, id="red-and-green-swapped"),
        pytest.param({"white_point_y": "0/50000"}, id="no-white"),
        pytest.param({"red_x": "nonsense"}, id="no-number"),
        pytest.param({"red_x": "-1/50000"}, id="negative"),
        pytest.param({"max_luminance": "1/0"}, id="divided-by-0"),
    ],
)
def test_an_impossible_display_is_left_out_and_told(wrong: dict[str, str]) -> None:
    assert of_fields(DISPLAY | wrong | LIGHT) == (StaticMetadata(light="03e800c8"), (NO_DISPLAY,))


def test_half_a_display_is_left_out_and_told() -> None:
    luminance = {name: DISPLAY[name] for name in ("min_luminance", "max_luminance")}
    assert of_fields(luminance) == (StaticMetadata(), (NO_DISPLAY,))


@pytest.mark.parametrize(
    ("levels", "light", "remarks"),
    [
        pytest.param((0, 0), "", (), id="unknown"),
        pytest.param((0, 200), "", (), id="only-the-average"),
        pytest.param((1000, 0), "03e80000", (), id="only-the-peak"),
        pytest.param((200, 1000), "", (NO_LIGHT,), id="average-above-peak"),
        pytest.param((65535, 65535), "", (NO_LIGHT,), id="absurd"),
        pytest.param((100_000, 10), "", (NO_LIGHT,), id="too-large-for-its-field"),
    ],
)
def test_light_levels(levels: tuple[int, int], light: str, remarks: tuple[str, ...]) -> None:
    fields = dict(zip(LIGHT, levels, strict=True))
    assert of_fields(fields) == (StaticMetadata(light=light), remarks)


def test_pictures_count_more_than_the_container_and_each_fills_in_the_other() -> None:
    other = StaticMetadata(light="01f40064")
    stream = {"side_data_list": [DISPLAY | LIGHT], "chroma_location": "topleft"}
    found = source_hdr(stream, [other], (), ())
    assert found == SourceHdr(
        metadata=StaticMetadata(mastering=DISPLAY_HEX, light="01f40064"), chroma_location="topleft"
    )
    # The container is right where the pictures are wrong; then nothing is left out.
    assert source_hdr(stream, [], (), [NO_DISPLAY, NO_LIGHT]).remarks == ()
    assert source_hdr({}, [], (), [NO_DISPLAY]).remarks == (NO_DISPLAY,)
    assert source_hdr({}, [WHOLE, other], (), ()).remarks == (CHANGES,)
    assert source_hdr({"chroma_location": "unspecified"}, [], (), ()).chroma_location == "left"


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"dv_profile": 8, "dv_bl_signal_compatibility_id": 4}, "Dolby Vision profile 8.4"),
        ({"dv_profile": 8, "dv_bl_signal_compatibility_id": 1}, "Dolby Vision profile 8.1"),
        ({"dv_profile": 7, "dv_bl_signal_compatibility_id": 6}, "Dolby Vision profile 7"),
        ({"rotation": -90}, None),
    ],
)
def test_names_of_dolby_vision(record: dict[str, Any], name: str | None) -> None:
    assert hdr.dolby_vision(record) == name
    assert source_hdr({"side_data_list": [record]}, [], (), ()).dynamic == ((name,) if name else ())


def test_pictures_tell_dynamic_metadata() -> None:
    head = "pts=0|interlaced_frame=0|top_field_first=0|"
    plus = f"{head}side_datum/hdr10:side_data_type=HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"
    display = "|".join(f"side_datum/mastering:{name}={value}" for name, value in DISPLAY.items())
    facts = frames.parse_frames([plus, f"{head}{display}", f"{head}{display}"])
    assert (facts.dynamic_metadata, facts.count) == (("HDR10+",), 3)
    assert facts.static_metadata == (StaticMetadata(mastering=DISPLAY_HEX),)


def test_av1_that_ffprobe_cannot_decode_is_read_by_its_obus() -> None:
    told = SourceHdr(metadata=StaticMetadata(light="01f40064"))
    found = hdr.with_pictures(told, WHOLE, ["HDR10+"])
    assert (found.metadata, found.dynamic, found.remarks) == (WHOLE, ("HDR10+",), ())
    assert WHOLE.display is not None
    black = static_metadata(WHOLE.display._replace(max_luminance=0), Light(200, 1000))
    found = hdr.with_pictures(told, black, [])
    assert (found.metadata, found.remarks) == (told.metadata, (NO_DISPLAY, NO_LIGHT))


# --- encoders and boxes ---------------------------------------------------------------------


def test_the_bytes_of_boxes_and_the_words_of_encoders() -> None:
    assert boxes_of(WHOLE) == bytes.fromhex(
        f"00000020{b'mdcv'.hex()}{DISPLAY_HEX}0000000c{b'clli'.hex()}03e800c8"
    )
    assert boxes_of(StaticMetadata()) == b""
    assert hdr.x265_params(WHOLE) == (
        ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,200"
    )
    assert hdr.svtav1_params(WHOLE) == (
        ":mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"
        ":content-light=1000,200"
    )
    assert hdr.x265_params(StaticMetadata()) == hdr.svtav1_params(StaticMetadata()) == ""


def test_av1_has_other_units_which_are_rounded() -> None:
    told = of_obus(
        bytes.fromhex("ae1451ec43d7b0a426660f5c500d54390003e80000000052"), bytes.fromhex("03e800c8")
    )
    assert told.words == "a display of 0.005 to 1000 cd/m2, MaxCLL 1000, MaxFALL 200"
    assert not told.differs(WHOLE) and not WHOLE.differs(told)
    assert WHOLE.differs(StaticMetadata(light="03e900c8"))
    assert WHOLE.display is not None
    brighter = static_metadata(WHOLE.display._replace(max_luminance=40_000_000), None)
    assert WHOLE.differs(brighter) and not WHOLE.differs(StaticMetadata())


ENCODERS = [("libx265", "superfast"), ("libsvtav1", "12")]
TOLD = [
    pytest.param(WHOLE, id="both"),
    pytest.param(StaticMetadata(mastering=DISPLAY_HEX), id="display"),
    pytest.param(StaticMetadata(light="03e800c8"), id="light"),
    pytest.param(StaticMetadata(light="03e80000"), id="peak-only"),
    pytest.param(StaticMetadata(), id="none"),
]


@pytest.mark.parametrize("metadata", TOLD)
@pytest.mark.parametrize(("encoder", "encoder_preset"), ENCODERS)
def test_encoders_write_what_they_are_told(
    tmp_path: Path, encoder: Any, encoder_preset: str, metadata: StaticMetadata
) -> None:
    from vod_operators.formats.mp4 import read_init, read_segment

    rendition = Rendition(
        name="hdr", encoder=encoder, encoder_preset=encoder_preset, width=64, height=64, crf=40,
        max_bitrate_bps=100_000, buffer_bits=100_000, profile="main10", bit_depth=10,
        hdr=Hdr(range="PQ", chroma_location="left", metadata=metadata),
    )  # fmt: skip
    options = {f"{name}:v": value for name, value in encoder_options(rendition, 4).items()}
    if encoder == "libsvtav1":
        options.pop("profile:v", None)
    words = [word for name, value in options.items() for word in (f"-{name}", str(value))]
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25", "-frames:v", "8"]
    command += ["-pix_fmt", "yuv420p10le", *words, "-movflags", ffmpeg.FRAGMENTED, "clip.mp4"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    data = (tmp_path / "clip.mp4").read_bytes()
    at = data.index(b"moof") - 4
    facts = read_segment(data[at:], read_init(data[:at])[1], len(data) - at)
    found = facts.streams[0].metadata or StaticMetadata()
    assert (bool(found.mastering), bool(found.light)) == (bool(metadata.mastering), bool(metadata.light))
    assert not found.differs(metadata)


# --- plans ----------------------------------------------------------------------------------


def hdr_plan(preset: str = "h264_hevc_hdr", told: SourceHdr | None = None, colour: Colour = PQ) -> Plan:
    plan = a_plan()
    video = plan.source.video
    assert video is not None
    changes = {"width": 1920, "height": 1080, "colour": colour, "hdr": told or SourceHdr(metadata=WHOLE)}
    source = plan.source.model_copy(update={"video": video.model_copy(update=changes)})
    wanted = load_preset(preset)
    made = renditions.plan_renditions(source, wanted)
    return plan.model_copy(update={"source": source, "preset": wanted, "renditions": made})


def test_an_hdr_source_gets_all_ladders_and_an_sdr_source_those_without_hdr() -> None:
    plan = hdr_plan()
    kinds = {rendition.ladder for rendition in plan.renditions}
    assert kinds == {("h264", "SDR"), ("hevc", "SDR"), ("hevc", "PQ")}
    assert {made.profile for made in plan.renditions if made.hdr} == {"main10"}
    smallest = [made.name for made in plan.renditions if plan.is_smallest(made)]
    assert smallest == ["234p", "hevc-234p", "hdr-234p"]

    sdr = hdr_plan(colour=Colour(primaries="bt709", transfer="bt709", matrix="bt709"))
    assert {rendition.ladder for rendition in sdr.renditions} == {("h264", "SDR"), ("hevc", "SDR")}
    assert renditions.ladders_left_out(sdr.source, sdr.preset) == (
        "HDR renditions (HEVC): the source is SDR",
    )
    assert renditions.ladders_left_out(plan.source, plan.preset) == ()


def test_a_plan_without_hdr_is_written_as_before() -> None:
    written = hdr_plan("h264").model_dump_json()
    assert '"hdr":' not in written.partition('"renditions"')[2] and "dynamic_range" not in written


def test_the_plan_of_a_preset_without_hdr_is_as_before_hdr_was_read() -> None:
    source = hdr_plan().source

    def planned(preset: str) -> Plan:
        facts = {"chunk_seconds": None, "chunk_seconds_is_asked": False}
        return make_plan(video_id="v", source=source, preset=load_preset(preset), **facts)

    assert '"hdr":' not in planned("h264").model_dump_json()
    video = planned("hevc_hdr").source.video
    assert video is not None and video.hdr == SourceHdr(metadata=WHOLE)


def test_what_hdr_renditions_do_not_keep_is_told() -> None:
    told = SourceHdr(dynamic=("HDR10+", "Dolby Vision profile 8.1"), remarks=(NO_LIGHT,))
    assert hdr_lost(hdr_plan(told=told)) == [
        "HDR10+: its dynamic metadata are not kept; HDR renditions show its PQ base",
        "Dolby Vision profile 8.1: its dynamic metadata are not kept; HDR renditions show its PQ base",
        NO_LIGHT,
    ]
    assert hdr_lost(hdr_plan("h264", told)) == []  # all of it is tone-mapped


@pytest.mark.parametrize(
    ("colour", "converted"),
    [
        pytest.param(PQ, False, id="bt2020"),
        pytest.param(PQ.model_copy(update={"full_range": True}), True, id="full-range"),
        pytest.param(PQ.model_copy(update={"primaries": "smpte432"}), True, id="p3"),
        pytest.param(PQ.model_copy(update={"matrix": "bt2020c"}), True, id="constant-luminance"),
    ],
)
def test_only_other_colours_are_converted(colour: Colour, converted: bool) -> None:
    import ffmpeg as builder

    from vod_operators.media import filters

    plan = hdr_plan(colour=colour)
    streams = list(filters.cascade(builder.input("a")["v:0"], plan, converted=False, only=["hdr-1080p"]))
    ((rendition, stream),) = streams
    graph = " ".join(builder.compile(stream.output("b")))
    assert rendition.name == "hdr-1080p" and "tonemap" not in graph
    assert ("zscale" in graph) == converted
    assert "setparams=chroma_location=left:color_primaries=bt2020:color_trc=smpte2084" in graph
    assert "type=MASTERING_DISPLAY_METADATA" in graph and "type=A53_CC" not in graph
