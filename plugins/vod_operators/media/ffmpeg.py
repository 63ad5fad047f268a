"""Models -> argv. The only file that knows the option names of ffmpeg and Shaka Packager.

Nothing here runs anything: each function returns a list that can be printed, compared and tested.
File names are relative to the folder that the command will run in.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import ffmpeg

from vod_operators.media.models import AudioRendition, Chunk, Plan, Rendition, Timeline

Argv = list[str]

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,mxf,flv,asf,ogg,nut,gxf,wtv,dv,rm,"
    "h264,hevc,m4v,ivf,obu,y4m,yuv4mpegpipe"
)
"""Containers that hold media and nothing else: no playlists, no descriptions that name other files."""

LOCAL_ONLY: Mapping[str, str] = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
"""Input options: a playlist disguised as a video reads no other file and calls no one."""

SOURCE: Mapping[str, str] = {**LOCAL_ONLY, "fflags": "+genpts"}
"""... of a source: packets without a presentation time (AVI, MPEG-PS) get the one that follows from
their decoding times."""

SEEK_MARGIN_S = 10
"""How far before a key frame reading begins. Containers without an index of presentation times (MPEG-TS,
FLV, AVI) are searched by decoding time or position, and land up to some frames late."""

GUARD_S = 3600
"""Added to all timestamps of a cut file, because NUT has no negative ones (priming, trimmed starts)."""

GLOBAL = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y")

FRAGMENTED = "+frag_keyframe+default_base_moof+delay_moov+skip_sidx+skip_trailer"
"""A fragment for each GOP; ``delay_moov`` lets the edit list take up the encoder's reorder delay."""


def _argv(tool: str, output: ffmpeg.nodes.OutputStream, *options: str) -> Argv:
    # ffmpeg-python places global options last, where ffmpeg warns about them.
    return [*ffmpeg.compile(output, cmd=[tool, *GLOBAL, *options])]


