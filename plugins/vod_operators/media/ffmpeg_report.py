"""Branches of the encoding commands that write what the source report is read from.

Pictures are written as small raw ones, and analysed by ``report_pictures``: beside a decode, scaling down is
not measurable, while ffmpeg's own ``photosensitivity`` costs 1 ms a frame and counts no flashes
(docs/decisions/034-source-report.md). Sound is analysed by ffmpeg, which writes only what it finds.
"""

from __future__ import annotations

from fractions import Fraction

from vod_operators.media import filters
from vod_operators.media.models import SDR, AudioRendition, Chunk, Plan

GRID = (64, 36)
"""Cells of a landscape picture whose mean luma tells black and still pictures. A cell of 1080p has 30 x 30
pixels: a mouse pointer changes one to four of them, a speaking face hundreds."""

COARSE = (16, 9)
"""Cells of a landscape picture whose colour tells flashes. Those of a quarter of the picture count."""

GRID_BYTES, COARSE_BYTES = GRID[0] * GRID[1], 3 * COARSE[0] * COARSE[1]
"""Of each picture."""

EDGE_CELLS = 32
"""Cells along a row or a column, where the edges of bars are looked for."""

MOST_EDGE_PICTURES = 60
"""Most pictures of a chunk in which bars are looked for."""

GRID_FILE, COARSE_FILE, ROWS_FILE, COLUMNS_FILE = "grid.raw", "coarse.raw", "rows.raw", "columns.raw"
SILENCE_FILE, CLIPPED_FILE, LOUDNESS_FILE = "silence.txt", "clipped.txt", "loudness.txt"

SILENT_DB = -70
"""dBFS below which a sample is silent. The noise of a microphone or a room is above, what a codec makes of
digital silence is below, and so is dither (peaks at -84)."""

SILENT_S = Fraction(44, 100)
"""Least silence to record. Codecs smear sound into both ends of a silence, by up to 20 ms each; so that is
less than the half second of the report."""

CLIPPED_LEVEL = 0.9999
"""Of full scale. Samples above it count as clipped."""

NEAR_LEVEL, NEAR_WEIGHT, OVER_WEIGHT = 0.9, 0.3, 14
"""After a lossy codec. It rounds flat tops off by up to a tenth, and overshoots: its decoder gives samples
above full scale, of which 1 % of a window is as much as 47 % above ``NEAR_LEVEL``. Peaks of a loud master,
limited to full scale, overshoot too, but in a twentieth of the windows at most."""

WINDOW_S = Fraction(1, 100)
"""Windows in which clipped samples are counted."""

CLIPPED_SHARE = {True: 0.02, False: 0.14}
"""By whether the codec is lossless: least share of a window's samples that count. Of a sine 1 dB below full
scale none do, and 7 % after AAC."""

LOSSLESS_CODECS = ("pcm_", "flac", "alac", "wavpack", "truehd", "mlp", "tta", "ape", "adpcm")
"""Beginnings of the names of codecs that keep flat tops flat."""

CLIPPED_KEY = "lavfi.astats.Overall.DC_offset"
"""Mean of a signal that is 1 where a channel is clipped, else 0: the share of clipped samples."""

SOUND_BYTES_A_SECOND = 10_000
"""Most that is written about a sound: two lines of at most 50 bytes for each clipped window."""

LOUDNESS_TAIL_S = 1
"""End of the sound of which the running loudness is written; its last values are the whole track's."""


def oriented(size: tuple[int, int], plan: Plan) -> tuple[int, int]:
    """A grid's columns and rows: swapped for a portrait picture."""
    small = plan.sdr[0]
    return size if small.width >= small.height else (size[1], size[0])


def write_grids(picture: filters.Stream, plan: Plan) -> list[filters.Output]:
    """Write each picture as ``GRID`` bytes of luma, and as ``COARSE`` bytes of Y, Cb and Cr each.

    :param picture: the smallest rendition's pictures.
    """
    small = picture.filter("scale", *oriented(GRID, plan), flags="area").filter("format", "yuv444p")
    luma, colour = filters.branches(small, 2)
    coarse = colour.filter("scale", *oriented(COARSE, plan), flags="area").filter("format", "yuv444p")
    return [_raw(_luma(luma), GRID_FILE), _raw(coarse, COARSE_FILE)]


def source_size(plan: Plan) -> tuple[int, int]:
    """Width and height of the upright source picture, in stored pixels."""
    video = plan.source.video
    assert video is not None
    width, height = video.shown_size
    return (height, width) if video.display_matrix and video.display_matrix.swaps_sides else (width, height)


