"""Keys of a SPEKE v2 server: what it is asked, what is made of its answers, and what is refused of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from media.plans import a_plan, a_rendition
from support.key_server import FAIRPLAY, PLAYREADY, WIDEVINE, C, SpekeServer, b64, pssh_of
from vod_operators.errors import InvalidInputError, StorageError
from vod_operators.media.models import AudioRendition, AudioStream, Plan
from vod_operators.media.presets.model import Preset
from vod_operators.operators.content_key import content_keys
from vod_operators.settings import VodSettings
from vod_operators.work import speke

ALL = ["fairplay", "widevine", "playready"]


@pytest.fixture
def server() -> Iterator[SpekeServer]:
    server = SpekeServer()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Any) -> VodSettings:
    return VodSettings(temp_uri=tmp_path.as_uri(), results_uri=tmp_path.as_uri(), key_conn_id="keys")


def planned(**fields: Any) -> Plan:
    """A plan of pictures in SD and HD, and sound, that are encrypted."""
    plan = a_plan()
    data = plan.preset.model_dump(mode="json") | {"encryption": "cbcs", "protection": ALL} | fields
    pictures = (a_rendition("small"), a_rendition("large", 1280, 720))
    stream = AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, time_base=Fraction(1, 48_000))
    sound = AudioRendition(
        name="audio-0", track="audio-0", stream=stream, channels=2, sample_rate=48_000, bitrate_bps=128_000,
        language=None, title="Sound", default=True,
    )  # fmt: skip
    return plan.model_copy(
        update={"preset": Preset.model_validate(data), "renditions": pictures, "audio": (sound,)}
    )


def name(monkeypatch: pytest.MonkeyPatch, server: SpekeServer, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps(server.connection(**fields)))


def test_it_is_asked_as_the_specification_says(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, server, extra={"X-Api-Key": "letters", "content_id": "{video_id}-1"})
    plan = planned(several_keys=True)
    keys = content_keys(settings, plan)

    ((headers, root),) = server.requests
    assert headers["x-speke-version"] == "2.0" and headers["content-type"] == "application/xml"
    assert headers["authorization"] == f"Basic {b64('packager:a-secret-word')}"
    assert headers["x-api-key"] == "letters" and headers["x-speke-user-agent"].startswith("vod-operators/")
    assert (root.tag, root.get("version"), root.get("contentId")) == (f"{C}CPIX", "2.3", f"{plan.video_id}-1")
    kids = [key.get("kid") for key in root.iter(f"{C}ContentKey")]
    assert len(set(kids)) == len(kids) == len(keys) == 3
    assert {key.get("commonEncryptionScheme") for key in root.iter(f"{C}ContentKey")} == {"cbcs"}
    assert [(d.get("kid"), d.get("systemId")) for d in root.iter(f"{C}DRMSystem")] == [
        (kid, system) for kid in kids for system in (FAIRPLAY, WIDEVINE, PLAYREADY)
    ]
    rules = {rule.get("intendedTrackType"): rule for rule in root.iter(f"{C}ContentKeyUsageRule")}
    assert rules.keys() == {"AUDIO", "SD", "HD"}
    assert [child.tag for child in rules["AUDIO"]] == [f"{C}AudioFilter"]
    assert dict(rules["SD"][0].attrib) == {"maxPixels": "589824"}
    assert dict(rules["HD"][0].attrib) == {"minPixels": "589825", "maxPixels": "2073600"}
    assert not list(root.iter(f"{C}Data"))  # no key of ours is ever sent


def test_the_answer_is_used(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, server)
    plan = planned()
    (key,) = content_keys(settings, plan).values()
    kid = server.requests[0][1].find(f".//{C}ContentKey").get("kid")
    assert key.key == server.key_of(plan.video_id, kid)
    assert key.facts.key_id == kid.replace("-", "") and key.facts.vector == bytes(range(16)).hex()
    fairplay, widevine, playready = key.facts.signals or ()
    assert fairplay.uri == f"skd://keys.example/{kid}"
    assert base64.b64decode(widevine.pssh or "") == pssh_of(WIDEVINE, kid)
    assert widevine.uri == f"data:text/plain;base64,{b64(pssh_of(WIDEVINE, kid))}"
    assert playready.license_url == "https://licences.example/9a04"
    assert content_keys(settings, plan)[None, 0].facts == key.facts  # another task
    assert key.key.hex() not in repr(key) and "a-secret" not in key.facts.model_dump_json()


def test_a_task_asks_only_for_what_it_encrypts_with(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, server)
    plan = planned(several_keys=True)
    keys = content_keys(settings, plan, [plan.audio[0].name])
    assert list(keys) == [("audio", 0)]
    assert [r.get("intendedTrackType") for r in server.requests[0][1].iter(f"{C}ContentKeyUsageRule")] == [
        "AUDIO"
    ]


def test_a_key_is_asked_for_each_turn(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, server)
    plan = planned(several_keys=True, key_rotation={"segments": 10, "keys": 2})
    keys = content_keys(settings, plan, [plan.audio[0].name])
    assert list(keys) == [("audio", 0), ("audio", 1)]
    assert len({key.key for key in keys.values()}) == len({key.facts.key_id for key in keys.values()}) == 2
    ((_, root),) = server.requests
    periods = [(period.get("id"), period.get("index")) for period in root.iter(f"{C}ContentKeyPeriod")]
    assert periods == [("keyPeriod_1", "1"), ("keyPeriod_2", "2")]
    used = {
        rule.get("kid"): rule.find(f"{C}KeyPeriodFilter") for rule in root.iter(f"{C}ContentKeyUsageRule")
    }
    for (_, turn), key in keys.items():
        assert used[str(UUID(key.facts.key_id))].get("periodId") == f"keyPeriod_{turn + 1}"
    # The first key is that of a video whose key does not change.
    assert (
        content_keys(settings, planned(several_keys=True), [plan.audio[0].name])["audio", 0].key
        == keys["audio", 0].key
    )


@pytest.mark.parametrize(
    ("several", "password", "message"),
    [
        (False, "a1" * 16, "password: it has no list of 2 keys; expected a JSON list, "),
        (False, json.dumps(["a1" * 16]), "password: it has no list of 2 keys"),
        (False, json.dumps(["a1" * 16] * 2), "password: two of its keys are the same"),
        (True, json.dumps({"audio": ["a1" * 16, "b2" * 16]}), "password: it has no list of 2 keys of sd; "),
        (True, json.dumps(["a1" * 16, "b2" * 16]), "expected a JSON object"),
    ],
)
def test_keys_in_turn_that_do_not_suffice_are_refused(
    settings: VodSettings, monkeypatch: pytest.MonkeyPatch, several: bool, password: str, message: str
) -> None:
    connection = {
        "conn_type": "generic",
        "password": password,
        "extra": {"key_uri": "https://k.example/{key_id}", "fairplay_uri": "skd://{key_id}"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps(connection))
    with pytest.raises(InvalidInputError) as error:
        content_keys(settings, planned(several_keys=several, key_rotation={"segments": 10, "keys": 2}))
    assert message in str(error.value) and "a1a1" not in str(error.value)


def without(pattern: bytes) -> Any:
    return lambda document: re.sub(pattern, b"", document, flags=re.S)


def instead(old: bytes, new: bytes) -> Any:
    return lambda document: document.replace(old, new)


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda _: b"no", "is no XML"),
        (lambda _: b"<a/>", "is no CPIX document"),
        (lambda document: LAUGHS + document.replace(b"</", b"&b;</", 1), "document type"),
        (lambda document: OUTSIDE + document, "document type"),
        (without(rb"<[^<]*:PlainValue>.*?:PlainValue>"), "gave no plain key"),
        (without(rb"<[^<]*:ContentKeyList>.*:ContentKeyList>"), "gave no key of id"),
        (instead(b'"cbcs"', b'"cenc"'), "another scheme than cbcs"),
        (instead(FAIRPLAY.encode(), b"0" * 8), "told nothing of fairplay"),
        (instead(b"explicitIV=", b"explicitIV='QUJD' a="), "has not 16 bytes"),
        (without(rb"(?<=<cpix:PSSH>)[^<]*"), "gave no pssh box of widevine"),
        (
            instead(b64("#EXT-X-KEY:METHOD=SAMPLE-AES,").rstrip("=").encode()[:36], b"AAAA" * 9),
            "no EXT-X-KEY of",
        ),
    ],
)
def test_an_answer_that_is_not_right_is_refused(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch, answer: Any, message: str
) -> None:
    name(monkeypatch, server)
    server.answer = answer
    with pytest.raises(InvalidInputError, match=message) as error:
        content_keys(settings, planned())
    assert str(error.value).startswith("Airflow connection 'keys' (VOD_KEY_CONN_ID): ")
    for key in server.given:
        assert key.hex() not in str(error.value) and b64(key) not in str(error.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, InvalidInputError), (404, InvalidInputError), (503, StorageError)]
)
def test_a_refusal_is_told_without_what_was_sent(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch, status: int, kind: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    name(monkeypatch, server)
    server.status = status
    caplog.set_level("DEBUG")
    with pytest.raises(kind, match=f"HTTP {status}") as error:
        content_keys(settings, planned())
    secrets = ["a-secret-word", b64("packager:a-secret-word"), *(b64(key) for key in server.given)]
    assert not any(secret in str(error.value) + caplog.text for secret in secrets)


def test_a_server_that_is_not_there_is_tried_again(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, server)
    server.close()
    with pytest.raises(StorageError, match="does not answer: ConnectError"):
        content_keys(settings, planned())


def test_keys_are_not_fetched_in_the_clear() -> None:
    with pytest.raises(InvalidInputError, match="must begin with https://"):
        speke.ask("http://keys.example/speke", {}, b"")


@pytest.mark.parametrize(
    "fields", [{"encryption": "aes-128", "protection": None}, {"encryption": "cbcs", "protection": None}]
)
def test_what_a_server_has_no_keys_for_is_refused(
    server: SpekeServer, settings: VodSettings, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    name(monkeypatch, server)
    with pytest.raises(InvalidInputError, match="a key server gives keys for encryption cbcs or cenc with"):
        content_keys(settings, planned(**fields))
    assert server.requests == []