def _guard_ticks(time_base: Fraction) -> int:
    return int(-(-GUARD_S // time_base))


def _decimal(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"


# --- split ----------------------------------------------------------------------------------


def cut_video(tool: str, source: str, output: str, *, stream: int, chunk: Chunk, timeline: Timeline) -> Argv:
    """Copy the packets that ``chunk`` needs, from its key frame to the frame after its last one.

    The output is NUT, which holds every codec and every time base exactly; its timestamps count
    from the start of the video, plus ``GUARD_S``.
    """
    shift = timeline.origin_pts - _guard_ticks(timeline.time_base)
    limits: dict[str, str] = {}
    seek: dict[str, str | int] = {}
    if chunk.end_pts is not None:
        # Ends by decoding time, which is at most the presentation time: the frame itself is inside.
        limits["to"] = _decimal((chunk.end_pts + 1) * timeline.time_base + Fraction(1, 1000))
    if (
        begin := chunk.key_pts * timeline.time_base - SEEK_MARGIN_S
    ) > timeline.origin_pts * timeline.time_base:
        # Nothing is sought near the start: some demuxers refuse a time before their first packet.
        seek = {"ss": _decimal(begin), "seek_timestamp": 1}
    media = ffmpeg.input(source, noautorotate=None, **seek, **SOURCE)
    # What was read before the key frame; and the leading pictures of an open GOP cannot be decoded here.
    drop = f"noise=amount=0:drop=lt(pts\\,{chunk.key_pts})"
    out = media[str(stream)].output(
        output,
        format="nut",
        codec="copy",
        avoid_negative_ts="disabled",
        **{"bsf:v": f"{drop},setts=pts=PTS-({shift}):dts=DTS-({shift})"},
        **limits,
    )
    return _argv(tool, out, "-copyts")


def cut_audio(tool: str, source: str, output: str, *, audio: AudioRendition, timeline: Timeline) -> Argv:
    """Copy one whole sound track; timestamps as in ``cut_video``."""
    origin = timeline.origin_pts * timeline.time_base // audio.stream.time_base
    shift = origin - _guard_ticks(audio.stream.time_base)
    out = ffmpeg.input(source, **SOURCE)[str(audio.stream.index)].output(
        output,
        format="nut",
        codec="copy",
        avoid_negative_ts="disabled",
        **{"bsf:a": f"setts=pts=PTS-({shift}):dts=DTS-({shift})"},
    )
    return _argv(tool, out, "-copyts")


# --- encode ---------------------------------------------------------------------------------


def transcode_chunk(
    tool: str, source: str, outputs: Mapping[str, str], *, plan: Plan, chunk: Chunk, timeline: Timeline
) -> Argv:
    """Decode one cut chunk once, and encode every rendition of it.

    :param outputs: rendition name -> file to write: fragmented MP4 whose first frame is at time 0.
    """
    # ffmpeg guesses how long the last picture is shown, and a guess below half a frame would drop it.
    # Here every picture lasts an output frame; what is too much is trimmed.
    lasts = f"setts=pts=PTS:dts=DTS:duration={plan.frame_rate.denominator}/{plan.frame_rate.numerator}/TB"
    chunk_input = ffmpeg.input(source, format="nut", noautorotate=None, **LOCAL_ONLY, **{"bsf:v": lasts})
    picture = _on_grid(chunk_input["v:0"], plan, chunk, timeline)
    made = []
    # A cascade: each rendition is scaled from the next larger one, not from the source.
    for rendition in reversed(plan.renditions):
        picture = (
            picture.filter("scale", rendition.width, rendition.height, flags="bicubic")
            .filter("setsar", 1)  # rounding to even sizes would leave a pixel aspect of 1001:1000
            .filter("format", "yuv420p")
        )
        mine = picture
        if rendition is not plan.renditions[0]:
            branches = picture.filter_multi_output("split", 2)
            mine, picture = branches.stream(0), branches.stream(1)
        made.append(_encode(mine, outputs[rendition.name], plan, rendition))
    return _argv(tool, ffmpeg.merge_outputs(*made), "-copyts", "-progress", "pipe:1", "-stats_period", "1")


def _on_grid(
    stream: ffmpeg.nodes.FilterableStream, plan: Plan, chunk: Chunk, timeline: Timeline
) -> ffmpeg.nodes.FilterableStream:
    """The output frames ``[first, last)`` of the whole video's grid, numbered from 0."""
    video, base = plan.source.video, timeline.time_base
    # Back from NUT's finer time base to the source's: exact, and then all is integers.
    stream = stream.filter("settb", f"{base.numerator}/{base.denominator}")
    stream = stream.filter("setpts", f"PTS-{_guard_ticks(base)}")
    if video.interlaced:
        stream = stream.filter("bwdif", mode="send_frame")
    if video.rotation == 180:
        stream = stream.filter("hflip").filter("vflip")
    elif video.rotation:
        stream = stream.filter("transpose", "clock" if video.rotation == 90 else "cclock")
    grid = f"{plan.frame_rate.numerator}/{plan.frame_rate.denominator}"
    stream = stream.filter("fps", fps=grid, round="near")
    # The last picture may be shown for longer than the chunk that it is in.
    still = chunk.last - (timeline.frames - timeline.still_frames)
    if still > 0:
        stream = stream.filter("tpad", stop_mode="clone", stop=still)
    return stream.filter("trim", start_pts=chunk.first, end_pts=chunk.last).filter(
        "setpts", f"PTS-{chunk.first}"
    )


def _encode(
    stream: ffmpeg.nodes.FilterableStream, output: str, plan: Plan, rendition: Rendition
) -> ffmpeg.nodes.OutputStream:
    rate = plan.frame_rate
    return stream.output(
        output,
        format="mp4",
        movflags=FRAGMENTED,
        map_metadata=-1,
        video_track_timescale=plan.timescale,
        fps_mode="passthrough",
        enc_time_base=f"{rate.denominator}/{rate.numerator}",
        fflags="+bitexact",
        **{
            "c:v": plan.preset.encoder,
            "preset:v": plan.preset.encoder_preset,
            "profile:v": rendition.profile,
            "crf:v": f"{rendition.crf:g}",
            "maxrate:v": rendition.max_bitrate_bps,
            "bufsize:v": rendition.buffer_bits,
            "g:v": plan.gop_frames,
            "keyint_min:v": plan.gop_frames,
            "sc_threshold:v": 0,  # key frames on the grid only, so that all renditions agree on them
            # Headers must not depend on the content: every chunk shares the first one's init segment.
            "x264-params:v": "stitchable=1",
        },
    )


def encode_audio(tool: str, source: str, output: str, *, audio: AudioRendition, samples: int) -> Argv:
    """Encode one whole sound track as AAC, from output time 0, of exactly so many samples.

    Silence is added only before a track that starts after the video, and where the source's
    timestamps have a gap; what comes before the video's first frame is cut.
    """
    guard = _guard_ticks(audio.stream.time_base)
    base = audio.stream.time_base
    sound = (
        ffmpeg.input(source, format="nut", **LOCAL_ONLY)["a:0"]
        .filter("asettb", f"{base.numerator}/{base.denominator}")
        .filter("asetpts", f"PTS-{guard}")
        .filter("aresample", audio.sample_rate, **{"async": 1, "first_pts": 0})
        .filter("apad", whole_len=samples)
        .filter("atrim", end_sample=samples)
    )
    out = sound.output(
        output,
        format="mp4",
        movflags="+default_base_moof+delay_moov+skip_sidx+skip_trailer",
        frag_duration=2_000_000,
        map_metadata=-1,
        fflags="+bitexact",
        ac=audio.channels,
        ar=audio.sample_rate,
        **{"c:a": "aac", "b:a": audio.bitrate_bps},
    )
    return _argv(tool, out, "-copyts", "-progress", "pipe:1", "-stats_period", "1")


# --- package --------------------------------------------------------------------------------


def package(tool: str, track: str, *, kind: str, segment: Fraction, fragment: Fraction) -> Argv:
    """Cut one continuous track into CMAF: ``init.mp4`` and ``seg-00001.m4s`` ... in the folder.

    :param kind: ``video`` or ``audio``.
    :param segment: seconds of a segment; cut at the first key frame that is not before its multiples.
    :param fragment: seconds of a fragment inside a segment (a GOP: what an I-frame playlist points to).
    """
    # The packager cuts at multiples of these; a hair less, so that a float that comes out low still cuts.
    shorter = Fraction(1, 1_000_000)
    return [
        tool,
        f"in={track},stream={kind},init_segment=init.mp4,segment_template=seg-$Number%05d$.m4s",
        "--segment_duration",
        _decimal(segment - shorter),
        "--fragment_duration",
        _decimal(fragment - shorter),
        "--quiet",
    ]
