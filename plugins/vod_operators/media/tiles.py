"""A storyboard in playlists and manifests: EXT-X-IMAGE-STREAM-INF of HLS, a thumbnail set of DASH.

HLS: "Image Media Playlist for HLS" 0.4 of Disney, Roku and WarnerMedia, which extends RFC 8216bis. DASH: the
DASH-IF's interoperability points 4.3, 6.2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from xml.etree import ElementTree

from vod_operators.formats.base import Model, Rate
from vod_operators.formats.rates import rate_bps
from vod_operators.media.models import Plan, Timeline
from vod_operators.media.pictures import PLAYLIST, Still, Storyboard, sheet_name

TILE = "http://dashif.org/guidelines/thumbnail_tile"
VERSION = 7
"""Of image playlists, as in the specification's examples."""


class Tiles(Model):
    """The sheets of a storyboard, in time."""

    columns: int
    rows: int
    width: int
    """Pixels of one picture."""
    height: int
    step: int
    """Frames from one picture to the next."""
    frames: int
    """Length of the video."""
    frame_rate: Rate
    sheet_bytes: tuple[int, ...]
    """Size of each sheet."""

    @property
    def seconds(self) -> list[Fraction]:
        """How long the pictures of each sheet are shown; the last sheet's end with the video."""
        whole = self.step * self.columns * self.rows
        begins = [number * whole for number in range(len(self.sheet_bytes))]
        return [min(whole, self.frames - begin) / self.frame_rate for begin in begins]

    @property
    def peak_bps(self) -> int:
        """Largest bitrate of one sheet. A last sheet counts as if all its pictures were shown."""
        whole = self.step * self.columns * self.rows / self.frame_rate
        return max(rate_bps(size, whole, 1) for size in self.sheet_bytes)


def tiles_of(
    board: Storyboard, still: Still, plan: Plan, timeline: Timeline, sheet_bytes: Sequence[int]
) -> Tiles:
    """The sheets of a storyboard.

    :param sheet_bytes: size of each sheet, in order.
    """
    return Tiles(
        columns=board.columns,
        rows=board.rows,
        width=board.width,
        height=board.height,
        step=still.step,
        frames=timeline.frames,
        frame_rate=plan.frame_rate,
        sheet_bytes=tuple(sheet_bytes),
    )


def image_playlist(tiles: Tiles) -> str:
    """The image playlist, beside the sheets."""
    seconds = tiles.seconds
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, round(max(seconds)))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-IMAGES-ONLY",
    ]
    layout = f"RESOLUTION={tiles.width}x{tiles.height},LAYOUT={tiles.columns}x{tiles.rows}"
    shown = float(tiles.step / tiles.frame_rate)
    for number, lasts in enumerate(seconds):
        lines.append(f"#EXTINF:{float(lasts):.6f},")
        lines.append(f"#EXT-X-TILES:{layout},DURATION={shown:.6f}")
        lines.append(sheet_name(number))
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def image_stream(tiles: Tiles, folder: str) -> str:
    """The line of the master playlist that names the image playlist.

    :param folder: where the sheets are, relative to the master playlist.
    """
    return (
        f"#EXT-X-IMAGE-STREAM-INF:BANDWIDTH={tiles.peak_bps},RESOLUTION={tiles.width}x{tiles.height},"
        f'CODECS="jpeg",URI="{folder}/{PLAYLIST}"\n'
    )


def add_thumbnails(period: ElementTree.Element, number: int, tiles: Tiles, folder: str) -> None:
    """Add the adaptation set of the sheets to a DASH period.

    :param number: id of the set.
    :param folder: where the sheets are, relative to the manifest.
    """
    facts = {"id": str(number), "contentType": "image", "mimeType": "image/jpeg"}
    adaptation = ElementTree.SubElement(period, "AdaptationSet", facts)
    rate, cells = tiles.frame_rate, tiles.columns * tiles.rows
    ElementTree.SubElement(
        adaptation,
        "SegmentTemplate",
        timescale=str(rate.numerator),
        duration=str(tiles.step * cells * rate.denominator),
        startNumber="1",
        media=f"{folder}/sheet-$Number%05d$.jpg",
    )
    representation = ElementTree.SubElement(
        adaptation,
        "Representation",
        id="thumbnails",
        bandwidth=str(tiles.peak_bps),
        width=str(tiles.width * tiles.columns),
        height=str(tiles.height * tiles.rows),
    )
    tag = {"schemeIdUri": TILE, "value": f"{tiles.columns}x{tiles.rows}"}
    ElementTree.SubElement(representation, "EssentialProperty", tag)
