"""The server's public address, for URLs in responses."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address

from pydantic import Field

from service_kit.front_headers import PEER
from service_kit.problems import Problem
from service_kit.settings import Section
from service_kit.texts import sentence

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::[0-9]{1,5})?")


class PublicUrlSettings(Section):
    public_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
        description="The address at which clients reach Pixmill, such as `https://photos.example`; links begin with"
        " it. Empty: links begin with the host of the request, which the client chooses.",
    )
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        [],
        description="Networks of trusted proxies in front of Pixmill, such as `[172.16.0.0/12]`. Only their"
        " `X-Forwarded-Proto` determines whether links begin with `https`.",
    )


def public_url(header: Callable[[str], str], remote: str, settings: PublicUrlSettings) -> str:
    """Return the scheme and host of the server's public URLs, without a trailing slash.

    :param header: returns a header of the request, or an empty string.
    :param remote: the address that the connection comes from.
    :raises Problem: 400, the settings give no address and the request's Host is invalid.
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = header("Host")
    if not _HOST.fullmatch(host):
        raise Problem(
            "invalid-host", 400, sentence("The Host header must be a host name or an address, optionally with a port.")
        )
    forwarded = header("X-Forwarded-Proto").lower()
    is_said = forwarded in ("http", "https") and _is_trusted(header(PEER) or remote, settings)
    return f"{forwarded if is_said else 'http'}://{host}"


def _is_trusted(peer: str, settings: PublicUrlSettings) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in settings.trusted_proxies)
