"""Which key encrypts which track: one for all, or one each for sound and for SD, HD and UHD pictures."""

from __future__ import annotations

from vod_operators.media.drm import Label
from vod_operators.media.models import Plan, Rendition

SD_PIXELS, HD_PIXELS = 1024 * 576, 1920 * 1080
"""Most pixels of SD and of HD, as key servers draw the lines (SPEKE v2's encryption contract)."""


def labels_of(plan: Plan) -> dict[str, Label | None]:
    """What the key of each video and sound track is for; None if all have the same one."""
    if not plan.preset.several_keys:
        return dict.fromkeys([made.name for made in plan.renditions] + [audio.name for audio in plan.audio])
    labels: dict[str, Label | None] = {made.name: _of_pictures(made) for made in plan.renditions}
    return labels | {audio.name: "audio" for audio in plan.audio}


def _of_pictures(made: Rendition) -> Label:
    pixels = made.width * made.height
    return "sd" if pixels <= SD_PIXELS else "hd" if pixels <= HD_PIXELS else "uhd"
