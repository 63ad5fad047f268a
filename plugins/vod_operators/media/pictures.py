"""Chooses frames, sizes and places of still pictures: a poster, and a storyboard for scrubbing.

They are branches of the scaled pictures that the renditions are made of. Frames are chosen by their numbers
on the whole video's grid, so that each chunk can take its own without knowing the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from vod_operators.errors import VerificationError
from vod_operators.formats.base import Model, is_unset
from vod_operators.media.models import Chunk, Plan, Rendition, Timeline
from vod_operators.media.webvtt import Cue, whole

COLUMNS = ROWS = 10
"""Pictures across and down a sheet. With 192 x 108 pixels each, a sheet is 1920 x 1080 and about 0.5 MB."""

SHEET = COLUMNS * ROWS
"""Pictures of a whole sheet, which a short video fills."""

MAX_PICTURES = 10 * SHEET
"""Most pictures of a storyboard. Ten hours then have one every 36 s."""

TILES_PX = 1080
"""Largest width and height of sheets that playlists list: what Roku's better devices show."""

CANDIDATES = 24
"""Most pictures that the poster is chosen from."""

EDGE = 20
"""The poster is not taken from the first or the last twentieth, which have logos, titles and black."""

JPEG_END = b"\xff\xd9"

JPEG_START = b"\xff\xd8\xff"
"""Begin of a JPEG. It occurs nowhere else in ffmpeg's JPEGs: in a picture's data 0x00 follows each 0xff."""


PLAYLIST = "index.m3u8"
"""The image playlist of a storyboard, beside its sheets."""


class Still(Model):
    """A series of still pictures, of which each chunk takes its part."""

    name: Literal["thumbnails", "posters"]
    step: int
    """Frames from one to the next; the first is frame 0."""
    width: int
    height: int

    @property
    def file(self) -> str:
        """Name of a file of concatenated JPEGs."""
        return f"{self.name}.mjpeg"

    def frames(self, chunk: Chunk) -> range:
        """Numbers of the frames that a chunk must take."""
        return range(-(-chunk.first // self.step) * self.step, chunk.last, self.step)


def stills(plan: Plan, timeline: Timeline) -> tuple[Still, ...]:
    """The series that the preset asks for; empty if it asks for none, or for sound only."""
    wanted = plan.preset.pictures
    if wanted is None or not plan.renditions:
        return ()
    seconds = timeline.seconds(plan.frame_rate)
    # A short video gets a shorter interval, to fill one sheet; a very long one a longer, to fit
    # ``MAX_PICTURES``.
    interval = max(1, min(wanted.interval_s, -(-seconds // SHEET)), -(-seconds // MAX_PICTURES))
    step = max(1, round(interval * plan.frame_rate))
    sparse = step * -(-timeline.frames // (step * CANDIDATES))
    small, large = plan.sdr[0], plan.sdr[-1]
    return (
        Still(name="thumbnails", step=step, **_size(small, wanted.thumbnail_px)),
        Still(name="posters", step=sparse, **_size(large, wanted.poster_px)),
    )


def _size(rendition: Rendition, longest: int) -> dict[str, int]:
    """Width and height in the rendition's aspect ratio, no larger than the rendition."""
    longer = max(rendition.width, rendition.height)
    part = min(longest, longer)
    return {
        "width": max(2, 2 * round(rendition.width * part / longer / 2)),
        "height": max(2, 2 * round(rendition.height * part / longer / 2)),
    }


def split_jpegs(data: bytes) -> list[bytes]:
    """The pictures of a file of concatenated JPEGs."""
    return [JPEG_START + rest for rest in data.split(JPEG_START)[1:]]


def check_count(name: str, pictures: Sequence[bytes], wanted: range) -> None:
    """:raises VerificationError: the number of pictures is wrong, or one is cut off."""
    if len(pictures) != len(wanted):
        raise VerificationError(f"{name}: {len(pictures)} pictures, planned {len(wanted)}")
    for number, picture in zip(wanted, pictures, strict=True):
        if not picture.endswith(JPEG_END):
            raise VerificationError(f"{name}: the picture of frame {number} is not whole")


def best(candidates: Sequence[tuple[int, bytes]], frames: int) -> bytes:
    """The candidate for the poster: the largest JPEG, which has most detail.

    Black, fades, blur and plain titles make small JPEGs; a sharp picture makes a large one.

    :param candidates: frame number and JPEG of each, in order.
    :param frames: length of the whole video.
    """
    inner = [picture for number, picture in candidates if frames <= EDGE * number < (EDGE - 1) * frames]
    return max(inner or [picture for _, picture in candidates], key=len)


class Storyboard(Model):
    """Sheets of small pictures, and a WebVTT file that says which is shown when."""

    uri: str
    """URI of the WebVTT file; the sheets are beside it."""
    pictures: int
    interval_s: float
    """From one picture to the next."""
    width: int
    """Pixels of one picture."""
    height: int
    columns: int
    """Pictures across a sheet; the last sheet may be partly empty."""
    rows: int
    sheets: int
    playlist: str | None = Field(None, exclude_if=is_unset)
    """URI of the image playlist that lists the sheets; None: none was made."""


def storyboard(still: Still, plan: Plan, timeline: Timeline, uri: str) -> Storyboard:
    """The layout of a series of pictures on sheets."""
    count = -(-timeline.frames // still.step)
    most_columns, most_rows, playlist = COLUMNS, ROWS, None
    if plan.preset.pictures and plan.preset.pictures.tiles:
        most_columns = min(COLUMNS, TILES_PX // still.width)
        most_rows = min(ROWS, TILES_PX // still.height)
        playlist = f"{uri.rpartition('/')[0]}/{PLAYLIST}"
    columns = min(most_columns, count)
    rows = min(most_rows, -(-count // columns))
    return Storyboard(
        uri=uri,
        pictures=count,
        interval_s=float(plan.seconds(still.step)),
        width=still.width,
        height=still.height,
        columns=columns,
        rows=rows,
        sheets=-(-count // (rows * columns)),
        playlist=playlist,
    )


def sheet_name(number: int) -> str:
    """File name of a sheet.

    :param number: from 0.
    """
    return f"sheet-{number + 1:05d}.jpg"


def thumbnails(board: Storyboard, still: Still, plan: Plan, timeline: Timeline) -> str:
    """The WebVTT file of a storyboard. Each cue names a rectangle of a sheet (Media Fragments ``xywh``)."""
    cues = []
    for number in range(board.pictures):
        frames = number * still.step, min((number + 1) * still.step, timeline.frames)
        begin, end = (round(1000 * plan.seconds(frame)) for frame in frames)
        sheet, place = divmod(number, board.columns * board.rows)
        row, column = divmod(place, board.columns)
        x, y = column * board.width, row * board.height
        text = f"{sheet_name(sheet)}#xywh={x},{y},{board.width},{board.height}"
        cues.append(Cue(begin_ms=begin, end_ms=end, text=text))
    return whole(cues)
