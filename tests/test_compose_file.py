"""docker-compose.yaml, .env, the edge's configuration and the documents say the same; without Docker."""

from __future__ import annotations

import os
import re
import runpy
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tools import ROOT, configure
from vod_operators.operators.stable import PLAYLIST_TYPE
from vod_operators.settings import VodSettings

COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENV_TEXT = (ROOT / ".env").read_text("utf-8")
ENV = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", ENV_TEXT, re.M))
NGINX = (ROOT / "docker" / "edge" / "nginx.conf").read_text("utf-8")
SETUP = runpy.run_path(str(ROOT / "docker" / "setup.py"))
ONCE = {"secrets", "init"}

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(:\?see \.env)?\}")


def test_every_variable_of_the_compose_file_is_a_knob_and_every_knob_turns_something() -> None:
    found = VARIABLE.findall(COMPOSE_TEXT)
    assert all(required for _, required in found), "an empty one is told at once"
    asked = set(
        re.findall(r'os\.environ\["([A-Z0-9_]+)"\]', (ROOT / "docker" / "setup.py").read_text("utf-8"))
    )
    used = {name for name, _ in found} | asked  # by ``env_file``, as VOD_ settings are
    assert used <= set(ENV)
    assert {name for name in ENV if not name.startswith("VOD_")} <= used


def test_every_knob_is_explained() -> None:
    """A comment stands above it; images stand together below theirs."""
    lines = ENV_TEXT.splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#") and not line.split("=")[0].endswith("_IMAGE"):
            assert re.match("# (?!---)", lines[number - 1]), line


def test_its_settings_are_settings_and_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name: value for name, value in ENV.items() if name.startswith("VOD_")}
    assert {name.removeprefix("VOD_").lower() for name in ours} <= set(VodSettings.model_fields)
    configure(monkeypatch, **{name.removeprefix("VOD_").lower(): value for name, value in ours.items()})
    settings = VodSettings()
    assert settings.edges == (f"http://localhost:{ENV['EDGE_PORT']}",)
    assert settings.temp_uri != settings.results_uri
    assert ENV["AIRFLOW_URL"] == f"http://localhost:{ENV['AIRFLOW_PORT']}"


def test_the_stores_of_the_settings_are_the_buckets_that_are_made() -> None:
    buckets = {urlsplit(ENV[name]).netloc for name in ("VOD_TEMP_URI", "VOD_RESULTS_URI")}
    assert buckets < set(SETUP["BUCKETS"])
    results = urlsplit(ENV["VOD_RESULTS_URI"]).netloc
    assert f"{ENV['S3_ENDPOINT']}/{results};" in NGINX
    identities = SETUP["made"]()["s3.json"]
    assert f'"anonymous", "actions": ["Read:{results}"]' in identities


def test_nothing_secret_is_shipped() -> None:
    assert not [name for name in ENV if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]
    assert SETUP["made"]() != SETUP["made"]()
    named = set(re.findall(r"/var/lib/vod/secrets/([a-z0-9_.]+)", COMPOSE_TEXT))
    assert named and named <= set(SETUP["made"]())


def test_secrets_are_made_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETUP["make_secrets"].__globals__, "FOLDER", tmp_path)
    monkeypatch.setitem(SETUP["make_secrets"].__globals__, "VOLUMES", ())
    umask = os.umask(0o022)
    try:
        SETUP["make_secrets"]()
        first = {path.name: path.read_text() for path in tmp_path.iterdir()}
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
        SETUP["make_secrets"]()
    finally:
        os.umask(umask)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    assert set(first) == {*SETUP["made"](), "complete"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined_and_looked_after(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in ("", "0", "root")
    assert "privileged" not in service and "docker.sock" not in str(service)
    for port in service.get("ports", []):
        assert port.startswith("${BIND_ADDRESS:?see .env}:")
    if name in ONCE:
        assert service["restart"] in ("no", "on-failure:5") and service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    assert "memory" in service["deploy"]["resources"]["limits"]
    from_image = name in ("worker", "transcoder")
    assert ("test" in service.get("healthcheck", {})) is not from_image
    for other, condition in service["depends_on"].items():
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert condition == {"condition": wanted}


def test_only_this_machine_reaches_it_unless_somebody_says_so() -> None:
    assert ENV["BIND_ADDRESS"] == "127.0.0.1"
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server", "edge", "s3"}


def test_a_transcoder_does_one_thing_at_a_time_and_may_finish_it() -> None:
    transcoder, worker = SERVICES["transcoder"], SERVICES["worker"]
    command = " ".join(transcoder["command"])
    assert command == "celery worker --queues ${VOD_TRANSCODE_QUEUE:?see .env} --concurrency 1"
    assert "--queues default" in " ".join(worker["command"])
    assert transcoder["stop_grace_period"] == worker["stop_grace_period"] == "${STOP_GRACE_PERIOD:?see .env}"


def test_the_edge_serves_what_is_published() -> None:
    """The endings and types that ``segment`` and ``publish`` write."""
    locations = re.findall(r"\\\.\(([a-z0-9|]+)\)\\z", NGINX)
    media, text = (set(found.split("|")) for found in locations)
    assert {"mp4", "m4s"} <= media and {"m3u8", "json"} <= text and not media & text
    (types,) = re.findall(r"gzip_types ([^;]+);", NGINX)
    assert {PLAYLIST_TYPE, "application/json"} <= set(types.split())
    assert "@EDGE_CACHE_SIZE@" in NGINX and "@EDGE_CACHE_SIZE@" in " ".join(SERVICES["edge"]["command"])
    # How long something is kept is said in one place: where it is published.
    assert "Cache-Control" not in re.sub(r"(?m)#.*$", "", NGINX)


def test_the_edge_takes_whole_names_only() -> None:
    patterns = [found.replace(r"\z", r"\Z") for found in re.findall(r'location ~ "(.+)" {', NGINX)]
    assert len(patterns) == 2

    def is_served(path: str) -> bool:
        return any(re.search(pattern, path) for pattern in patterns)

    assert is_served("/film/index.m3u8") and is_served("/film/v-1/360p/seg-00001.m4s")
    for path in (
        "/film/index.m3u8\n",
        "/film/seg.m4s\n",
        "/film\n/index.m3u8",
        "/film/.m3u8",
        "/film/a.m3u8/b",
    ):
        assert not is_served(path)


def test_documents_name_services_and_targets_that_exist() -> None:
    dockerfile = (ROOT / "docker" / "airflow.Dockerfile").read_text("utf-8")
    stages = set(re.findall(r"^FROM .* AS ([a-z]+)$", dockerfile, re.M))
    documents = [ROOT / "README.md", ROOT / "docker" / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(document.read_text("utf-8") for document in documents)
    assert set(re.findall(r"--target ([a-z]+)", text)) <= stages
    assert set(re.findall(r"-f (docker/\S+)", text)) == {"docker/airflow.Dockerfile"}
    named = set(re.findall(r"docker compose (?:exec(?: -T)?|logs|restart) ([a-z0-9-]+)", text))
    assert named and named <= set(SERVICES)
    assert set(re.findall(r"--scale ([a-z0-9-]+)=", text)) <= set(SERVICES)
    knobs = set(re.findall(r"`([A-Z0-9]+_[A-Z0-9_]+)(?:=[^`]*)?`[^|\n]*in `\.env`", text))
    assert knobs <= set(ENV)
