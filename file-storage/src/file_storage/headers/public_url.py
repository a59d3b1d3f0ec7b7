"""The address under which a client reaches the server, for the URLs of links."""

import re
from ipaddress import ip_address

from service_kit.problems import Problem
from werkzeug.wrappers import Request

from file_storage.config import HttpSettings

PEER = "X-Peer-Address"
"""The header in which nginx and the front of ``make run`` name the other end of the connection."""

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::[0-9]{1,5})?")


def public_url(request: Request, settings: HttpSettings) -> str:
    """Return the scheme and the host of the server's public URLs, without a slash at the end.

    :raises Problem: 400, the settings name no address and the request's Host is no host.
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        raise Problem("invalid-host", 400, "The Host header must be a host name or an address, optionally with a port.")
    return f"{_scheme(request, settings)}://{host}"


def _scheme(request: Request, settings: HttpSettings) -> str:
    forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
    return forwarded if forwarded in ("http", "https") and _is_trusted(request, settings) else "http"


def _is_trusted(request: Request, settings: HttpSettings) -> bool:
    try:
        peer = ip_address(request.headers.get(PEER) or request.remote_addr or "")
    except ValueError:
        return False
    return any(peer in network for network in settings.trusted_proxies)
