"""Presets: the built-in ones, and a folder of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.catalog import load_preset, preset_names

RUNG: dict[str, Any] = {
    "name": "540p", "width": 960, "height": 540, "crf": 23, "max_bitrate_bps": 1000, "buffer_bits": 1000,
}  # fmt: skip
LADDER: dict[str, Any] = {"encoder": "libx264", "encoder_preset": "fast", "rungs": [RUNG]}
MINE: dict[str, Any] = {
    "title": "Mine",
    "description": "One rung.",
    "ladders": [LADDER],
    "audio": {"bitrate_bps": 96_000},
}


def mine(*rungs: Any, **ladder: Any) -> dict[str, Any]:
    """That preset with other rungs, or another ladder."""
    return {**MINE, "ladders": [{**LADDER, **ladder, "rungs": list(rungs) or [RUNG]}]}


def write(folder: Path, name: str, preset: Any) -> Path:
    text = preset if isinstance(preset, str) else json.dumps(preset)
    (folder / f"{name}.json").write_text(text, "utf-8")
    return folder


def test_what_is_no_file_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "h264.json").mkdir()
    (tmp_path / "hevc.json").symlink_to(tmp_path / "gone.json")
    assert preset_names(tmp_path) == preset_names()
    assert load_preset("h264", tmp_path) == load_preset("h264")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"container": "ts"}, "trick_mode: container ts has no track of key frames"),
        ({"encryption": "cbcs"}, "trick_mode: encryption cbcs has no track of key frames"),
        ({"encryption": "aes-128"}, "trick_mode: encryption aes-128 has no track"),
    ],
)
def test_key_frames_are_for_clear_dash_only(tmp_path: Path, other: dict[str, str], why: str) -> None:
    write(tmp_path, "mine", MINE | {"trick_mode": True} | other)
    with pytest.raises(InvalidInputError, match=why):
        load_preset("mine", tmp_path)


def test_imsc1_is_not_for_mpeg_ts(tmp_path: Path) -> None:
    write(tmp_path, "mine", MINE | {"imsc": True, "container": "ts"})
    with pytest.raises(InvalidInputError, match="imsc: IMSC1 is in fragmented MP4 only"):
        load_preset("mine", tmp_path)


def test_what_is_not_asked_for_leaves_the_fingerprint_alone(tmp_path: Path) -> None:
    plain = load_preset("mine", write(tmp_path, "mine", MINE))
    names = ("imsc", "trick_mode", "score", "stable_ids")
    fields = dict.fromkeys(names, False) | {"pictures": {"tiles": False}}
    assert fingerprint(load_preset("mine", write(tmp_path, "mine", MINE | fields))) == fingerprint(plain)
    for name in names:
        asked = load_preset("mine", write(tmp_path, "mine", MINE | {name: True}))
        assert fingerprint(asked) != fingerprint(plain)


@pytest.mark.parametrize("name", preset_names())
def test_built_in(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    # HLS: segments of 6 s, GOPs of 2 s (Apple 7.5, 1.13).
    assert (preset.gop_seconds, preset.segment_gops) == (2, 3)


def test_built_in_names() -> None:
    assert {"h264", "h264_small"} <= set(preset_names())


def test_a_users_file_extends_and_wins(tmp_path: Path) -> None:
    write(tmp_path, "mine", MINE)
    write(tmp_path, "h264", MINE)
    assert set(preset_names(tmp_path)) == {*preset_names(), "mine"}
    assert load_preset("mine", tmp_path).title == "Mine"
    assert load_preset("h264", tmp_path).title == "Mine"
    assert load_preset("h264_small", tmp_path) == load_preset("h264_small")


def test_an_unknown_name_lists_those_that_exist(tmp_path: Path) -> None:
    write(tmp_path, "mine", MINE)
    with pytest.raises(InvalidInputError) as error:
        load_preset("h265x", tmp_path)
    message = str(error.value)
    assert message.startswith("preset: there is no preset 'h265x'; those that exist: ")
    assert message.split(": ")[-1].split(", ") == preset_names(tmp_path)


def test_a_name_is_not_a_path(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, "outside", MINE)
    with pytest.raises(InvalidInputError, match="no preset"):
        load_preset("../outside", inside)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        (mine({**RUNG, "crf": 52}), "ladders.0: Value error, 540p: crf: libx264 goes to 51"),
        (mine({**RUNG, "width": 961}), "ladders.0.rungs.0.width: Input should be a multiple of 2"),
        (mine({**RUNG, "tune": "film"}), "ladders.0.rungs.0.tune: Extra inputs are not permitted"),
        (
            mine(encoder="x264"),
            "ladders.0.encoder: Input should be 'libx264', ",
        ),
        (
            mine({**RUNG, "crf": 22.5}, encoder="libsvtav1", encoder_preset="8"),
            "540p: crf: libsvtav1 takes whole",
        ),
        (
            mine({**RUNG, "profile": "high"}, encoder="libx265"),
            "540p: profile: only H.264 has a choice of them",
        ),
        (
            mine(encoder_preset="quick"),
            "ladders.0: Value error, encoder_preset: 'quick' is not one of libx264's: ultrafast, superfast, ",
        ),
        (mine(bit_depth=10), "ladders.0: Value error, bit_depth: libx264 only makes 8 bits"),
        (
            {**MINE, "ladders": [LADDER, {**LADDER, "rungs": [{**RUNG, "name": "again"}]}]},
            "ladders: each must have a codec or a dynamic range of its own, not h264, h264",
        ),
        ({**MINE, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({**MINE, "audio": {}}, "audio.bitrate_bps: Field required"),
        (
            {**MINE, "audio": {"bitrate_bps": 192_000}},
            "audio.bitrate_bps: Input should be less than or equal to",
        ),
        (mine(RUNG, RUNG), "rungs have the same name: ['540p', '540p']"),
        (
            mine(RUNG, {**RUNG, "name": "small", "width": 16}),
            "rungs must be listed from the smallest picture to the largest",
        ),
        (
            {**mine(encoder="libx265"), "container": "ts"},
            "container: ts holds H.264 only (Apple 1.5), not hevc",
        ),
        ('{"title": "x",}', "line 1 column 15"),
        ("[1]", "not a mapping"),
    ],
)
def test_a_bad_file_says_what_is_bad(tmp_path: Path, preset: Any, message: str) -> None:
    write(tmp_path, "bad", preset)
    with pytest.raises(InvalidInputError) as error:
        load_preset("bad", tmp_path)
    assert f"preset 'bad' ({tmp_path / 'bad.json'}) is not usable" in str(error.value)
    assert message in str(error.value)


def target(**fields: Any) -> dict[str, Any]:
    """That rung with these fields in place of its rate control."""
    return {name: RUNG[name] for name in ("name", "width", "height")} | fields


def test_a_rung_may_ask_for_a_quality(tmp_path: Path) -> None:
    rungs = [
        target(name="own", quality={"vmaf": 88, "max_bitrate_bps": 3_000_000}),
        target(name="handed-down", max_bitrate_bps=3_000_000, buffer_bits=1_000_000),
        {**RUNG, "name": "fixed"},
    ]
    write(tmp_path, "mine", mine(*rungs, quality={"vmaf": 93}))
    own, handed_down, fixed = load_preset("mine", tmp_path).ladders[0].rungs
    assert own.quality and (own.quality.vmaf, own.crf) == (88, None)
    assert (own.max_bitrate_bps, own.buffer_bits) == (3_000_000, 4_000_000)
    assert handed_down.quality and handed_down.quality.vmaf == 93
    assert handed_down.buffer_bits == 1_000_000
    assert (fixed.quality, fixed.crf) == (None, 23)
    # A stored plan holds the preset as it was read.
    preset = load_preset("mine", tmp_path)
    assert type(preset).model_validate_json(preset.model_dump_json()) == preset


@pytest.mark.parametrize(
    ("rung", "ladder", "words"),
    [
        (target(max_bitrate_bps=1000), {}, "540p: it has neither crf nor quality; give one of them"),
        ({**RUNG, "quality": {"vmaf": 90}}, {}, "540p: it has both crf and quality"),
        (target(quality={"vmaf": 90}), {}, "rungs.0.max_bitrate_bps: Field required"),
        (
            target(quality={"vmaf": 90, "max_bitrate_bps": 1}, max_bitrate_bps=2),
            {},
            "quality.max_bitrate_bps: differs from max_bitrate_bps; give one of them",
        ),
        (target(quality={"vmaf": 101}, max_bitrate_bps=1), {}, "quality.vmaf: Input should be less than"),
        (target(quality={"psnr": 40}, max_bitrate_bps=1), {}, "quality.psnr: Extra inputs are not permitted"),
        (
            target(max_bitrate_bps=1),
            {"quality": {"vmaf": 90, "max_bitrate_bps": 1}},
            "quality.max_bitrate_bps: each rung has a cap of its own",
        ),
        (
            {**RUNG},
            {"quality": {"vmaf": 90}},
            "ladders.0: Value error, quality: each rung has crf or quality",
        ),
        (
            target(quality={"vmaf": 90, "max_bitrate_bps": float("nan")}),
            {},
            "0.max_bitrate_bps: Input should",
        ),
    ],
)
def test_a_quality_that_makes_no_sense_is_refused(
    tmp_path: Path, rung: dict[str, Any], ladder: dict[str, Any], words: str
) -> None:
    write(tmp_path, "mine", mine(rung, **ladder))
    with pytest.raises(InvalidInputError) as refused:
        load_preset("mine", tmp_path)
    assert words in str(refused.value)
    assert "at least 1 item" not in str(refused.value)  # a faulty rung is no missing one


@pytest.mark.parametrize("cap", [3e6, "3000000"], ids=["3e6", "text"])
def test_the_buffer_follows_from_a_cap_however_it_is_written(tmp_path: Path, cap: object) -> None:
    write(tmp_path, "mine", mine(target(quality={"vmaf": 90, "max_bitrate_bps": cap})))
    (rung,) = load_preset("mine", tmp_path).ladders[0].rungs
    assert (rung.max_bitrate_bps, rung.buffer_bits) == (3_000_000, 4_000_000)


def test_presets_without_a_quality_keep_their_fingerprint() -> None:
    """Results of releases before there was one still count as made with today's preset."""
    assert fingerprint(load_preset("h264")) == "15403153b11e"


