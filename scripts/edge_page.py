"""The page that plays one video, with hls.js if the edge serves it, else with the browser's own player."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

SCRIPT = Path(__file__).with_name("edge_page.js")

PAGE_POLICY = "default-src 'none'; media-src 'self' blob:; style-src 'unsafe-inline'; img-src 'self' data:"
"""Content Security Policy of a page that runs no script and loads only the video and its poster."""

SCRIPT_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src blob:; "
    "media-src 'self' blob: data:; style-src 'unsafe-inline'; img-src 'self' data:"
)
"""Content Security Policy of a page that runs only hls.js and its own script, both from this edge. (hls.js
creates text tracks from an empty WebVTT file with a ``data:`` URI.)"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
video {{ width: 100%; max-height: 70vh; background: #000; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .2rem 1.5rem .2rem 0; }}
label {{ margin-right: 1.5rem; }}
#scrub {{ position: relative; height: 1.2rem; margin: .5rem 0; cursor: pointer;
  background: linear-gradient(to right, #46f var(--done, 0%), #ddd var(--done, 0%)); }}
#preview {{ position: absolute; bottom: 1.5rem; pointer-events: none; outline: 2px solid #fff; }}
</style>
</head>
<body>
<h1>{title}</h1>
{player}
{renditions}
</body>
</html>
"""


NATIVE = """<video controls playsinline poster="{poster}" src="{playlist}">
This browser cannot play video; the playlist is <a href="{playlist}">here</a>.
</video>
<p>A browser without HLS of its own needs hls.js; VLC and mpv play
<a href="{playlist}">the playlist</a></p>"""

SCRIPTED = """<video controls playsinline poster="{poster}" data-playlist="{playlist}"></video>
<div id="scrub" data-storyboard="{storyboard}" hidden><div id="preview" hidden></div></div>
<p id="menus"></p>
<p>VLC and mpv play <a href="{playlist}">the playlist</a></p>
<script src="/hls.js"></script>
<script src="/watch.js"></script>"""


def watch_page(video_id: str, metadata: Path | None, *, scripted: bool = False) -> str:
    """The HTML of a video's page.

    :param metadata: path of ``video.json``; without it the page has no poster, previews or renditions.
    :param scripted: whether the edge serves ``/hls.js`` and ``/watch.js``.
    """
    try:
        video = json.loads(metadata.read_bytes()) if metadata else {}
    except (OSError, ValueError):
        video = {}
    video = video if isinstance(video, dict) else {}
    rows = "\n".join(_rows(video.get("renditions")))
    table = f"<table>\n<tr><th>Rendition<th>Size<th>Codecs<th>Average\n{rows}\n</table>" if rows else ""
    storyboard, poster = video.get("storyboard"), video.get("poster")
    thumbnails = storyboard.get("uri") if isinstance(storyboard, dict) else None

    def below(uri: Any) -> str:
        return escape(quote(f"/{video_id}/{uri}")) if isinstance(uri, str) else ""

    return PAGE.format(
        title=escape(str(video.get("title") or video_id)),
        player=(SCRIPTED if scripted else NATIVE).format(
            playlist=below("index.m3u8"), storyboard=below(thumbnails), poster=below(poster)
        ),
        renditions=table,
    )


def _rows(renditions: Any) -> Iterator[str]:
    for rendition in renditions if isinstance(renditions, list) else []:
        if not isinstance(rendition, dict):
            continue
        width, height = rendition.get("width"), rendition.get("height")
        average = rendition.get("average_bps")
        cells = (
            rendition.get("name", ""),
            f"{width}x{height}" if width and height else "",
            rendition.get("codecs", ""),
            f"{average / 1000:.0f} kbit/s" if isinstance(average, (int, float)) else "",
        )
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in cells)
