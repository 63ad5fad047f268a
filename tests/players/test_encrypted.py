"""Encrypted results play where the key is served, and show nothing where it is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from players import programs
from players.playing import DASH, DASH_JS, SHAKA, every_program
from players.published import Film
from support.clips import clip
from support.players import Server
from support.presets import PRESET
from support.session import Session

KEY = "00a1b2c3d4e5f60718293a4b5c6d7e8f"
KEY_ID = "0123456789abcdef0123456789abcdef"
FRAMES = 110
KEYS = {"audio": ("a0" * 16, "0a" * 16), "sd": ("50" * 16, "05" * 16)}
"""Label -> key id and key, of films with several."""
TURNS = (("71" * 16, "17" * 16), ("72" * 16, "27" * 16), ("73" * 16, "37" * 16))
"""The same of films whose keys are used in turn."""
SYSTEMS = ("fairplay", "widevine", "playready", "clearkey")


@dataclass
class KeyServer:
    url: str
    answer: Response
    asked: int = 0


@pytest.fixture(scope="module")
def keys() -> Iterator[KeyServer]:
    """Where the key is had, on a host of its own: bare, or in a licence of ClearKey (W3C EME 9.1.4).
    ``answer`` may be changed."""

    async def key(request: Request) -> Response:
        found.asked += 1
        own = (KEYS | {turn[0]: turn for turn in TURNS}).get(request.path_params["name"])
        return Response(bytes.fromhex(own[1])) if own and found.answer.status_code == 200 else found.answer

    async def licence(request: Request) -> Response:
        found.asked += 1
        if found.answer.status_code != 200:
            return found.answer
        asked = (await request.json())["kids"]
        known = {in_url(bytes.fromhex(KEY_ID)): in_url(found.answer.body)}
        known |= {
            in_url(bytes.fromhex(key_id)): in_url(bytes.fromhex(key))
            for key_id, key in (*KEYS.values(), *TURNS)
        }
        keys = [{"kty": "oct", "kid": kid, "k": known[kid]} for kid in asked if kid in known]
        return JSONResponse({"keys": keys, "type": "temporary"})

    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    routes = [Route("/licence", licence, methods=["POST"]), Route("/{name}", key)]
    server = Server(Starlette(routes=routes, middleware=[cors]))
    found = KeyServer(server.url, Response())
    yield found
    server.stop()


@pytest.fixture(scope="module")
def encrypted(
    publish: Callable[..., Film], keys: KeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Film]:
    """A small film of numbered pictures, encrypted: ``encrypted(encryption, container)``."""
    presets = tmp_path_factory.mktemp("presets")
    connection: dict[str, Any] = {
        "conn_type": "generic",
        "password": KEY,
        "extra": {
            "key_uri": f"{keys.url}/{{label}}",
            "key_id": KEY_ID,
            "key_ids": {label: key_id for label, (key_id, _) in KEYS.items()},
            "fairplay_uri": "skd://{video_id}",
            "license_urls": {"clearkey": f"{keys.url}/licence"},
        },
    }

    def encrypted(
        encryption: str, container: str, *protection: str, several: bool = False, turns: bool = False
    ) -> Film:
        name = "-".join([encryption, container, *protection, *["several"] * several, *["turns"] * turns])
        preset = PRESET | {"encryption": encryption, "container": container}
        preset |= {"several_keys": True} if several else {}
        given = json.dumps({label: key for label, (_, key) in KEYS.items()}) if several else KEY
        own: dict[str, Any] = {}
        if turns:  # of a segment each
            preset |= {"key_rotation": {"segments": 1, "keys": len(TURNS)}}
            given = json.dumps([key for _, key in TURNS])
            own = {"key_uri": f"{keys.url}/{{key_id}}", "key_ids": [key_id for key_id, _ in TURNS]}
        preset |= {"protection": protection} if protection else {}
        (presets / f"{name}.json").write_text(json.dumps(preset), "utf-8")
        with pytest.MonkeyPatch.context() as patch:
            held = connection | {"password": given, "extra": connection["extra"] | own}
            patch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(held))
            return publish(clip("clip.mp4"), name, presets_dir=str(presets), key_conn_id="vod_key")

    return encrypted


@pytest.fixture
def served(keys: KeyServer) -> KeyServer:
    keys.asked = 0
    keys.answer = Response(bytes.fromhex(KEY), media_type="application/octet-stream")
    return keys


def in_url(data: bytes) -> str:
    """Base64 as JSON Web Keys have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def play(session: Session) -> None:
    session.play()
    session.play_to_the_end()


def check_seeks(session: Session, folder: Path, *frames: int) -> None:
    """The player shows each of these frames where it is asked to."""
    for frame in frames:
        session.seek(frame)
        assert session.number_on_screen(folder) == frame
    session.screenshot()


