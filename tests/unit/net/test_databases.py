"""Databases are asked only in networks that were named, at addresses that were looked at."""

from __future__ import annotations

import ipaddress
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.errors import Misconfigured
from dothi.net.databases import addresses, is_host, may_reach, networks

EVERYTHING = networks(["0.0.0.0/0", "::/0"])


@given(st.ip_addresses())
def test_without_a_network_nothing_may_be_asked(address: object) -> None:
    assert not may_reach(str(address), ())


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_only_what_lies_in_a_named_network(address: ipaddress.IPv4Address, size: int) -> None:
    network = ipaddress.ip_network(f"10.20.0.0/{size}", strict=False)
    if may_reach(str(address), [network]):
        assert address in network


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::",
     "224.0.0.1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_a_wide_network_does_not_name_this_machine_or_its_surroundings(address: str) -> None:
    assert not may_reach(address, EVERYTHING)


def test_what_is_named_for_itself_may_be_asked() -> None:
    assert may_reach("127.0.0.1", networks(["127.0.0.0/8"]))
    assert may_reach("::ffff:10.1.2.3", networks(["10.0.0.0/8"]))
    assert may_reach("10.1.2.3", EVERYTHING)
    assert not may_reach("10.1.2.3", networks(["10.2.0.0/16"]))


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(Misconfigured) as refused:
        addresses("localhost", 5432, networks(["10.0.0.0/8"]))
    assert refused.value.key == "net.database_not_named"


@pytest.mark.parametrize("text", ["/tmp/socket", "a,b", "db host", "", "-x", "host:5432", "a/b"])
def test_a_path_or_a_list_is_no_host(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize("text", ["db.so-yte.local", "10.1.2.3", "fd00::5", "localhost"])
def test_names_and_addresses_are_hosts(text: str) -> None:
    assert is_host(text)


def test_a_reading_process_connects_nowhere_else_whatever_a_driver_is_told() -> None:
    tried = """
import socket
from dothi.net.databases import hold_to
server = socket.create_server(("127.0.0.1", 0))
other = socket.create_server(("127.0.0.1", 0))
hold_to(["127.0.0.1"], server.getsockname()[1])
socket.create_connection(server.getsockname()).close()
for place in (other.getsockname(), ("127.0.0.2", server.getsockname()[1])):
    try:
        socket.create_connection(place, 5)
    except PermissionError:
        print("refused")
unix = socket.socket(socket.AF_UNIX)
try:
    unix.connect("/run/nothing")
except PermissionError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["refused"] * 3, done.stderr
