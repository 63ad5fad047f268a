"""Ways to break a presentation in one place, and its verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from vod_operators.check.presentation import Answer
from vod_operators.check.rule import Verdict
from vod_operators.check.rules import check
from vod_operators.storage.local import LocalStorage
from vod_operators.work.reader import StoreReader

Break = Callable[[Path], None]
"""Changes the files of a presentation in a folder."""


class WebReader(StoreReader):
    """As if a web server gave the files out."""

    def __init__(self, location: str, **headers: str) -> None:
        super().__init__(location, lambda uri: LocalStorage())
        self.status, self.scheme = 200, "https"
        self.headers = {"content-encoding": "gzip", "access-control-allow-origin": "*", **headers}

    def answer(self, uri: str) -> Answer:
        types = {"m3u8": "application/vnd.apple.mpegurl", "mp4": "video/mp4", "m4s": "video/iso.segment"}
        headers = {"content-type": types.get(uri.rsplit(".")[-1], "text/vtt"), **self.headers}
        headers = {name: value for name, value in headers.items() if value}
        return Answer(
            uri=uri.replace("file://", f"{self.scheme}://cdn.test"), status=self.status, headers=headers
        )


def judged(master: Path, reader: StoreReader | None = None, key: bytes | None = None) -> dict[str, Verdict]:
    reader = reader or StoreReader(master.as_uri(), lambda uri: LocalStorage())
    return {verdict.rule.id: verdict for verdict in check(reader, master.as_uri(), key=key)}


def broken(master: Path) -> set[str]:
    return {name for name, verdict in judged(master).items() if verdict.findings}


def text(file: str, pattern: str, replacement: str, count: int = 1) -> Break:
    """Replace a pattern in a file; it must be there."""

    def breaks(folder: Path) -> None:
        path = folder / file
        changed, times = re.subn(pattern, replacement, path.read_text("utf-8"), count=count, flags=re.M)
        assert times, f"{file} has no {pattern}"
        path.write_text(changed, "utf-8")

    return breaks


def everywhere(pattern: str, replacement: str, files: str = "*/index.m3u8") -> Break:
    def breaks(folder: Path) -> None:
        for path in folder.glob(files):
            text(str(path.relative_to(folder)), pattern, replacement, count=0)(folder)

    return breaks


def data(file: str, change: Callable[[bytearray], None]) -> Break:
    """Change the bytes of a file."""

    def breaks(folder: Path) -> None:
        path = folder / file
        content = bytearray(path.read_bytes())
        before = bytes(content)
        change(content)
        assert content != before
        path.write_bytes(content)

    return breaks


def in_box(name: bytes, offset: int, value: bytes) -> Callable[[bytearray], None]:
    """Overwrite bytes of a box's payload."""

    def change(content: bytearray) -> None:
        at = content.index(name) + 4 + offset
        content[at : at + len(value)] = value

    return change


def renamed(old: bytes, new: bytes) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[:] = content.replace(old, new)

    return change


def later(track: str, segment: str, ticks: int, fragments: slice = slice(None)) -> Break:
    """Decode times of fragments so much later."""

    def breaks(folder: Path) -> None:
        for path in sorted((folder / track).glob(segment)):
            content = bytearray(path.read_bytes())
            for match in list(re.finditer(b"tfdt[\x00\x01]", bytes(content)))[fragments]:
                at, size = match.end() + 3, 8 if match[0].endswith(b"\x01") else 4
                time = int.from_bytes(content[at : at + size], "big") + ticks
                content[at : at + size] = time.to_bytes(size, "big")
            path.write_bytes(content)

    return breaks


def both(*breaks: Break) -> Break:
    def all_of_them(folder: Path) -> None:
        for one in breaks:
            one(folder)

    return all_of_them


def aes_128(key: bytes, vector: bytes, clear: bytes) -> bytes:
    """A file, encrypted whole as METHOD=AES-128 says."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    count = 16 - len(clear) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(clear + bytes([count]) * count) + encryptor.finalize()
