"""The README says what is true: settings, presets, commands, links."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import local_airflow
import local_settings
from tools import ROOT
from vod_operators.cli.main import build_parser
from vod_operators.media.presets.catalog import preset_names
from vod_operators.settings import VodSettings

README = (ROOT / "README.md").read_text("utf-8")


def settings_table() -> str:
    """The table of all settings, as the README has it."""
    rows = []
    for name, field in VodSettings.model_fields.items():
        value = json.dumps(field.default) if isinstance(field.default, tuple) else field.default
        default = (
            ""
            if field.is_required() or field.default_factory or field.default in (None, ())
            else f"`{value}`"
        )
        rows.append(f"| `VOD_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_the_configuration_table_is_that_of_the_settings() -> None:
    assert settings_table() in README


def test_every_preset_is_described() -> None:
    for name in preset_names():
        assert f"| `{name}` |" in README


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = set()
    for document in (ROOT / "README.md", ROOT / "docs" / "architecture.md"):
        named |= set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text("utf-8"), re.M))
    assert named and named <= targets


def test_every_command_that_is_named_exists() -> None:
    commands = next(a for a in build_parser()._actions if a.dest == "command").choices
    assert set(re.findall(r"\bvod (run|submit|[a-z]+) (?:--|[A-Za-z])", README)) <= set(commands or {})


def test_every_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_rest_call_names_the_params_of_the_dag() -> None:
    source = (ROOT / "dags" / "vod_transcode.py").read_text("utf-8")
    params = set(re.findall(r'^    "([a-z_]+)": Param\(', source, re.M))
    assert set(re.findall(r"^\| `([a-z_]+)` \| (?:required|`h264`|)? ?\|", README, re.M)) == params


def test_the_local_airflow_prints_what_the_rest_call_and_vod_submit_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_settings, "HOME", tmp_path)
    local_airflow.print_login({"url": "http://127.0.0.1:8080"})
    exports = [line for line in capsys.readouterr().out.splitlines() if line.startswith("export ")]
    show = "; ".join([*exports, "env"])  # pasted into a shell
    shell = subprocess.run(["sh", "-c", show], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    given = dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith("VOD_"))
    assert given == {
        "VOD_AIRFLOW_URL": "http://127.0.0.1:8080",
        "VOD_AIRFLOW_USER": "admin",
        "VOD_AIRFLOW_PASSWORD": local_settings.password(),
    }
    assert set(re.findall(r"\$(VOD_\w+)", README)) == set(given)
    submit = (ROOT / "plugins" / "vod_operators" / "cli" / "submit.py").read_text("utf-8")
    assert set(given) <= set(re.findall(r"VOD_AIRFLOW_\w+", submit))


if __name__ == "__main__":  # writes the table into the README
    text = re.sub(
        r"(\| variable \| default \| \|\n\|---\|---\|---\|\n)(?:.*\n)*?\n",
        lambda m: m[1] + settings_table() + "\n\n",
        README,
    )
    Path(ROOT / "README.md").write_text(text, "utf-8")
