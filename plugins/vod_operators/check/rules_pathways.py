"""Rules 6 of what stays the same: pathways of content steering, and stable ids."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule

TOLD = ("STABLE-VARIANT-ID", "BANDWIDTH", "CODECS", "RESOLUTION", "FRAME-RATE", "VIDEO-RANGE")
"""Attributes by which a variant is recognised on another pathway."""


def _steering(presentation: Presentation) -> list[Attributes]:
    return presentation.master.lists.get("EXT-X-CONTENT-STEERING", []) if presentation.master else []


def _pathway_declared(presentation: Presentation) -> Iterator[Finding]:
    for item in _steering(presentation):
        if "PATHWAY-ID" not in item:
            where = "EXT-X-CONTENT-STEERING"
            yield Finding(where=where, found="no PATHWAY-ID", expected="PATHWAY-ID of some variants")


def _pathway(presentation: Presentation) -> Iterator[Finding]:
    pathways = {declared.get("PATHWAY-ID", ".") for _, declared in presentation.variants()}
    for item in _steering(presentation):
        if item.get("PATHWAY-ID", ".") not in pathways and "PATHWAY-ID" in item:
            words = f"PATHWAY-ID={item['PATHWAY-ID']}"
            expected = f"one of the variants: {', '.join(sorted(pathways))}"
            yield Finding(where="EXT-X-CONTENT-STEERING", found=words, expected=expected)


def _pathways(presentation: Presentation) -> dict[str, set[tuple[str, ...]]]:
    """What the variants of each pathway tell of themselves."""
    told: dict[str, set[tuple[str, ...]]] = {}
    for _, declared in presentation.variants():
        facts = tuple(declared.get(name, "") for name in TOLD)
        told.setdefault(declared.get("PATHWAY-ID", "."), set()).add(facts)
    return told


def _same_everywhere(presentation: Presentation) -> Iterator[Finding]:
    told = _pathways(presentation)
    everything = set().union(*told.values())
    for pathway, variants in told.items():
        if missing := len(everything - variants):
            words = f"{missing} of {len(everything)} variants are on other pathways only"
            yield Finding(where=f"PATHWAY-ID={pathway}", found=words, expected="all variants on all pathways")


def _identified(presentation: Presentation) -> Iterator[tuple[str, str, Attributes]]:
    """Name of its stable id, URI and attributes of each tag that has a URI."""
    variants = presentation.master.variants if presentation.master else []
    for uri, declared in (*variants, *presentation.i_frame_streams):
        yield "STABLE-VARIANT-ID", uri, declared
    for item in presentation.renditions:
        if "URI" in item:
            yield "STABLE-RENDITION-ID", item["URI"], item


def _stable_ids(presentation: Presentation) -> Iterator[Finding]:
    first: dict[tuple[str, str], str | None] = {}
    for name, uri, declared in _identified(presentation):
        known = first.setdefault((name, uri), declared.get(name))
        if declared.get(name) != known:
            words = f"{name} {declared.get(name, 'missing')} and {known or 'missing'} of one URI"
            yield Finding(where=uri, found=words, expected="one id of one URI")


# fmt: off
RULES = (
    Rule(id="6.pathway", source="RFC 8216bis 4.4.6.6", says="content steering names a variant's PATHWAY-ID",
         applies=lambda p: bool(_steering(p)), check=_pathway),
    Rule(id="6.pathway-told", source="Apple 9.18", says="PATHWAY-ID of content steering is there", must=False,
         applies=lambda p: bool(_steering(p)), check=_pathway_declared),
    Rule(id="6.pathways", source="RFC 8216bis 4.4.6.2", says="all pathways have the same variants",
         must=False, applies=lambda p: len(_pathways(p)) > 1, check=_same_everywhere),
    Rule(id="6.stable-id", source="RFC 8216bis 4.4.6.1, 4.4.6.2", says="one URI has one stable id",
         must=False, check=_stable_ids,
         applies=lambda p: any(name in declared for name, _, declared in _identified(p))),
)
# fmt: on
