"""Which keys a run's ``conf`` may have."""

from __future__ import annotations

from typing import Any

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.work.conf import check_conf

KEYS = ("video_id", "source", "preset", "chunk_seconds", "callback_url", "callback_conn_id")


@pytest.mark.parametrize(
    "conf", [None, {}, {"preset": "h264"}, dict.fromkeys(KEYS), {"openlineage": {"parentRunId": "1"}}]
)
def test_what_is_known_and_what_airflow_adds_is_taken(conf: dict[str, Any] | None) -> None:
    check_conf(conf, KEYS)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("pre_set", "preset"),
        ("Preset", "preset"),
        ("videoId", "video_id"),
        ("chunk_second", "chunk_seconds"),
        ("callbackUrl", "callback_url"),
    ],
)
def test_a_misspelt_key_is_told_with_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_conf({"video_id": "film", key: 1}, KEYS)
    assert str(refused.value) == f"conf: there is no field {key!r}; did you mean {nearest!r}?"


def test_a_key_that_is_near_to_none_is_told_with_all() -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_conf({"zzz\n": 1}, ("preset", "dry_run"))
    assert str(refused.value) == "conf: there is no field 'zzz\\n'; known are dry_run, preset"


def test_neither_values_nor_endless_keys_are_quoted() -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_conf({"k" * 5000: "s3cret", **{f"x{number}": 1 for number in range(1000)}}, KEYS)
    assert "s3cret" not in str(refused.value) and len(str(refused.value)) < 1000
