"""What a track is for: read from the source, or given by the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from vod_operators.errors import InvalidInputError
from vod_operators.media.models import AudioStream, Source, TextStream

Role = Literal["main", "description", "commentary", "hearing_impaired"]

FLAGS = {
    "describes_video": "description",
    "commentary": "commentary",
    "hearing_impaired": "hearing_impaired",
}
"""Fields of a stream -> the role that they stand for; none is set for ``main``."""

TRACK_PATTERN = r"^(audio-\d+|text-\d+)$"

_ROLES = TypeAdapter(dict[str, Role])

Stream = TypeVar("Stream", AudioStream, TextStream)


def roles_schema() -> dict[str, Any]:
    """JSON schema of the request's ``roles``."""
    role = {"enum": ["main", *FLAGS.values()]}
    return {"additionalProperties": False, "patternProperties": {f"{TRACK_PATTERN}(?!\\n)": role}}


def parse_roles(text: str) -> dict[str, Role]:
    """The request's ``roles``, from JSON: track of the source -> role; empty if there are none.

    :raises InvalidInputError: it is malformed; the message names the track.
    """
    if text.strip() in ("", "None", "null"):
        return {}
    try:
        return _ROLES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f".{part}" for part in first["loc"])
        raise InvalidInputError(f"roles{where}: {first['msg']}") from None


def with_roles(source: Source, roles: Mapping[str, Role]) -> Source:
    """The source with these roles in place of those that it declares.

    :param roles: by the track's name: ``audio-1`` is the source's second sound track.
    :raises InvalidInputError: the source has no track of a name.
    """
    names = [f"audio-{n}" for n in range(len(source.audio))] + [f"text-{n}" for n in range(len(source.texts))]
    if unknown := sorted(set(roles) - set(names)):
        raise InvalidInputError(
            f"roles: the source has no track {unknown[0]}; it has {', '.join(names) or 'none'}"
        )

    def changed(stream: Stream, name: str) -> Stream:
        fields = [field for field in FLAGS if field in type(stream).model_fields]
        flags = {field: FLAGS[field] == roles[name] for field in fields} if name in roles else {}
        return stream.model_copy(update=flags)

    return source.model_copy(
        update={
            "audio": tuple(changed(stream, f"audio-{n}") for n, stream in enumerate(source.audio)),
            "texts": tuple(changed(stream, f"text-{n}") for n, stream in enumerate(source.texts)),
        }
    )
