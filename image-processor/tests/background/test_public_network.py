"""Webhooks do not reach internal addresses, in any notation."""

import ipaddress
import socket

import pytest
from image_processor.background.public_network import ForbiddenAddressError, PublicNetworkBackend

INTERNAL = [
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "2130706433",
    "0x7f.1",
    "::1",
    "::ffff:127.0.0.1",
    "fe80::1",
    "fd00::1",
    "224.0.0.1",
]


@pytest.mark.parametrize("host", INTERNAL)
def test_internal_addresses_are_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="not public"):
        PublicNetworkBackend([]).connect_tcp(host, 9, timeout=1)


def test_an_allowed_network_is_reached() -> None:
    backend = PublicNetworkBackend([ipaddress.ip_network("127.0.0.0/8")])

    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = backend.connect_tcp("127.0.0.1", server.getsockname()[1], timeout=2)

        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
