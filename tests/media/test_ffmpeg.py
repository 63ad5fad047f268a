"""Commands, compared as lists."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vod_operators.media import ffmpeg, ffmpeg_sound
from vod_operators.media.models import (
    AudioRendition,
    AudioStream,
    Chunk,
    Colour,
    Layout,
    Plan,
    Rendition,
    Sound,
    Source,
    Timeline,
    VideoStream,
)
from vod_operators.media.orientation import DisplayMatrix
from vod_operators.media.presets.model import Ladder, Preset, Rung
from vod_operators.media.presets.sound import AudioRung

SMALL = Rung(name="small", width=640, height=360, crf=25, max_bitrate_bps=540_000, buffer_bits=730_000)
PRESET = Preset(
    name="p",
    title="p",
    description="p",
    ladders=(Ladder(encoder="libx264", encoder_preset="fast", rungs=(SMALL,)),),
    audio=AudioRung(bitrate_bps=128_000),
)
CLOCKWISE = {
    90: DisplayMatrix(0, 65536, -65536, 0),
    180: DisplayMatrix(-65536, 0, 0, -65536),
    270: DisplayMatrix(0, -65536, 65536, 0),
}
"""Display matrices, by degrees."""
SOUND = AudioStream(index=1, codec="aac", channels=6, sample_rate=44_100, time_base=Fraction(1, 44_100))
VIDEO = VideoStream(
    index=2,
    codec="h264",
    width=1920,
    height=1080,
    frame_rate=Fraction(30_000, 1001),
    time_base=Fraction(1, 90_000),
    pixel_format="yuv420p",
    scan="interlaced",
    display_matrix=CLOCKWISE[90],
)
SOURCE = Source(
    container="mpegts",
    size_bytes=1,
    audio=(SOUND,),
    video=VIDEO,
)
PLAN = Plan(
    video_id="v",
    preset=PRESET,
    source=SOURCE,
    frame_rate=Fraction(60_000, 1001),
    timescale=60_000,
    gop_frames=120,
    segment_frames=360,
    chunk_frames=1080,
    lookahead_frames=30,
    renditions=(
        Rendition(
            name="small",
            encoder="libx264",
            encoder_preset="fast",
            width=360,
            height=640,
            crf=25,
            max_bitrate_bps=540_000,
            buffer_bits=730_000,
            profile="main",
        ),
        Rendition(
            name="large",
            encoder="libx264",
            encoder_preset="fast",
            width=720,
            height=1280,
            crf=22.5,
            max_bitrate_bps=4_500_000,
            buffer_bits=6_000_000,
            profile="high",
        ),
    ),
    audio=(
        AudioRendition(
            name="audio-0",
            track="audio-0",
            stream=SOUND,
            channels=2,
            sample_rate=48_000,
            bitrate_bps=128_000,
            language=None,
            title="Audio 1",
            default=True,
        ),
    ),
)
TIMELINE = Timeline(
    origin_pts=126_000,
    time_base=Fraction(1, 90_000),
    frames=2000,
    sounds={"audio-0": Sound(time_base=Fraction(1, 44_100), seconds=Fraction(2))},
    chunks=(
        Chunk(index=0, first=0, last=1080, lead_out=120, key_pts=126_000, end_pts=1_747_620),
        Chunk(index=1, first=1080, last=2000, lead_in=120, key_pts=1_566_000, end_pts=None),
    ),
)

LAYOUT = Layout(video=(2, Fraction(1, 90_000)), sounds={"audio-0": (1, Fraction(1, 44_100))})
SHIFTED = r"setts=pts=if(eq(PTS\,NOPTS)\,DTS\,PTS)-(-323874000):dts=DTS-(-323874000)"

START = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y", "-copyts"]
PROGRESS = ["-progress", "pipe:1", "-stats_period", "1", "-max_error_rate", "1"]
# No playlist (hls, concat, dash, image2) and no protocol but file: a source can name nothing else.
MEDIA_ONLY = [
    "-format_whitelist",
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,mxf,flv,asf,ogg,nut,gxf,wtv,dv,rm,"
    "h264,hevc,m4v,ivf,obu,y4m,yuv4mpegpipe,mp3,aac,ac3,eac3,flac,wav,w64,aiff,caf",
]  # fmt: skip
FILE_ONLY = ["-protocol_whitelist", "file"]
BARE = ["-map_chapters", "-1", "-map_metadata", "-1"]


def test_cut_of_a_later_chunk_seeks_10_s_before_its_key_frame() -> None:
    # Key frame at 1566000 / 90000 = 17.4 s. The shift: 126000 - 3600 * 90000.
    argv = ffmpeg.cut_video(
        "ffmpeg", "source", "chunk.nut", layout=LAYOUT, chunk=TIMELINE.chunks[1], timeline=TIMELINE
    )
    assert argv == [
        *START, "-progress", "pipe:1", "-fflags", "+genpts", *MEDIA_ONLY, "-noautorotate", *FILE_ONLY,
        "-seek_timestamp", "1", "-ss", "7.400000", "-i", "source",
        "-map", "0:2", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:v", rf"{SHIFTED},noise=amount=0:drop=lt(pts\,325440000)",
        "-codec", "copy", "-copyinkf:v", *BARE, "chunk.nut",
    ]  # fmt: skip


def test_cut_of_the_first_chunk_does_not_seek_and_ends_behind_its_last_frame() -> None:
    # 1747620 / 90000 = 19.418; a tick is 0.000011 s, and a millisecond is added.
    argv = ffmpeg.cut_video(
        "ffmpeg", "source", "chunk.nut", layout=LAYOUT, chunk=TIMELINE.chunks[0], timeline=TIMELINE
    )
    assert argv == [
        *START, "-progress", "pipe:1", "-fflags", "+genpts", *MEDIA_ONLY, "-noautorotate", *FILE_ONLY,
        "-i", "source",
        "-map", "0:2", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:v", rf"{SHIFTED},noise=amount=0:drop=lt(pts\,324000000)",
        "-codec", "copy", "-copyinkf:v", *BARE, "-to", "19.419011", "chunk.nut",
    ]  # fmt: skip


def test_an_end_before_zero_is_found_by_decoding_time() -> None:
    early = TIMELINE.model_copy(update={"origin_pts": -900_000})
    chunk = TIMELINE.chunks[0].model_copy(update={"key_pts": -900_000, "end_pts": -90_000})
    argv = ffmpeg.cut_video("ffmpeg", "source", "chunk.nut", layout=LAYOUT, chunk=chunk, timeline=early)
    assert "-to" not in argv
    # -90000 is 810000 ticks after the origin.
    assert r"drop=lt(pts\,324000000)+gt(dts\,324810000)" in argv[argv.index("-bsf:v") + 1]


def encoder(crf: str, maxrate: str, bufsize: str, profile: str, gop: str) -> list[str]:
    return [
        "-f", "mp4", "-bufsize:v", bufsize, "-c:v", "libx264", "-crf:v", crf,
        "-enc_time_base", "1001/60000", "-fflags", "+bitexact", "-flush_packets", "1",
        "-fps_mode", "passthrough",
        "-g:v", gop, "-keyint_min:v", gop, *BARE, "-maxrate:v", maxrate,
        "-movflags", "+frag_keyframe+default_base_moof+delay_moov+skip_sidx+skip_trailer",
        "-preset:v", "fast", "-profile:v", profile, "-sc_threshold:v", "0",
        "-threads:v", "1", "-video_track_timescale", "60000", "-x264-params:v", "stitchable=1",
    ]  # fmt: skip


def test_transcode_decodes_once_and_scales_in_a_cascade() -> None:
    argv = ffmpeg.transcode_chunk(
        "ffmpeg",
        "chunk.nut",
        {"small": "s.mp4", "large": "l.mp4"},
        plan=PLAN,
        chunk=TIMELINE.chunks[1],
        timeline=TIMELINE,
    )
    at = argv.index("-filter_complex") + 1
    # Interlaced and rotated; output frames 1080 to 2000, and 120 before them.
    assert argv[at].split(";") == [
        "[0:v:0]settb=1/90000[s0]",
        "[s0]setpts=PTS-324000000[s1]",
        "[s1]setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv[s2]",
        "[s2]scale=1920:1080[s3]",
        "[s3]bwdif=mode=send_field[s4]",
        "[s4]transpose=clock[s5]",
        "[s5]sidedata=enable=lt(t\\,16.007658333):mode=delete:type=A53_CC[s6]",
        "[s6]fps=fps=60000/1001:round=near:start_time=16.016000000[s7]",
        "[s7]tpad=stop=-1:stop_mode=clone[s8]",
        "[s8]trim=end_pts=2000[s9]",
        "[s9]setpts=PTS-960[s10]",
        "[s10]scale=720:1280:flags=bicubic:out_range=tv[s11]",
        "[s11]setsar=1[s12]",
        "[s12]format=yuv420p[s13]",
        "[s13]split=2[s14][s15]",
        "[s15]scale=360:640:flags=bicubic[s16]",
        "[s16]setsar=1[s17]",
        "[s17]format=yuv420p[s18]",
    ]
    assert argv[: at - 1] == [
        *START, *PROGRESS, "-f", "nut", "-apply_cropping", "codec",
        "-bsf:v", "setts=pts=PTS:dts=DTS:duration=1001/30/TB", *MEDIA_ONLY,
        "-noautorotate", *FILE_ONLY, "-reinit_filter", "0", "-i", "chunk.nut",
    ]  # fmt: skip
    assert argv[at + 1 :] == [
        "-map", "[s14]", *encoder("22.5", "4500000", "6000000", "high", "120"), "l.mp4",
        "-map", "[s18]", *encoder("25", "540000", "730000", "main", "60"), "s.mp4",
    ]  # fmt: skip


def test_a_chunk_before_another_is_encoded_as_far_beyond_its_end_as_the_encoder_looks() -> None:
    argv = ffmpeg.transcode_chunk(
        "ffmpeg", "c.nut", {"small": "s.mp4", "large": "l.mp4"}, plan=PLAN, chunk=TIMELINE.chunks[0],
        timeline=TIMELINE,
    )  # fmt: skip
    assert "trim=end_pts=1110[" in argv[argv.index("-filter_complex") + 1]


def filters(plan: Plan = PLAN, **video: object) -> str:
    source = SOURCE.model_copy(update={"video": VIDEO.model_copy(update=video)})
    argv = ffmpeg.transcode_chunk(
        "ffmpeg",
        "chunk.nut",
        {"small": "s.mp4", "large": "l.mp4"},
        plan=plan.model_copy(update={"source": source}),
        chunk=TIMELINE.chunks[1],
        timeline=TIMELINE,
    )
    return argv[argv.index("-filter_complex") + 1]


def test_the_source_report_reads_branches_of_the_same_decode() -> None:
    argv = ffmpeg.transcode_chunk(
        "ffmpeg",
        "chunk.nut",
        {"small": "s.mp4", "large": "l.mp4"},
        plan=PLAN,
        chunk=TIMELINE.chunks[1],
        timeline=TIMELINE,
        report=True,
    )
    graph = argv[argv.index("-filter_complex") + 1].split(";")
    # One frame a second of the chunk's own, at the source's size, upright.
    assert "[s12]select=between(n+960\\,1080\\,1999)*not(mod(n+960\\,60))[s31]" in graph
    assert "[s31]setparams=color_primaries=bt709:color_trc=bt709[s32]" in graph
    assert "[s33]scale=32:1920:flags=area:out_range=tv[s35]" in graph
    assert "[s34]scale=1080:32:flags=area:out_range=tv[s39]" in graph
    # Every frame, of the smallest rendition; the picture is upright, and so are the grids.
    assert sum("scale=36:64:flags=area" in step for step in graph) == 1
    assert sum("scale=9:16:flags=area" in step for step in graph) == 1
    assert [name for name in argv if name.endswith(".raw")] == [
        "grid.raw",
        "coarse.raw",
        "rows.raw",
        "columns.raw",
    ]


def test_pictures_are_turned_upright() -> None:
    assert "transpose" not in filters(display_matrix=None) and "flip" not in filters(display_matrix=None)
    assert "hflip[s5];[s5]vflip" in filters(display_matrix=CLOCKWISE[180])
    assert "transpose=cclock" in filters(display_matrix=CLOCKWISE[270])


def test_progressive_pictures_are_not_deinterlaced() -> None:
    assert "bwdif" not in filters(scan="progressive")


def test_a_frame_of_two_fields_is_one_picture_where_the_preset_allows_no_more() -> None:
    assert "bwdif=mode=send_frame" in filters(PLAN.model_copy(update={"frame_rate": VIDEO.frame_rate}))


def test_hdr_is_tone_mapped_at_the_size_of_the_largest_rendition() -> None:
    pq = Colour(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc")
    # 4000 nits are 40 times the reference white of 100.
    assert (
        "scale=720:1280:flags=bicubic[s11];[s11]zscale=npl=100:transfer=linear[s12];"
        "[s12]format=gbrpf32le[s13];[s13]zscale=primaries=bt709[s14];"
        "[s14]tonemap=desat=0:peak=40:tonemap=mobius[s15];"
        "[s15]zscale=matrix=bt709:range=limited:transfer=bt709[s16]"
    ) in filters(colour=pq, peak_nits=4000)
    assert "peak=10:" in filters(colour=pq)


def test_wide_gamut_without_hdr_is_converted_but_not_tone_mapped() -> None:
    made = filters(colour=Colour(primaries="bt2020", transfer="bt2020-10", matrix="bt2020nc"))
    assert "zscale=primaries=bt709" in made and "tonemap" not in made


def test_rgb_becomes_bt709() -> None:
    colour = Colour(primaries="bt709", transfer="iec61966-2-1", matrix="gbr", full_range=True)
    made = filters(colour=colour)
    assert "colorspace=gbr:range=pc" in made
    assert "out_color_matrix=bt709:out_range=tv" in made and "zscale" not in made


def test_a_chunk_of_which_nothing_decodes_is_black() -> None:
    chunk = TIMELINE.chunks[1]
    argv = ffmpeg.transcode_chunk(
        "ffmpeg", None, {"small": "s.mp4", "large": "l.mp4"}, plan=PLAN, chunk=chunk, timeline=TIMELINE
    )
    assert argv[argv.index("-i") + 1] == "color=black:s=720x1280:r=60000/1001"
    graph = argv[argv.index("-filter_complex") + 1]
    assert "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv[s0]" in graph
    assert "[s0]trim=end_frame=1040[s1]" in graph


assert PLAN.source.video is not None
PROGRESSIVE = PLAN.source.video.model_copy(update={"scan": "progressive"})


def test_repair_by_copy_and_by_decoding() -> None:
    argv = ffmpeg.repair("ffmpeg", "source", "r.nut", layout=LAYOUT, video=None, decode=False)
    assert argv == [
        *START[:-1], "-apply_cropping", "codec", "-fflags", "+genpts", *MEDIA_ONLY, "-noautorotate",
        *FILE_ONLY, "-i", "source",
        "-map", "0:2", "-map", "0:1", "-f", "nut", "-c", "copy", *BARE, "r.nut",
    ]  # fmt: skip
    argv = ffmpeg.repair("ffmpeg", "source", "r.nut", layout=LAYOUT, video=PROGRESSIVE, decode=True)
    assert argv[argv.index("-c:v") + 1] == "libx264" and argv[argv.index("-c:a") + 1] == "pcm_f32le"
    assert argv[argv.index("-enc_time_base:v") + 1] == "demux"


@pytest.mark.parametrize(
    "other",
    [{"pixel_format": "yuv420p10le"}, {"pixel_format": "yuvj420p"}, {"scan": "mixed"}, {"height": 719}],
)
def test_what_h264_does_not_keep_is_written_as_ffv1(other: dict[str, object]) -> None:
    video = PROGRESSIVE.model_copy(update=other)
    argv = ffmpeg.repair("ffmpeg", "source", "r.nut", layout=LAYOUT, video=video, decode=True)
    assert argv[argv.index("-c:v") + 1] == "ffv1"


def test_cut_audio_copies_the_whole_track() -> None:
    # Origin 1.4 s is sample 61740; 61740 - 3600 * 44100.
    argv = ffmpeg.cut_audio("ffmpeg", "source", "a.nut", layout=LAYOUT, track="audio-0", timeline=TIMELINE)
    assert argv == [
        *START, "-fflags", "+genpts", *MEDIA_ONLY, *FILE_ONLY, "-i", "source",
        "-map", "0:1", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:a", r"setts=pts=if(eq(PTS\,NOPTS)\,DTS\,PTS)-(-158698260):dts=DTS-(-158698260)",
        "-codec", "copy", *BARE, "a.nut",
    ]  # fmt: skip


def test_encode_audio_to_the_sample() -> None:
    argv = ffmpeg_sound.encode_audio(
        "ffmpeg", "a.nut", "a.mp4", audio=PLAN.audio[0], time_base=Fraction(1, 44_100), samples=96_000
    )
    assert argv == [
        *START, *PROGRESS, "-f", "nut", *MEDIA_ONLY, *FILE_ONLY, "-i", "a.nut",
        "-filter_complex",
        "[0:a:0]asettb=1/44100[s0];[s0]asetpts=PTS-158760000[s1];"
        "[s1]aresample=48000:async=1:first_pts=0:min_hard_comp=0.01[s2];[s2]apad=whole_len=96000[s3];"
        "[s3]atrim=end_sample=96000[s4]",
        "-map", "[s4]", "-f", "mp4", "-ac", "2", "-ar", "48000", "-b:a", "128000", "-c:a", "aac",
        "-fflags", "+bitexact", "-frag_duration", "2000000", *BARE,
        "-movflags", "+default_base_moof+delay_moov+skip_sidx+skip_trailer", "a.mp4",
    ]  # fmt: skip


def test_package_cuts_a_hair_early() -> None:
    argv = ffmpeg.package(
        "packager", "track.mp4", kind="video", segment=Fraction(6006, 1000), fragment=Fraction(2002, 1000),
        first=20,
    )  # fmt: skip
    assert argv == [
        "packager",
        "in=track.mp4,stream=video,init_segment=init.mp4,segment_template=seg-$Number%05d$.m4s",
        "--segment_duration", "6.005999", "--fragment_duration", "2.001999",
        "--start_segment_number", "21", "--quiet",
    ]  # fmt: skip


def test_renditions_of_one_size_share_its_scaling() -> None:
    small, large = PLAN.renditions
    again = large.model_copy(update={"name": "large-high", "crf": 20})
    plan = PLAN.model_copy(update={"renditions": (small, large, again)})
    argv = ffmpeg.transcode_chunk(
        "ffmpeg", "c.nut", {"small": "s.mp4", "large": "l.mp4", "large-high": "h.mp4"}, plan=plan,
        chunk=TIMELINE.chunks[0], timeline=TIMELINE,
    )  # fmt: skip
    graph = argv[argv.index("-filter_complex") + 1]
    assert graph.endswith(
        "[s9]scale=720:1280:flags=bicubic:out_range=tv[s10];[s10]setsar=1[s11];[s11]format=yuv420p[s12];"
        "[s12]split=3[s13][s14][s15];"
        "[s15]scale=360:640:flags=bicubic[s16];[s16]setsar=1[s17];[s17]format=yuv420p[s18]"
    )
    maps = [argv[at + 1] for at, option in enumerate(argv) if option == "-map"]
    assert maps == ["[s13]", "[s14]", "[s18]"]


@pytest.mark.parametrize(
    ("encoder", "encoder_preset", "options"),
    [
        pytest.param(
            "libx265",
            "fast",
            # The smallest track of its codec: an IDR picture a second.
            "-a53cc:v 1 -c:v libx265 -crf:v 22.5 -g:v 60 -keyint_min:v 60 -maxrate:v 4500000 -preset:v fast "
            "-profile:v main -tag:v hvc1 -x265-params:v "
            "pools=none:frame-threads=1:wpp=0:scenecut=0:open-gop=0:high-tier=0:info=0:log-level=error",
            id="hevc",
        ),
        pytest.param(
            "libsvtav1",
            "8",
            "-c:v libsvtav1 -crf:v 22.5 -g:v 60 -maxrate:v 4500000 -preset:v 8 "
            "-svtav1-params:v lp=1:scd=0:irefresh-type=2:mbr-overshoot-pct=0",
            id="av1",
        ),
        pytest.param(
            "h264_nvenc",
            "p5",
            "-b:v 0 -bf:v 3 -c:v h264_nvenc -cq:v 22.5 -forced-idr:v 1 -g:v 120 -maxrate:v 4500000 "
            "-no-scenecut:v 1 -preset:v p5 -profile:v main -rc:v vbr -rc-lookahead:v 20 -spatial-aq:v 1 "
            "-strict_gop:v 1",
            id="nvenc",
        ),
    ],
)
def test_what_each_encoder_is_told(encoder: str, encoder_preset: str, options: str) -> None:
    rendition = PLAN.renditions[1].model_copy(
        update={"encoder": encoder, "encoder_preset": encoder_preset, "profile": "main"}
    )
    argv = ffmpeg.try_encoder("ffmpeg", rendition.model_copy(update={"width": 64, "height": 36}))
    assert "color=black:s=64x36:r=25" in argv
    plan = PLAN.model_copy(update={"renditions": (PLAN.renditions[0], rendition)})
    argv = ffmpeg.transcode_chunk(
        "ffmpeg", "c.nut", {"small": "s.mp4", "large": "l.mp4"}, plan=plan, chunk=TIMELINE.chunks[0],
        timeline=TIMELINE,
    )  # fmt: skip
    told = argv[argv.index("[s13]") + 1 : argv.index("l.mp4")]
    pairs = dict(zip(told[::2], told[1::2], strict=True))
    container = ("-f", "-enc_time_base", "-fflags", "-fps_mode", "-map_chapters", "-map_metadata",
                 "-flush_packets", "-movflags", "-video_track_timescale", "-bufsize:v")  # fmt: skip
    wanted = options.split()
    assert {name: value for name, value in pairs.items() if name not in container} == dict(
        zip(wanted[::2], wanted[1::2], strict=True)
    )
