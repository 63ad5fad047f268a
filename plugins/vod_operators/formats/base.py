"""The base of all models: frozen, checked at construction, unknown keys refused; they travel as JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[Fraction, Field(gt=0)]
"""Frames a second, exact (``30000/1001``)."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""Part of an object's key: safe in a path, a URL and a task's label."""


def is_unset(value: object) -> bool:
    """For ``Field(exclude_if=is_unset)``: leave an optional field out where a model is written.

    A field that a release adds to presets or plans must not change the fingerprints of those that do not use
    it: work and results of releases before would no longer count.
    """
    return value is None or value is False


def is_empty(value: object) -> bool:
    """As ``is_unset``, of a list that a release adds."""
    return value == ()


def is_zero(value: object) -> bool:
    """For ``Field(exclude_if=is_zero)``, as ``is_unset`` of numbers."""
    return value == 0


class Model(BaseModel):
    """Base of all models. Errors name the field, and never quote the value that was given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, hide_input_in_errors=True
    )