@pytest.mark.parametrize(
    ("player", "encryption", "container"),
    [
        pytest.param("hls.js", "aes-128", "fmp4", id="hls.js-aes-128"),
        pytest.param("hls.js", "aes-128", "ts", id="hls.js-aes-128-ts"),
        pytest.param("video.js", "aes-128", "fmp4", id="video.js-aes-128"),
        pytest.param("video.js", "aes-128", "ts", id="video.js-aes-128-ts"),
        pytest.param("shaka", "aes-128", "fmp4", id="shaka-aes-128"),
        pytest.param("shaka", "cbcs", "fmp4", id="shaka-cbcs"),
    ],
)
def test_plays_with_the_key(
    steady: Callable[..., Session],
    encrypted: Any,
    served: KeyServer,
    player: str,
    encryption: str,
    container: str,
    tmp_path: Path,
) -> None:
    film = encrypted(encryption, container)
    session = steady(play, player, f"{film.url}/index.m3u8")
    session.check_smooth()
    session.check_decoded(FRAMES)
    if encryption == "aes-128":
        assert len(session.check_numbers()) > FRAMES / 2
    check_seeks(session, tmp_path, 60, 25, FRAMES - 1)
    assert served.asked


@pytest.mark.parametrize(("player", "manifest"), [SHAKA, DASH, DASH_JS])
def test_plays_among_all_systems_with_a_clear_key(
    steady: Callable[..., Session],
    encrypted: Any,
    served: KeyServer,
    player: str,
    manifest: str,
    tmp_path: Path,
) -> None:
    film = encrypted("cbcs", "fmp4", *SYSTEMS)
    session = steady(play, player, f"{film.url}/{manifest}")
    session.check_smooth()
    session.check_decoded(FRAMES)
    check_seeks(session, tmp_path, 60, 25, FRAMES - 1)
    assert served.asked


@pytest.mark.parametrize("encryption", ["cbcs", "cenc"])
@pytest.mark.parametrize(("player", "manifest"), [SHAKA, DASH, DASH_JS])
def test_plays_sound_and_pictures_of_a_key_each(
    steady: Callable[..., Session], encrypted: Any, served: KeyServer, player: str, manifest: str,
    encryption: str, tmp_path: Path,
) -> None:  # fmt: skip
    film = encrypted(encryption, "fmp4", "widevine", "playready", "clearkey", several=True)
    session = steady(play, player, f"{film.url}/{manifest}")
    session.check_smooth()
    session.check_decoded(FRAMES)
    session.seek(60)
    assert session.number_on_screen(tmp_path) == 60
    session.screenshot()
    assert served.asked


@pytest.mark.parametrize("encryption", ["cbcs", "cenc"])
@pytest.mark.parametrize(("player", "manifest"), [SHAKA, DASH])
def test_plays_with_keys_that_are_used_in_turn(
    steady: Callable[..., Session], encrypted: Any, served: KeyServer, player: str, manifest: str,
    encryption: str, tmp_path: Path,
) -> None:  # fmt: skip
    """Among all systems that are told of them. Of keys at addresses in HLS, shaka-player takes each for that
    of the init segment: there it is given them. dash.js 5.2 asks for the first ClearKey only."""
    film = encrypted(encryption, "fmp4", "widevine", "playready", "clearkey", turns=True)
    is_hls = manifest.endswith("m3u8")
    options = {"config": {"drm": {"clearKeys": dict(TURNS)}}} if is_hls else {}
    session = steady(play, player, f"{film.url}/{manifest}", **options)
    session.check_smooth()
    session.check_decoded(FRAMES)
    check_seeks(session, tmp_path, 60, 10, FRAMES - 1)
    assert served.asked or is_hls


@every_program
@pytest.mark.parametrize("container", ["fmp4", "ts"])
def test_a_program_plays_with_the_key(
    encrypted: Any, served: KeyServer, program: Any, container: str, tmp_path: Path
) -> None:
    url = f"{encrypted('aes-128', container).url}/index.m3u8"
    if program is programs.gstreamer:
        program = partial(program, texts=False)
        if container == "fmp4":
            # It decrypts the init segment, which is in the clear.
            with pytest.raises(AssertionError, match=r"gst-launch-1\.0"):
                program(url, tmp_path)
            return
    numbers = [number for _, number in program(url, tmp_path).pictures]
    assert numbers in (list(range(FRAMES)), list(range(FRAMES - 1)))  # VLC may leave the last one
    assert served.asked


@pytest.mark.parametrize(
    ("player", "encryption"),
    [
        pytest.param("hls.js", "aes-128", id="hls.js-aes-128"),
        pytest.param("shaka", "aes-128", id="shaka-aes-128"),
        pytest.param("shaka", "cbcs", id="shaka-cbcs"),
    ],
)
@pytest.mark.parametrize("key", ["refused", "wrong"])
def test_shows_nothing_without_the_key(
    new_session: Callable[[], Session],
    encrypted: Any,
    keys: KeyServer,
    site: str,
    player: str,
    encryption: str,
    key: str,
) -> None:
    keys.asked = 0
    keys.answer = Response(status_code=403) if key == "refused" else Response(bytes.fromhex("ff" * 16))
    film = encrypted(encryption, "fmp4")
    session = new_session()
    session.page.goto(f"{site}/page/?player={player}")
    session.ask("url => void player.load(url).catch(() => {})", f"{film.url}/index.m3u8")
    session.ask("() => void video.play().catch(() => {})")
    session.page.wait_for_timeout(5000)
    state = session.state()
    assert (state["at"], state["quality"]["total"]) == (0, 0), state
    assert keys.asked
    session.screenshot()
    session.console.clear()  # the browser tells there what it was refused
