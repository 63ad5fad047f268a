"""Models -> argv. With ``filters`` and ``encoders``, which it puts together, and with ``ffmpeg_sound`` the
only file that knows the option names of ffmpeg and Shaka Packager.

Nothing here runs anything: each function returns a list that can be printed, compared and tested.
File names are relative to the folder that the command will run in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from vod_operators.media import filters
from vod_operators.media.encoders import encoder_options
from vod_operators.media.models import Chunk, Layout, Plan, Rendition, Timeline, VideoStream
from vod_operators.media.pictures import Still, Storyboard

Argv = list[str]

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,mxf,flv,asf,ogg,nut,gxf,wtv,dv,rm,"
    "h264,hevc,m4v,ivf,obu,y4m,yuv4mpegpipe,mp3,aac,ac3,eac3,flac,wav,w64,aiff,caf"
)
"""Containers that hold media and nothing else: no playlists, no descriptions that name other files."""

LOCAL_ONLY: Mapping[str, str] = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
"""Input options: a playlist disguised as a video reads no other file and calls no one."""


def transport_options(transport: bool) -> Argv:
    """Options of ``source_input`` for ffprobe."""
    return [part for name, value in _TRANSPORT[transport].items() for part in (f"-{name}", str(value))]


SEEK_MARGIN_S, INDEXED_MARGIN_S = 10, 2
"""How far before a key frame reading begins. Containers without an index of presentation times (MPEG-TS,
FLV, AVI) are searched by decoding time or position, and land up to some frames late; the others at worst by
decoding time."""

GUARD_S = 3600
"""Added to all timestamps of a cut file, because NUT has no negative ones (priming, trimmed starts)."""

LOSSLESS_SOUND = "pcm_f32le"

BARE: Mapping[str, int] = {"map_metadata": -1, "map_chapters": -1}
"""Output options: nothing of the source but its pictures and its sound. Chapters would become a text track of
each chunk."""

UNCROPPED: Mapping[str, Any] = {"apply_cropping": "codec"}
"""Input option: what the container crops stays, because filters crop whatever comes from a cut."""

CARRIER_OPTIONS: Mapping[str, Mapping[str, str | int]] = {
    "nut": {"format": "nut"},
    # In fragments, whose times are absolute: an edit list would count in thousandths of a second.
    "mov": {
        "format": "mov",
        "movflags": "+empty_moov+default_base_moof+frag_discont+frag_keyframe",
        "use_editlist": 0,
    },
}
"""Output options of what packets are cut into. NUT holds every time base exactly, but not each codec (DNxHD),
nor all that a decoder must know (bits a sample of QuickTime Animation); MOV holds most of those."""

TRANSPORT_CLOCK = 90_000
"""Ticks a second of MPEG-TS."""

TRANSPORT_START = 9_000
"""What the clock of our MPEG-TS shows at the first picture: room for what is decoded before it, and for the
priming of the sound. The same in every track."""

GLOBAL = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y")

ENCODING = ("-copyts", "-progress", "pipe:1", "-stats_period", "1", "-max_error_rate", "1")
"""However much of a chunk is damaged, what is left of it is shown."""

FRAGMENTED = "+frag_keyframe+default_base_moof+delay_moov+skip_sidx+skip_trailer"
"""A fragment for each GOP; ``delay_moov`` lets the edit list take up the encoder's reorder delay."""


def command(tool: str, output: ffmpeg.nodes.OutputStream, *options: str) -> Argv:
    """The whole command line."""
    # ffmpeg-python places global options last, where ffmpeg warns about them.
    return [*ffmpeg.compile(output, cmd=[tool, *GLOBAL, *options])]


