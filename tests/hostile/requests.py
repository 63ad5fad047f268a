"""Hostile requests, made of the places that they must not reach. Every one of them must be refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKER = "m4rk3r-0f-4-s3cr3t"
"""In the decoy file, in what the decoy server says, and in subtitle files that requests may read."""

Conf = dict[str, Any]


@dataclass(frozen=True)
class Places:
    """What a request may try to reach."""

    port: int
    """Of a server on loopback that no setting names; it answers everything with the marker."""
    redirector: str
    """Base URL of a server that a setting names; ``/to/{URL}`` leads to that URL."""
    decoy: Path
    """A file with the marker, outside of the folder below."""
    folder: Path
    """Named by a setting."""
    clip: Path
    """A good video in it."""


def hostile_requests(places: Places) -> Iterator[tuple[str, Conf]]:
    """Name, and the fields that are not as in a good request."""
    for name, uri in _unreachable(places):
        yield f"source {name}", {"source": uri}
    for name, uri in _unreachable(places):
        yield f"subtitles {name}", {"subtitles": [{"uri": uri, "language": "en"}]}
    for name, uri in _urls(places):
        yield f"callback {name}", {"callback_url": uri}
    for name, text in _subtitles():
        file = places.folder / f"{name}.srt"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        yield f"subtitles that are {name}", {"subtitles": [{"uri": file.as_uri(), "language": "en"}]}
    yield from _shapes(places)


def _urls(places: Places) -> Iterator[tuple[str, str]]:
    port = places.port
    for host in (
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
        "017700000001", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.", "LocalHost..", "[::1]",
        "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "user:password@127.0.0.1", "8.8.8.8@127.0.0.1", "8.8.8.8\\@127.0.0.1", "127.0.0.1#@8.8.8.8",
        "127.0.0.1%00.example.com", "localhost%2e", "①②⑦.⓪.⓪.①", "127。0。0。1",
        "loopback.test", "mapped.test", "half.test", "no-such-name.test",
    ):  # fmt: skip
        yield f"at {host}", f"http://{host}:{port}/{MARKER[:4]}.mp4"
    yield "by https", f"https://127.0.0.1:{port}/"
    yield "at a socket's name", f"http+unix://127.0.0.1:{port}/"
    yield "with a newline", f"http://127.0.0.1:{port}/\r\nHost: elsewhere"
    yield "with a newline at its end", f"http://loopback.test:{port}/\n"
    yield "with a long path", f"http://127.0.0.1:{port}/{'x' * 1900}"
    yield "without an end", f"http://127.0.0.1:{port}/{'x' * 100_000}"
    yield "of another protocol", f"gopher://127.0.0.1:{port}/_POST%20/"


def _unreachable(places: Places) -> Iterator[tuple[str, str]]:
    yield from _urls(places)
    here, port = places.redirector, places.port
    yield "behind a redirect", f"{here}/to/http://127.0.0.1:{port}/film.mp4"
    yield "behind two redirects", f"{here}/to/{here}/to/http://127.1:{port}/film.mp4"
    yield "behind a redirect to a name", f"{here}/to/http://loopback.test:{port}/film.mp4"
    yield "behind a redirect to a file", f"{here}/to/{places.decoy.as_uri()}"
    yield "behind redirects without end", f"{here}/round"
    decoy, folder = places.decoy, places.folder.as_uri()
    up = f"{'/..' * 20}{decoy}"
    link, way, loop, pipe = (places.folder / name for name in ("link", "way", "loop", "pipe"))
    if not link.is_symlink():
        link.symlink_to(decoy)
        way.symlink_to(decoy.parent)
        loop.symlink_to(loop)
        os.mkfifo(pipe)
    yield "in a file", decoy.as_uri()
    yield "in a file of localhost", decoy.as_uri().replace("file://", "file://localhost")
    yield "in a file of another host", decoy.as_uri().replace("file://", "file://elsewhere")
    yield "up from the folder", f"{folder}{up}"
    yield "up from the folder, encoded", f"{folder}{up.replace('.', '%2e')}"
    yield "up from the folder, encoded slashes", f"{folder}{up.replace('/', '%2F')}"
    yield "up from nowhere", f"{folder}/none{up}"
    yield "behind a link", link.as_uri()
    yield "behind a link to a folder", (way / decoy.name).as_uri()
    yield "behind a loop", loop.as_uri()
    yield "in a pipe", pipe.as_uri()
    yield "in the folder itself", folder
    yield "beside the folder", f"{folder}-2/film.mp4"
    yield "with a zero byte", f"{folder}/film.mp4%00"
    yield "in the environment", "file:///proc/self/environ"
    yield "by a descriptor", "file:///proc/self/fd/0"
    yield "in a device", "file:///dev/zero"
    yield "in a file of the system", "file:///etc/passwd"
    yield "in a file that is not there", "file:///etc/no-such-file"
    yield "by a path", str(decoy)
    yield "by FILE", decoy.as_uri().replace("file", "FILE")
    yield "in a bucket", "s3://vod-results/film/index.m3u8"
    yield "in a bucket, up", "s3://named/../vod-results/film/index.m3u8"
    yield "in a bucket like a named one", "s3://named-not/film.mp4"
    yield "in no bucket", "s3:///film.mp4"
    yield "in a text", "data:text/plain,WEBVTT"
    yield "by ffmpeg", f"concat:{decoy}|{decoy}"
    yield "by a script", "javascript:alert(1)"


def _subtitles() -> Iterator[tuple[str, str]]:
    """What a request may read, and must not be told of."""
    yield "no subtitles", f'{{"fernet_key": "{MARKER}"}}\n'
    yield "an env file", f"PASSWORD={MARKER}\n"
    yield "bad times", f"1\n00:00:01,000 --> {MARKER}\nHi\n"
    yield "times that end early", f"1\n00:00:09,000 --> 00:00:01,000 {MARKER}\nHi\n"
    yield "an hour of 400 digits", f"1\n{'9' * 400}:00:01,000 --> {'9' * 400}:00:02,000\n{MARKER}\n"
    yield "an hour of 5000 digits", f"1\n{'9' * 5000}:00:01,000 --> {'9' * 5000}:00:02,000\n{MARKER}\n"
    yield "an hour of other digits", f"1\n٠٠:00:01,000 --> 00:00:02,000\n{MARKER}\n"
    yield "bad WebVTT", f"WEBVTT {MARKER}\n\n{MARKER} --> 00:02.000\nHi\n"
    yield "WebVTT without cues", f"WEBVTT\n\nNOTE {MARKER}\n"
    yield "WebVTT of another encoding", f"WEBVTT\n\n00:01.000 --> 00:02.000\n{MARKER}\udcff\n"
    yield "bad ASS", f"[Events]\nFormat: Layer, {MARKER}\nDialogue: {MARKER}\n"
    yield "ASS with bad times", f"[Events]\nDialogue: 0,{MARKER},0:00:02.00,,,0,0,0,,{MARKER}\n"
    yield "bytes", f"{MARKER}\0\0"
    yield "half UTF-16", f"\udcff\udcfe{MARKER}1"
    yield "cues that say nothing", f"1\n00:00:01,000 --> 00:00:02,000\n<{MARKER}>\n"


def _shapes(places: Places) -> Iterator[tuple[str, Conf]]:
    good = {"uri": places.clip.as_uri(), "language": "en"}
    for name, video_id in {
        "none": "", "of another type": 5, "a list": ["film"], "with a newline": "film\n",
        "with a newline first": "\nfilm",
        "up": "../film", "dots": "..", "a path": "a/b", "a path, encoded": "a%2fb", "a backslash": "a\\b",
        "with a zero byte": "film\0", "with a space": "film ", "turned": "film\u202e",
        "wide": "ｆｉｌｍ", "long": "x" * 100_000,
        "a template": "{{ conn.aws_default.password }}", "an option": "-x", "another team's": "teamb-film",
    }.items():  # fmt: skip
        yield f"id {name}", {"video_id": video_id}
    for name, preset in {
        "that is not there": "h265_huge", "up": "../../../../etc/passwd", "a path": str(places.decoy),
        "none": "",
        "with a newline": "h264_small\n", "with a zero byte": "h264\0", "of another type": {"name": "h264"},
        "long": "x" * 100_000, "a template": "{{ macros.os }}",
    }.items():  # fmt: skip
        yield f"preset {name}", {"preset": preset}
    for value in (-1, 0, 3601, 10**30, 1.5, "6", "6\n", True, [6], {"s": 6}):
        yield f"chunk_seconds {value!r}", {"chunk_seconds": value}
    for name, files in {
        "an object": good, "a text": places.clip.as_uri(), "a number": 1, "of texts": [places.clip.as_uri()],
        "with an unknown key": [good | {"path": "/etc/passwd"}], "without a URI": [{"language": "en"}],
        "without a language": [{"uri": good["uri"]}], "too many": [good] * 33,
        "of a wrong type": [good | {"uri": {"$ref": "file:///etc/passwd"}}],
        "a true default": [good | {"default": "yes"}],
        "a language with a quote": [good | {"language": 'en",URI="x'}],
        "a language with a newline": [good | {"language": "en\n"}],
        "a long language": [good | {"language": "en" + "-abc" * 1000}],
        "a long name": [good | {"name": "x" * 120_000}],
        "a connection": [good | {"conn_id": "aws_default"}],
    }.items():  # fmt: skip
        yield f"subtitles {name}", {"subtitles": files}
    for name in ("aws_default", "no_such_conn", "../media", "media\n", "{{ conn.media }}", "x" * 10_000):
        yield f"source_conn_id {name[:20]!r}", {"source_conn_id": name}
        yield f"callback_conn_id {name[:20]!r}", {"callback_conn_id": name}
    yield "source a list", {"source": [places.clip.as_uri()]}
    yield "source an object", {"source": {"uri": places.clip.as_uri()}}
    yield "source none", {"source": None}
    yield "source a template", {"source": "{{ conn.aws_default.password }}"}
    yield "source a template in a URI", {"source": "file:///{{ conn.aws_default.password }}"}
    yield "callback a list", {"callback_url": [f"http://127.0.0.1:{places.port}/"]}
    yield "callback a file", {"callback_url": places.decoy.as_uri()}
    yield "callback behind no host", {"callback_url": "http:///x"}
    yield (
        "unknown keys and a bad source",
        {
            "run_as": "root",
            "__class__": "os.system",
            "source_allow": ["public", "file:///"],
            "VOD_SOURCE_ALLOW": '["file:///"]',
            "source": places.decoy.as_uri(),
        },
    )
