"""A TCP proxy before an S3 server that does to requests what networks and busy servers do.

It understands just enough HTTP to do so on purpose: one request a connection (moto closes each after its
answer), a head, a body of ``Content-Length`` bytes or in chunks.
"""

from __future__ import annotations

import collections
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

KINDS = ("500", "503", "reset", "lost answer", "slow", "cut answer", "cut upload")

BUSY = {
    "500": (b"500 Internal Server Error", b"InternalError", b"We encountered an internal error."),
    "503": (b"503 Slow Down", b"SlowDown", b"Please reduce your request rate."),
}

SLOW_S = (0.5, 3.0)

Watch = Callable[[str, str], None]
"""Told method and path of each request, before it is passed on."""


class S3Proxy:
    """Listens on a free port of the loopback interface; ``endpoint`` is its URL."""

    def __init__(self, upstream_port: int, seed: int = 0) -> None:
        self.share = 0.0
        """Of requests that something is done to."""
        self.kinds: tuple[str, ...] = KINDS
        self.outage = False
        """Every connection is reset, also those that are open."""
        self.watch: Watch | None = None
        self.requests: collections.Counter[str] = collections.Counter()
        """By what was done to them; ``passed`` is nothing."""
        self._random = random.Random(seed)
        self._upstream = upstream_port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def cut_off(self) -> None:
        """Begin an outage, also for what is under way."""
        self.outage = True
        with self._lock:
            sockets = list(self._open)
        for connection in sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # --- one connection ---------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._guarded, args=(client,), daemon=True).start()

    def _guarded(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        try:
            with suppress(OSError), client:
                self._serve(client)
        finally:
            with self._lock:
                self._open.discard(client)

    def _count(self, what: str) -> None:
        with self._lock:
            self.requests[what] += 1

    def _choose(self) -> tuple[str, float]:
        with self._lock:
            kind = self._random.choice(self.kinds) if self._random.random() < self.share else "passed"
            return kind, self._random.random()

    def _serve(self, client: socket.socket) -> None:
        if self.outage:
            self._count("outage")
            return _reset(client)
        head, rest = _until(client, b"\r\n\r\n")
        if not head:
            return None
        method, path = head.split(b" ", 2)[:2]
        if self.watch is not None:
            self.watch(method.decode(), path.decode())
        kind, amount = self._choose()
        expects = re.search(rb"\r\nexpect: *100-continue", head, re.I) is not None
        if kind == "cut upload" and method not in (b"PUT", b"POST"):
            kind = "reset"
        if kind == "cut answer" and method != b"GET":
            kind = "lost answer"
        self._count(kind)
        if kind == "reset":
            return _reset(client)
        if kind in BUSY:
            return self._refuse(client, head, rest, kind, expects)
        if kind == "slow":
            time.sleep(SLOW_S[0] + amount * (SLOW_S[1] - SLOW_S[0]))
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=120) as server:
            if expects:
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                head = re.sub(rb"\r\nexpect: *100-continue", b"", head, flags=re.I)
            # The server closes after its answer, and so does this: nobody shall wait for a second one.
            length = _length(head)
            if kind == "cut upload":
                # Never handed on: S3 drops an upload that ends before its Content-Length.
                _drain(client, len(rest), int(amount * (length or 0)))
                return _reset(client)
            server.sendall(head + rest)
            self._pass_body(client, server, head, rest, length)
            return self._pass_answer(client, server, kind, amount)

    @staticmethod
    def _pass_body(
        client: socket.socket, server: socket.socket, head: bytes, rest: bytes, length: int | None
    ) -> None:
        if length is not None:
            left = length - len(rest)
            while left > 0:
                data = client.recv(min(65536, left))
                if not data:
                    raise OSError("the client went away")
                server.sendall(data)
                left -= len(data)
        elif re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I):
            tail = rest
            while not tail.endswith(b"0\r\n\r\n") and b"\r\n0\r\n" not in tail[-4096:]:
                data = client.recv(65536)
                if not data:
                    raise OSError("the client went away")
                server.sendall(data)
                tail = (tail + data)[-8192:]

    def _pass_answer(self, client: socket.socket, server: socket.socket, kind: str, amount: float) -> None:
        answer, rest = _until(server, b"\r\n\r\n")
        if kind == "lost answer":
            while server.recv(65536):  # it is done; nobody hears of it
                pass
            return _reset(client)
        # One request a connection, whatever protocol the server speaks.
        answer = re.sub(rb"\r\nconnection:[^\r]*", b"", answer, flags=re.I)
        answer = answer[:-2] + b"Connection: close\r\n\r\n"
        body = _length(answer)
        left = None
        if kind == "cut answer" and body:
            left = int(amount * body)
        client.sendall(answer)
        data = rest
        while True:
            if left is not None:
                data = data[:left]
                left -= len(data)
            client.sendall(data)
            if self.outage:
                return _reset(client)
            if left == 0:
                break
            data = server.recv(65536)
            if not data:
                break
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        return None

    @staticmethod
    def _refuse(client: socket.socket, head: bytes, rest: bytes, kind: str, expects: bool) -> None:
        status, code, words = BUSY[kind]
        length = _length(head)
        if not expects and length:
            _drain(client, len(rest), length)  # closing with unread bytes would be a reset
        body = b"<Error><Code>%s</Code><Message>%s</Message></Error>" % (code, words)
        if head.startswith(b"HEAD"):
            body = b""
        client.sendall(
            b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%s" % (status, len(body), body)
        )
        client.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            client.settimeout(2)
            while client.recv(65536):
                pass


def _until(connection: socket.socket, mark: bytes) -> tuple[bytes, bytes]:
    """What comes up to the mark, with it, and what came behind it."""
    data = b""
    while mark not in data:
        more = connection.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, rest = data.partition(mark)
    return head + mark, rest


def _length(head: bytes) -> int | None:
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    return int(found[1]) if found else None


def _drain(connection: socket.socket, have: int, wanted: int) -> None:
    while have < wanted:
        data = connection.recv(min(65536, wanted - have))
        if not data:
            return
        have += len(data)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
