"""Models -> argv of ffmpeg and Shaka Packager.

Option names of these tools are known only here, in ``filters``, ``encoders`` and ``ffmpeg_sound``. Nothing
here runs anything: each function returns a list that can be printed, compared and tested. File names are
relative to the folder that the command will run in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import ffmpeg

from vod_operators.media import ffmpeg_report, filters
from vod_operators.media.encoders import encoder_options
from vod_operators.media.models import Chunk, Layout, Plan, Rendition, Timeline, VideoStream, Window
from vod_operators.media.pictures import Still, Storyboard
from vod_operators.media.references import TRIPLE, References, triples, write_raw, write_reference
from vod_operators.media.subtitles import Format

Argv = list[str]

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,mxf,flv,asf,ogg,nut,gxf,wtv,dv,rm,"
    "h264,hevc,m4v,ivf,obu,y4m,yuv4mpegpipe,mp3,aac,ac3,eac3,flac,wav,w64,aiff,caf"
)
"""Demuxers of containers that hold media themselves: none of playlists or formats that name other files."""

LOCAL_ONLY: Mapping[str, str] = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
"""Input options: a playlist disguised as a video can open neither another file nor a connection."""


def ffprobe(tool: str, *options: str, transport: bool = False, formats: str = DEMUXERS) -> Argv:
    """A command of ffprobe that opens local files only.

    :param transport: whether the file is MPEG-TS.
    :param formats: demuxers that may be used.
    """
    pids = [part for name, value in _TRANSPORT[transport].items() for part in (f"-{name}", str(value))]
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", formats, *pids, *options,
    ]
    # fmt: on


SEEK_MARGIN_S, INDEXED_MARGIN_S = 10, 2
"""How far before a key frame reading begins. In containers without an index of presentation times (MPEG-TS,
FLV, AVI) a seek goes by decoding time or position, and lands up to some frames late. In the others it goes at
worst by decoding time."""

GUARD_S = 3600
"""Added to all timestamps of a cut file, because NUT cannot hold negative ones (priming, trimmed starts)."""

LOSSLESS_SOUND = "pcm_f32le"

BARE: Mapping[str, int] = {"map_metadata": -1, "map_chapters": -1}
"""Output options: drop metadata and chapters. Chapters would become a text track of each chunk."""

UNCROPPED: Mapping[str, Any] = {"apply_cropping": "codec"}
"""Input option: do not apply the container's crop, because filters do (``filters.cropped``)."""

CARRIER_OPTIONS: Mapping[str, Mapping[str, str | int]] = {
    "nut": {"format": "nut"},
    # Fragments have absolute times. An edit list would round them to thousandths of a second.
    "mov": {
        "format": "mov",
        "movflags": "+empty_moov+default_base_moof+frag_discont+frag_keyframe",
        "use_editlist": 0,
    },
}
"""Output options of the containers that packets are cut into. NUT holds every time base exactly. It lacks
some codecs (DNxHD), and some facts that a decoder needs (bits a sample of QuickTime Animation); MOV holds
most of those."""

TRANSPORT_CLOCK = 90_000
"""Ticks a second of MPEG-TS."""

TRANSPORT_START = 9_000
"""Ticks on the clock of our MPEG-TS at the first picture, the same in every track. They leave room for
earlier decoding times and for the priming of the sound."""

GLOBAL = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y")

ENCODING = ("-copyts", "-progress", "pipe:1", "-stats_period", "1", "-max_error_rate", "1")
"""Options of every encoding. An error rate of 1: however much of a chunk is damaged, the rest is shown."""

FRAGMENTED = "+frag_keyframe+default_base_moof+delay_moov+skip_sidx+skip_trailer"
"""A fragment for each GOP. ``delay_moov`` lets the edit list compensate the encoder's reorder delay."""


def command(tool: str, output: filters.Output, *options: str) -> Argv:
    """The whole command line.

    :param options: further global options.
    """
    # ffmpeg-python places global options last, where ffmpeg warns about them.
    return [*ffmpeg.compile(output, cmd=[tool, *GLOBAL, *options])]


