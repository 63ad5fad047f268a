"""Commands, compared as lists."""

from __future__ import annotations

from fractions import Fraction

from vod_operators.media import ffmpeg
from vod_operators.media.models import (
    AudioRendition,
    AudioRung,
    AudioStream,
    Chunk,
    Plan,
    Preset,
    Rendition,
    Rung,
    Source,
    Timeline,
    VideoStream,
)

PRESET = Preset(
    name="p",
    title="p",
    description="p",
    encoder="libx264",
    encoder_preset="fast",
    rungs=(Rung(name="small", width=640, height=360, crf=25, max_bitrate_bps=540_000, buffer_bits=730_000),),
    audio=AudioRung(bitrate_bps=128_000),
)
SOUND = AudioStream(index=1, codec="aac", channels=6, sample_rate=44_100, time_base=Fraction(1, 44_100))
VIDEO = VideoStream(
    index=2,
    codec="h264",
    width=1920,
    height=1080,
    frame_rate=Fraction(30_000, 1001),
    time_base=Fraction(1, 90_000),
    pixel_format="yuv420p",
    interlaced=True,
    rotation=90,
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
    frame_rate=Fraction(30_000, 1001),
    timescale=30_000,
    gop_frames=60,
    segment_frames=180,
    chunk_frames=540,
    renditions=(
        Rendition(
            name="small",
            width=360,
            height=640,
            crf=25,
            max_bitrate_bps=540_000,
            buffer_bits=730_000,
            profile="main",
        ),
        Rendition(
            name="large",
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
    frames=1000,
    still_frames=5,
    audio_seconds={"audio-0": Fraction(2)},
    chunks=(
        Chunk(index=0, first=0, last=540, key_pts=126_000, end_pts=1_747_620),
        Chunk(index=1, first=540, last=1000, key_pts=1_566_000, end_pts=None),
    ),
)

START = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y", "-copyts"]
PROGRESS = ["-progress", "pipe:1", "-stats_period", "1"]
# No playlist (hls, concat, dash, image2) and no protocol but file: a source can name nothing else.
MEDIA_ONLY = [
    "-format_whitelist",
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,mxf,flv,asf,ogg,nut,gxf,wtv,dv,rm,"
    "h264,hevc,m4v,ivf,obu,y4m,yuv4mpegpipe",
]  # fmt: skip
FILE_ONLY = ["-protocol_whitelist", "file"]


def test_cut_of_a_later_chunk_seeks_10_s_before_its_key_frame() -> None:
    # Key frame at 1566000 / 90000 = 17.4 s. The shift: 126000 - 3600 * 90000.
    argv = ffmpeg.cut_video(
        "ffmpeg", "source", "chunk.nut", stream=2, chunk=TIMELINE.chunks[1], timeline=TIMELINE
    )
    assert argv == [
        *START, "-fflags", "+genpts", *MEDIA_ONLY, "-noautorotate", *FILE_ONLY,
        "-seek_timestamp", "1", "-ss", "7.400000", "-i", "source",
        "-map", "0:2", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:v", r"noise=amount=0:drop=lt(pts\,1566000),setts=pts=PTS-(-323874000):dts=DTS-(-323874000)",
        "-codec", "copy", "chunk.nut",
    ]  # fmt: skip


def test_cut_of_the_first_chunk_does_not_seek_and_ends_behind_its_last_frame() -> None:
    # 1747620 / 90000 = 19.418; a tick is 0.000011 s, and a millisecond is added.
    argv = ffmpeg.cut_video(
        "ffmpeg", "source", "chunk.nut", stream=2, chunk=TIMELINE.chunks[0], timeline=TIMELINE
    )
    assert argv == [
        *START, "-fflags", "+genpts", *MEDIA_ONLY, "-noautorotate", *FILE_ONLY, "-i", "source",
        "-map", "0:2", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:v", r"noise=amount=0:drop=lt(pts\,126000),setts=pts=PTS-(-323874000):dts=DTS-(-323874000)",
        "-codec", "copy", "-to", "19.419011", "chunk.nut",
    ]  # fmt: skip


def encoder(crf: str, maxrate: str, bufsize: str, profile: str) -> list[str]:
    return [
        "-f", "mp4", "-bufsize:v", bufsize, "-c:v", "libx264", "-crf:v", crf,
        "-enc_time_base", "1001/30000", "-fflags", "+bitexact", "-fps_mode", "passthrough",
        "-g:v", "60", "-keyint_min:v", "60", "-map_metadata", "-1", "-maxrate:v", maxrate,
        "-movflags", "+frag_keyframe+default_base_moof+delay_moov+skip_sidx+skip_trailer",
        "-preset:v", "fast", "-profile:v", profile, "-sc_threshold:v", "0",
        "-video_track_timescale", "30000", "-x264-params:v", "stitchable=1",
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
    # Interlaced and rotated; output frames 540 to 1000, of which the last 5 repeat the one before.
    assert argv[at].split(";") == [
        "[0:v:0]settb=1/90000[s0]",
        "[s0]setpts=PTS-324000000[s1]",
        "[s1]bwdif=mode=send_frame[s2]",
        "[s2]transpose=clock[s3]",
        "[s3]fps=fps=30000/1001:round=near[s4]",
        "[s4]tpad=stop=5:stop_mode=clone[s5]",
        "[s5]trim=end_pts=1000:start_pts=540[s6]",
        "[s6]setpts=PTS-540[s7]",
        "[s7]scale=720:1280:flags=bicubic[s8]",
        "[s8]setsar=1[s9]",
        "[s9]format=yuv420p[s10]",
        "[s10]split=2[s11][s12]",
        "[s12]scale=360:640:flags=bicubic[s13]",
        "[s13]setsar=1[s14]",
        "[s14]format=yuv420p[s15]",
    ]
    assert argv[: at - 1] == [
        *START, *PROGRESS, "-f", "nut", "-bsf:v", "setts=pts=PTS:dts=DTS:duration=1001/30000/TB",
        *MEDIA_ONLY, "-noautorotate", *FILE_ONLY, "-i", "chunk.nut",
    ]  # fmt: skip
    assert argv[at + 1 :] == [
        "-map", "[s11]", *encoder("22.5", "4500000", "6000000", "high"), "l.mp4",
        "-map", "[s15]", *encoder("25", "540000", "730000", "main"), "s.mp4",
    ]  # fmt: skip


def filters(chunk: int, *, still_frames: int = 0, **video: object) -> str:
    source = SOURCE.model_copy(update={"video": VIDEO.model_copy(update=video)})
    argv = ffmpeg.transcode_chunk(
        "ffmpeg",
        "chunk.nut",
        {"small": "s.mp4", "large": "l.mp4"},
        plan=PLAN.model_copy(update={"source": source}),
        chunk=TIMELINE.chunks[chunk],
        timeline=TIMELINE.model_copy(update={"still_frames": still_frames}),
    )
    return argv[argv.index("-filter_complex") + 1]


def test_pictures_are_turned_upright() -> None:
    assert "transpose" not in filters(1, rotation=0) and "flip" not in filters(1, rotation=0)
    assert "hflip[s3];[s3]vflip" in filters(1, rotation=180)
    assert "transpose=cclock" in filters(1, rotation=270)


def test_progressive_pictures_are_not_deinterlaced() -> None:
    assert "bwdif" not in filters(1, interlaced=False)


def test_only_chunks_that_reach_into_the_still_end_are_padded() -> None:
    assert "tpad" not in filters(1, still_frames=0)
    assert "tpad" not in filters(0, still_frames=460)
    # The last new picture is frame 529: chunk 0 ends 10 frames behind it, chunk 1 460 more.
    assert "tpad=stop=10:" in filters(0, still_frames=470)
    assert "tpad=stop=470:" in filters(1, still_frames=470)


def test_cut_audio_copies_the_whole_track() -> None:
    # Origin 1.4 s is sample 61740; 61740 - 3600 * 44100.
    argv = ffmpeg.cut_audio("ffmpeg", "source", "a.nut", audio=PLAN.audio[0], timeline=TIMELINE)
    assert argv == [
        *START, "-fflags", "+genpts", *MEDIA_ONLY, *FILE_ONLY, "-i", "source",
        "-map", "0:1", "-f", "nut", "-avoid_negative_ts", "disabled",
        "-bsf:a", "setts=pts=PTS-(-158698260):dts=DTS-(-158698260)", "-codec", "copy", "a.nut",
    ]  # fmt: skip


def test_encode_audio_to_the_sample() -> None:
    argv = ffmpeg.encode_audio("ffmpeg", "a.nut", "a.mp4", audio=PLAN.audio[0], samples=96_000)
    assert argv == [
        *START, *PROGRESS, "-f", "nut", *MEDIA_ONLY, *FILE_ONLY, "-i", "a.nut",
        "-filter_complex",
        "[0:a:0]asettb=1/44100[s0];[s0]asetpts=PTS-158760000[s1];"
        "[s1]aresample=48000:async=1:first_pts=0[s2];[s2]apad=whole_len=96000[s3];"
        "[s3]atrim=end_sample=96000[s4]",
        "-map", "[s4]", "-f", "mp4", "-ac", "2", "-ar", "48000", "-b:a", "128000", "-c:a", "aac",
        "-fflags", "+bitexact", "-frag_duration", "2000000", "-map_metadata", "-1",
        "-movflags", "+default_base_moof+delay_moov+skip_sidx+skip_trailer", "a.mp4",
    ]  # fmt: skip


def test_package_cuts_a_hair_early() -> None:
    argv = ffmpeg.package(
        "packager", "track.mp4", kind="video", segment=Fraction(6006, 1000), fragment=Fraction(2002, 1000)
    )
    assert argv == [
        "packager",
        "in=track.mp4,stream=video,init_segment=init.mp4,segment_template=seg-$Number%05d$.m4s",
        "--segment_duration", "6.005999", "--fragment_duration", "2.001999", "--quiet",
    ]  # fmt: skip
