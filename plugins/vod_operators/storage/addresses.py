"""Hosts of URLs: their canonical spelling, their addresses, and whether an address is public."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from vod_operators.errors import StorageError

Address = IPv4Address | IPv6Address

_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # between a provider and its customers; metadata of some clouds
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services for its machines
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
"""IANA IPv4 Special-Purpose Address Registry. (``is_global`` differs among versions of Python.)"""

_UNICAST_V6 = IPv6Network("2000::/3")
"""The assigned global unicast space (RFC 4291); addresses outside of it are local, multicast or unknown."""

_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address behind a relay
        "3fff::/20",
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")


def canonical_host(host: str) -> str:
    """The canonical spelling of a host: lower case, no final dot, ``xn--``; an address in its usual form.

    :param host: as in a URL, without brackets. ``127.1``, ``2130706433`` and ``0x7f.1`` become ``127.0.0.1``,
        as for the system's resolver.
    """
    name = host.lower().removesuffix(".")
    if not name.isascii():
        import idna  # here, because the DAG file is parsed again for every task

        with suppress(idna.IDNAError):
            name = idna.encode(name, uts46=True).decode()
    address = literal(name)
    return name if address is None else str(address)


def literal(host: str) -> Address | None:
    """The address that a host spells, in whatever form; None if the host is a name."""
    with suppress(ValueError):
        address = ip_address(host)
        inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return inner or address
    if host and not any(letter.isspace() for letter in host):
        with suppress(OSError, UnicodeError):
            return IPv4Address(socket.inet_aton(host))
    return None


def resolve(host: str) -> list[Address]:
    """The addresses of a host, in the order in which to try them; empty if there is no such host.

    :param host: in its canonical spelling.
    :raises StorageError: the name servers do not answer at the moment.
    """
    address = literal(host)
    if address is not None:
        return [address]
    try:
        records = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise StorageError("the name servers do not answer") from None
        return []
    except (UnicodeError, ValueError):  # a label that is too long, a zero byte
        return []
    return list(dict.fromkeys(ip_address(str(socket_address[0])) for _, _, _, _, socket_address in records))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet.

    For an IPv6 address that embeds an IPv4 address (mapped, NAT64), the embedded one decides.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64 or address in _MAPPED:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST_V6 and not any(address in network for network in _SPECIAL_V6)