def guard_ticks(time_base: Fraction) -> int:
    """``GUARD_S`` in ticks of a time base, rounded up."""
    return int(-(-GUARD_S // time_base))


def source_input(
    source: str, *, transport: bool, begins_late: bool = False, **options: Any
) -> filters.Stream:
    """The source as an input.

    :param transport: whether it is MPEG-TS.
    :param begins_late: whether a stream begins after the part that ffmpeg probes by default.
    """
    search = {"probesize": SEARCHED, "analyzeduration": SEARCHED} if begins_late else {}
    return ffmpeg.input(source, **options, **search, **_TRANSPORT[transport], **LOCAL_ONLY)


def _layout_input(source: str, layout: Layout, **options: Any) -> filters.Stream:
    return source_input(source, transport=layout.transport, begins_late=layout.begins_late, **options)


SEARCHED = 1 << 50
"""Bytes, and microseconds, to probe: the whole file, until each announced stream is known."""


_TRANSPORT: Mapping[bool, Mapping[str, int]] = {False: {}, True: {"merge_pmt_versions": 1}}
"""By whether it is MPEG-TS. The option lets streams continue where the programme changes its PIDs."""


def _decimal(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"


# --- split ----------------------------------------------------------------------------------


def repair(
    tool: str, source: str, output: str, *, layout: Layout, video: VideoStream | None, decode: bool
) -> Argv:
    """Rewrite the plan's streams into NUT, for a source that cannot be cut as it is.

    Where the source's clock was reset in mid-file, the output's clock runs on, as in one pass of ffmpeg.
    Subtitles become WebVTT files with the same clock, because NUT does not store how long a packet lasts.

    :param decode: whether to decode all, and to code the pictures without loss: for pictures that are hidden,
        untimed or packed, or that all depend on one key frame.
    """
    # Decoded pictures get their times from the decoder, which knows their order better than the packets do.
    derived = {} if decode else _derived_times(layout)
    media = _layout_input(source, layout, noautorotate=None, **UNCROPPED, **derived)
    streams = [media[str(layout.video[0])]] if layout.video else []
    codecs: dict[str, Any] = {"c": "copy"}
    if decode:
        codecs = {**_lossless(video), "c:a": LOSSLESS_SOUND, "fps_mode": "passthrough",
                  "enc_time_base:v": "demux"}  # fmt: skip
    for number, track in enumerate(layout.sounds):
        streams.append(_sound_of(media, layout, track))
        if track in layout.decoded_sounds:
            codecs[f"c:a:{number}"] = LOSSLESS_SOUND
    # With several outputs no time may be negative: ffmpeg would shift each file by a different amount.
    offset = {"output_ts_offset": GUARD_S} if layout.texts else {}
    outputs = [ffmpeg.output(*streams, output, format="nut", **offset, **codecs, **BARE)]
    if layout.texts:
        outputs += _texts(media, layout, Fraction(GUARD_S))
    return command(tool, ffmpeg.merge_outputs(*outputs))


def _lossless(video: VideoStream | None) -> dict[str, Any]:
    """Options of a lossless encoder."""
    plain = video is not None and video.pixel_format == "yuv420p" and not video.interlaced
    if video is not None and plain and video.width % 2 == video.height % 2 == 0:
        # Twice as fast as FFV1, in two thirds of the space (an eighth where nothing moves). But it has few
        # pixel formats, and loses which pictures are interlaced.
        return {"c:v": "libx264", "preset:v": "ultrafast", "qp:v": 0, "g:v": 25}
    return {"c:v": "ffv1", "level": 3, "g:v": 1, "slices": 4}


def _sound_of(media: filters.Stream, layout: Layout, track: str) -> filters.Stream:
    left = media[str(layout.sounds[track][0])]
    if track not in layout.right_sounds:
        return left
    right = media[str(layout.right_sounds[track])]
    return ffmpeg.filter([left, right], "join", inputs=2, channel_layout="stereo")


def cut_video(
    tool: str, source: str, output: str, *, layout: Layout, chunk: Chunk, timeline: Timeline
) -> Argv:
    """Copy the packets that ``chunk`` needs, from its key frame to the frame after its lead-out.

    The output's container is ``layout.video_carrier``. Its timestamps count from the start of the video, plus
    ``GUARD_S``. ``packets_written`` reads what the command prints.
    """
    assert layout.video is not None
    shift = timeline.origin_pts - guard_ticks(timeline.time_base)
    # Drop what was read before the key frame, and leading pictures of an open GOP: they cannot be decoded.
    drop = f"lt(pts\\,{chunk.key_pts - shift})"
    # A damaged key frame may not be known as one. Without this, its whole GOP would be left out.
    limits: dict[str, str | None] = {"copyinkf:v": None}
    seek: dict[str, str | int] = {}
    if chunk.end_pts is not None:
        # ffmpeg ends by decoding time. That is at most the presentation time, so the last frame is inside.
        end = (chunk.end_pts + 1) * timeline.time_base + Fraction(1, 1000)
        if end > 0:
            limits["to"] = _decimal(end)
        else:  # before a clock's wrap: ffmpeg takes no end below 0, so it reads the rest and drops it
            drop += f"+gt(dts\\,{chunk.end_pts - shift})"
    if layout.video_carrier == "mov":
        limits["video_track_timescale"] = str(timeline.time_base.denominator)
    margin = INDEXED_MARGIN_S if layout.seeks_exactly else SEEK_MARGIN_S
    if (begin := chunk.key_pts * timeline.time_base - margin) > timeline.origin_pts * timeline.time_base:
        # Do not seek near the start: some demuxers refuse a time before their first packet.
        seek = {"ss": _decimal(begin), "seek_timestamp": 1}
    media = _layout_input(source, layout, noautorotate=None, **seek, **_derived_times(layout))
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
    """Number of video packets that a command wrote, from its ``-progress`` lines; 0 if they tell none."""
    return int(next((line for line in reversed(lines) if line.startswith("frame=")), "frame=0")[6:])


def cut_audio(tool: str, source: str, output: str, *, layout: Layout, track: str, timeline: Timeline) -> Argv:
    """Copy one whole sound track into NUT, decoded if the layout says so; timestamps as in ``cut_video``."""
    _, time_base = layout.sounds[track]
    codec = "copy"
    if track in layout.decoded_sounds:
        codec, time_base = LOSSLESS_SOUND, layout.sample_bases[track]
    shift = timeline.origin_pts * timeline.time_base // time_base - guard_ticks(time_base)
    media = _layout_input(source, layout, **_derived_times(layout))
    out = _sound_of(media, layout, track).output(
        output, format="nut", codec=codec, avoid_negative_ts="disabled", **{"bsf:a": _shifted(shift)}, **BARE
    )
    return command(tool, out, "-copyts")


def cut_texts(tool: str, source: str, *, layout: Layout, timeline: Timeline) -> Argv:
    """Write all subtitle tracks as WebVTT, ``text-0.vtt`` ...; timestamps as in ``cut_video``."""
    media = _layout_input(source, layout, **_derived_times(layout))
    outputs = _texts(media, layout, GUARD_S - timeline.origin_pts * timeline.time_base)
    return command(tool, ffmpeg.merge_outputs(*outputs), "-copyts")


def _texts(media: filters.Stream, layout: Layout, shift: Fraction) -> list[filters.Output]:
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


def convert_text(tool: str, source: str, output: str, *, kind: Format) -> Argv:
    """Write a subtitle file as WebVTT; timestamps as they are."""
    demuxer = "webvtt" if kind == "vtt" else kind
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
    references: References | None = None,
    report: bool = False,
) -> Argv:
    """Decode one cut chunk once, and encode renditions of it.

    :param source: the cut chunk; None encodes black, for a chunk of which nothing can be decoded.
    :param outputs: rendition name -> file to write. It is fragmented MP4 with times from 0, and holds the
        lead-in, the chunk, and as much of the lead-out as the encoder looks ahead.
    :param stills: still pictures to take. Each must have a frame in the chunk: an output without one fails.
    :param references: pictures to write for the measurement of quality, as encoders are given them.
    :param report: whether to write the files of ``ffmpeg_report`` that the preset's source report needs.
    """
    begin, end = chunk.first - chunk.lead_in, chunk.last + plan.lead_out(chunk)
    edges: list[filters.Output] = []
    if source is None:
        picture = filters.black(plan).filter("trim", end_frame=end - begin)
    else:
        picture = _pictures(source, plan, timeline, begin, end)
        if report and plan.preset.source_report.bars != "off" and ffmpeg_report.edge_frames(plan, chunk):
            picture, branch = filters.branches(picture, 2)
            edges = ffmpeg_report.write_edges(branch, plan, chunk, begin)
    streams: list[filters.Output] = []
    if references and references.screen and references.of_source:
        picture, large = filters.branches(picture, 2)
        large = triples(large, [n - begin for n in references.at_screen])
        large = filters.sized(large, plan, references.screen.size, convert=source is not None)
        streams.append(write_raw(large, references.screen))
    sizes = list(filters.cascade(picture, plan, converted=source is None, only=outputs))
    sdr = [rendition for rendition, _ in sizes if rendition.hdr is None]
    for rendition, stream in sizes:
        largest, smallest = rendition is sdr[0], rendition is sdr[-1]
        own_stills = [still for still in stills if (largest if still.name == "posters" else smallest)]
        own_references = references.of(rendition, is_largest=largest) if references else []
        looks = report and smallest and plan.preset.source_report.pictures
        count = 1 + len(own_stills) + len(own_references) + looks
        picture_stream, *branches = filters.branches(stream, count)
        if looks:
            streams += ffmpeg_report.write_grids(branches.pop(), plan)
        streams.append(_encode(picture_stream, outputs[rendition.name], plan, rendition))
        streams += [_take(*pair, chunk, begin) for pair in zip(branches, own_stills, strict=False)]
        for branch, (raw, chosen) in zip(branches[len(own_stills) :], own_references, strict=True):
            streams.append(write_reference(branch, raw, [n - begin for n in chosen]))
    return command(tool, ffmpeg.merge_outputs(*streams, *edges), *ENCODING)


def write_references(
    tool: str,
    source: str,
    names: Collection[str],
    references: References,
    *,
    plan: Plan,
    chunk: Chunk,
    timeline: Timeline,
) -> Argv:
    """Decode one cut chunk, and write the references alone that ``transcode_chunk`` would write.

    :param names: of the renditions that are encoded.
    """
    begin, end = chunk.first - chunk.lead_in, chunk.last + plan.lead_out(chunk)
    numbers = [n - begin for n in references.points]
    # The other frames are dropped before they are scaled.
    picture = triples(_pictures(source, plan, timeline, begin, end), numbers)
    places = {n: TRIPLE * place + 1 for place, n in enumerate(references.points)}
    streams: list[filters.Output] = []
    if references.screen and references.of_source:
        picture, large = filters.branches(picture, 2)
        large = triples(large, [places[n] for n in references.at_screen])
        streams.append(
            write_raw(filters.sized(large, plan, references.screen.size, convert=True), references.screen)
        )
    sdr = [rendition.name for rendition in plan.sdr if rendition.name in names]  # VMAF judges nothing else
    sizes = filters.cascade(picture, plan, converted=False, only=sdr)
    for number, (rendition, stream) in enumerate(sizes):
        own = references.of(rendition, is_largest=number == 0)
        *branches, rest = filters.branches(stream, len(own) + 1)
        streams += [
            write_reference(branch, raw, [places[n] for n in chosen])
            for branch, (raw, chosen) in zip(branches, own, strict=True)
        ]
        streams.append(rest.output("-", format="null", fps_mode="passthrough"))
    return command(tool, ffmpeg.merge_outputs(*streams), *ENCODING)


def _pictures(
    source: str, plan: Plan, timeline: Timeline, begin: int, end: int, *, key_pts: int | None = None
) -> filters.Stream:
    """The output frames ``[begin, end)`` of a cut chunk, as large as the source.

    :param key_pts: where decoding begins, in source ticks from the start of the video; None: with the cut's
        first packet.
    """
    # ffmpeg would guess how long the last picture is shown, which may be for several chunks. So every
    # packet gets the whole video's length: the next picture ends it, and the last one is trimmed.
    length, base = timeline.frames / plan.frame_rate, timeline.time_base
    drop = ""
    if key_pts is not None:
        first = (key_pts - Fraction(1, 2) + guard_ticks(base)) * base
        drop = f"noise=amount=0:drop=lt(pts*tb\\,{float(first):.9f}),"
    lasts = f"{drop}setts=pts=PTS:dts=DTS:duration={length.numerator}/{length.denominator}/TB"
    # Keep the filters where the picture size changes: new ones would start the frame grid anew.
    keep_filters = {"reinit_filter": 0}
    media = ffmpeg.input(
        source,
        format=timeline.carrier,
        **UNCROPPED,
        noautorotate=None,
        **keep_filters,
        **LOCAL_ONLY,
        **{"bsf:v": lasts},
    )
    # From NUT's finer time base back to the source's: exact, and integers from here on.
    picture = media["v:0"].filter("settb", f"{base.numerator}/{base.denominator}")
    picture = picture.filter("setpts", f"PTS-{guard_ticks(base)}")
    return filters.on_grid(filters.upright(picture, plan), plan, begin, end)


def window_pictures(
    source: str, *, plan: Plan, window: Window, timeline: Timeline, only: Sequence[str]
) -> list[tuple[Rendition, filters.Stream]]:
    """The pictures of one window, and of the frames after it that encoders look ahead to, for renditions.

    :param source: a cut that holds the window's packets, and perhaps those before.
    :param only: names of the renditions.
    """
    begin, end = window.first, window.last + plan.lead_out(window)
    picture = _pictures(source, plan, timeline, begin, end, key_pts=window.key_pts - timeline.origin_pts)
    return list(filters.cascade(picture, plan, converted=False, only=only))


def raw_output(stream: filters.Stream, output: str) -> filters.Output:
    """Write pictures as they are, for ``encode_window``."""
    return stream.output(output, format="nut", fps_mode="passthrough", **{"c:v": "rawvideo"}, **BARE)


def encode_window(tool: str, source: str, outputs: Mapping[str, str], *, plan: Plan, crf: float) -> Argv:
    """Encode what ``raw_output`` wrote as production does, but with that CRF.

    :param outputs: rendition name -> file to write, fragmented MP4 with times from 0.
    """
    media = ffmpeg.input(source, format="nut", **LOCAL_ONLY)
    streams = [
        _encode(stream, outputs[rendition.name], plan, rendition.model_copy(update={"crf": crf}))
        for rendition, stream in filters.cascade(media["v:0"], plan, converted=True, only=outputs)
    ]
    return command(tool, ffmpeg.merge_outputs(*streams), *ENCODING)


def _take(stream: filters.Stream, still: Still, chunk: Chunk, begin: int) -> filters.Output:
    """Write some pictures of a chunk into one file of concatenated JPEGs.

    :param begin: number of the stream's first frame in the video.
    """
    number = f"n+{begin}"
    inside = f"between({number},{chunk.first},{chunk.last - 1})"
    stream = stream.filter("select", f"{inside}*not(mod({number},{still.step}))")
    # JPEG is BT.601 in full range, whatever the rendition's colours are.
    stream = stream.filter(
        "scale", still.width, still.height, flags="area", out_range="pc", out_color_matrix="bt601"
    ).filter("format", "yuvj420p")
    return stream.output(
        still.file, format="mjpeg", fps_mode="passthrough", fflags="+bitexact", **filters.AT_ONCE, **BARE,
        **{"c:v": "mjpeg", "q:v": 2, "threads:v": 1},
    )  # fmt: skip


def lay_out(tool: str, source: str, outputs: str, *, board: Storyboard) -> Argv:
    """Lay pictures out on sheets, row by row from the left.

    :param source: file of concatenated JPEGs.
    :param outputs: pattern of the sheets' names.
    """
    media = ffmpeg.input(source, format="mjpeg", protocol_whitelist="file", format_whitelist="mjpeg")
    out = media["v:0"].filter("tile", f"{board.columns}x{board.rows}").output(
        outputs, format="image2", fps_mode="passthrough", flags="+bitexact", **{"c:v": "mjpeg", "q:v": 4}
    )  # fmt: skip
    return command(tool, out)


def _encode(stream: filters.Stream, output: str, plan: Plan, rendition: Rendition) -> filters.Output:
    rate = plan.frame_rate
    return stream.output(
        output,
        format="mp4",
        movflags=FRAGMENTED,
        video_track_timescale=plan.timescale,
        fps_mode="passthrough",
        enc_time_base=f"{rate.denominator}/{rate.numerator}",
        fflags="+bitexact",
        **filters.AT_ONCE,
        **BARE,
        **{f"{name}:v": value for name, value in encoder_options(rendition, plan.gop_of(rendition)).items()},
    )


# --- package --------------------------------------------------------------------------------


def package(
    tool: str,
    track: str,
    *,
    kind: Literal["video", "audio"],
    segment: Fraction,
    fragment: Fraction,
    first: int = 0,
    transport: bool = False,
    flags: str | None = None,
    indexed: bool = True,
) -> Argv:
    """Cut one continuous track into segments ``seg-00001...`` in the folder.

    :param segment: seconds of a segment; each multiple of it cuts at the first key frame from there on.
    :param fragment: seconds of a fragment inside a segment (a GOP: what an I-frame playlist points to).
    :param first: number of segments of the track that come before.
    :param transport: whether to write MPEG-TS (``.ts``) and packed audio (``.aac``), whose clock shows
        ``TRANSPORT_START`` at the first picture; otherwise CMAF (``init.mp4`` and ``.m4s``).
    :param flags: file with further options, which must not be seen in the host's list of processes.
    :param indexed: whether CMAF segments have a ``sidx``, which nobody may then change the size of.
    """
    # The packager cuts at multiples of these, in floats. A microsecond less, so that a low float still cuts.
    shorter = Fraction(1, 1_000_000)
    options: Argv = []
    if transport:
        templates = f"segment_template=seg-$Number%05d$.{'aac' if kind == 'audio' else 'ts'}"
        start_ms = TRANSPORT_START * 1000 // TRANSPORT_CLOCK
        options += ["--transport_stream_timestamp_offset_ms", str(start_ms)]
    else:
        templates = "init_segment=init.mp4,segment_template=seg-$Number%05d$.m4s"
    if not indexed:
        options.append("--nogenerate_sidx_in_media_segments")
    if flags is not None:
        options.append(f"--flagfile={flags}")
    return [
        tool,
        f"in={track},stream={kind},{templates}",
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
"""Length of a source's beginning that is searched for a first frame; ffprobe analyses as much."""


def list_codecs(tool: str) -> Argv:
    """List the codecs that this ffmpeg knows, and whether it can decode each (``admission.decoders_of``)."""
    return [tool, "-hide_banner", "-loglevel", "error", "-codecs"]


def try_encoder(tool: str, rendition: Rendition) -> Argv:
    """Encode one black frame as that rendition and discard it: fails if this host's ffmpeg cannot."""
    black = ffmpeg.input(f"color=black:s={rendition.width}x{rendition.height}:r=25", format="lavfi")["v:0"]
    options = {f"{name}:v": value for name, value in encoder_options(rendition, 50).items()}
    picture = black.filter("format", filters.PIXEL_FORMATS[rendition.bit_depth])
    return command(tool, picture.output("pipe:1", format="null", frames=1, **options))


def decode_beginning(tool: str, source: str) -> Argv:
    """Decode 40 pictures of a file and discard them: only the decoder's messages are wanted."""
    out = ffmpeg.input(source, **LOCAL_ONLY)["v:0"].output("pipe:1", format="null", frames=40)
    return command(tool, out)


def decode_first_frame(
    tool: str, source: str, *, stream: int, transport: bool = False, seconds: float = DECODED_S
) -> Argv:
    """Decode the first frame of a stream within ``seconds``; ``gave_a_frame`` reads what it prints."""
    media = source_input(source, transport=transport, t=seconds, noautorotate=None)
    out = media[str(stream)].output("pipe:1", format="framecrc", frames=1)
    return command(tool, out)


def gave_a_frame(lines: Sequence[str]) -> bool:
    """Whether a command with the format ``framecrc`` printed a frame: a line that begins with a digit."""
    return any(line[:1].isdigit() for line in lines)
