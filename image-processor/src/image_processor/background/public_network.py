"""Connect to public addresses only: a URL from a client must not reach the internal network (SSRF)."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence

import httpcore2

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class ForbiddenAddressError(Exception):
    """The host has an address that is not public."""


class PublicNetworkBackend(httpcore2.NetworkBackend):
    """Resolves a host once, checks all its addresses, and connects to one of those.

    :param allowed: networks that are reachable although they are not public.
    """

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not self._is_allowed(address):
                raise ForbiddenAddressError(f"{host} has the address {address}, which is not public")
        return self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    def _is_allowed(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return (ip.is_global and not ip.is_multicast) or any(ip in network for network in self._allowed)


def public_http_pool(allowed: Sequence[Network]) -> httpcore2.ConnectionPool:
    """Return a client for public addresses only, without redirects, proxies and kept connections."""
    return httpcore2.ConnectionPool(
        network_backend=PublicNetworkBackend(allowed), max_connections=None, max_keepalive_connections=0
    )
