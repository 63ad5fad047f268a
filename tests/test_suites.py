"""A suite, a folder of tests, uses ``support`` and what lies in itself: never another suite, never a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from support.tools import ROOT

TESTS = ROOT / "tests"
SUITES = {folder.name for folder in TESTS.iterdir() if list(folder.glob("test_*.py"))}
FILES = [file for file in sorted(TESTS.rglob("*.py")) if "node_modules" not in file.parts]
LOOSE = {
    file.stem: name
    for name in sorted(SUITES)
    if not (TESTS / name / "__init__.py").exists()  # pytest puts such a folder on the path
    for file in (TESTS / name).glob("*.py")
}
"""Module -> its suite, where it can be imported without the suite's name."""


def imported(source: str) -> Iterator[str]:
    """Every module and name that Python code imports, with dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strangers(suite: str, source: str) -> list[str]:
    """What the code of a suite may not import."""
    found = []
    for name in imported(source):
        first, *below = name.split(".")
        theirs = first if first in SUITES else LOOSE.get(first, suite)
        module = below[0] if first in SUITES and below else first
        if theirs != suite or module == "conftest" or module.startswith("test_"):
            found.append(name)
    return found


def test_no_suite_imports_another() -> None:
    read: dict[str, list[str]] = {}
    for file in FILES:
        place = file.relative_to(TESTS)
        suite = place.parts[0] if len(place.parts) > 1 else "tests"
        read[str(place)] = strangers(suite, file.read_text("utf-8"))
    assert {"support/clips.py", "exact/test_rates.py", "conftest.py"} <= read.keys()
    assert {place: found for place, found in read.items() if found} == {}


@pytest.mark.parametrize(
    ("suite", "line", "stranger"),
    [
        ("players", "from faults.stage import download", "faults.stage.download"),
        ("support", "import exact.field", "exact.field"),
        ("support", "from exact import field", "exact.field"),
        ("tests", "from media.plans import a_plan", "media.plans.a_plan"),
        ("e2e", "from kinds import make", "kinds.make"),
        ("faults", "from faults.test_kills import wait", "faults.test_kills.wait"),
        ("faults", "from faults import conftest", "faults.conftest"),
        ("media", "from test_plan import FULL", "test_plan.FULL"),
        ("media", "def late():\n    from conftest import S3Bucket", "conftest.S3Bucket"),
    ],
)
def test_a_stranger_is_found(suite: str, line: str, stranger: str) -> None:
    assert strangers(suite, line) == [stranger]


@pytest.mark.parametrize(
    ("suite", "line"),
    [
        ("faults", "from faults.stage import download"),
        ("runners", "from kinds import make"),
        ("runners", "from runners.kinds import make"),
        ("e2e", "from support.steps import Steps"),
        ("storage", "import requests"),
        ("storage", "from vod_operators.storage import base"),
    ],
)
def test_what_belongs_passes(suite: str, line: str) -> None:
    assert strangers(suite, line) == []
