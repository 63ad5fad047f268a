"""The contract with a CMS: schemas that are current and true, a client that checks signatures."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from support.results import a_result
from support.tools import ROOT
from vod_operators.work.failure import ADVICE, Failure
from vod_operators.work.schemas import schemas
from vod_operators.work.webhook import Event, sign

SCHEMAS = ROOT / "docs" / "schemas"


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cms_client", ROOT / "examples" / "cms_client.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(name: str, document: Any) -> None:
    schema = json.loads((SCHEMAS / name).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)


def test_the_schemas_are_current() -> None:
    """``make schemas`` writes them."""
    found = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    assert found == schemas()


def test_they_describe_what_is_written() -> None:
    video = json.loads(a_result("v-1").model_dump_json())
    check("video.json", video)
    head = {"event_id": "1", "video_id": "film", "run_id": "run", "run_url": "http://airflow/run"}
    done = Event(event="done", result=video | {"playlist": "s3://b/film/index.m3u8"}, **head)
    failed = Event(
        event="failed", failure=Failure.of("host", step="split", reason="no"), failed_tasks=["split"], **head
    )
    for event in (Event(event="started", **head), done, failed):
        check("callback.json", json.loads(event.body()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("video.json", lambda d: d.pop("version")),
        ("video.json", lambda d: d.update(more=1)),
        ("video.json", lambda d: d["renditions"][0].update(width="640")),
        ("callback.json", lambda d: d.update(event="over")),
        ("callback.json", lambda d: d.pop("event_id")),
        ("callback.json", lambda d: d["failure"].update(code="bad_luck")),
        ("callback.json", lambda d: d["failure"].update(retry="maybe")),
        ("callback.json", lambda d: d["failure"].pop("code")),
        ("callback.json", lambda d: d["result"].pop("playlist")),
    ],
)
def test_they_refuse_what_is_not(name: str, change: Any) -> None:
    document = json.loads(a_result("v-1").model_dump_json())
    if name == "callback.json":
        result = document | {"playlist": "s3://b/film/index.m3u8"}
        document = {"event": "done", "event_id": "1", "video_id": "film", "run_id": "r", "run_url": "u"}
        document["result"] = result
        document["failure"] = json.loads(
            Failure.of("busy", step="prepare", reason="no").model_dump_json(exclude_none=True)
        )
    check(name, document)
    change(document)
    with pytest.raises(jsonschema.ValidationError):
        check(name, document)


def test_the_client_knows_our_signature(client: ModuleType) -> None:
    body, now = b'{"event": "done"}', int(time.time())
    assert client.verified(body, sign(body, "secret", now), "secret")
    assert not client.verified(body + b" ", sign(body, "secret", now), "secret")
    assert not client.verified(body, sign(body, "other", now), "secret")
    assert not client.verified(body, sign(body, "secret", now - 301), "secret")
    for header in ("", "t=1", "v1=00", "nonsense"):
        assert not client.verified(body, header, "secret")


def test_the_client_checks_it_as_the_page_does(client: ModuleType) -> None:
    source = (ROOT / "examples" / "cms_client.py").read_text("utf-8")
    page = (ROOT / "docs" / "cms.md").read_text("utf-8")
    shown = re.search(r"^def verified\(.*?(?=^```)", page, re.M | re.S)
    assert shown and shown[0].strip() in source


def test_the_page_shows_fields_that_exist() -> None:
    page = (ROOT / "docs" / "cms.md").read_text("utf-8")
    params = set(
        re.findall(r'^    "([a-z_]+)": Param\(', (ROOT / "dags/vod_transcode.py").read_text("utf-8"), re.M)
    )
    bodies = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.S)]
    asked = next(body for body in bodies if "conf" in body)
    assert set(asked["conf"]) <= params
    assert Path(ROOT / "docs" / "cms.md").parent.joinpath("schemas", "callback.json").exists()


def test_the_page_lists_each_code_with_its_advice() -> None:
    page = (ROOT / "docs" / "cms.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `([a-z_]+)` \| `(never|later|changed)` \|", page, re.M)) == ADVICE
