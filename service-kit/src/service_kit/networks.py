"""The networks that share the limits of an address."""

from ipaddress import IPv4Address, IPv6Network, ip_address

_PREFIX = 64
"""Length of the prefix of a network, in which a client chooses the rest of its IPv6 address (RFC 4291, 2.5.4)."""


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, and the /64 of an IPv6 address: otherwise a client would have 2**64 limits.

    An IPv4 address that is mapped into IPv6 is the IPv4 address; other text is returned unchanged.
    ``config/nginx.conf`` does the same.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), _PREFIX), strict=False))
