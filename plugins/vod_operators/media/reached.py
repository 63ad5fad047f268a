"""What came of the renditions that had a target quality. Pure."""

from __future__ import annotations

from vod_operators.media.choice import MAY_MISS, REACHED_WITHIN, Choice, share_at_cap
from vod_operators.media.models import Rendition
from vod_operators.media.vmaf import Target


def reached(rendition: Rendition, choice: Choice, vmaf: float, again: float | None) -> Target:
    """What came of a rendition with a target.

    :param rendition: with its first CRF.
    :param vmaf: measured on its encode, at its own size.
    :param again: CRF of its second encode; None if there was none.
    """
    target, chosen = rendition.target_vmaf, choice.renditions.get(rendition.name)
    assert target is not None
    crf = rendition.crf if again is None else again
    missed_by = round(vmaf - target, 2)
    points = chosen.points if chosen else ()
    return Target(
        vmaf=target,
        crf=crf,
        first_crf=None if again is None else rendition.crf,
        missed_by=missed_by,
        capped=missed_by < -REACHED_WITHIN and bool(points) and share_at_cap(points, crf) > 0,
    )


def miss_in_words(name: str, vmaf: float, target: Target) -> str | None:
    """Why a rendition differs from its target by more than ``MAY_MISS``; None if it does not."""
    if abs(target.missed_by) <= MAY_MISS:
        return None
    why = "no other would come nearer"
    if target.capped:
        why = "its cap allows no more"
    elif target.first_crf is not None:
        why = f"encoded twice, at first with CRF {target.first_crf:g}"
    return f"{name}: VMAF {vmaf:.1f} instead of {target.vmaf:g} with CRF {target.crf:g}: {why}"