HDR: dict[str, Any] = {
    **LADDER, "encoder": "libx265", "bit_depth": 10, "dynamic_range": "hdr",
    "rungs": [{**RUNG, "name": "hdr"}],
}  # fmt: skip


def with_hdr(*ladders: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**MINE, "ladders": [LADDER, *ladders], **fields}


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (
            with_hdr({**HDR, "encoder": "libx264", "bit_depth": 8}),
            "dynamic_range: hdr needs 10 bits, which libx264 has not; use libx265, libsvtav1",
        ),
        (
            with_hdr({**HDR, "bit_depth": 8}),
            'ladders.1: Value error, dynamic_range: hdr needs "bit_depth": 10',
        ),
        (
            with_hdr({**HDR, "dynamic_range": "hdr10"}),
            "ladders.1.dynamic_range: Input should be 'sdr' or 'hdr'",
        ),
        (
            {**MINE, "ladders": [HDR]},
            "ladders: some must be SDR, for players without HDR (Apple 1.24)",
        ),
        (
            with_hdr(HDR, {**HDR, "rungs": [{**RUNG, "name": "twice"}]}),
            "have a codec or a dynamic range of its own, not h264, hevc in HDR, hevc in HDR",
        ),
        (
            with_hdr({**HDR, "rungs": [target(name="hdr", quality={"vmaf": 90, "max_bitrate_bps": 1})]}),
            "quality: VMAF judges SDR only; give the rungs of an HDR ladder a crf",
        ),
        (with_hdr(HDR, container="ts"), "container: ts holds H.264 only (Apple 1.5), not h264, hevc"),
    ],
)
def test_an_hdr_ladder_that_makes_no_sense_is_refused(tmp_path: Path, preset: Any, words: str) -> None:
    write(tmp_path, "mine", preset)
    with pytest.raises(InvalidInputError) as error:
        load_preset("mine", tmp_path)
    assert words in str(error.value)


