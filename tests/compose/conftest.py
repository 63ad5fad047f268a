"""One stack for all modules: two minutes to start, and what one leaves another may find."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from compose.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    users = "admin:admin,editor:user,guest:viewer"
    knobs = {"TRANSCODERS": "2", "TRANSCODER_MEMORY": "2g", "AIRFLOW_USERS": users}
    stack = Stack(knobs=knobs)
    try:
        stack.compose("up", "--detach", "--no-build")
        stack.wait_until_healthy()
        stack.log_in()
        yield stack
    finally:
        if not os.environ.get("COMPOSE_KEEP"):
            stack.compose("down", "--volumes", "--timeout", "20")
