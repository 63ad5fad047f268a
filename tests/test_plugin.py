"""The package works both ways: as folders next to each other, and as an installed wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.tools import ROOT
from vod_operators import __version__

# What Airflow finds, as seen from a process that has never heard of this checkout.
LOOK = """
import json, sys
checkout = sys.argv[1]
sys.path[:] = [entry for entry in sys.path if not entry.startswith(checkout + "/plugins")]
sys.path_importer_cache.clear()
if sys.version_info >= (3, 12):  # as Airflow chooses
    from importlib import metadata
else:
    import importlib_metadata as metadata
discover = metadata.distributions
def is_other(found):
    return found.name != "vod-operators" or not str(found.locate_file("")).startswith(sys.prefix)
metadata.distributions = lambda **asked: filter(is_other, discover(**asked))
from airflow import plugins_manager
preloaded = sorted(name for name in sys.modules if name.startswith("vod_operators.operators."))
names = [plugin["name"] for plugin in plugins_manager.get_plugin_info()]
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[2])
from airflow.providers_manager import ProvidersManager
import vod_operators
print(json.dumps({
    "plugins": names,
    "plugin_errors": plugins_manager.get_import_errors(),
    "dags": sorted(bag.dags),
    "dag_errors": bag.import_errors,
    "ready": sorted(name for name, dag in bag.dags.items() if dag.is_paused_upon_creation is False),
    "provider": "vod-operators" in ProvidersManager().providers,
    "package": vod_operators.__file__,
    "preloaded": preloaded,
}))
"""


DAGS = [
    "vod_ingest",
    "vod_janitor",
    "vod_manage",
    "vod_reencode",
    "vod_scrub",
    "vod_transcode",
    "vod_transcode_bulk",
]


def look(home: Path, dags: Path, **environment: str) -> dict:
    out = subprocess.run(
        [sys.executable, "-c", LOOK, str(ROOT), str(dags)],
        env=os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(dags)} | environment,
        cwd=home,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict = json.loads(out.stdout.splitlines()[-1])
    return found


IGNORED = shutil.ignore_patterns("__pycache__", "node_modules")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two folders, as a team would copy them into their Airflow."""
    home = tmp_path_factory.mktemp("folders")
    for name in ("dags", "plugins"):
        shutil.copytree(ROOT / name, home / name, ignore=IGNORED)
    return home


def test_as_a_plugins_folder(checkout: Path) -> None:
    found = look(
        checkout, checkout / "dags", AIRFLOW__CORE__PLUGINS_FOLDER=str(checkout / "plugins"), PYTHONPATH=""
    )
    assert found["plugins"].count("vod") == 1
    assert found["plugin_errors"] == {} and found["dag_errors"] == {}
    assert found["dags"] == DAGS
    told = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    ready, paused = re.findall(r"(?:`vod_\w+`(?:, | and )?)+ (?=are ready|have a schedule)", told)
    assert found["ready"] == sorted(re.findall(r"vod_\w+", ready))
    assert sorted(re.findall(r"vod_\w+", paused)) == sorted(set(DAGS) - set(found["ready"]))
    assert found["package"] == str(checkout / "plugins" / "vod_operators" / "__init__.py")


def test_operators_are_there_before_tasks_are_forked(checkout: Path) -> None:
    folders = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(checkout / "plugins"), "PYTHONPATH": ""}
    early = look(checkout, checkout / "dags", AIRFLOW__CORE__LAZY_LOAD_PLUGINS="False", **folders)
    assert early["plugin_errors"] == {} and early["dag_errors"] == {}
    steps = {
        "prepare", "split", "analyse", "choose", "transcode", "correct",
        "audio", "text", "pictures", "segment", "publish", "release",
    }  # fmt: skip
    assert {f"vod_operators.operators.{step}" for step in steps} <= set(early["preloaded"])
    assert look(checkout, checkout / "dags", **folders)["preloaded"] == []


def test_as_a_wheel(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    site = tmp_path / "site"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)

    found = look(tmp_path, site / "vod_operators" / "dags", PYTHONPATH=str(site))

    assert found["plugins"].count("vod") == 1 and found["provider"]
    assert found["plugin_errors"] == {} and found["dag_errors"] == {}
    assert found["dags"] == DAGS
    assert found["package"] == str(site / "vod_operators" / "__init__.py")


def test_neither_tasks_nor_the_api_server_import_the_page_at_their_start() -> None:
    """Only its first visitor waits for it."""
    code = (
        "import sys, vod_operators.plugin as plugin; found = plugin.VodPlugin();"
        "known = 'fastapi' in sys.modules; apps = found.fastapi_apps, found.react_apps;"
        "print(known, 'fastapi' in sys.modules, [n for n in sys.modules if '.page.' in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False ['vod_operators.page.mount']"


def test_the_plugin_loader_executes_no_module_of_the_package(checkout: Path) -> None:
    """Airflow runs every ``.py`` below its plugins folder as a module of its own, unless told not to."""
    assert (checkout / "plugins" / ".airflowignore").read_text("utf-8").split() == ["vod_operators/**"]
    (checkout / "plugins" / "vod_operators" / "trap.py").write_text("raise SystemExit('was executed')\n")
    found = look(
        checkout, checkout / "dags", AIRFLOW__CORE__PLUGINS_FOLDER=str(checkout / "plugins"), PYTHONPATH=""
    )
    assert found["plugin_errors"] == {}


def test_airflow_lists_the_provider_and_all_its_operators() -> None:
    from airflow.providers_manager import ProvidersManager

    provider = ProvidersManager().providers["vod-operators"]  # held against Airflow's schema
    assert provider.version == __version__
    (operators,) = provider.data["operators"]
    having = {
        f"vod_operators.operators.{path.stem}"
        for path in (ROOT / "plugins" / "vod_operators" / "operators").glob("*.py")
        if re.search(r"(?m)^class Vod\w+Operator\(", path.read_text("utf-8"))
    }
    bases = {"vod_operators.operators.base", "vod_operators.operators.callbacks"}
    assert set(operators["python-modules"]) == having - bases
    assert "plugins" not in provider.data  # the entry point of plugins registers it
    assert ProvidersManager().plugins == []
