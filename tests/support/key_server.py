"""A key server of SPEKE v2.0, written from its public specification, on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lxml import etree

C, P = "{urn:dashif:org:cpix}", "{urn:ietf:params:xml:ns:keyprov:pskc}"
FAIRPLAY = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
PLAYREADY = "9a04f079-9840-4286-ab92-e65be0885f95"
FORMATS = {
    FAIRPLAY: "com.apple.streamingkeydelivery",
    WIDEVINE: f"urn:uuid:{WIDEVINE}",
    PLAYREADY: "com.microsoft.playready",
}
METHODS = {"cbcs": "SAMPLE-AES", "cenc": "SAMPLE-AES-CTR"}


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def pssh_of(system: str, kid: str) -> bytes:
    """A box of version 1, as some servers give them, with data of its own."""
    data = b"data of " + kid.encode()
    body = b"\1\0\0\0" + uuid.UUID(system).bytes + b"\0\0\0\1" + uuid.UUID(kid).bytes
    body += len(data).to_bytes(4, "big") + data
    return (8 + len(body)).to_bytes(4, "big") + b"pssh" + body


class SpekeServer:
    """Answers each request with keys made of content id, key id and ``seed``; keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], etree._Element]] = []
        self.given: set[bytes] = set()
        self.seed = "one"
        self.status = 200
        self.answer: Callable[[bytes], bytes] = lambda document: document
        """What becomes of an answer before it is sent."""
        self.vector: bytes | None = bytes(range(16))
        self.own_vectors = False
        """Whether each key has a vector of its own: its id in place of ``vector``."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((headers, etree.fromstring(body)))
                answer = server.answer(server.answered(body))
                self.send_response(server.status)
                for name, value in (
                    ("Content-Type", "application/xml"),
                    ("X-Speke-Version", headers.get("x-speke-version", "")),
                    ("X-Speke-User-Agent", "a server of the tests"),
                    ("Content-Length", str(len(answer))),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def connection(self, **fields: Any) -> dict[str, Any]:
        """An Airflow connection that names it."""
        return {
            "conn_type": "http", "host": "127.0.0.1", "schema": "http", "port": self.port,
            "login": "packager", "password": "a-secret-word", **fields,
        }  # fmt: skip

    def key_of(self, content_id: str, kid: str) -> bytes:
        return hashlib.sha256(f"{self.seed}/{content_id}/{kid}".encode()).digest()[:16]

    def answered(self, body: bytes) -> bytes:
        root = etree.fromstring(body)
        content_id, scheme = root.get("contentId"), "cbcs"
        for key in root.iter(f"{C}ContentKey"):
            scheme = key.get("commonEncryptionScheme")
            value = self.key_of(content_id, key.get("kid"))
            self.given.add(value)
            secret = etree.SubElement(etree.SubElement(key, f"{C}Data"), f"{P}Secret")
            etree.SubElement(secret, f"{P}PlainValue").text = b64(value)
            if self.vector and scheme == "cbcs":
                kid = bytes.fromhex(key.get("kid").replace("-", ""))
                key.set("explicitIV", b64(kid if self.own_vectors else self.vector))
        for drm in root.iter(f"{C}DRMSystem"):
            system, kid = drm.get("systemId"), drm.get("kid")
            box = pssh_of(system, kid)
            uri = f"skd://keys.example/{kid}" if system == FAIRPLAY else f"data:text/plain;base64,{b64(box)}"
            line = f'METHOD={METHODS[scheme]},URI="{uri}",KEYFORMAT="{FORMATS[system]}",KEYFORMATVERSIONS="1"'
            for child in drm:
                if child.tag == f"{C}PSSH":
                    child.text = b64(box)
                elif child.tag == f"{C}ContentProtectionData":
                    url = f"https://licences.example/{system[:4]}"
                    child.text = b64(f'<d:Laurl xmlns:d="https://dashif.org/CPS">{url}</d:Laurl>')
                elif child.tag == f"{C}HLSSignalingData":
                    tag = "#EXT-X-KEY" if child.get("playlist") == "media" else "#EXT-X-SESSION-KEY"
                    child.text = b64(f"{tag}:{line}")
        return etree.tostring(root)
