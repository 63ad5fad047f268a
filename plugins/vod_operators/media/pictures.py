"""Still pictures: a poster, and a storyboard for previews while scrubbing. Which frames, how large, where.

They are taken from the same decoded pictures as the renditions, by the numbers of the global frame grid, so
that chunks agree without knowing each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from vod_operators.errors import VerificationError
from vod_operators.media.base import Model
from vod_operators.media.models import Chunk, Plan, Rendition, Timeline
from vod_operators.media.webvtt import time_of

COLUMNS = ROWS = 10
"""Of a sheet: with 192 x 108 pixels each it is 1920 x 1080, about 0.5 MB."""

MAX_SHEETS = 10
"""A film of ten hours has a picture every 36 s."""

CANDIDATES = 24
"""Pictures that the poster is chosen from."""

EDGE = 20
"""A poster is not from the first or the last twentieth: logos, titles, black."""

JPEG_START = b"\xff\xd8\xff"
"""Stands nowhere else in what ffmpeg writes: in a picture's data each 0xff is followed by 0."""


class Still(Model):
    """Pictures that every chunk leaves behind."""

    name: Literal["thumbnails", "posters"]
    step: int
    """Frames from one to the next; the first is frame 0."""
    width: int
    height: int

    @property
    def file(self) -> str:
        """JPEGs laid end to end."""
        return f"{self.name}.mjpeg"

    def frames(self, chunk: Chunk) -> range:
        """Numbers of the frames that a chunk has to give."""
        return range(-(-chunk.first // self.step) * self.step, chunk.last, self.step)


def stills(plan: Plan, timeline: Timeline) -> tuple[Still, ...]:
    """What the preset asks for of a video so long; nothing for sound alone."""
    wanted = plan.preset.pictures
    if wanted is None or not plan.renditions:
        return ()
    seconds = timeline.seconds(plan.frame_rate)
    sheet = COLUMNS * ROWS
    # A short video fills one sheet, a usual one has the preset's interval, a long one fills all sheets.
    interval = max(1, min(wanted.interval_s, -(-seconds // sheet)), -(-seconds // (MAX_SHEETS * sheet)))
    step = max(1, round(interval * plan.frame_rate))
    sparse = step * -(-timeline.frames // (step * CANDIDATES))
    small, large = plan.renditions[0], plan.renditions[-1]
    return (
        Still(name="thumbnails", step=step, **_size(small, wanted.thumbnail_px)),
        Still(name="posters", step=sparse, **_size(large, wanted.poster_px)),
    )


def _size(rendition: Rendition, longest: int) -> dict[str, int]:
    """Of the rendition's shape, not larger than it."""
    longer = max(rendition.width, rendition.height)
    part = min(longest, longer)
    return {
        "width": max(2, 2 * round(rendition.width * part / longer / 2)),
        "height": max(2, 2 * round(rendition.height * part / longer / 2)),
    }


def split_jpegs(data: bytes) -> list[bytes]:
    """The pictures of what is laid end to end."""
    return [JPEG_START + rest for rest in data.split(JPEG_START)[1:]]


def check_count(name: str, pictures: Sequence[bytes], wanted: range) -> None:
    """:raises VerificationError: there are more or fewer pictures, or one is not whole."""
    if len(pictures) != len(wanted):
        raise VerificationError(f"{name}: {len(pictures)} pictures, planned {len(wanted)}")
    for number, picture in zip(wanted, pictures, strict=True):
        if not picture.endswith(b"\xff\xd9"):
            raise VerificationError(f"{name}: the picture of frame {number} is not whole")


def best(candidates: Sequence[tuple[int, bytes]], frames: int) -> bytes:
    """The one for the poster: that with most in it, which a JPEG's size tells.

    Black, a fade, a blur and a plain title are small; a sharp picture of something is large.

    :param candidates: frame number and JPEG, by number.
    :param frames: of the whole video.
    """
    inner = [picture for number, picture in candidates if frames <= EDGE * number < (EDGE - 1) * frames]
    return max(inner or [picture for _, picture in candidates], key=len)


class Storyboard(Model):
    """Sheets of small pictures, and a WebVTT file that says which is shown when."""

    uri: str
    """Of the WebVTT file; the sheets are beside it."""
    pictures: int
    interval_s: float
    """From one to the next."""
    width: int
    """Of one picture, in pixels."""
    height: int
    columns: int
    """Of a sheet; the last sheet may be filled in part."""
    rows: int
    sheets: int


def storyboard(still: Still, plan: Plan, timeline: Timeline, uri: str) -> Storyboard:
    """How the pictures lie on their sheets."""
    count = -(-timeline.frames // still.step)
    rows = min(ROWS, -(-count // COLUMNS))
    columns = min(COLUMNS, count)
    return Storyboard(
        uri=uri,
        pictures=count,
        interval_s=float(plan.seconds(still.step)),
        width=still.width,
        height=still.height,
        columns=columns,
        rows=rows,
        sheets=-(-count // (rows * columns)),
    )


def sheet_name(number: int) -> str:
    """Of the sheets, from 0."""
    return f"sheet-{number + 1:05d}.jpg"


def thumbnails(board: Storyboard, still: Still, plan: Plan, timeline: Timeline) -> str:
    """The WebVTT file: for each time the rectangle of a sheet (Media Fragments ``xywh``)."""
    return "\n\n".join(["WEBVTT", *_cues(board, still, plan, timeline)]) + "\n"


def _cues(board: Storyboard, still: Still, plan: Plan, timeline: Timeline) -> Iterator[str]:
    for number in range(board.pictures):
        begin, end = number * still.step, min((number + 1) * still.step, timeline.frames)
        times = [time_of(round(1000 * plan.seconds(frame))) for frame in (begin, end)]
        sheet, place = divmod(number, board.columns * board.rows)
        row, column = divmod(place, board.columns)
        x, y = column * board.width, row * board.height
        yield f"{times[0]} --> {times[1]}\n{sheet_name(sheet)}#xywh={x},{y},{board.width},{board.height}"
