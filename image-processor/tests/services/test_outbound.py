"""A client's URL reaches only public addresses, in any notation, and only the address that was checked."""

import ipaddress
import socket
import threading

import httpcore2
import pytest
from image_processor.services import outbound
from image_processor.services.outbound import ForbiddenAddressError, PublicNetworkBackend, is_public, public_http_pool

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")

# The names come from IANA's registries of special-purpose addresses, of multicast and of the IPv6 address space.
SPECIAL = {
    "0.0.0.0": '"This network"',
    "0.255.255.255": '"This network"',
    "10.0.0.1": "Private-Use",
    "10.255.255.255": "Private-Use",
    "100.64.0.1": "Shared Address Space",
    "100.127.255.255": "Shared Address Space",
    "127.0.0.1": "Loopback",
    "127.255.255.255": "Loopback",
    "169.254.169.254": "Link Local",
    "172.16.3.4": "Private-Use",
    "172.31.255.255": "Private-Use",
    "192.0.0.1": "IETF Protocol Assignments, IPv4 Service Continuity Prefix",
    "192.0.0.8": "IPv4 dummy address",
    "192.0.0.9": "Port Control Protocol Anycast",
    "192.0.0.10": "Traversal Using Relays around NAT Anycast",
    "192.0.0.170": "NAT64/DNS64 Discovery",
    "192.0.0.192": "IETF Protocol Assignments, which Python before 3.11.10 takes for public",
    "192.0.2.1": "Documentation (TEST-NET-1)",
    "192.31.196.1": "AS112-v4",
    "192.52.193.1": "AMT",
    "192.88.99.1": "Deprecated (6to4 Relay Anycast)",
    "192.88.99.2": "6a44-relay anycast address",
    "192.168.1.1": "Private-Use",
    "192.175.48.1": "Direct Delegation AS112 Service",
    "198.18.0.1": "Benchmarking",
    "198.19.255.255": "Benchmarking",
    "198.51.100.1": "Documentation (TEST-NET-2)",
    "203.0.113.1": "Documentation (TEST-NET-3)",
    "224.0.0.1": "Multicast",
    "239.255.255.255": "Multicast",
    "240.0.0.1": "Reserved",
    "255.255.255.255": "Limited Broadcast",
    "::": "Unspecified Address",
    "::1": "Loopback Address",
    "::127.0.0.1": "IPv4-compatible, of Loopback",
    "::ffff:127.0.0.1": "IPv4-mapped Address, of Loopback",
    "::ffff:10.0.0.1": "IPv4-mapped Address, of Private-Use",
    "::ffff:0:7f00:1": "IPv4-translated, of Loopback",
    "64:ff9b::7f00:1": "IPv4-IPv6 Translat., of Loopback",
    "64:ff9b::a9fe:a9fe": "IPv4-IPv6 Translat., of Link Local",
    "64:ff9b::a00:1": "IPv4-IPv6 Translat., of Private-Use",
    "64:ff9b:1::1": "IPv4-IPv6 Translat. of local use",
    "64:ff9b:1:ffff:ffff:ffff:808:808": "IPv4-IPv6 Translat. of local use",
    "100::1": "Discard-Only Address Block",
    "100:0:0:1::1": "Dummy IPv6 Prefix",
    "2001::1": "TEREDO",
    "2001:1::1": "Port Control Protocol Anycast",
    "2001:1::2": "Traversal Using Relays around NAT Anycast",
    "2001:2::1": "Benchmarking",
    "2001:3::1": "AMT",
    "2001:4:112::1": "AS112-v6",
    "2001:10::1": "Deprecated (previously ORCHID)",
    "2001:20::1": "ORCHIDv2",
    "2001:30::1": "Drone Remote ID Protocol Entity Tags (DETs) Prefix",
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff": "IETF Protocol Assignments",
    "2001:db8::1": "Documentation",
    "2002:7f00:1::": "6to4, of Loopback",
    "2002:a00:1::1": "6to4, of Private-Use",
    "2002:a9fe:a9fe::1": "6to4, of Link Local",
    "2620:4f:8000::1": "Direct Delegation AS112 Service",
    "3fff::1": "Documentation",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff": "Documentation",
    "4000::1": "Reserved by IETF",
    "5f00::1": "Segment Routing (SRv6) SIDs",
    "fc00::1": "Unique-Local",
    "fd00::1": "Unique-Local",
    "fe80::1": "Link-Local Unicast",
    "fec0::1": "Reserved by IETF, formerly Site-Local",
    "ff02::1": "Multicast",
}
PUBLIC = [
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2002:808:808::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "3ffe:ffff::1",
]
OTHER_NOTATIONS = ["localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "fe80::1%lo", "１２７.0.0.1"]


def backend(*allowed: str) -> PublicNetworkBackend:
    return PublicNetworkBackend([ipaddress.ip_network(network) for network in allowed], max_seconds=60)


@pytest.mark.parametrize(
    "address", [pytest.param(address, id=f"{address} {name}") for address, name in SPECIAL.items()]
)
def test_a_special_address_gets_no_connection(address: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="not public"):
        backend().connect_tcp(address, 9999, timeout=1)


@pytest.mark.parametrize("host", OTHER_NOTATIONS)
def test_a_special_address_in_another_notation_gets_no_connection(host: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="not public"):
        backend().connect_tcp(host, 9999, timeout=1)


@pytest.mark.parametrize("address", PUBLIC)
def test_every_other_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 442, 444, 587, 1023])
def test_a_port_of_another_service_gets_no_connection(port: int) -> None:
    with pytest.raises(ForbiddenAddressError, match=f"port {port} is neither"):
        backend("127.0.0.0/8").connect_tcp("127.0.0.1", port, timeout=1)


