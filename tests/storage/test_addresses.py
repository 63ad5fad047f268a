"""Spellings of hosts, and which addresses are public. No packet goes anywhere: name servers are a table."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from vod_operators.errors import StorageError
from vod_operators.storage.addresses import canonical_host, is_public, resolve


@pytest.mark.parametrize(
    ("spelling", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:7f00:1", "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("LOCALHOST", "localhost"),
        ("localhost.", "localhost"),
        ("Media.Example.com", "media.example.com"),
        ("müller.example", "xn--mller-kva.example"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
    ],
)
def test_a_host_has_one_spelling(spelling: str, host: str) -> None:
    assert canonical_host(spelling) == host


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
        "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
        "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.1.1.1", "192.168.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "4000::1", "5f00::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_what_is_not_the_internets(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "223.255.255.255", "2606:4700::1111",
     "2a00:1450:4001::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_what_is_the_internets(address: str) -> None:
    assert is_public(ip_address(address))


def test_names_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_server(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "both.example":
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%2", 0, 0, 2)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0)),
            ]
        raise socket.gaierror(socket.EAI_AGAIN if host == "busy.example" else socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    assert [str(address) for address in resolve("both.example")] == ["fe80::1%2", "8.8.8.8"]
    assert resolve("none.example") == []
    assert [str(address) for address in resolve("127.0.0.1")] == ["127.0.0.1"]
    with pytest.raises(StorageError):
        resolve("busy.example")
