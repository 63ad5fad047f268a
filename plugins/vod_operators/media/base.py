"""What all models share: frozen, unknown keys refused, checked when they are made; all travel as JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[Fraction, Field(gt=0)]
"""Frames a second, exact (``30000/1001``)."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""Part of a key: what is safe in a path, a URL and a task's label."""


class Model(BaseModel):
    """Base of all: frozen, and an unknown key is an error that names it and does not quote what was given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, hide_input_in_errors=True
    )
