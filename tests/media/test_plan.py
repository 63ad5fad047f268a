"""Plans, against numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from support.sources import a_source
from vod_operators.errors import InvalidInputError
from vod_operators.media import names
from vod_operators.media.models import AudioStream, Colour, Plan, Sound, Source
from vod_operators.media.orientation import DisplayMatrix
from vod_operators.media.packets import PacketTimes, layout_of, why_decode, why_rewrite
from vod_operators.media.plan import (
    SoundSpan,
    fingerprint,
    grid_frame,
    make_plan,
    needs_conversion,
    normalisations,
    output_rate,
    plan_chunk_ranges,
    plan_timeline,
    plan_windows,
)
from vod_operators.media.presets.catalog import load_preset, preset_names
from vod_operators.media.presets.model import Preset
from vod_operators.media.probe import frame_rate
from vod_operators.media.renditions import plan_audio, plan_renditions
from vod_operators.pipeline import MAX_MAP_LENGTH

FULL = load_preset("h264")
MS = Fraction(1, 1000)
CLOCKWISE = {
    90: DisplayMatrix(0, 65536, -65536, 0),
    180: DisplayMatrix(-65536, 0, 0, -65536),
    270: DisplayMatrix(0, -65536, 65536, 0),
}
"""Display matrices, by degrees."""


def a_sound(**facts: Any) -> AudioStream:
    return AudioStream(
        **{
            "index": 1,
            "codec": "aac",
            "channels": 2,
            "sample_rate": 48_000,
            "time_base": Fraction(1, 48_000),
            **facts,
        }
    )


def a_plan(
    source: Source, chunk_seconds: int | None = 18, *, asked: bool = False, preset: Preset = FULL
) -> Plan:
    return make_plan(
        video_id="v",
        source=source,
        preset=preset,
        chunk_seconds=chunk_seconds,
        chunk_seconds_is_asked=asked,
    )


def sizes(source: Source) -> dict[str, tuple[int, int]]:
    return {made.name: (made.width, made.height) for made in plan_renditions(source, FULL)}


# --- renditions -----------------------------------------------------------------------------

LANDSCAPE = {
    "234p": (416, 234),
    "360p": (640, 360),
    "432p": (768, 432),
    "432p-high": (768, 432),
    "540p": (960, 540),
    "720p": (1280, 720),
    "720p-high": (1280, 720),
    "1080p": (1920, 1080),
    "1080p-high": (1920, 1080),
}


@pytest.mark.parametrize("size", [(640, 272), (320, 180), (272, 640)])
@pytest.mark.parametrize("name", preset_names())
def test_each_codec_has_two_bitrates_even_of_a_small_source(name: str, size: tuple[int, int]) -> None:
    made = plan_renditions(a_source(*size, bitrate_bps=500_000), load_preset(name))
    codecs = [rendition.codec for rendition in made]
    assert all(codecs.count(codec) >= 2 for codec in codecs)  # Apple 9.9
    assert [r.width * r.height for r in made] == sorted(r.width * r.height for r in made)


def test_a_source_between_two_sizes_gets_all_slots_of_the_larger_one() -> None:
    made = plan_renditions(a_source(1152, 648), load_preset("h264_title"))
    own_size = [(r.name, r.max_bitrate_bps) for r in made if (r.width, r.height) == (1152, 648)]
    assert own_size == [
        ("720p-low", 900_000),
        ("720p-mid", 1_800_000),
        ("720p", 4_500_000),
        ("720p-high", 6_700_000),
    ]


def test_two_ladders_are_one_list_from_the_smallest_picture_on() -> None:
    made = plan_renditions(a_source(1280, 720, bitrate_bps=1_000_000), load_preset("h264_hevc"))
    assert [(rendition.name, rendition.encoder) for rendition in made] == [
        ("234p", "libx264"), ("hevc-234p", "libx265"), ("360p", "libx264"), ("hevc-360p", "libx265"),
        ("432p", "libx264"), ("hevc-432p", "libx265"), ("540p", "libx264"), ("hevc-540p", "libx265"),
        ("720p", "libx264"), ("hevc-720p", "libx265"),
    ]  # fmt: skip


def test_full_hd_makes_every_rung() -> None:
    assert sizes(a_source(1920, 1080, bitrate_bps=20_000_000)) == LANDSCAPE


def test_an_unknown_bitrate_meets_every_bitrate() -> None:
    assert sizes(a_source(1920, 1080)) == LANDSCAPE


def test_a_low_bitrate_makes_no_high_rung() -> None:
    made = sizes(a_source(1280, 720, bitrate_bps=1_200_000))
    assert list(made) == ["234p", "360p", "432p", "432p-high", "540p", "720p"]
    assert list(sizes(a_source(1280, 720, bitrate_bps=1_000_000))) == ["234p", "360p", "432p", "540p", "720p"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # 640/416 = 272/176.8; nearest even to 176.8 is 176. At 640 wide it is its own size.
        pytest.param(a_source(640, 272), {"234p": (416, 176), "360p": (640, 272)}, id="640x272"),
        # 2560:1080 is 64:27. 416*27/64 = 175.5, 640 -> 270, 768 -> 324, 960 -> 405, 1280 -> 540.
        pytest.param(
            a_source(2560, 1080, bitrate_bps=1_000_000),
            {
                "234p": (416, 176), "360p": (640, 270), "432p": (768, 324), "540p": (960, 404),
                "720p": (1280, 540), "1080p": (1920, 810),
            },
            id="ultrawide",
        ),
        # 416*479/853 = 233.6; 640 -> 359.4; 768 -> 431.3. Its own 852x478 is no quarter larger than that.
        pytest.param(
            a_source(853, 479, bitrate_bps=1_000_000),
            {"234p": (416, 234), "360p": (640, 360), "432p": (768, 432)},
            id="odd",
        ),
        # No quarter larger than the one rung that it fills. It is made: there must be two bitrates.
        pytest.param(a_source(420, 236), {"234p": (416, 234), "360p": (420, 236)}, id="fills-one-rung"),
        pytest.param(a_source(64, 36), {"234p": (64, 36), "360p": (64, 36)}, id="smaller-than-every-rung"),
        # Shown as 1024x576: 416 -> 234, 640 -> 360, 768 -> 432, 960 -> 540. 1024x576 is 1.14 times 960x540.
        pytest.param(
            a_source(720, 576, sample_aspect=Fraction(64, 45), bitrate_bps=1_000_000),
            {"234p": (416, 234), "360p": (640, 360), "432p": (768, 432), "540p": (960, 540)},
            id="anamorphic",
        ),
        # 1.5 times the pixels of 960x540: its own size too.
        pytest.param(
            a_source(1176, 662, bitrate_bps=1_000_000),
            {
                "234p": (416, 234), "360p": (640, 360), "432p": (768, 432), "540p": (960, 540),
                "720p": (1176, 662),
            },
            id="between-two-rungs",
        ),
        # 1904x1072 lacks 1% of the box: it counts as full, at its own size.
        pytest.param(
            a_source(1904, 1072, bitrate_bps=1_000_000),
            {
                "234p": (416, 234), "360p": (640, 360), "432p": (768, 432), "540p": (960, 540),
                "720p": (1278, 720), "1080p": (1904, 1072),
            },
            id="nearly-full",
        ),
    ],
)  # fmt: skip
def test_sizes(source: Source, expected: dict[str, tuple[int, int]]) -> None:
    assert sizes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        a_source(1080, 1920),
        a_source(1920, 1080, display_matrix=CLOCKWISE[90]),
        a_source(1920, 1080, display_matrix=CLOCKWISE[270]),
    ],
)
def test_portrait_uses_the_boxes_on_their_side(source: Source) -> None:
    assert sizes(source) == {name: (height, width) for name, (width, height) in LANDSCAPE.items()}


def test_upside_down_stays_landscape() -> None:
    assert sizes(a_source(1920, 1080, display_matrix=CLOCKWISE[180])) == LANDSCAPE


# --- rates and frames -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "output", "gop", "segment", "chunk", "timescale", "ticks"),
    [
        # GOP: 2 s; segment: 3 GOPs; chunk: 18 s is 3 segments.
        ("24000/1001", "24000/1001", 48, 144, 432, 24_000, 1001),
        ("24", "24", 48, 144, 432, 12_288, 512),
        ("25", "25", 50, 150, 450, 12_800, 512),
        ("30000/1001", "30000/1001", 60, 180, 540, 30_000, 1001),
        ("30", "30", 60, 180, 540, 15_360, 512),
        ("50", "50", 100, 300, 900, 12_800, 256),
        ("60000/1001", "60000/1001", 120, 360, 1080, 60_000, 1001),
        ("60", "60", 120, 360, 1080, 15_360, 256),
        ("120", "60", 120, 360, 1080, 15_360, 256),
        ("100", "50", 100, 300, 900, 12_800, 256),
    ],
)
def test_frames(
    rate: str, output: str, gop: int, segment: int, chunk: int, timescale: int, ticks: int
) -> None:
    plan = a_plan(a_source(rate=rate))
    assert plan.frame_rate == Fraction(output)
    assert (plan.gop_frames, plan.segment_frames, plan.chunk_frames) == (gop, segment, chunk)
    assert (plan.timescale, plan.frame_ticks) == (timescale, ticks)


def test_a_rate_just_above_the_limit_is_not_halved() -> None:
    assert output_rate(Fraction(601, 10), 60) == 60
    assert output_rate(Fraction(1202, 10), 60) == 60
    assert output_rate(Fraction(75), 60) == Fraction(75, 2)
    assert output_rate(Fraction(30), 25) == 15


@pytest.mark.parametrize(
    ("nominal", "average", "expected"),
    [
        ("30000/1001", "30000/1001", "30000/1001"),
        ("2997/100", "2997/100", "30000/1001"),
        ("1199/50", "1199/50", "24000/1001"),  # 23.98
        ("24", "24", "24"),
        ("15", "15", "15"),
        # 150 frames of 1/30 s, the last one shown twice as long: 30 fps, not 29.97.
        ("30", "4500/151", "30"),
        ("90000", "2850/100", "30000/1001"),
        # A screen recording: every step is a multiple of 1/60 s.
        ("60", "2700/100", "60"),
        # Film in a broadcast: two and three fields in turn.
        ("30000/1001", "24000/1001", "24000/1001"),
        ("1000", "25", "25"),
        ("1000", "500", "120"),
    ],
)
def test_frame_rate_of_the_grid(nominal: str, average: str, expected: str) -> None:
    assert frame_rate(Fraction(nominal), Fraction(average)) == Fraction(expected)


def test_a_rate_that_one_field_tells() -> None:
    assert frame_rate(None, Fraction(25)) == 25
    assert frame_rate(None, None) is None


# --- chunks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param(1, [(0, 1)], id="one-frame"),
        pytest.param(100, [(0, 100)], id="shorter-than-a-segment"),
        pytest.param(450, [(0, 450)], id="exactly-one-chunk"),
        pytest.param(451, [(0, 451)], id="one-frame-over"),
        pytest.param(499, [(0, 499)], id="tail-one-short-of-a-gop"),
        pytest.param(500, [(0, 450), (450, 500)], id="tail-of-a-gop"),
        pytest.param(949, [(0, 450), (450, 949)], id="second-tail-joins-the-second"),
        pytest.param(1350, [(0, 450), (450, 900), (900, 1350)], id="three"),
    ],
)
def test_chunk_ranges(frames: int, expected: list[tuple[int, int]]) -> None:
    assert plan_chunk_ranges(frames, 450, 50) == expected


def test_too_many_chunks_says_what_to_ask_for_and_that_works() -> None:
    # 20,000 s; 20 s rounds to 3 segments of 6 s: 20000/18 = 1111.1 chunks. 4 segments make 833.3.
    film = a_source(duration_ms=20_000_000)
    with pytest.raises(InvalidInputError) as error:
        a_plan(film, 20, asked=True)
    assert str(error.value) == (
        "chunk_seconds: 18 s makes 1112 chunks of 20000 s of video, and Airflow can map at most 1000; "
        "ask for 24 s or more"
    )
    assert a_plan(film, 24, asked=True).chunk_frames == 600


def test_a_long_film_gets_longer_chunks_unless_asked() -> None:
    assert a_plan(a_source(duration_ms=20_000_000)).chunk_frames == 600
    # 10 hours: 36 s at least, which is 6 segments.
    assert a_plan(a_source(duration_ms=36_000_000)).chunk_frames == 900


@pytest.mark.parametrize(
    ("seconds", "size", "rate", "expected"),
    [
        pytest.param(120, (1920, 1080), "25", 120, id="one-chunk"),
        pytest.param(170, (1920, 1080), "25", 174, id="not-worth-a-join"),
        pytest.param(200, (1920, 1080), "25", 102, id="two-alike"),
        pytest.param(7200, (1920, 1080), "25", 120, id="film"),
        pytest.param(7200, (640, 360), "50", 120, id="small-film"),
        pytest.param(7200, (1920, 1080), "50", 72, id="many-pictures"),
        pytest.param(7200, (3840, 2160), "25", 60, id="large-pictures"),
        pytest.param(None, (1920, 1080), "25", 120, id="length-not-known"),
        pytest.param(1, (1920, 1080), "25", 120, id="length-not-to-be-believed"),
    ],
)
def test_chunk_length_by_duration_and_pixel_rate(
    seconds: int | None, size: tuple[int, int], rate: str, expected: int
) -> None:
    source = a_source(*size, rate=rate, duration_ms=seconds and 1000 * seconds)
    plan = a_plan(source, None)
    assert plan.seconds(plan.chunk_frames) == expected
    assert a_plan(source, 18).seconds(a_plan(source, 18).chunk_frames) == 18


# --- the grid -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pts", "frame"),
    [
        (100, 0),
        (119, 0),  # 0.475 of a frame
        (120, 1),  # exactly half: away from zero
        (139, 1),
        (160, 2),
        (81, 0),
        (80, -1),  # half before the origin: away from zero, too
        (60, -1),
        (39, -2),
    ],
)
def test_grid_frame(pts: int, frame: int) -> None:
    assert grid_frame(pts, 100, MS * 25) == frame


def a_timeline(plan: Plan, pts: list[int], keys: list[int], last: int, **sounds: SoundSpan) -> Any:
    base = plan.source.video.time_base if plan.source.video else MS
    return plan_timeline(
        plan=plan,
        time_base=base,
        pts=pts,
        key_pts=keys,
        last_duration=last,
        sounds=sounds,
        most_chunks=MAX_MAP_LENGTH,
    )


SHORT = FULL.model_copy(update={"gop_seconds": 1, "segment_gops": 1})


def short_plan(**source: Any) -> Plan:
    return a_plan(a_source(rate="10", time_base=MS, **source), 1, preset=SHORT)


def facts(timeline: Any) -> list[tuple[int, int, int, int | None]]:
    return [(chunk.first, chunk.last, chunk.key_pts, chunk.end_pts) for chunk in timeline.chunks]


def test_timeline_of_a_constant_rate() -> None:
    pts = list(range(5000, 10000, 100))  # 50 frames
    timeline = a_timeline(short_plan(), pts, [5000, 5700, 6400, 7000], 100)
    assert (timeline.origin_pts, timeline.frames) == (5000, 50)
    # GOPs are 10 frames: a lead-in of three, a lead-out of one.
    assert facts(timeline) == [
        (0, 10, 5000, 7000), (10, 20, 5000, 8000), (20, 30, 5000, 9000), (30, 40, 5000, None),
        (40, 50, 5700, None),
    ]  # fmt: skip
    assert [(c.lead_in, c.lead_out) for c in timeline.chunks] == [
        (0, 10), (10, 10), (20, 10), (30, 10), (30, 0),
    ]  # fmt: skip


def test_timeline_with_rounded_timestamps() -> None:
    # 30 fps in milliseconds: 0, 33, 67, 100 ... 1000 is frame 30.
    plan = a_plan(a_source(rate="30", time_base=MS), 1, preset=SHORT)
    pts = [round(n * 1000 / 30) for n in range(60)]
    timeline = a_timeline(plan, pts, [0, 633, 1267], 33)
    assert (timeline.frames, timeline.variable_rate) == (60, False)
    assert facts(timeline) == [(0, 30, 0, None), (30, 60, 0, None)]


def test_timeline_of_a_variable_rate() -> None:
    # At 10 fps: 0, 1 (149 ms), 2 (151 ms rounds up, and is replaced by 249 ms), 20, 21.
    timeline = a_timeline(short_plan(), [0, 149, 151, 249, 2000, 2100], [0, 151, 2000], 900)
    assert timeline.frames == 30
    assert facts(timeline) == [(0, 10, 0, 2000), (10, 20, 0, None), (20, 30, 0, None)]


def test_key_frame_that_rounds_onto_a_chunks_first_frame_serves_it() -> None:
    pts = [*range(0, 1000, 100), 960, *range(1060, 5000, 100)]
    timeline = a_timeline(short_plan(), pts, [0, 960], 100)
    assert [key for _, _, key, _ in facts(timeline)] == [0, 0, 0, 0, 960]


def test_chunks_that_an_earlier_version_stored_can_be_read() -> None:
    timeline = a_timeline(short_plan(), list(range(0, 3000, 100)), [0], 100)
    stored = timeline.model_dump(mode="json")
    stored["chunks"] = [chunk | {"begins_with_key": False} for chunk in stored["chunks"]]
    assert type(timeline).model_validate(stored) == timeline


def test_deinterlacing_needs_the_picture_before() -> None:
    # 20 fields a second; the lead-in of the fifth chunk begins with the frame of 1000 ms.
    pts = list(range(0, 5000, 100))
    timeline = a_timeline(short_plan(scan="interlaced"), pts, [0, 500, 1000], 100)
    assert [chunk.key_pts for chunk in timeline.chunks] == [0, 0, 0, 0, 500]


def test_hidden_frames_before_the_first_shown_one() -> None:
    # An edit list begins at 0; the key frame that it needs is hidden.
    timeline = a_timeline(short_plan(), list(range(0, 1000, 100)), [-400, 600], 100)
    assert timeline.origin_pts == 0
    assert facts(timeline) == [(0, 10, -400, None)]


def test_frames_before_the_first_key_frame_do_not_count() -> None:
    timeline = a_timeline(short_plan(), [800, 900, *range(1000, 2000, 100)], [1000], 100)
    assert (timeline.origin_pts, timeline.frames) == (1000, 10)


def test_the_last_frame_lasts_a_frame_if_nothing_says_how_long() -> None:
    assert a_timeline(short_plan(), list(range(0, 1000, 100)), [0], 0).frames == 10


def test_one_frame_is_a_video() -> None:
    timeline = a_timeline(short_plan(), [7], [7], 1)
    assert (timeline.frames, facts(timeline)) == (1, [(0, 1, 7, None)])


def test_no_key_frame_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no key frame"):
        a_timeline(short_plan(), [0, 100], [], 100)


def test_counted_frames_may_exceed_the_declared_duration_a_little() -> None:
    plan = a_plan(a_source(rate="10", time_base=MS, duration_ms=1_000_000), 1, preset=SHORT)
    assert plan.chunk_frames == 10  # 1000 chunks
    frames = [0, 1_005_000]
    assert len(a_timeline(plan, frames, [0], 100).chunks) == 1005
    with pytest.raises(InvalidInputError, match="at most 1024; ask for 2 s or more"):
        a_timeline(plan, [0, 1_100_000], [0], 100)


# --- sound ----------------------------------------------------------------------------------


def test_sound_counts_from_the_first_picture() -> None:
    plan = short_plan(audio=(a_sound(),))
    timeline = a_timeline(plan, list(range(500, 1500, 100)), [500], 100, **{"audio-0": span(1500)})
    assert timeline.sounds == {"audio-0": Sound(time_base=MS, seconds=Fraction(1))}
    assert timeline.audio_samples(plan.audio[0], plan.frame_rate) == 48_000


def test_sound_ends_with_the_picture() -> None:
    plan = short_plan(audio=(a_sound(),))
    for last in (700, 1500, 3500):  # the picture: 10 frames of 100 ms from 500 on
        timeline = a_timeline(plan, list(range(500, 1500, 100)), [500], 100, **{"audio-0": span(last)})
        assert timeline.audio_samples(plan.audio[0], plan.frame_rate) == 48_000
        cut = ["sound 'Audio 1' cut: 2.0 s longer than the picture"] if last == 3500 else []
        assert [words for words in normalisations(plan, timeline) if "cut" in words] == cut


def span(last: int, first: int = 0) -> SoundSpan:
    return SoundSpan(time_base=MS, begin_s=first * MS, end_s=last * MS)


def test_sound_only_begins_with_the_first_track() -> None:
    source = Source(container="mp3", size_bytes=1, audio=(a_sound(), a_sound(index=2)))
    plan = a_plan(source)
    assert (plan.frame_rate, plan.segment_frames, plan.renditions) == (1, 6, ())
    timeline = a_timeline(plan, [], [], 0, **{"audio-0": span(3500, 500), "audio-1": span(3000, 250)})
    assert (timeline.origin_pts, timeline.frames, timeline.chunks) == (250, 0, ())
    assert timeline.sounds["audio-0"].seconds == Fraction(13, 4)
    assert timeline.seconds(plan.frame_rate) == Fraction(13, 4)


def test_surround_is_made_of_tracks_that_have_it() -> None:
    source = a_source(audio=(a_sound(channels=6, language="en"), a_sound(index=2), a_sound(channels=8)))
    made, _ = plan_audio(source, FULL)
    assert [(audio.name, audio.track, audio.channels) for audio in made] == [
        ("audio-0", "audio-0", 2),
        ("audio-1", "audio-1", 2),
        ("audio-2", "audio-2", 2),
        ("audio-0-surround", "audio-0", 6),
        ("audio-2-surround", "audio-2", 6),
    ]
    assert made[3].title == made[0].title and made[3].bitrate_bps == 384_000
    assert len(plan_audio(source, load_preset("h264_small"))[0]) == 3


def test_a_sound_track_without_packets_is_named() -> None:
    with pytest.raises(InvalidInputError, match="audio stream 1 holds no packets with a time"):
        a_timeline(short_plan(audio=(a_sound(),)), [0], [0], 100)


def test_titles_are_unique_and_safe_in_a_playlist() -> None:
    source = a_source(
        audio=(
            a_sound(title='The "best"\n', language="eng"),
            a_sound(title="A"),
            a_sound(title="A (4)", default=True),
            a_sound(title="A"),
            a_sound(language='x"y'),
        )
    )
    made, _ = plan_audio(source, FULL)
    assert [audio.title for audio in made] == ["The best", "A", "A (4)", "A (4) (4)", "Audio 5"]
    assert [audio.language for audio in made] == ["en", None, None, None, None]
    assert [audio.default for audio in made] == [False, False, True, False, False]
    assert [audio.name for audio in made] == ["audio-0", "audio-1", "audio-2", "audio-3", "audio-4"]


@pytest.mark.parametrize("special", ["describes_video", "hearing_impaired", "commentary"])
def test_sound_for_some_listeners_is_never_the_default(special: str) -> None:
    described = a_sound(default=True).model_copy(update={special: True})
    both, _ = plan_audio(a_source(audio=(described, a_sound())), FULL)
    alone, _ = plan_audio(a_source(audio=(described,)), FULL)
    assert [[audio.default for audio in made] for made in (both, alone)] == [[False, True], [False]]


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("ger", "de", "Deutsch"),  # ISO 639-2's two codes of one language
        ("deu", "de", "Deutsch"),
        ("pt-BR", "pt-BR", "Português (Brasil)"),
        ("DE", "de", "Deutsch"),
        ("jpn", "ja", "日本語"),
        ("qaa", "qaa", "qaa"),  # for private use
        ("qq", None, None),  # two letters, and no language
        ('x"y', None, None),
        (None, None, None),
    ],
)
def test_languages_are_called_what_their_speakers_call_them(
    code: str | None, tag: str | None, name: str | None
) -> None:
    assert (names.language_tag(code), names.language_name(names.language_tag(code))) == (tag, name)


# --- packets --------------------------------------------------------------------------------


def test_packet_times() -> None:
    packets = PacketTimes(layout_of(short_plan(audio=(a_sound(),))))
    for line in [
        "stream_index=0|pts=-100|dts=-300|duration=100|flags=KD_",
        "stream_index=0|pts=200|dts=-200|duration=70|flags=___",
        "stream_index=1|pts=0|dts=0|duration=1024|flags=K__",
        "stream_index=0|pts=0|dts=-100|duration=100|flags=___|side_data|",
        "stream_index=0|pts=N/A|dts=100|duration=100|flags=___",
        "stream_index=0|pts=N/A|dts=N/A|duration=100|flags=___",
        "stream_index=1|pts=1024|dts=1024|duration=N/A|flags=K__",
        "stream_index=9|pts=5|dts=5|duration=1|flags=K__",
    ]:
        packets.read_line(line + "\n")
    assert list(packets.pts) == [0, 100, 200]
    assert list(packets.key_pts) == [-100]
    assert list(packets.all_pts) == [-100, 0, 100, 200]
    assert packets.last_duration == 70
    base = Fraction(1, 48_000)
    assert packets.sounds == {"audio-0": SoundSpan(time_base=base, begin_s=Fraction(0), end_s=1024 * base)}
    assert (packets.untimed, packets.jumps, packets.corrupt, packets.reordered) == (1, 0, 0, True)
    assert not packets.hides_inside


def test_sound_that_nut_cannot_hold_is_cut_as_samples() -> None:
    sound = a_sound(codec="wmav2", time_base=MS, sample_rate=44_100, carrier="decoded")
    packets = PacketTimes(layout_of(short_plan(audio=(sound,))))
    packets.read_line("stream_index=1|pts=46|dts=46|duration=46|flags=K__")
    span = packets.sounds["audio-0"]
    assert (span.begin_s, span.end_s, span.time_base) == (46 * MS, 92 * MS, Fraction(1, 44_100))


def test_sound_that_changes_in_mid_file_is_cut_as_samples() -> None:
    packets = PacketTimes(layout_of(short_plan(audio=(a_sound(time_base=MS, sample_rate=44_100),))))
    line = "stream_index=1|pts={0}|dts={0}|duration=46|flags=K__|side_datum/x:side_data_type=New Extradata"
    packets.read_line(line.format(0))
    assert packets.sounds["audio-0"].time_base == MS, "the first packet's settings are those of the file"
    packets.read_line(line.format(46))
    assert packets.sounds["audio-0"].time_base == Fraction(1, 44_100)
    assert packets.layout.decoded_sounds == ("audio-0",)


def test_pictures_that_change_in_mid_file_are_decoded_first() -> None:
    packets = packets_of((0, 0, "K"), (100, 100, "K"))
    assert why_decode(short_plan(), packets) is None
    packets.read_line(
        "stream_index=0|pts=200|dts=200|duration=100|flags=K__|side_datum/x:side_data_type=Palette"
    )
    assert why_decode(short_plan(), packets) == "the coding of its pictures changes in mid-file"


def packets_of(*times: tuple[int, int, str], plan: Plan | None = None) -> PacketTimes:
    packets = PacketTimes(layout_of(plan or short_plan()))
    for pts, dts, flags in times:
        packets.read_line(f"stream_index=0|pts={pts}|dts={dts}|duration=100|flags={flags}")
    return packets


def test_a_clock_set_anew_is_seen_in_containers_that_have_one() -> None:
    jump = packets_of((0, 0, "K"), (100, 100, "K"), (-5000, -5000, "K"))
    plan = short_plan()
    broadcast = plan.model_copy(update={"source": plan.source.model_copy(update={"container": "mpegts"})})
    assert why_rewrite(broadcast, jump) == "its clock is reset once in mid-file"
    assert why_rewrite(plan, jump) is None
    pause = packets_of((0, 0, "K"), (10_000, 10_000, "K"))
    assert why_rewrite(broadcast, pause) is None


def test_what_has_to_be_decoded_before_it_can_be_cut() -> None:
    plan = short_plan()
    regular = packets_of(*((n * 100, n * 100, "K" if n % 10 == 0 else "") for n in range(100)))
    assert why_decode(plan, regular) is None
    one_key = packets_of(*((n * 100, n * 100, "" if n else "K") for n in range(100)))
    assert why_decode(plan, one_key) == "its key frames are too far apart to decode it in chunks"
    hidden = packets_of((0, 0, "K"), (100, 100, "K"), (50, 200, "KD"), (200, 300, ""))
    assert why_decode(plan, hidden) == "its edit list hides pictures between others"
    before = packets_of((-100, 0, "KD"), (0, 100, ""), (100, 200, ""), (200, 300, "D"))
    assert why_decode(plan, before) is None


# --- words ----------------------------------------------------------------------------------


def test_normalisations_read_as_a_person_would_say_them() -> None:
    def words(rate: str = "25", **video: Any) -> list[str]:
        plan = a_plan(a_source(rate=rate, **video))
        return normalisations(plan, a_timeline(plan, [0], [0], 0))

    assert words() == []
    assert words(scan="interlaced") == ["interlaced"]
    assert words("120") == ["120 fps reduced to 60"]
    uneven = a_timeline(short_plan(), [0, 100, 260, 300], [0], 100)
    assert normalisations(short_plan(), uneven) == [
        "variable frame rate",
        "1 pictures left out: they come faster than 10 fps",
    ]
    assert words(display_matrix=CLOCKWISE[90]) == ["rotated 90"]
    hlg = Colour(primaries="bt2020", transfer="arib-std-b67", matrix="bt2020nc")
    assert words(colour=hlg, pixel_format="yuv420p10le") == [
        "HDR (HLG), tone-mapped to SDR",
        "pixel format yuv420p10le",
    ]


@pytest.mark.parametrize(
    ("source", "converted"),
    [
        (("bt709", "bt709", "bt709"), False),
        (("bt470bg", "smpte170m", "bt470bg"), False),
        (("bt709", "iec61966-2-1", "gbr"), False),
        (("bt2020", "smpte2084", "bt2020nc"), True),
        (("smpte432", "bt709", "bt709"), True),
    ],
)
def test_colours_are_kept_where_players_know_them(source: tuple[str, ...], converted: bool) -> None:
    given = Colour(**dict(zip(("primaries", "transfer", "matrix"), source, strict=True)), full_range=True)
    assert needs_conversion(given) == converted


# --- identity -------------------------------------------------------------------------------


def test_fingerprints_tell_facts_apart() -> None:
    plan = a_plan(a_source())
    assert fingerprint("a", plan) == fingerprint("a", Plan.model_validate_json(plan.model_dump_json()))
    assert len({fingerprint("a", plan), fingerprint("b", plan), fingerprint("a", a_plan(a_source(64)))}) == 3


def windows_of(frames: int, *, chunk: int = 3000, gop: int = 50) -> list[tuple[int, int]]:
    return plan_windows(plan_chunk_ranges(frames, chunk, gop), gop, Fraction(25))


def test_eight_windows_of_two_seconds_are_spread_over_a_video() -> None:
    # 20 minutes: in the middle of each eighth, on the grid of GOPs.
    assert windows_of(30_000) == [(first, first + 50) for first in range(1850, 30_000, 3750)]
    assert len(windows_of(90_000)) == 24 and len(windows_of(900_000)) == 32
    assert windows_of(1000, gop=25)[:2] == [(25, 75), (150, 200)]
    assert windows_of(5000, gop=250, chunk=1000) == [(1000, 1250), (3500, 3750)]


@pytest.mark.parametrize(("frames", "chunk"), [(200, 3000), (12, 3000), (399, 150), (401, 100), (7777, 150)])
def test_windows_are_whole_gops_inside_chunks(frames: int, chunk: int) -> None:
    chunks = plan_chunk_ranges(frames, chunk, 50)
    windows = windows_of(frames, chunk=chunk)
    for (begin, end), later in zip(windows, [*windows[1:], (frames, frames)], strict=True):
        assert begin < end <= later[0]
        assert any(first <= begin and end <= last for first, last in chunks)
        assert begin % 50 == 0 and (end % 50 == 0 or end == frames)
    if frames <= 400:
        assert sum(end - begin for begin, end in windows) == frames