@pytest.mark.parametrize("port", [80, 443, 1024])
def test_the_ports_of_the_web_and_those_above_1023_are_tried(port: int) -> None:
    with pytest.raises(ForbiddenAddressError, match="not public"):
        backend().connect_tcp("127.0.0.1", port, timeout=1)


def test_an_allowed_network_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = backend("127.0.0.0/8").connect_tcp("127.0.0.1", server.getsockname()[1], timeout=2)

        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"


def test_an_allowed_network_allows_no_other() -> None:
    with pytest.raises(ForbiddenAddressError, match="not public"):
        backend("127.0.0.0/8").connect_tcp("10.0.0.1", 9999, timeout=1)


def test_a_host_is_looked_up_once_and_the_judged_address_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        """Resolve a name to the server's address first, and to another one later."""
        asked.append(host)
        address = host if host[0].isdigit() else f"127.0.0.{len(asked)}"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = backend("127.0.0.0/8").connect_tcp("rebinding.example", server.getsockname()[1], timeout=2)

        connected = stream.get_extra_info("server_addr")[0]

    assert (connected, asked.count("rebinding.example")) == ("127.0.0.1", 1)


def test_a_host_with_one_address_that_is_not_public_gets_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)

    with pytest.raises(ForbiddenAddressError, match=r"10\.0\.0\.1, which is not public"):
        backend().connect_tcp("both.example", 80, timeout=1)


@pytest.mark.parametrize("host", ["a..example.invalid", f"{'a' * 64}.example.invalid", "a\0.example.invalid"])
def test_a_name_that_cannot_be_looked_up_is_a_failed_connection(host: str) -> None:
    with pytest.raises(httpcore2.ConnectError):
        backend().connect_tcp(host, 80, timeout=1)


def test_a_machine_knows_its_own_address() -> None:
    assert outbound._is_own(ipaddress.ip_address("127.0.0.1"))
    assert not outbound._is_own(ipaddress.ip_address("192.0.2.1"))


def test_a_redirect_is_not_followed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answering = threading.Thread(target=_redirect_once, args=(server, f"http://127.0.0.1:{port}/again"))
        answering.start()

        response = public_http_pool([LOOPBACK], max_seconds=60).request("GET", f"http://127.0.0.1:{port}/")
        answering.join()
        server.settimeout(0.2)

        assert response.status == 302
        with pytest.raises(TimeoutError):
            server.accept()


def _redirect_once(server: socket.socket, location: str) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.slow
def test_a_response_that_drips_ends_at_the_deadline() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=_drip, args=(server, ended))
        dripping.start()

        with pytest.raises(httpcore2.TimeoutException):
            public_http_pool([LOOPBACK], max_seconds=0.5).request(
                "GET", f"http://127.0.0.1:{server.getsockname()[1]}/", extensions={"timeout": {"read": 60}}
            )

        ended.set()
        dripping.join()


def _drip(server: socket.socket, ended: threading.Event) -> None:
    """Send a byte of an endless header now and then, until the other side disconnects or the test ends."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not ended.wait(0.05):
            try:
                connection.sendall(b"a")
            except OSError:
                return
