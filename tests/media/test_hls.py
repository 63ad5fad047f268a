"""Playlists of measured tracks, and the rules that refuse bad ones."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest

from media.plans import a_plan, a_rendition
from support.isobmff import box
from support.tracks import made_up_track
from vod_operators.errors import VerificationError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.isobmff import read_fragments
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.media import ffmpeg, hls, measure
from vod_operators.media.models import (
    AudioRendition,
    AudioStream,
)
from vod_operators.media.names import iso_639_2
from vod_operators.media.pieces import in_language
from vod_operators.media.track import Encryption, Track
from vod_operators.runners.tools import Tools
from vod_operators.work.packaged import measured

TOOLS = Tools()
SOUND = AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, time_base=Fraction(1, 48_000))


def a_track(name: str, sizes: list[int], *, seconds: float = 6, **facts: Any) -> Track:
    """A video track of segments of so many bytes, with a key frame of a tenth of each."""
    lasts = Fraction(round(seconds * 1000), 1000)
    return made_up_track(name, [(size, lasts) for size in sizes], **facts)


def a_sound(name: str, sizes: list[int], **facts: Any) -> Track:
    plain = {"kind": "audio", "codecs": "mp4a.40.2", "title": name, "channels": 2}
    return a_track(name, sizes, **{**plain, **facts})


# --- a track that was really packaged -------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.4 s at 25 fps, GOPs of 1 s, segments of 2 GOPs: 50, 50 and 10 frames."""
    folder = tmp_path_factory.mktemp("hls")
    command = [
        TOOLS.ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=4.4",
        "-c:v", "libx264", "-preset", "medium", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0",
        "-pix_fmt", "yuv420p", "-movflags", ffmpeg.FRAGMENTED, "-video_track_timescale", "12800",
        str(folder / "track.mp4"),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    argv = ffmpeg.package(
        TOOLS.packager, "track.mp4", kind="video", segment=Fraction(2), fragment=Fraction(1)
    )
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder


def ffprobe(path: Path, *options: str) -> Any:
    command = [TOOLS.ffprobe, "-loglevel", "error", "-of", "json", *options, str(path)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def facts_of(folder: Path, *names: str) -> list[SegmentFacts]:
    """Facts of segments beside their init segment; of all of them if none is named."""
    files = [folder / name for name in names] or sorted(folder.glob("seg-*.m4s"))
    return list(measured(files))


PLAN = a_plan(gop=25, gops=2)


@pytest.fixture(scope="module")
def track(folder: Path) -> Track:
    return Track(
        name="360p",
        kind="video",
        facts=tuple(facts_of(folder)),
        frame_rate=Fraction(25),
        **measure.init_facts((folder / "init.mp4").read_bytes()),
    )


def test_a_packaged_track_is_measured(track: Track, folder: Path) -> None:
    assert [facts.streams[0].samples for facts in track.facts] == [50, 50, 10]
    assert [segment.ticks for segment in track.segments] == [25_600, 25_600, 5120]
    names = ["seg-00001.m4s", "seg-00001.m4s", "seg-00002.m4s", "seg-00002.m4s", "seg-00003.m4s"]
    assert [key.file for key in track.key_frames] == names
    assert [key.ticks for key in track.key_frames] == [12_800, 12_800, 12_800, 12_800, 5120]
    assert (track.width, track.height, track.timescale) == (128, 96, 12_800)
    assert track.codecs.startswith("avc1.")
    measure.check_video_track(track, PLAN, a_rendition(), 110)
    measure.check_pictures(track.facts, PLAN, a_rendition())


@pytest.mark.parametrize(("tag", "code"), [("de", "deu"), ("zh-Hant", "zho"), (None, "und")])
def test_an_init_segment_tells_its_language(folder: Path, tag: str | None, code: str) -> None:
    init = (folder / "init.mp4").read_bytes()
    (folder / "named.mp4").write_bytes(named := in_language(init, iso_639_2(tag)))
    assert sum(before != after for before, after in zip(init, named, strict=True)) <= 2
    (stream,) = ffprobe(folder / "named.mp4", "-show_streams")["streams"]
    assert stream.get("tags", {}).get("language", "und") == code


def test_a_language_stands_behind_the_longer_times_of_version_1() -> None:
    times = bytes([1, 0, 0, 0]) + bytes(28)
    header = box(b"mdhd", times + bytes.fromhex("55c40000"))  # und
    init = box(b"moov", box(b"trak", box(b"mdia", header)))
    assert in_language(init, "deu") == init.replace(b"\x55\xc4", b"\x10\xb5")


def test_i_frame_ranges_decode_to_one_idr_picture_each(track: Track, folder: Path) -> None:
    playlist = m3u8.loads(hls.i_frame_playlist(track, 2))
    assert playlist.is_i_frames_only
    assert len(playlist.segments) == 5
    init = (folder / playlist.segments[0].init_section.uri).read_bytes()
    for segment in playlist.segments:
        size, offset = map(int, segment.byterange.split("@"))
        piece = (folder / segment.uri).read_bytes()[offset : offset + size]
        assert len(piece) == size
        alone = folder / "alone.mp4"
        alone.write_bytes(init + piece)
        # The moof promises a whole GOP, so the reader warns; one picture is there and decodes.
        frames = ffprobe(alone, "-show_frames", "-select_streams", "v")["frames"]
        assert [(frame["pict_type"], frame["key_frame"]) for frame in frames] == [("I", 1)]


def test_the_media_playlist_adds_up(track: Track) -> None:
    text = hls.media_playlist(track, 2)
    playlist = m3u8.loads(text)
    assert [segment.duration for segment in playlist.segments] == [2.0, 2.0, 0.4]
    assert [segment.uri for segment in playlist.segments] == [
        "seg-00001.m4s", "seg-00002.m4s", "seg-00003.m4s",
    ]  # fmt: skip
    assert playlist.target_duration == 2
    assert playlist.is_endlist and playlist.playlist_type == "vod"
    assert text.startswith("#EXTM3U\n") and text.endswith("#EXT-X-ENDLIST\n")
    assert text.count('#EXT-X-MAP:URI="init.mp4"') == 1
    assert int(playlist.version) >= 6


def test_a_changed_track_counts_anew(track: Track) -> None:
    assert track.segments and track.key_frames  # both are kept from now on
    locked = track.changed(encryption=Encryption(method="AES-128", uri="https://keys.example/1"))
    assert (
        {key.file for key in locked.key_frames} == {"iframes.m4s"} != {key.file for key in track.key_frames}
    )
    shorter = track.changed(facts=track.facts[:1])
    assert shorter.segments == track.segments[:1] and shorter.ticks < track.ticks


def test_a_segment_begins_where_the_one_before_ends(folder: Path) -> None:
    second = facts_of(folder, "seg-00002.m4s")
    measure.check_pictures(second, PLAN, a_rendition(), 50)
    with pytest.raises(VerificationError, match=r"seg-00003.m4s: begins at 2.00000 s, not at 4.00000 s"):
        measure.check_pictures(second, PLAN, a_rendition(), 100)


def test_a_frame_that_lasts_longer_is_seen(folder: Path) -> None:
    data = bytearray((folder / "seg-00003.m4s").read_bytes())
    for moof in read_fragments(io.BytesIO(data)):
        assert {sample.duration for sample in moof.samples} == {512}
    data = data.replace(struct.pack(">I", 512), struct.pack(">I", 513), 1)
    changed = measure_segment(bytes(data), read_init((folder / "init.mp4").read_bytes())[1], len(data))
    with pytest.raises(VerificationError, match=r"seg-00003.m4s: 10 frames last 0.40\d+ s"):
        measure.check_pictures([changed], PLAN, a_rendition(), 100)


def test_an_idr_picture_elsewhere_than_planned_is_seen(folder: Path) -> None:
    told = r"seg-00001.m4s: IDR pictures at \[0, 25\] \(2 in all\), planned \[0, 10, 20, 30, ...\]"
    with pytest.raises(VerificationError, match=told):
        measure.check_pictures(facts_of(folder), a_plan(gop=10, gops=5), a_rendition())


def test_a_segment_must_start_with_an_idr(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "seg-00002.m4s").read_bytes())
    # The first slice of the picture as one that is no IDR: NAL type 5 -> 1.
    with (folder / "seg-00002.m4s").open("rb") as file:
        at = next(iter(read_fragments(file))).samples[0].position
    while data[at + 4] & 0x1F != 5:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    data[at + 4] -= 4
    (tmp_path / "seg-00002.m4s").write_bytes(data)
    shutil.copy(folder / "init.mp4", tmp_path)
    with pytest.raises(VerificationError, match="does not start with an IDR picture"):
        measure.check_pictures(facts_of(tmp_path), PLAN, a_rendition(), 50)


# --- what is planned ------------------------------------------------------------------------


def test_misplaced_segments_are_refused(track: Track) -> None:
    with pytest.raises(
        VerificationError, match=r"segments of \[50, 50, 10\] \(3 in all\) frames, planned \[75, 35\]"
    ):
        measure.check_video_track(track, a_plan(gop=25, gops=3), a_rendition(), 110)


def test_a_missing_frame_is_refused(track: Track) -> None:
    with pytest.raises(VerificationError, match="planned"):
        measure.check_video_track(track, a_plan(gop=25, gops=2), a_rendition(), 111)


def test_another_size_is_refused(track: Track) -> None:
    with pytest.raises(VerificationError, match="is 128x96, planned 640x360"):
        measure.check_video_track(track, a_plan(gop=25, gops=2), a_rendition(width=640, height=360), 110)


@pytest.mark.parametrize(
    ("samples", "good"), [(288_000, True), (285_952, True), (285_951, False), (288_001, False)]
)
def test_sound_may_have_priming_and_a_full_last_frame(samples: int, good: bool) -> None:
    rendition = AudioRendition(
        name="audio-0", track="audio-0", stream=SOUND, channels=2, sample_rate=48_000, bitrate_bps=1,
        language=None, title="t", default=True,
    )  # fmt: skip
    sound = a_sound("audio-0", [1], seconds=6, timescale=48_000)  # 288,000 ticks
    if good:
        measure.check_audio_track(sound, rendition, samples)
    else:
        with pytest.raises(VerificationError, match="has 288000 samples, planned"):
            measure.check_audio_track(sound, rendition, samples)


def test_sound_in_other_channels_is_refused() -> None:
    rendition = AudioRendition(
        name="audio-0", track="audio-0", stream=SOUND, channels=1, sample_rate=48_000, bitrate_bps=1,
        language=None, title="t", default=True,
    )  # fmt: skip
    with pytest.raises(VerificationError, match="2 channels at 48000 Hz, planned 1 at 48000"):
        measure.check_audio_track(a_sound("audio-0", [1], seconds=6, timescale=48_000), rendition, 288_000)


def test_segments_that_are_not_aligned_are_refused() -> None:
    tracks = [a_track("360p", [1, 1]), a_track("540p", [1, 1], seconds=5.96)]
    with pytest.raises(VerificationError, match="540p and 360p do not end at the same frames"):
        measure.check_presentation(tracks, 6)


@pytest.mark.parametrize(("seconds", "good"), [(6.499, True), (6.5, False)])
def test_segments_longer_than_the_target_are_refused(seconds: float, good: bool) -> None:
    tracks = [a_track("360p", [1], seconds=seconds)]
    if good:
        measure.check_presentation(tracks, 6)
    else:
        with pytest.raises(VerificationError, match=r"360p/seg-00001.m4s: lasts 6.500 s"):
            measure.check_presentation(tracks, 6)


@pytest.mark.parametrize(
    ("rate", "gop", "gops", "target"),
    [
        ("25", 50, 3, 6),
        ("24000/1001", 48, 3, 6),  # 6.006 s and 0.023 s of sound
        ("25", 25, 1, 1),
        ("2/5", 1, 3, 8),  # 7.5 s: EXTINF rounds to 8
        ("100", 162, 4, 7),  # 6.48 s of video, but 6.503 s of sound
    ],
)
def test_target_duration(rate: str, gop: int, gops: int, target: int) -> None:
    assert measure.target_duration_s(a_plan(Fraction(rate), gop, gops)) == target


# --- bandwidth ------------------------------------------------------------------------------


def test_peak_is_of_contiguous_segments_of_half_to_one_and_a_half_targets() -> None:
    # Target 6 s, segments of 2 s: runs of 2, 3 or 4 count (4 to 8 s; 3 s and 9 s are the limits).
    track = a_track("v", [100, 100, 900, 700, 100, 100], seconds=2)
    # The run of 900 and 700: 12,800 bits in 4 s. One segment alone (7200 in 2 s) does not count.
    assert track.peak_bps(6) == 3200
    # 2000 bytes in 12 s.
    assert track.average_bps == 1334


def test_a_short_last_segment_is_not_judged_alone() -> None:
    long = (6000, Fraction(6))
    track = made_up_track("v", [long, long, (5000, Fraction(1))])
    # Alone it has 40 kb/s; with the one before it 88,000 bits in 7 s.
    assert track.peak_bps(6) == 12_572


def test_a_track_shorter_than_half_a_target_has_its_average() -> None:
    track = a_track("v", [1000], seconds=2)
    assert track.peak_bps(6) == track.average_bps == 4000


def test_bandwidth_of_i_frames() -> None:
    track = a_track("v", [60_000, 30_000])
    assert track.key_frame_average_bps() == 6000  # 9000 bytes in 12 s
    assert track.key_frame_peak_bps(6) == 8000  # 6000 bytes in 6 s


# --- the master playlist --------------------------------------------------------------------

VIDEOS = [
    a_track("1080p", [4_500_000, 4_500_000], width=1920, height=1080),  # 6 Mb/s
    a_track("234p", [108_750, 108_750], width=416, height=234),  # 145 kb/s
    a_track(
        "540p", [1_400_000, 1_600_000], width=960, height=540, frame_rate=Fraction(30_000, 1001)
    ),  # 2 Mb/s
]
SOUNDS = [
    a_sound("audio-0", [96_000, 96_000], title='Say "hi"'.replace('"', ""), language="en", default=True),
    a_sound("audio-1", [120_000, 96_000], title="Commentary"),
]


def test_the_first_variant_is_about_2_mbps_and_the_rest_ascends() -> None:
    master = m3u8.loads(hls.master_playlist([*VIDEOS, *SOUNDS], 6, prefix="v-1/"))
    assert [playlist.uri for playlist in master.playlists] == [
        "v-1/540p/index.m3u8", "v-1/234p/index.m3u8", "v-1/1080p/index.m3u8",
    ]  # fmt: skip


@pytest.mark.parametrize(("channel", "version"), [("CC1", 4), ("SERVICE1", 7)])
def test_captions_of_cea_708_need_version_7(channel: str, version: int) -> None:
    """Also in MPEG-TS, whose playlists have no init segment and need 4 (RFC 8216bis 8)."""
    track = a_track("720p", [100, 100], captions=(channel,), init_bytes=0)
    master = m3u8.loads(hls.master_playlist([track], 6, prefix=""))
    assert master.version == version


def test_variants_say_what_was_measured() -> None:
    text = hls.master_playlist([*VIDEOS, *SOUNDS], 6, prefix="")
    master = m3u8.loads(text)
    info = master.playlists[0].stream_info
    # 1.6 MB in 6 s are 2,133,334 b/s; the largest sound: 120 kB in 6 s are 160 kb/s.
    assert info.bandwidth == 2_133_334 + 160_000
    # 3 MB in 12 s, and 216 kB in 12 s.
    assert info.average_bandwidth == 2_000_000 + 144_000
    assert info.resolution == (960, 540)
    assert info.codecs == "avc1.64001f,mp4a.40.2"
    assert "FRAME-RATE=29.970," in text and "FRAME-RATE=25.000," in text
    assert master.is_independent_segments
    assert text.count('AUDIO="audio"') == 3
    assert text.count('GROUP-ID="audio"') == 2


def test_sound_tracks_are_one_group() -> None:
    master = m3u8.loads(hls.master_playlist([*VIDEOS, *SOUNDS], 6, prefix=""))
    assert [(m.name, m.language, m.default, m.channels, m.uri) for m in master.media] == [
        ("Say hi", "en", "YES", "2", "audio-0/index.m3u8"),
        ("Commentary", "und", "NO", "2", "audio-1/index.m3u8"),
    ]


def test_purposes_are_characteristics_and_commentaries_are_never_chosen_unasked() -> None:
    film, described, second = (
        a_sound(f"audio-{n}", [1], language="en", **facts)
        for n, facts in enumerate([{"default": True}, {"describes_video": True}, {}])
    )
    others = [
        a_sound("audio-3", [1], language="en", commentary=True),
        a_sound("audio-4", [1], language="en", hearing_impaired=True),
        a_track("text-0", [1], kind="text", codecs="wvtt", language="en", title="SDH", hearing_impaired=True),
        a_track("text-1", [1], kind="text", codecs="wvtt", language="en", title="Talk", commentary=True),
    ]
    tracks = [*VIDEOS, film, described, second, *others]
    media = m3u8.loads(hls.master_playlist(tracks, 6, prefix="")).media
    assert [(m.default, m.autoselect, m.characteristics) for m in media] == [
        ("YES", "YES", None),
        ("NO", "YES", "public.accessibility.describes-video"),
        ("NO", "NO", None),  # as the first: a player could not tell which to choose
        ("NO", "NO", "public.auxiliary-content"),
        ("NO", "YES", "public.accessibility.enhances-speech-intelligibility"),
        (
            "NO", "YES",
            "public.accessibility.transcribes-spoken-dialog,"
            "public.accessibility.describes-music-and-sound",
        ),
        ("NO", "NO", "public.auxiliary-content"),
    ]  # fmt: skip


def test_every_video_track_has_an_i_frame_playlist() -> None:
    master = m3u8.loads(hls.master_playlist([*VIDEOS, *SOUNDS], 6, prefix="x/"))
    assert [playlist.uri for playlist in master.iframe_playlists] == [
        "x/234p/iframes.m3u8", "x/540p/iframes.m3u8", "x/1080p/iframes.m3u8",
    ]  # fmt: skip
    info = master.iframe_playlists[1].iframe_stream_info
    assert (info.codecs, info.resolution) == ("avc1.64001f", (960, 540))
    assert (info.bandwidth, info.average_bandwidth) == (213_334, 200_000)


def test_surround_is_a_second_group_of_the_same_members() -> None:
    surround = a_sound("audio-0-surround", [300_000], title="Say hi", language="en", channels=6, default=True)
    master = m3u8.loads(hls.master_playlist([*VIDEOS, *SOUNDS, surround], 6, prefix=""))
    members = [(media.group_id, media.name, media.channels, media.uri) for media in master.media]
    assert members == [
        ("audio", "Say hi", "2", "audio-0/index.m3u8"),
        ("audio", "Commentary", "2", "audio-1/index.m3u8"),
        ("audio-surround", "Say hi", "6", "audio-0-surround/index.m3u8"),
        ("audio-surround", "Commentary", "2", "audio-1/index.m3u8"),
    ]
    plain = {p.uri: p.stream_info.bandwidth for p in master.playlists[:3]}
    rich = {p.uri: p.stream_info.bandwidth for p in master.playlists[3:]}
    assert {p.stream_info.audio for p in master.playlists[:3]} == {"audio"}
    assert {p.stream_info.audio for p in master.playlists[3:]} == {"audio-surround"}
    assert sorted(plain) == ["1080p/index.m3u8", "234p/index.m3u8", "540p/index.m3u8"]
    # Surround has 400 kb/s, so it is not with less than 2 Mb/s of pictures.
    assert sorted(rich) == ["1080p/index.m3u8", "540p/index.m3u8"]
    # 300,000 bytes in 6 s against 120,000 are 240,000 b/s more.
    assert {bandwidth - plain[uri] for uri, bandwidth in rich.items()} == {240_000}


def test_surround_is_with_the_largest_pictures_however_few_bits_they_need() -> None:
    slides = [a_track(f"{height}p", [height, height], height=height) for height in (720, 1080)]
    surround = a_sound("audio-0-surround", [300_000], channels=6)
    master = m3u8.loads(hls.master_playlist([*slides, SOUNDS[0], surround], 6, prefix=""))
    listed = [(p.uri, p.stream_info.audio) for p in master.playlists]
    assert listed[-1] == ("1080p/index.m3u8", "audio-surround") and len(listed) == 3


def test_sound_only() -> None:
    text = hls.master_playlist(SOUNDS, 6, prefix="v/")
    master = m3u8.loads(text)
    assert [playlist.uri for playlist in master.playlists] == ["v/audio-0/index.m3u8"]
    info = master.playlists[0].stream_info
    assert (info.codecs, info.bandwidth, info.resolution) == ("mp4a.40.2", 128_000, None)
    assert "FRAME-RATE" not in text and "RESOLUTION" not in text and not master.iframe_playlists


def test_without_sound_there_is_no_group() -> None:
    text = hls.master_playlist(VIDEOS, 6, prefix="")
    assert "AUDIO" not in text and "mp4a" not in text


def test_each_codec_is_a_family_of_its_own_and_h264_comes_first() -> None:
    hevc = [track.model_copy(update={"codecs": "hvc1.1.6.L93.B0"}) for track in VIDEOS[:2]]
    master = m3u8.loads(hls.master_playlist([*hevc, *VIDEOS, *SOUNDS], 6, prefix=""))
    listed = [(p.stream_info.codecs, p.stream_info.resolution[1]) for p in master.playlists]
    assert listed == [
        *(("avc1.64001f,mp4a.40.2", height) for height in (540, 234, 1080)),
        # 6 Mb/s and 145 kb/s: the lower one is nearer to 2 Mb/s.
        *(("hvc1.1.6.L93.B0,mp4a.40.2", height) for height in (234, 1080)),
    ]


def test_hdr_is_a_family_of_its_own_after_sdr_of_its_codec() -> None:
    hevc = [track.model_copy(update={"codecs": "hvc1.1.6.L93.B0"}) for track in VIDEOS[:2]]
    hdr = [track.model_copy(update={"name": "hdr-" + track.name, "video_range": "PQ"}) for track in hevc]
    master = m3u8.loads(hls.master_playlist([*hdr, *hevc, *VIDEOS[:1]], 6, prefix=""))
    listed = [(p.stream_info.codecs[:4], p.stream_info.video_range) for p in master.playlists]
    assert listed == [("avc1", "SDR"), *[("hvc1", "SDR")] * 2, *[("hvc1", "PQ")] * 2]


def test_the_range_is_said_of_all_as_soon_as_one_is_not_sdr() -> None:
    assert "VIDEO-RANGE" not in hls.master_playlist(VIDEOS, 6, prefix="")
    hdr = VIDEOS[0].model_copy(update={"video_range": "PQ"})
    text = hls.master_playlist([hdr, *VIDEOS[1:]], 6, prefix="")
    # Two variants and two I-frame playlists, and one of each.
    assert (text.count("VIDEO-RANGE=SDR"), text.count("VIDEO-RANGE=PQ")) == (4, 2)


@pytest.mark.parametrize(
    ("rate", "gop", "dense"),
    [
        ("25", 50, 25),
        ("24000/1001", 48, 24),
        ("60000/1001", 120, 60),
        ("15/2", 15, 5),  # 8 does not divide 15; 5 are two thirds of a second
        ("25/2", 25, 25),  # 5 would be six pictures in two seconds
        ("25", 25, 25),
        ("1/5", 1, 1),
    ],
)
def test_the_smallest_track_has_an_idr_a_second(rate: str, gop: int, dense: int) -> None:
    large = a_rendition("540p")
    plan = a_plan(Fraction(rate), gop).model_copy(update={"renditions": (a_rendition(), large)})
    assert (plan.gop_of(plan.renditions[0]), plan.gop_of(large)) == (dense, gop)


@pytest.mark.parametrize(
    ("method", "uri", "tag"),
    [
        (
            "AES-128",
            "https://keys.example.com/film",
            '#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example.com/film"',
        ),
        (
            "SAMPLE-AES",
            "skd://film",
            '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://film",KEYFORMAT="com.apple.streamingkeydelivery",'
            'KEYFORMATVERSIONS="1"',
        ),
    ],
)
def test_a_key_stands_behind_the_clear_init_segment(method: str, uri: str, tag: str) -> None:
    locked = a_track("360p", [1000, 1000], encryption={"method": method, "uri": uri})
    for text in (hls.media_playlist(locked, 6), hls.i_frame_playlist(locked, 6)):
        lines = text.splitlines()
        assert lines.count(tag) == 1
        assert [line.partition(":")[0] for line in lines[lines.index(tag) - 1 :][:3]] == [
            "#EXT-X-MAP",
            "#EXT-X-KEY",
            "#EXTINF",
        ]


def test_transport_streams_are_listed_for_old_players() -> None:
    track = a_track("360p", [1000, 1000], init_bytes=0)
    segments, pictures = hls.media_playlist(track, 6), hls.i_frame_playlist(track, 6)
    assert "#EXT-X-VERSION:3\n" in segments
    assert "#EXT-X-VERSION:4\n" in pictures
    assert "#EXT-X-VERSION:4\n" in hls.master_playlist([track], 6, prefix="")
    assert "EXT-X-MAP" not in segments + pictures
