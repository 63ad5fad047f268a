"""The documents say what is true: settings, presets, rules, commands, targets, links."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import local_airflow
import local_settings
from support.tools import ROOT
from vod_operators.check.rules import RULES
from vod_operators.cli.main import build_parser
from vod_operators.media.presets.catalog import preset_names
from vod_operators.settings import VodSettings

README = (ROOT / "README.md").read_text("utf-8")
CONFIGURATION = ROOT / "docs" / "configuration.md"

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name / "README.md" for name in ("docker", "tests/exact", "tests/media")),
]

SOURCES = [
    file
    for pattern in ("*.py", "*.yaml", "*.toml", "*.sh", ".env", "Makefile", "*.Dockerfile")
    for folder in (".", "plugins", "dags", "docker", "scripts", "tests", "bench", "examples")
    for file in ((ROOT / folder).glob(pattern) if folder == "." else (ROOT / folder).rglob(pattern))
    if not {"node_modules", ".venv"} & set(file.parts)
]


def settings_table() -> str:
    """The table of all settings, as docs/configuration.md has it."""
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
    assert settings_table() in CONFIGURATION.read_text("utf-8")


def test_every_setting_that_is_named_exists() -> None:
    settings = {f"VOD_{name.upper()}" for name in VodSettings.model_fields}
    settings |= {f"VOD_AIRFLOW_{name}" for name in ("URL", "USER", "PASSWORD", "TOKEN")}  # of `vod submit`
    for document in DOCUMENTS:
        named = set(re.findall(r"\bVOD_[A-Z_]*[A-Z](?![A-Z_]*\*)\b", document.read_text("utf-8")))
        assert named <= settings, document


def test_every_preset_is_described() -> None:
    page = (ROOT / "docs" / "presets.md").read_text("utf-8")
    for name in preset_names():
        assert f"| `{name}` |" in page


def test_the_number_of_rules_is_that_of_the_validator() -> None:
    for document in (ROOT / "README.md", ROOT / "docs" / "check.md"):
        assert re.findall(r"(\d+) rules", document.read_text("utf-8")) == [str(len(RULES))]


def test_every_rule_is_in_the_table_of_what_the_rules_cover() -> None:
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert set(re.findall(r"`(\d+\.[a-z0-9.-]+)`", page)) == {rule.id for rule in RULES}


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text("utf-8"), re.M))
        assert named <= targets, document
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z-]+)", README, re.M))


def test_every_command_that_is_named_exists() -> None:
    commands = next(a for a in build_parser()._actions if a.dest == "command").choices
    for document in DOCUMENTS:
        named = re.findall(r"[`/\n]vod (run|submit|[a-z]+) (?:--|[A-Za-z])", document.read_text("utf-8"))
        assert set(named) <= set(commands or {}), document


def anchors(document: Path) -> set[str]:
    """What a link may name of a page: its headings, as GitHub spells them."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = (document.parent / path).resolve() if path else document
        if not page.exists() or (anchor and anchor not in anchors(page)):
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    assert list(broken_links(document, document.read_text("utf-8"))) == []


def test_a_link_to_no_page_or_heading_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `heading`, here\n\n```\n# no heading\n```\n", "utf-8")
    links = "[a](#one-heading-here) [b](page.md#one-heading-here) [c](page.md#no-heading) [d](gone.md)"
    assert list(broken_links(page, links)) == ["page.md#no-heading", "gone.md"]


def test_every_page_that_code_names_exists() -> None:
    named = {
        (file.relative_to(ROOT), page)
        for file in SOURCES
        for page in re.findall(r"\bdocs/[\w/-]+\.(?:md|png|json)\b", file.read_text("utf-8"))
    }
    assert len(named) > 5
    assert [(file, page) for file, page in sorted(named) if not (ROOT / page).exists()] == []


def test_every_module_that_is_named_exists() -> None:
    package = ROOT / "plugins" / "vod_operators"
    for page in DOCUMENTS:
        named = set(
            re.findall(
                r"`((?:media|runners|storage|work|operators|cli)/[\w/]+\.py)`", page.read_text("utf-8")
            )
        )
        assert not [name for name in named if not (package / name).is_file()], page


def test_every_page_is_in_the_index() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"](docs/{page.name})" in README
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    pages = [page for page in sorted((ROOT / "docs" / "decisions").glob("*.md")) if page.name != "README.md"]
    assert [page.name[:3] for page in pages] == [f"{number:03}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text("utf-8")
        title = text.splitlines()[0].partition(": ")[2]
        assert f"| [{page.name[:3]}]({page.name}) | {title} |" in decisions
        for part in ("Context.", "Measured.", "Decided", "What would change it."):
            assert f"**{part}" in text, (page.name, part)


def test_the_rest_call_names_the_params_of_the_dag() -> None:
    source = (ROOT / "dags" / "vod_transcode.py").read_text("utf-8")
    params = set(re.findall(r'^    "([a-z_]+)": Param\(', source, re.M))
    page = (ROOT / "docs" / "cms.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \| (?:required|`h264`|)? ?\|", page, re.M)) == params
    (conf,) = re.findall(r'"conf": (\{.*?\})\}', README)
    assert set(json.loads(conf)) <= params


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


if __name__ == "__main__":  # writes the table into docs/configuration.md
    text = re.sub(
        r"(\| variable \| default \| \|\n\|---\|---\|---\|\n)(?:\|.*\n)*",
        lambda m: m[1] + settings_table() + "\n",
        CONFIGURATION.read_text("utf-8"),
    )
    CONFIGURATION.write_text(text, "utf-8")
