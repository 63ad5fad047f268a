"""The last task: checks the whole presentation, and publishes it by one write."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, Context

from vod_operators.operators import telemetry
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.content_key import job_keys
from vod_operators.operators.runs import run_name
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.work import estimate, index
from vod_operators.work.publication import Publication
from vod_operators.work.stable import point_to

PUBLISHED = Asset("vod://published/videos")
"""The asset that other DAGs can follow; it is updated each time that a video is published.

There is one for all videos, and the event names the video. One for each would not do: a DAG names its assets
when it is parsed, before a video's id is known, and Airflow keeps a row and a page for each. It has no name,
because Airflow treats assets with the same URI and different names as different assets."""


class VodPublishOperator(VodStepOperator):
    """Verify all tracks together; write the version's master playlist, DASH manifest and ``video.json``, and
    then the stable ones.

    The stable ``index.m3u8`` is the last write. Until then viewers get the version before, from then on this
    one, and never a mix.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"outlets": [PUBLISHED]} | kwargs))

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the fields of ``video.json``, and ``playlist``: the stable playlist's URI in the store.

        :raises VerificationError: a rule is broken; nothing was published.
        :raises LostWorkError: an object is missing; nothing was published.
        :raises ClaimedError: another run has taken the video over; nothing was published.
        """
        job = self.open_job(context)
        publication = Publication.load(self.worker, job)
        checked = publication.check(job_keys(self.settings, job))
        result = publication.describe(started_at=context["dag_run"].start_date, checked=checked)
        publication.write(result)
        claimed = claim_key(self.settings.temp_uri, job.plan.video_id)
        # Renewed before ``point_to`` reads the stable objects' versions, so that no late write passes.
        mine = self.hold_claim(context, job.plan.video_id)
        result = point_to(
            self.worker.results,
            job.result_keys,
            result,
            publication.stable_playlist,
            publication.stable_manifest,
            steering=publication.steering,
            still_owner=lambda: claim.check(self.worker.temp, claimed, mine),
        )
        if (spent := publication.past_run(result)) is not None:
            estimate.note_run(self.worker.results, self.settings, job.plan.preset, spent)
        run = context["dag_run"]
        index.note_published(
            self.worker.temp,
            self.settings.temp_uri,
            result,
            dag_id=run.dag_id,
            run_id=run.run_id,
            by=run.triggering_user_name,
        )
        # Released here too, because clearing only this task does not clear the teardown.
        claim.release(self.worker.temp, claimed, owner=run_name(context))
        playlist = job.result_keys.playlist
        self.log.info("published %s", playlist)
        published = result.model_dump(mode="json") | {"playlist": playlist}
        self._tell(context, published)
        return published

    def _tell(self, context: Context, result: dict[str, Any]) -> None:
        facts, timings = _event_facts(result), result["timings"]
        # Airflow updates the asset when this task has succeeded, and then starts the DAGs that follow it.
        context["outlet_events"][PUBLISHED].extra = facts
        self.facts.update(facts)
        telemetry.count("vod.published")
        telemetry.count("vod.source_bytes", result["source"]["size_bytes"])
        telemetry.count("vod.published_bytes", facts["size_bytes"])
        if timings["wall_s"] is not None:
            telemetry.timing("vod.time_to_publish", timings["wall_s"])


def _event_facts(result: dict[str, Any]) -> dict[str, Any]:
    """The event's ``extra``: what ``publish`` returned, without the long lists."""
    renditions = result["renditions"]
    return {
        name: result[name]
        for name in ("video_id", "version", "preset", "playlist", "playlist_urls", "duration_s", "frames")
    } | {
        "source": result["source"]["name"],
        "renditions": [rendition["name"] for rendition in renditions],
        "size_bytes": sum(rendition["size_bytes"] for rendition in renditions),
    }
