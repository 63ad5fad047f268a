"""All rules, in the order of the checklist."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from vod_operators.check import (
    rules_codecs,
    rules_decoded,
    rules_form,
    rules_groups,
    rules_hdr,
    rules_images,
    rules_keys,
    rules_live,
    rules_pathways,
    rules_pictures,
    rules_served,
    rules_session,
    rules_sound,
    rules_sync,
    rules_text,
    rules_time,
    rules_transport,
    rules_variants,
)
from vod_operators.check.decode import Decoder, decode_tracks
from vod_operators.check.load import Loader
from vod_operators.check.presentation import Reader
from vod_operators.check.rule import Rule, Verdict, judge

MODULES = (
    rules_form,
    rules_keys,
    rules_codecs,
    rules_hdr,
    rules_decoded,
    rules_variants,
    rules_pathways,
    rules_time,
    rules_transport,
    rules_sync,
    rules_pictures,
    rules_images,
    rules_groups,
    rules_sound,
    rules_text,
    rules_served,
    rules_session,
    rules_live,
)

RULES: tuple[Rule, ...] = tuple(
    sorted((rule for module in MODULES for rule in module.RULES), key=lambda rule: int(rule.id.split(".")[0]))
)


def check(
    reader: Reader, location: str, *, key: bytes | None = None, decoder: Decoder | None = None
) -> list[Verdict]:
    """The verdict of every rule on the presentation at ``location``.

    :param location: URI of a master playlist, or of one media playlist.
    :param key: AES-128 key, used in place of the playlists' key URIs.
    :param decoder: with which all tracks are decoded wholly; None: they are not.
    :raises InvalidInputError: there is no playlist.
    :raises StorageError: the presentation could not be read completely.
    """
    loader = Loader(reader, key)
    presentation = loader.load(location)
    if decoder is not None:
        decode_tracks(presentation, loader.clear_blocks, decoder)
    return list(judge(presentation, RULES))


def failed(verdicts: Iterable[Verdict], *, also: Collection[str] = ()) -> list[str]:
    """Each place that breaks a MUST, in words.

    :param also: ids of rules that are only a SHOULD, and are to be taken as a MUST.
    """
    return [
        f"{verdict.rule.id}: {finding.where}: found {finding.found}, expected {finding.expected} "
        f"({verdict.rule.source})"
        for verdict in verdicts
        if verdict.status == "fail" or (verdict.status == "warn" and verdict.rule.id in also)
        for finding in verdict.findings
    ]