def test_hdr_may_be_encrypted_and_stand_beside_sdr_of_the_same_codec(tmp_path: Path) -> None:
    sdr = {**HDR, "dynamic_range": "sdr", "rungs": [{**RUNG, "name": "deep"}]}
    write(tmp_path, "mine", with_hdr(sdr, HDR, encryption="cbcs"))
    ladders = load_preset("mine", tmp_path).ladders
    assert [ladder.dynamic_range for ladder in ladders] == ["sdr", "sdr", "hdr"]
    # Presets without the field keep their fingerprint.
    assert "dynamic_range" not in load_preset("h264").model_dump(mode="json")["ladders"][0]


@pytest.mark.parametrize(
    ("name", "of_sdr"), [("hevc_hdr", "hevc"), ("h264_hevc_hdr", "h264_hevc"), ("av1_hdr", "av1")]
)
def test_a_preset_with_hdr_is_one_without_and_a_ladder_more(name: str, of_sdr: str) -> None:
    *sdr, hdr = load_preset(name).ladders
    assert tuple(sdr) == load_preset(of_sdr).ladders
    assert (hdr.dynamic_range, hdr.bit_depth) == ("hdr", 10)


SLOTS: list[dict[str, Any]] = [
    RUNG | {"name": "540p-low"},
    RUNG | {"name": "540p", "max_bitrate_bps": 2000},
    RUNG | {"name": "720p", "width": 1280, "height": 720},
]


def test_a_ladder_by_title_has_slots(tmp_path: Path) -> None:
    write(tmp_path, "mine", mine(*SLOTS, by_title=True))
    ladder = load_preset("mine", tmp_path).ladders[0]
    assert ladder.by_title
    # Presets without the field keep their fingerprint.
    assert "by_title" not in load_preset("h264").model_dump(mode="json")["ladders"][0]


@pytest.mark.parametrize(
    ("rungs", "words"),
    [
        (SLOTS[:2], "by_title: it needs at least 3 rungs"),
        (
            [*SLOTS[:2], {k: v for k, v in SLOTS[2].items() if k != "crf"} | {"quality": {"vmaf": 90}}],
            "720p: quality: a ladder with by_title finds each CRF itself; give crf",
        ),
        ([SLOTS[1], *SLOTS[:1], SLOTS[2]], "540p-low: max_bitrate_bps: must be above that of 540p"),
    ],
)
def test_a_ladder_by_title_that_makes_no_sense(tmp_path: Path, rungs: Any, words: str) -> None:
    write(tmp_path, "mine", mine(*rungs, by_title=True))
    with pytest.raises(InvalidInputError) as error:
        load_preset("mine", tmp_path)
    assert words in str(error.value)
