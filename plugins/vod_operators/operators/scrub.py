"""Compares published files with their checksums, some videos each day, and has damaged ones repaired."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from vod_operators.errors import InvalidInputError, VodError
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.runs import ask_for_run
from vod_operators.pipeline import BULK_DAG_ID
from vod_operators.storage.keys import ResultKeys, is_video_id
from vod_operators.work.conf import is_true
from vod_operators.work.stable import shown_version
from vod_operators.work.verification import Verification, repair_request, verify

ITEMS = 100
"""How many damaged videos the report lists; the log has all of them."""


class VodScrubOperator(VodBaseOperator):
    """Compare each published file with the checksum that was recorded when it was written.

    :param parts: number of parts that all videos are divided into; a run reads one, chosen by its day.
    :param is_repair: ``True``: start a run for each damaged video, in the bulk lane.
    """

    template_fields: Sequence[str] = ("parts", "is_repair")

    def __init__(self, *, parts: str, is_repair: str = "False", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts
        self.is_repair = is_repair

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the report: counts, and the outcomes of the first damaged videos.

        :raises AirflowFailException: damaged videos are not being repaired, or videos could not be read.
        """
        is_repair = is_true(self.is_repair)
        counts = {"videos": 0, "objects": 0, "bytes": 0, "damaged": 0, "asked": 0, "unread": 0}
        items: list[dict[str, Any]] = []
        for video_id in self._videos(context):
            counts["videos"] += 1
            keys = ResultKeys(results_uri=self.settings.results_uri, video_id=video_id)
            try:
                found = verify(self.worker.results, keys)
                if not found.damage or shown_version(self.worker.results, keys) not in (None, found.version):
                    counts["objects"] += found.objects
                    counts["bytes"] += found.size_bytes
                    continue  # a version that was replaced while it was read may have been removed
            except VodError as error:
                self.log.warning("%s: not read: %s", video_id, error)
                counts["unread"] += 1
                continue
            counts["damaged"] += 1
            telemetry.count("vod.damaged", len(found.damage))
            for item in found.damage:
                self.log.warning("%s: damaged: %s", video_id, item)
            became = self._ask(context, video_id, found) if is_repair else "damaged"
            counts["asked"] += became == "asked for again"
            if len(items) < ITEMS:
                items.append({"video_id": video_id, "objects": len(found.damage), "became": became})
        self.log.info("%s", counts)
        self.facts.update(counts)
        if counts["damaged"] > counts["asked"] or counts["unread"]:
            names = ", ".join(item["video_id"] for item in items[:5] if item["became"] != "asked for again")
            raise AirflowFailException(
                f"{counts['damaged'] - counts['asked']} of {counts['videos']} videos are damaged "
                f"({names or 'none'}), {counts['unread']} could not be read; the log says more"
            )
        return counts | {"items": items}

    def _videos(self, context: Context) -> Iterator[str]:
        parts = self._parts()
        day = context["dag_run"].run_after.toordinal()
        for name in self.worker.results.folders(f"{self.settings.results_uri}/"):
            # By a digest, which spreads the sizes: neighbours in a catalogue are often of similar size.
            if is_video_id(name) and zlib.crc32(name.encode()) % parts == day % parts:
                yield name

    def _parts(self) -> int:
        if not str(self.parts).isdigit() or int(self.parts) < 1:
            raise InvalidInputError(f"parts: {self.parts!r} is not a whole number of 1 or more")
        return int(self.parts)

    def _ask(self, context: Context, video_id: str, found: Verification) -> str:
        """Start a run with the video's original request; returns the outcome in words."""
        try:
            request = repair_request(self.worker.temp, self.settings, video_id, found)
        except InvalidInputError as error:
            self.log.warning("%s: %s", video_id, error)
            return str(error)
        ask_for_run(context, BULK_DAG_ID, f"vod.{video_id}.verify.{found.version}", request)
        telemetry.count("vod.asked")
        return "asked for again"
