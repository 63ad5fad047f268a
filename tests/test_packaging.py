"""The walls, the lock file and the wheel: what holds the house together from outside."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders with their ruff settings, without their code."""
    house = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", house)
    for settings in (ROOT / "plugins").rglob("ruff.toml"):
        target = house / settings.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        shutil.copy(settings, target)
    return house


def complaints(house: Path, folder: str, line: str) -> str:
    file = house / "plugins" / "vod_operators" / folder / "visitor.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"def visit() -> None:\n    {line}  # noqa: F401\n")
    argv = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID",
        "--output-format",
        "concise",
    ]
    result = subprocess.run([*argv, str(file)], cwd=house, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout if result.returncode else ""


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("media", "import airflow"),
        ("media", "from airflow.sdk import BaseOperator"),
        ("media", "import boto3"),
        ("media", "from botocore.exceptions import ClientError"),
        ("media", "import httpx"),
        ("media", "import subprocess"),
        ("media", "from subprocess import run"),
        ("media", "from vod_operators.storage.base import Storage"),
        ("media", "from vod_operators import storage"),
        ("media", "from vod_operators.runners import local"),
        ("media", "from vod_operators.operators import prepare"),
        ("media/presets", "import airflow"),
        ("media", "from vod_operators.check import rules"),
        ("check", "from vod_operators.media import models"),
        ("check", "import httpx"),
        ("formats", "from vod_operators.check import rules"),
        ("formats", "from vod_operators.media import models"),
        ("storage", "from vod_operators.media import models"),
        ("storage", "from vod_operators.runners import local"),
        ("storage", "import vod_operators.operators"),
        ("runners", "from vod_operators.media import models"),
        ("runners", "from vod_operators.storage import base"),
        ("runners", "import vod_operators.operators"),
        ("work", "from airflow.sdk import Context"),
        ("work", "from vod_operators.operators import base"),
        ("work", "from vod_operators.page import videos"),
        ("page", "import boto3"),
        ("page", "import httpx"),
        ("page", "from vod_operators.operators import base"),
        ("page", "from vod_operators.runners import local"),
        ("page", "from vod_operators.cli import main"),
    ],
)
def test_the_walls_flag_a_forbidden_import(house: Path, folder: str, line: str) -> None:
    assert "TID251" in complaints(house, folder, line)


@pytest.mark.parametrize("line", ["from ..storage import base", "from . import base"])
def test_no_relative_import_climbs_over_a_wall(house: Path, line: str) -> None:
    assert "TID252" in complaints(house, "media", line)


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("media", "from vod_operators.errors import VodError"),
        ("media", "from vod_operators.formats import nal"),
        ("check", "from vod_operators.formats import facts"),
        ("storage", "import boto3"),
        ("storage", "import httpx"),
        ("runners", "import subprocess"),
        ("operators", "from vod_operators.media import models"),
        ("operators", "from vod_operators.storage import base"),
        ("operators", "from airflow.sdk import BaseOperator"),
    ],
)
def test_the_walls_let_pass_what_belongs(house: Path, folder: str, line: str) -> None:
    assert complaints(house, folder, line) == ""


def test_the_lock_holds_names_versions_and_hashes_alone() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
    assert "find-links" not in lock
    packages = re.split(r"(?m)^(?=\w)", lock.strip())[1:]
    assert len(packages) > 200
    for package in packages:
        assert re.match(r"[a-z0-9.\-]+(\[[a-z0-9,\-]+\])?==[^\s;]+", package), package
        assert "--hash=sha256:" in package, package


def test_the_lock_covers_every_requirement() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = {name.lower() for name in re.findall(r"(?m)^([A-Za-z0-9._-]+)==", lock)}
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(r'(?m)^    "([a-z0-9-]+)(?:\[[a-z0-9,]+\])?>=', project)
    assert len(wanted) > 20
    assert set(wanted) <= locked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("vod_operators-*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_carries_the_dags_and_the_presets(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for dag in (ROOT / "dags").glob("*.py"):
        assert f"vod_operators/dags/{dag.name}" in names
    assert "vod_operators/dags/vod_transcode.py" in names
    assert "vod_operators/media/presets/h264.json" in names
    assert "vod_operators/media/presets/h264_small.json" in names


def test_the_wheel_carries_its_types_and_its_licence(wheel: zipfile.ZipFile) -> None:
    info = "vod_operators-0.1.0.dist-info"
    assert wheel.read("vod_operators/py.typed") == b""
    assert wheel.read(f"{info}/licenses/LICENSE").decode() == (ROOT / "LICENSE").read_text()
    metadata = message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE"


def test_the_image_is_built_from_all_that_the_wheel_needs() -> None:
    """Of the files that pyproject.toml names."""
    dockerfile = (ROOT / "docker" / "airflow.Dockerfile").read_text()
    stage = dockerfile.partition(" AS package\n")[2].partition("\nFROM ")[0]
    copied = {name for line in re.findall(r"(?m)^COPY (.+) \S+$", stage) for name in line.split()}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "dags", "plugins"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(ignored)


def test_celery_comes_as_an_extra_and_into_the_image(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_bytes(wheel.read("vod_operators-0.1.0.dist-info/METADATA"))
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    base = {need.name for need in needed if need.marker is None}
    celery = {need.name for need in needed if need.marker and need.marker.evaluate({"extra": "celery"})}
    assert celery - base == {"apache-airflow-providers-celery", "celery"}
    assert {"apache-airflow-providers-amazon", "apache-airflow-providers-docker"} <= base
    assert " --extra celery " in (ROOT / "docker" / "airflow.Dockerfile").read_text()
    assert " --extra celery " in (ROOT / "Makefile").read_text()  # of the lock


PAGE = ROOT / "plugins" / "vod_operators" / "page"


@pytest.mark.skipif(not (PAGE / "static" / "videos.js").is_file(), reason="the page is not built (no npm)")
def test_the_wheel_carries_the_page_with_its_licence_and_without_its_source(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    built = {f"vod_operators/page/static/{file.name}" for file in (PAGE / "static").iterdir()}
    assert {"vod_operators/page/static/videos.js", "vod_operators/page/static/hls.js-LICENSE.txt"} < built
    assert built <= names
    assert not [name for name in names if name.startswith("vod_operators/page/ui")]


@pytest.mark.parametrize("folder", [PAGE / "ui", ROOT / "tests" / "players"], ids=["page", "players"])
def test_the_locks_of_npm_hold_names_versions_and_hashes_alone(folder: Path) -> None:
    lock = (folder / "package-lock.json").read_text()
    assert "://" not in lock
    packages = [package for name, package in json.loads(lock)["packages"].items() if name]
    assert packages and all(package["integrity"] and "resolved" not in package for package in packages)


def test_the_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"vod_operators", "vod_operators-0.1.0.dist-info"}
    assert not [name for name in wheel.namelist() if "cache" in name or name.endswith("ruff.toml")]


def test_the_wheel_announces_the_plugin_and_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read("vod_operators-0.1.0.dist-info/entry_points.txt").decode())
    assert dict(entry_points["airflow.plugins"]) == {"vod": "vod_operators.plugin:VodPlugin"}
    assert dict(entry_points["apache_airflow_provider"]) == {
        "provider_info": "vod_operators.provider:get_provider_info"
    }
    assert dict(entry_points["console_scripts"]) == {"vod": "vod_operators.cli.main:main"}
    names = wheel.namelist()
    assert "vod_operators/plugin.py" in names
    assert "vod_operators/cli/main.py" in names
