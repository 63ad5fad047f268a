"""docker-compose.yaml, .env, the edge's configuration and the documents say the same; without Docker."""

from __future__ import annotations

import os
import re
import runpy
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from support.settings import configure
from support.tools import ROOT
from vod_operators.settings import VodSettings
from vod_operators.work.stable import PLAYLIST_TYPE

COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENV_TEXT = (ROOT / ".env").read_text("utf-8")
ENV = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", ENV_TEXT, re.M))
NGINX = (ROOT / "docker" / "edge" / "nginx.conf").read_text("utf-8")
SETUP = runpy.run_path(str(ROOT / "docker" / "setup.py"))
ONCE = {"secrets", "init"}
STORES = ("VOD_TEMP_URI", "VOD_RESULTS_URI", "VOD_UPLOADS_URI")

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
    buckets = {urlsplit(ENV[name]).netloc for name in STORES}
    assert buckets < set(SETUP["BUCKETS"])
    results = urlsplit(ENV["VOD_RESULTS_URI"]).netloc
    assert f"{ENV['S3_ENDPOINT']}/{results};" in NGINX
    anonymous = [each for each in identities() if each["name"] == "anonymous"]
    assert anonymous == [{"name": "anonymous", "actions": [f"Read:{results}"]}]


def test_nothing_secret_is_shipped() -> None:
    assert not [name for name in ENV if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]
    first, second = made(), made()
    assert not [name for name in first if first[name] == second[name]]
    named = set(re.findall(r"/var/lib/vod/secrets/([a-z0-9_.]+)", COMPOSE_TEXT))
    assert named and named <= {*first, *SETUP["derived"](first)}


def test_secrets_are_made_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    master, groups = tmp_path / "secrets", tmp_path / "groups"
    for folder in (master, *(groups / group for group in SETUP["GROUPS"])):
        folder.mkdir(parents=True)
    for name, value in {"FOLDER": master, "GROUP_FOLDER": groups, "VOLUMES": ()}.items():
        monkeypatch.setitem(SETUP["make_secrets"].__globals__, name, value)

    def files() -> dict[str, str]:
        return {
            str(path.relative_to(tmp_path)): path.read_text()
            for path in tmp_path.rglob("*")
            if path.is_file()
        }

    umask = os.umask(0o022)
    try:
        # A deployment from before: what it has stays, what it lacks is made.
        (master / "postgres_password").write_text("before")
        SETUP["make_secrets"]()
        first = files()
        assert {p.stat().st_mode & 0o777 for p in groups.rglob("*") if p.is_file()} == {0o640}
        (groups / "login" / "passwords.json").write_text("changed by Airflow")
        SETUP["make_secrets"]()
    finally:
        os.umask(umask)
    assert files() == first | {"groups/login/passwords.json": "changed by Airflow"}
    assert (
        first["groups/database/postgres_password"] == "before"
        and "before@" in first["secrets/sql_alchemy_conn"]
    )


def mounted(name: str) -> dict[str, str]:
    """Volume -> where a service has it."""
    return dict(volume.split(":")[:2] for volume in SERVICES[name].get("volumes", []))


def test_each_service_has_its_own_secrets_and_no_others() -> None:
    """What can read which secret; the volume with all of them is the first start's alone."""
    assert [name for name in SERVICES if "secrets" in mounted(name)] == ["secrets"]
    groups = {
        name: {volume.removeprefix("secrets-") for volume in mounted(name) if volume.startswith("secrets-")}
        for name in SERVICES
        if name != "secrets"
    }
    assert groups == {
        "init": {"init"},
        "postgres": {"database"},
        "redis": {"broker"},
        "s3": {"store"},
        "api-server": {"airflow", "login"},
        "scheduler": {"airflow"},
        "dag-processor": {"airflow"},
        "triggerer": {"airflow"},
        "worker": {"worker"},
        "transcoder": {"worker"},
        "edge": set(),
    }
    assert set(SETUP["GROUPS"]) == {group for found in groups.values() for group in found}
    # Where hostile videos are decoded: the broker alone.
    assert SETUP["GROUPS"]["worker"] == ("broker_url", "result_backend")
    texts = SETUP["derived"](made())
    assert all(texts[name].startswith("redis://") for name in SETUP["GROUPS"]["worker"])
    for name in ("worker", "transcoder"):
        asked = re.findall(r"/var/lib/vod/secrets/([a-z_]+)", str(SERVICES[name]))
        assert set(asked) == set(SETUP["GROUPS"]["worker"])


def test_networks_keep_the_edge_and_workers_from_the_database() -> None:
    networks = {name: set(service.get("networks", ())) for name, service in SERVICES.items()}
    assert SERVICES["secrets"]["network_mode"] == "none"
    at = {
        network: {name for name in networks if network in networks[name]} for network in COMPOSE["networks"]
    }
    assert at == {
        "database": {"postgres", "init", "api-server", "scheduler", "dag-processor", "triggerer"},
        "broker": {"redis", "scheduler", "worker", "transcoder"},
        "store": {"s3", "init", "api-server", "worker", "transcoder"},
        "players": {"s3", "edge"},
        "airflow": {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "transcoder"},
    }
    assert {name for name, network in COMPOSE["networks"].items() if network} == {
        "database",
        "broker",
        "store",
    }
    assert all(network == {"internal": True} for network in COMPOSE["networks"].values() if network)


def test_the_filer_is_out_of_reach_and_workers_administer_nothing() -> None:
    command = SERVICES["s3"]["command"]
    # Master, volume server and filer know no credentials; only S3 does.
    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"} <= set(command)
    rights = {each["name"]: each["actions"] for each in identities()}
    assert rights["admin"] == ["Admin"]
    assert "Write:vod-originals" not in rights["airflow"]
    assert {action.split(":")[1] for action in rights["airflow"]} == {
        "vod-originals",
        "vod-uploads",
        "vod-tmp",
        "vod-results",
    }
    assert {action.split(":")[1] for action in rights["uploads"]} == {"vod-originals"}
    keys = [str(each["credentials"]) for each in identities() if "credentials" in each]
    assert len(set(keys)) == 3


def made() -> dict[str, str]:
    return {name: make() for name, make in SETUP["MADE"].items()}


def identities() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = SETUP["identities"](made())
    return found


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


def test_the_database_has_room_for_the_connections_of_a_burst() -> None:
    overflow = int(COMPOSE["x-control"]["AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW"])
    options = dict(arg.split("=") for arg in COMPOSE["services"]["postgres"]["command"] if "=" in arg)
    assert overflow >= 100
    assert int(options["max_connections"]) >= 5 + overflow + 50


def test_a_transcoder_does_one_thing_at_a_time_and_may_finish_it() -> None:
    transcoder, worker = SERVICES["transcoder"], SERVICES["worker"]
    command = " ".join(transcoder["command"])
    assert (
        command == "celery worker --skip-serve-logs --queues ${VOD_TRANSCODE_QUEUE:?see .env} --concurrency 1"
    )
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

    assert is_served("/steering.json")
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