def guard_ticks(time_base: Fraction) -> int:
    """``GUARD_S`` in ticks of a time base."""
    return int(-(-GUARD_S // time_base))


def source_input(
    source: str, *, transport: bool, begins_late: bool = False, **options: Any
) -> ffmpeg.nodes.FilterableStream:
    """The source as an input.

    :param transport: whether it is MPEG-TS.
    :param begins_late: whether a stream must be searched for: it begins behind what is looked at by default.
    """
    search = {"probesize": SEARCHED, "analyzeduration": SEARCHED} if begins_late else {}
    return ffmpeg.input(source, **options, **search, **_TRANSPORT[transport], **LOCAL_ONLY)


SEARCHED = 1 << 50
"""Bytes, and microseconds: all of a file, until each announced stream is known."""


_TRANSPORT: Mapping[bool, Mapping[str, int]] = {False: {}, True: {"merge_pmt_versions": 1}}
"""Where a programme changes its PIDs, its streams go on."""


def _decimal(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"


# --- split ----------------------------------------------------------------------------------


def repair(
    tool: str, source: str, output: str, *, layout: Layout, video: VideoStream | None, decode: bool
) -> Argv:
    """Write the plan's streams anew (NUT), for a source that cannot be cut as it is.

    A clock that was set anew in mid-file runs on, as ffmpeg corrects it in one pass.

    Subtitles go beside them, as WebVTT of the same clock: NUT does not store how long a packet lasts.

    :param decode: into pictures without loss: of those that are hidden, untimed, packed, or all depend on
        one key frame.
    """
    # What is decoded gets its times from the decoder, which knows the order better than the packets do.
    derived = {} if decode else _derived_times(layout)
    media = source_input(
        source,
        transport=layout.transport,
        begins_late=layout.begins_late,
        noautorotate=None,
        **UNCROPPED,
        **derived,
    )
    streams = [media[str(layout.video[0])]] if layout.video else []
    codecs: dict[str, Any] = {"c": "copy"}
    if decode:
        codecs = {**_lossless(video), "c:a": LOSSLESS_SOUND, "fps_mode": "passthrough",
                  "enc_time_base:v": "demux"}  # fmt: skip
    for number, track in enumerate(layout.sounds):
        streams.append(_sound_of(media, layout, track))
        if track in layout.decoded_sounds:
            codecs[f"c:a:{number}"] = LOSSLESS_SOUND
    # With subtitles nothing may be negative: each file would be moved by another time.
    offset = {"output_ts_offset": GUARD_S} if layout.texts else {}
    made = [ffmpeg.output(*streams, output, format="nut", **offset, **codecs, **BARE)]
    if layout.texts:
        made += _texts(media, layout, Fraction(GUARD_S))
    return command(tool, ffmpeg.merge_outputs(*made))


def _lossless(video: VideoStream | None) -> dict[str, Any]:
    """An encoder that keeps each picture as it is."""
    plain = video is not None and video.pixel_format == "yuv420p" and not video.interlaced
    if video is not None and plain and video.width % 2 == video.height % 2 == 0:
        # Twice as quick as FFV1, in two thirds of the room, and in an eighth where nothing moves. But it does
        # not keep which pictures are woven of fields, and has few formats.
        return {"c:v": "libx264", "preset:v": "ultrafast", "qp:v": 0, "g:v": 25}
    return {"c:v": "ffv1", "level": 3, "g:v": 1, "slices": 4}


def _sound_of(
    media: ffmpeg.nodes.FilterableStream, layout: Layout, track: str
) -> ffmpeg.nodes.FilterableStream:
    left = media[str(layout.sounds[track][0])]
    if track not in layout.right_sounds:
        return left
    right = media[str(layout.right_sounds[track])]
    return ffmpeg.filter([left, right], "join", inputs=2, channel_layout="stereo")


def cut_video(
    tool: str, source: str, output: str, *, layout: Layout, chunk: Chunk, timeline: Timeline
) -> Argv:
    """Copy the packets that ``chunk`` needs, from its key frame to the frame after its lead-out.

    The output is NUT, which holds every codec and every time base exactly; its timestamps count
    from the start of the video, plus ``GUARD_S``. ``packets_written`` reads what it prints.
    """
    assert layout.video is not None
    shift = timeline.origin_pts - guard_ticks(timeline.time_base)
    # What was read before the key frame; and the leading pictures of an open GOP cannot be decoded here.
    drop = f"lt(pts\\,{chunk.key_pts - shift})"
    limits: dict[str, str | None] = {}
    seek: dict[str, str | int] = {}
    if chunk.end_pts is not None:
        # Ends by decoding time, which is at most the presentation time: the frame itself is inside.
        end = (chunk.end_pts + 1) * timeline.time_base + Fraction(1, 1000)
        if end > 0:
            limits["to"] = _decimal(end)
        else:  # before a clock's wrap; ffmpeg knows no end below 0, so the rest is read in vain
            drop += f"+gt(dts\\,{chunk.end_pts - shift})"
    if not chunk.begins_with_key:
        limits["copyinkf:v"] = None
    if layout.video_carrier == "mov":
        limits["video_track_timescale"] = str(timeline.time_base.denominator)
    margin = INDEXED_MARGIN_S if layout.seeks_exactly else SEEK_MARGIN_S
    if (begin := chunk.key_pts * timeline.time_base - margin) > timeline.origin_pts * timeline.time_base:
        # Nothing is sought near the start: some demuxers refuse a time before their first packet.
        seek = {"ss": _decimal(begin), "seek_timestamp": 1}
    media = source_input(
        source,
        transport=layout.transport,
        begins_late=layout.begins_late,
        noautorotate=None,
        **seek,
        **_derived_times(layout),
    )
    out = media[str(layout.video[0])].output(
        output,
        codec="copy",
        avoid_negative_ts="disabled",
        **CARRIER_OPTIONS[layout.video_carrier],
        **{"bsf:v": f"{_shifted(shift)},noise=amount=0:drop={drop}"},
        **limits,
        **BARE,
    )
    return command(tool, out, "-copyts", "-progress", "pipe:1")


def packets_written(lines: Sequence[str]) -> int:
    """Video packets that a command wrote, of what ``-progress`` printed; 0 if it told of none."""
    return int(next((line for line in reversed(lines) if line.startswith("frame=")), "frame=0")[6:])


def cut_audio(tool: str, source: str, output: str, *, layout: Layout, track: str, timeline: Timeline) -> Argv:
    """Copy one whole sound track; timestamps as in ``cut_video``."""
    _, time_base = layout.sounds[track]
    codec = "copy"
    if track in layout.decoded_sounds:
        codec, time_base = LOSSLESS_SOUND, layout.sample_bases[track]
    shift = timeline.origin_pts * timeline.time_base // time_base - guard_ticks(time_base)
    media = source_input(
        source, transport=layout.transport, begins_late=layout.begins_late, **_derived_times(layout)
    )
    out = _sound_of(media, layout, track).output(
        output,
        format="nut",
        codec=codec,
        avoid_negative_ts="disabled",
        **{"bsf:a": _shifted(shift)},
        **BARE,
    )
    return command(tool, out, "-copyts")


def cut_texts(tool: str, source: str, *, layout: Layout, timeline: Timeline) -> Argv:
    """Write all subtitle tracks as WebVTT, ``text-0.vtt`` ...; timestamps as in ``cut_video``."""
    media = source_input(
        source, transport=layout.transport, begins_late=layout.begins_late, **_derived_times(layout)
    )
    made = _texts(media, layout, GUARD_S - timeline.origin_pts * timeline.time_base)
    return command(tool, ffmpeg.merge_outputs(*made), "-copyts")


def _texts(
    media: ffmpeg.nodes.FilterableStream, layout: Layout, shift: Fraction
) -> list[ffmpeg.nodes.OutputStream]:
    return [
        media[str(index)].output(
            f"{track}.vtt",
            format="webvtt",
            codec="copy" if track in layout.copied_texts else "webvtt",
            avoid_negative_ts="disabled",
            output_ts_offset=_decimal(shift),
            **BARE,
        )
        for track, index in layout.texts.items()
    ]


def convert_text(tool: str, source: str, output: str, *, kind: str) -> Argv:
    """Write a subtitle file as WebVTT; timestamps as they are.

    :param kind: ``srt``, ``vtt`` or ``ass``.
    """
    demuxer = {"vtt": "webvtt"}.get(kind, kind)
    out = ffmpeg.input(source, format=demuxer, protocol_whitelist="file", format_whitelist=demuxer)["s:0"]
    return command(
        tool, out.output(output, format="webvtt", codec="copy" if kind == "vtt" else "webvtt"), "-copyts"
    )


def _derived_times(layout: Layout) -> dict[str, str]:
    return {"fflags": "+genpts"} if layout.derived_times else {}


def _shifted(ticks: int) -> str:
    return f"setts=pts=if(eq(PTS\\,NOPTS)\\,DTS\\,PTS)-({ticks}):dts=DTS-({ticks})"


# --- encode ---------------------------------------------------------------------------------


def transcode_chunk(
    tool: str,
    source: str | None,
    outputs: Mapping[str, str],
    *,
    plan: Plan,
    chunk: Chunk,
    timeline: Timeline,
    stills: Sequence[Still] = (),
) -> Argv:
    """Decode one cut chunk once, and encode every rendition of it.

    :param source: None encodes black: for a chunk of which nothing can be decoded.
    :param outputs: rendition name -> file to write: fragmented MP4, timed from 0: the chunk's lead-in, the
        chunk, and as much of its lead-out as the encoder looks ahead.
    :param stills: pictures to take of it, each at least one (an output without any fails).
    """
    begin, end = chunk.first - chunk.lead_in, chunk.last + plan.lead_out(chunk)
    if source is None:
        picture = filters.black(plan).filter("trim", end_frame=end - begin)
    else:
        # ffmpeg guesses how long the last picture is shown; it may stand for several chunks. Here every
        # picture lasts until the next one, and the last to the end; what is too much is trimmed.
        rest = timeline.frames / plan.frame_rate
        lasts = f"setts=pts=PTS:dts=DTS:duration={rest.numerator}/{rest.denominator}/TB"
        # The filters go on where the size of the pictures changes: anew, the grid would begin anew.
        keep_filters = {"reinit_filter": 0}
        cut = ffmpeg.input(
            source,
            format=timeline.carrier,
            **UNCROPPED,
            noautorotate=None,
            **keep_filters,
            **LOCAL_ONLY,
            **{"bsf:v": lasts},
        )
        # Back from NUT's finer time base to the source's: exact, and then all is integers.
        base = timeline.time_base
        picture = cut["v:0"].filter("settb", f"{base.numerator}/{base.denominator}")
        picture = picture.filter("setpts", f"PTS-{guard_ticks(base)}")
        picture = filters.on_grid(filters.upright(picture, plan), plan, begin, end)
    made = []
    sizes = list(filters.cascade(picture, plan, converted=source is None))
    for rendition, stream in sizes:
        largest, smallest = rendition is sizes[0][0], rendition is sizes[-1][0]
        taken = [still for still in stills if (largest if still.name == "posters" else smallest)]
        mine, *branches = filters.branches(stream, 1 + len(taken))
        made.append(_encode(mine, outputs[rendition.name], plan, rendition))
        made += [_take(*pair, chunk, begin) for pair in zip(branches, taken, strict=True)]
    return command(tool, ffmpeg.merge_outputs(*made), *ENCODING)


def _take(
    stream: ffmpeg.nodes.FilterableStream, still: Still, chunk: Chunk, begin: int
) -> ffmpeg.nodes.OutputStream:
    """Some pictures of a chunk as JPEGs, laid end to end.

    :param begin: number of the stream's first frame.
    """
    number = f"n+{begin}"
    inside = f"between({number},{chunk.first},{chunk.last - 1})"
    stream = stream.filter("select", f"{inside}*not(mod({number},{still.step}))")
    # JPEG is BT.601 in full range, whatever the rendition is.
    stream = stream.filter(
        "scale", still.width, still.height, flags="area", out_range="pc", out_color_matrix="bt601"
    ).filter("format", "yuvj420p")
    return stream.output(
        still.file, format="mjpeg", fps_mode="passthrough", fflags="+bitexact", **BARE,
        **{"c:v": "mjpeg", "q:v": 2, "threads:v": 1},
    )  # fmt: skip


def lay_out(tool: str, source: str, outputs: str, *, board: Storyboard) -> Argv:
    """Lay pictures out on sheets, from left to right and down.

    :param source: JPEGs laid end to end.
    :param outputs: pattern of the sheets' names.
    """
    media = ffmpeg.input(source, format="mjpeg", protocol_whitelist="file", format_whitelist="mjpeg")
    out = media["v:0"].filter("tile", f"{board.columns}x{board.rows}").output(
        outputs, format="image2", fps_mode="passthrough", flags="+bitexact", **{"c:v": "mjpeg", "q:v": 4}
    )  # fmt: skip
    return command(tool, out)


def _encode(
    stream: ffmpeg.nodes.FilterableStream, output: str, plan: Plan, rendition: Rendition
) -> ffmpeg.nodes.OutputStream:
    rate = plan.frame_rate
    return stream.output(
        output,
        format="mp4",
        movflags=FRAGMENTED,
        video_track_timescale=plan.timescale,
        fps_mode="passthrough",
        enc_time_base=f"{rate.denominator}/{rate.numerator}",
        fflags="+bitexact",
        **BARE,
        **{f"{name}:v": value for name, value in encoder_options(rendition, plan.gop_of(rendition)).items()},
    )


# --- package --------------------------------------------------------------------------------


def package(
    tool: str,
    track: str,
    *,
    kind: str,
    segment: Fraction,
    fragment: Fraction,
    first: int = 0,
    transport: bool = False,
    flags: str | None = None,
) -> Argv:
    """Cut one continuous track into ``seg-00001...`` in the folder.

    :param kind: ``video`` or ``audio``.
    :param segment: seconds of a segment; cut at the first key frame that is not before its multiples.
    :param fragment: seconds of a fragment inside a segment (a GOP: what an I-frame playlist points to).
    :param first: segments of the track that come before, and have the lower numbers.
    :param transport: into MPEG-TS (``.ts``) and packed audio (``.aac``), whose clock is ``TRANSPORT_START``
        at the first picture; else into CMAF: ``init.mp4`` and ``.m4s``.
    :param flags: a file with more options: what must not be seen among the host's processes.
    """
    # The packager cuts at multiples of these; a hair less, so that a float that comes out low still cuts.
    shorter = Fraction(1, 1_000_000)
    options: Argv = []
    if transport:
        made = f"segment_template=seg-$Number%05d$.{'aac' if kind == 'audio' else 'ts'}"
        start_ms = TRANSPORT_START * 1000 // TRANSPORT_CLOCK
        options += ["--transport_stream_timestamp_offset_ms", str(start_ms)]
    else:
        made = "init_segment=init.mp4,segment_template=seg-$Number%05d$.m4s"
    if flags is not None:
        options.append(f"--flagfile={flags}")
    return [
        tool,
        f"in={track},stream={kind},{made}",
        "--segment_duration",
        _decimal(segment - shorter),
        "--fragment_duration",
        _decimal(fragment - shorter),
        "--start_segment_number",
        str(first + 1),
        *options,
        "--quiet",
    ]


# --- admission ------------------------------------------------------------------------------

DECODED_S = 20
"""How much of a stream is tried for a first frame: as much as ffprobe looks at to know it."""


def list_codecs(tool: str) -> Argv:
    """All codecs that this ffmpeg knows, with what it can do with each."""
    return [tool, "-hide_banner", "-loglevel", "error", "-codecs"]


def try_encoder(tool: str, rendition: Rendition) -> Argv:
    """Encode one black frame as that rendition, and keep nothing: whether this host's ffmpeg can."""
    black = ffmpeg.input(f"color=black:s={rendition.width}x{rendition.height}:r=25", format="lavfi")["v:0"]
    options = {f"{name}:v": value for name, value in encoder_options(rendition, 50).items()}
    picture = black.filter("format", filters.PIXEL_FORMATS[rendition.bit_depth])
    return command(tool, picture.output("pipe:1", format="null", frames=1, **options))


def decode_beginning(tool: str, source: str) -> Argv:
    """Decode some pictures of a file, for what the decoder says of them."""
    out = ffmpeg.input(source, **LOCAL_ONLY)["v:0"].output("pipe:1", format="null", frames=40)
    return command(tool, out)


def decode_first_frame(
    tool: str, source: str, *, stream: int, transport: bool = False, seconds: float = DECODED_S
) -> Argv:
    """Decode one frame of a stream, if it comes so early; ``gave_a_frame`` reads what it prints."""
    media = source_input(source, transport=transport, t=seconds, noautorotate=None)
    out = media[str(stream)].output("pipe:1", format="framecrc", frames=1)
    return command(tool, out)


def gave_a_frame(lines: Sequence[str]) -> bool:
    """Whether a command with the format ``framecrc`` printed a frame: its lines begin with a number."""
    return any(line[:1].isdigit() for line in lines)
