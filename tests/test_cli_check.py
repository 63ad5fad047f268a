"""``vod check``: what it prints, its exit codes, and where it reads from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.presentations import X264, by_ffmpeg, picture
from support.s3_servers import S3Bucket
from support.settings import configure
from vod_operators.check.rules import RULES
from vod_operators.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ffmpeg's own HLS: readable, and short of some rules."""
    where = tmp_path_factory.mktemp("check") / "hls"
    return by_ffmpeg(where, *picture("64x36"), *X264, "-g", "50", "-keyint_min", "50", streams="v:0").parent


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "text/plain"}  # noqa: RUF012

        def do_GET(self) -> None:
            if self.path == "/moved.m3u8":
                self.send_response(302)
                self.send_header("Location", "/master.m3u8")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def statuses(location: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["check", location, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    return {rule["id"]: rule for rule in found["rules"]}


def test_one_line_a_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "master.m3u8")]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert len(lines) == len(RULES) + 1
    assert (
        "FAIL  6.frame-rate      FRAME-RATE is that of the pictures, to three decimals [Apple 9.15]" in lines
    )
    assert "pass  2.idr             every video segment starts with an IDR picture [Apple 7.4]" in lines


def test_media_are_decoded_if_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, work_dir=str(tmp_path / "work"))
    assert statuses(str(folder / "master.m3u8"), capsys)["18.decodes"]["status"] == "not applicable"
    assert main(["check", str(folder / "master.m3u8"), "--decode", "--json"]) == 1
    rules = {rule["id"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert rules["18.decodes"]["status"] == "pass"
    assert list((tmp_path / "work").iterdir()) == []


def test_a_web_server_is_judged_too(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = statuses(f"{url}/master.m3u8", capsys)
    assert found["2.idr"]["status"] == "pass"
    (wrong,) = found["17.types"]["findings"]
    assert (wrong["found"], wrong["expected"]) == ("Content-Type text/plain", "video/mp2t")
    assert (found["17.gzip"]["status"], found["17.cors"]["status"]) == ("fail", "warn")
    assert found["17.redirects"]["status"] == "pass"
    assert found["17.tls"]["status"] == "not applicable"  # this host
    assert statuses(f"{url}/moved.m3u8", capsys)["17.redirects"]["status"] == "fail"


def test_s3(
    folder: Path, s3_bucket: S3Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, aws_conn_id=s3_bucket.conn_id)
    for path in folder.iterdir():
        s3_bucket.client.upload_file(str(path), s3_bucket.name, f"film/{path.name}")
    found = statuses(f"{s3_bucket.uri}/film/master.m3u8", capsys)
    assert found["2.idr"]["status"] == found["0.files"]["status"] == "pass"
    assert found["17.types"]["status"] == "not applicable"


def test_what_cannot_be_read_is_another_exit_code(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_bytes(b"short")
    for arguments, words in (
        ([str(tmp_path / "nothing.m3u8")], "does not exist"),
        ([f"{url}/0.m3u8.txt"], "404"),
        ([str(tmp_path / "key")], "is not an HLS playlist"),
        ([str(tmp_path / "x.m3u8"), "--key-file", str(tmp_path / "key")], "an AES-128 key has 16"),
    ):
        assert main(["check", *arguments]) == 2
        out = capsys.readouterr()
        assert out.out == "" and words in out.err, out.err


def test_of_a_folder_the_playlist_in_it_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a film"
    folder.mkdir()
    names = (None, "540p.m3u8", "master.m3u8", "index.m3u8")  # each is preferred to those before it
    for name in names:
        if name is not None:
            (folder / name).touch()
        advice = f"did you mean {folder / name}?" if name else "give the playlist itself"
        for location in (str(folder), folder.as_uri() + "/"):
            assert main(["check", location]) == 2
            assert capsys.readouterr().err.strip() == f"vod: {folder} is a folder; {advice}"


def test_a_playlist_from_the_web_reads_nothing_of_this_host(
    folder: Path, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "evil.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n" + (folder / "00.ts").as_uri() + "\n", "utf-8"
    )
    found = statuses(f"{url}/evil.m3u8", capsys)
    assert "from another place" in found["0.files"]["findings"][0]["found"]
