"""Connections to other people's databases: only into networks the operator named, only to an address
that was looked at.

Databases of a province lie on private addresses, and who adds a source on a page must not thereby
reach every machine of the inside: `DOTHI_PULL_NETWORKS` lists the networks that may be asked, and
without it nothing is. This machine itself (loopback), link-local and multicast addresses need a
network of their own kind: a wide network such as 0.0.0.0/0 does not name them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from collections.abc import Sequence

from dothi.kernel.errors import Misconfigured, Unavailable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

AGAIN_S = 60
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")


def is_host(text: str) -> bool:
    """Whether a text can be the name or the address of a machine; a path or a list is none."""
    return _HOST.fullmatch(text) is not None


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a setting, which has checked them."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def may_reach(text: str, allowed: Sequence[Network]) -> bool:
    """Whether a database at this address may be asked."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    kind = _special(address)
    return any(
        net.version == address.version and address in net and kind in ("", _special(net))
        for net in allowed
    )


def _special(one: Address | Network) -> str:
    """What kind of address it is that no wide network names by the way, "" for an ordinary one; of
    a network, whether it is all of this kind."""
    kinds = {
        "loopback": one.is_loopback,
        "link_local": one.is_link_local,
        "multicast": one.is_multicast,
        "unspecified": one.is_unspecified,
    }
    return next((kind for kind, holds in kinds.items() if holds), "")


def addresses(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """The addresses of a host that may be asked.

    Raises Misconfigured when none of them may, Unavailable when the name means nothing now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable("net.no_such_host", host=host, retry_after_s=AGAIN_S) from None
    every = list(dict.fromkeys(str(info[4][0]) for info in found))
    fine = [address for address in every if may_reach(address, allowed)]
    if not fine:
        raise Misconfigured("net.database_not_named", host=host, address=", ".join(every[:3]))
    return fine


def hold_to(allowed: Sequence[str], port: int) -> None:
    """From now on this process connects to these addresses at this port and nowhere else, whatever
    a server asks a driver to do. There is no way back."""
    known = frozenset(allowed)

    def look(event: str, args: tuple[object, ...]) -> None:
        if event == "socket.connect":
            place = args[1]
            if not (isinstance(place, tuple) and place[0] in known and place[1] == port):
                raise PermissionError(f"connection to {place!r} is not allowed")

    sys.addaudithook(look)
