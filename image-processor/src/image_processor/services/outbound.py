"""Connects only to public addresses: a client's URL must not reach the internal network (SSRF)."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Sequence

import httpcore2
from service_kit.texts import sentence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

WEB_PORTS = (80, 443)
FIRST_UNPRIVILEGED_PORT = 1024
"""Ports below, except the web's, are refused: services such as SSH and SMTP must not receive a client's bytes."""

_SPECIAL_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        # All of https://www.iana.org/assignments/iana-ipv4-special-registry, including globally reachable blocks, which
        # have no web servers.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        # Multicast has a registry of its own.
        "224.0.0.0/4",
    )
]
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All unicast addresses assigned by IANA; https://www.iana.org/assignments/ipv6-address-space."""
_SPECIAL_IPV6 = [
    ipaddress.IPv6Network(network)
    for network in (
        # All of https://www.iana.org/assignments/iana-ipv6-special-registry within 2000::/3, except 6to4.
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
]
_SUFFIXED_BY_IPV4 = [
    ipaddress.IPv6Network(network)
    for network in (
        "64:ff9b::/96",  # NAT64
        "::ffff:0:0/96",  # IPv4-mapped
        "::/96",  # IPv4-compatible
    )
]


class ForbiddenAddressError(Exception):
    """The host has an address that is not public, or the port is not allowed."""


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet.

    Python's ``is_global`` depends on the Python version, and judges an address that maps to an IPv4 address by its
    prefix.
    """
    meant = _meant(address)
    if isinstance(meant, ipaddress.IPv4Address):
        return not any(meant in network for network in _SPECIAL_IPV4)
    return meant in _GLOBAL_IPV6 and not any(meant in network for network in _SPECIAL_IPV6)


def _meant(address: Address) -> Address:
    """Return the IPv4 address to which an IPv6 address maps, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _SUFFIXED_BY_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def _is_own(address: Address) -> bool:
    """Return whether an address is this machine's: then it is the source address of packets to itself."""
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), FIRST_UNPRIVILEGED_PORT))  # sends nothing
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address


class PublicNetworkBackend(httpcore2.NetworkBackend):
    """Resolves a host once, checks all its addresses, and connects to one of them.

    :param allowed: networks that may be reached although they are not public.
    :param max_seconds: the maximum lifetime of a connection.
    """

    def __init__(self, allowed: Sequence[Network], max_seconds: float) -> None:
        self._allowed = allowed
        self._max_seconds = max_seconds
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        if port not in WEB_PORTS and port < FIRST_UNPRIVILEGED_PORT:
            raise ForbiddenAddressError(sentence("port {port} is neither 80 nor 443 nor above 1023", port=port))
        deadline = time.monotonic() + self._max_seconds
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # ValueError: a label that is empty or too long, or a zero byte, cannot be looked up.
        except (OSError, ValueError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            if not self._is_allowed(address):
                raise ForbiddenAddressError(
                    sentence("{host} has the address {address}, which is not public", host=host, address=str(address))
                )
        # Connect to the address: a second lookup of the name could return another address.
        stream = self._backend.connect_tcp(
            str(addresses[0]), port, _remaining(deadline, timeout), local_address, socket_options
        )
        return _MortalStream(stream, deadline)

    def _is_allowed(self, address: Address) -> bool:
        if any(ip in network for ip in (address, _meant(address)) for network in self._allowed):
            return True
        return is_public(address) and not _is_own(_meant(address))


class _MortalStream(httpcore2.NetworkStream):
    """A connection with a deadline: a timeout per read never ends a connection that delivers a byte at a time."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _remaining(self._deadline, timeout))
        return _MortalStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        extra: object = self._stream.get_extra_info(info)
        return extra


def _remaining(deadline: float, timeout: float | None) -> float:
    """Return the timeout of a step, limited by the deadline.

    :raises ReadTimeout: the deadline has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore2.ReadTimeout("the connection took too long")
    return seconds if timeout is None else min(seconds, timeout)


def public_http_pool(allowed: Sequence[Network], max_seconds: float) -> httpcore2.ConnectionPool:
    """Return a client for public addresses only, without redirects, proxies and connection reuse.

    :param allowed: networks that may be reached although they are not public.
    :param max_seconds: the maximum time for a request and its response.
    """
    return httpcore2.ConnectionPool(
        network_backend=PublicNetworkBackend(allowed, max_seconds),
        max_connections=None,
        max_keepalive_connections=0,
    )