def _edge_step(plan: Plan) -> int:
    second = max(1, round(plan.frame_rate))
    return second * -(-plan.chunk_frames // (second * MOST_EDGE_PICTURES))


def edge_frames(plan: Plan, chunk: Chunk) -> range:
    """Numbers of the chunk's frames in which bars are looked for: one a second, or fewer in a long chunk."""
    step = _edge_step(plan)
    return range(-(-chunk.first // step) * step, chunk.last, step)


def write_edges(picture: filters.Stream, plan: Plan, chunk: Chunk, begin: int) -> list[filters.Output]:
    """Write the luma of some pictures as ``EDGE_CELLS`` cells of each row, and of each column.

    :param picture: upright pictures of the source, on the grid.
    :param begin: number of the stream's first frame in the video.
    """
    number, step = f"n+{begin}", _edge_step(plan)
    inside = f"between({number},{chunk.first},{chunk.last - 1})"
    picture = picture.filter("select", f"{inside}*not(mod({number},{step}))")
    # ``scale`` refuses some transfers, and needs none: it only averages what the samples are.
    picture = picture.filter("setparams", color_primaries=SDR.primaries, color_trc=SDR.transfer)
    width, height = source_size(plan)
    sizes = ((EDGE_CELLS, height), (width, EDGE_CELLS))
    outputs = []
    for branch, size, file in zip(
        filters.branches(picture, 2), sizes, (ROWS_FILE, COLUMNS_FILE), strict=True
    ):
        scaled = branch.filter("scale", *size, flags="area", out_range="tv").filter("format", "yuv444p")
        outputs.append(_raw(_luma(scaled), file))
    return outputs


def written_bytes(plan: Plan, frames: int) -> int:
    """Upper bound of the bytes that one command writes about so many pictures, or about as long a sound."""
    seconds = -(-frames // plan.frame_rate)
    sound = SOUND_BYTES_A_SECOND * seconds
    if not plan.renditions:
        return int(sound)
    grids = frames * (GRID_BYTES + COARSE_BYTES)
    return int(grids + (MOST_EDGE_PICTURES + 1) * EDGE_CELLS * sum(source_size(plan)) + sound)


def _luma(picture: filters.Stream) -> filters.Stream:
    # ``format`` alone would expand the range: ffmpeg's grey has all 256 levels.
    return picture.filter("extractplanes", "y").filter("format", "gray")


def _raw(picture: filters.Stream, file: str) -> filters.Output:
    return picture.output(
        file,
        format="rawvideo",
        fps_mode="passthrough",
        **filters.AT_ONCE,
        **{"c:v": "rawvideo", "threads:v": 1},
    )


def write_sound_facts(sound: filters.Stream, audio: AudioRendition, samples: int) -> list[filters.Output]:
    """Write silences, clipped windows and the loudness of a track that is ``samples`` long.

    :param sound: the source's channels at the rendition's rate, from output time 0.
    """
    rate, channels = audio.sample_rate, 2 if audio.right else audio.stream.channels
    sound = sound.filter("silencedetect", noise=f"{SILENT_DB}dB", duration=f"{float(SILENT_S):g}")
    sound = sound.filter("ametadata", mode="print", file=SILENCE_FILE)
    copies = sound.filter_multi_output("asplit", 2)
    tail = max(0.0, samples / rate - LOUDNESS_TAIL_S)
    loudness = copies.stream(0).filter("ebur128", peak="true", metadata=1, framelog="quiet")
    loudness = loudness.filter("aselect", f"gte(t,{tail:.3f})")
    loudness = loudness.filter("ametadata", mode="print", file=LOUDNESS_FILE)
    lossless = audio.stream.codec.startswith(LOSSLESS_CODECS)
    clipped = copies.stream(1).filter("aeval", _clipped(channels, lossless), channel_layout="mono")
    clipped = clipped.filter("asetnsamples", int(rate * WINDOW_S), pad=0)
    clipped = clipped.filter(
        "astats", metadata=1, reset=1, measure_perchannel="none", measure_overall="DC_offset"
    )
    share = CLIPPED_SHARE[lossless]
    clipped = clipped.filter(
        "ametadata", mode="print", key=CLIPPED_KEY, value=share, function="greater", file=CLIPPED_FILE
    )
    return [loudness.output("-", format="null"), clipped.output("-", format="null")]


def _clipped(channels: int, lossless: bool) -> str:
    """An expression of ``aeval``: what a sample of all channels counts."""
    loudest = "abs(val(0))"
    for channel in range(1, channels):
        loudest = f"max({loudest},abs(val({channel})))"
    if lossless:
        return f"gt({loudest},{CLIPPED_LEVEL})"
    # Most samples are not near full scale: with "if", they cost half as much as with sums of comparisons.
    near = f"if(gt(ld(0),{CLIPPED_LEVEL}),{OVER_WEIGHT},{NEAR_WEIGHT})"
    return f"if(gt(st(0,{loudest}),{NEAR_LEVEL}),{near},0)"
