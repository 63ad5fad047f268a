"""``vod rollback``: players see an earlier version again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from support.results import Place, version
from vod_operators.cli.main import main
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key


@pytest.fixture
def vod(place: Place, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: str) -> tuple[int, str, str]:
        status = main(["rollback", "film", *args])
        printed = capsys.readouterr()
        return status, printed.out, printed.err.strip()

    return call


def test_back_to_the_one_before_and_forth_again(place: Place, vod: Any) -> None:
    for number in (1, 2, 3):
        place.publish(number)

    status, out, _ = vod()

    assert status == 0 and place.seen() == (version(2), version(2))
    listed = [line for line in out.splitlines() if line[2:].startswith("v-")]  # behind what Airflow logs
    assert [line[:23] for line in listed] == [f"* {version(2)}", f"  {version(3)}", f"  {version(1)}"]
    assert claim.read_claim(place.temp, claim_key(place.temp_uri, "film")) is None
    assert vod("--to", version(1))[0] == 0 and place.seen() == (version(1), version(1))
    assert vod()[0] == 0 and place.seen() == (version(2), version(2))  # what players had before


def test_the_list_changes_nothing(place: Place, vod: Any) -> None:
    place.publish(1)
    place.publish(2)
    status, out, _ = vod("--list", "--json")
    found = json.loads(out.splitlines()[-1])
    assert status == 0 and found["playlist"] == place.keys.playlist
    assert [v["version"] for v in found["versions"] if v["shown"]] == [version(2)]
    assert [v["version"] for v in found["versions"] if not v["shown"]] == [version(1)]
    assert place.seen() == (version(2), version(2))


def test_what_cannot_be_is_refused_with_what_there_is(place: Place, vod: Any) -> None:
    assert vod()[::2] == (1, f"vod: video_id: there is no video 'film' in {place.keys.results_uri}")
    place.publish(1)
    there = f"there are: {version(1)} (shown)"
    assert vod()[::2] == (1, f"vod: video_id: 'film' has no version before this one; {there}")
    assert vod("--to", "v-1")[::2] == (1, f"vod: video_id: 'film' has no version v-1; {there}")
    assert place.seen() == (version(1), version(1))


def test_a_video_that_is_not_there_is_an_error_that_says_where_it_was_looked_for(
    place: Place, vod: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert vod("--list") == (1, "", f"vod: video_id: there is no video 'film' in {place.keys.results_uri}")
    monkeypatch.delenv("VOD_RESULTS_URI")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    advice = "the default: set VOD_RESULTS_URI, or give --results"
    for arguments in ([], ["--list"]):
        status, out, error = vod(*arguments)
        assert (status, out) == (1, "")
        assert (
            error == f"vod: video_id: there is no video 'film' in {tmp_path.as_uri()}/vod/results, {advice}"
        )
    assert not (tmp_path / "vod").exists()


def test_a_version_that_is_not_whole_is_not_shown(place: Place, vod: Any) -> None:
    place.publish(1)
    place.publish(2)
    place.results.delete(place.keys.version(version(1), "360p/seg-00001.m4s"))
    status, _, error = vod()
    assert status == 1
    assert f"{version(1)} is not whole: 360p has 0 segments and 21 bytes instead of 1 and 42" in error
    place.results.delete(place.keys.version_metadata(version(1)))  # as the janitor begins
    assert "no version before this one" in vod()[2]
    assert place.seen() == (version(2), version(2))


def test_a_video_that_a_run_has_is_left_alone(place: Place, vod: Any) -> None:
    place.publish(1)
    place.publish(2)
    uri = claim_key(place.temp_uri, "film")
    claim.hold(place.temp, uri, owner="vod_transcode/night", ttl_s=600)
    status, _, error = vod()
    assert status == 1 and "being worked on by run 'vod_transcode/night' since" in error
    assert place.seen() == (version(2), version(2))
    held = claim.read_claim(place.temp, uri)
    assert held is not None and held.owner == "vod_transcode/night"
