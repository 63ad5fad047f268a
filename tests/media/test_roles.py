"""Roles of tracks that a request gives in place of what the source declares."""

from __future__ import annotations

from fractions import Fraction

import jsonschema
import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.media.models import AudioStream, Source, TextStream
from vod_operators.media.roles import parse_roles, roles_schema, with_roles


def a_sound(index: int, **facts: object) -> AudioStream:
    return AudioStream(
        index=index, codec="aac", channels=2, sample_rate=48_000, time_base=Fraction(1, 48_000), **facts
    )


SOURCE = Source(
    container="mov",
    size_bytes=1,
    audio=(a_sound(0, describes_video=True, default=True), a_sound(1), a_sound(2)),
    texts=(TextStream(index=3, codec="mov_text"), TextStream(index=4, codec="mov_text", commentary=True)),
)


def test_the_request_knows_better_than_the_source() -> None:
    roles = parse_roles('{"audio-0": "main", "audio-1": "commentary", "text-0": "hearing_impaired"}')
    changed = with_roles(SOURCE, roles)
    assert [(a.describes_video, a.hearing_impaired, a.commentary) for a in changed.audio] == [
        (False, False, False),
        (False, False, True),
        (False, False, False),
    ]
    assert [(t.hearing_impaired, t.commentary) for t in changed.texts] == [(True, False), (False, True)]
    assert with_roles(SOURCE, {}) == SOURCE


def test_a_track_that_is_not_there_is_refused() -> None:
    told = r"roles: the source has no track audio-3; it has audio-0, audio-1, audio-2, text-0, text-1"
    with pytest.raises(InvalidInputError, match=told):
        with_roles(SOURCE, {"audio-3": "description"})


@pytest.mark.parametrize("text", ["", "null", "None", "{}"])
def test_no_roles(text: str) -> None:
    assert parse_roles(text) == {}


@pytest.mark.parametrize("roles", ['{"audio-0": "loud"}', "[]", '{"audio-0": 1}'])
def test_what_is_no_role_is_refused(roles: str) -> None:
    with pytest.raises(InvalidInputError, match="roles"):
        parse_roles(roles)


def test_the_form_knows_the_same() -> None:
    jsonschema.validate({"audio-0": "description", "text-12": "main"}, roles_schema())
    for bad in ({"video-0": "main"}, {"audio-0\n": "main"}, {"audio-0": "loud"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, roles_schema())
