"""Protection against pages of other sites: checks the Host, and the origin of requests that change something.

A page elsewhere can send "simple" requests without a preflight (Fetch, 2.2.2). A page whose name is rebound to this
server's address (DNS rebinding) can read the responses too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from service_kit.problems import Problem
from service_kit.texts import sentence

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def host_name(host: str) -> str:
    """Return the name or address in a Host header, in lower case and without its port; empty if it is invalid."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def check_host(host: str, allowed: Collection[str], *, any_address: bool) -> None:
    """Check that the request was sent to one of this server's names.

    :param host: the Host header.
    :param any_address: whether all IP addresses are allowed: DNS rebinding works only with names.
    :raises Problem: 421, the name is not one of this server's.
    """
    name = host_name(host)
    if name in allowed or (any_address and _is_address(name)):
        return
    detail = sentence(
        "This server does not answer for the host '{name}'; add it to http.hosts in config/access/conf.yml.", name=name
    )
    raise Problem("unknown-host", 421, detail)


def host_check(mode: str, names: Iterable[str]) -> Callable[[str], None]:
    """Return :func:`check_host` for a server in this mode, with the names of the loopback interface and these."""
    allowed = LOOPBACK_HOSTS | {name.lower() for name in names}
    return partial(check_host, allowed=allowed, any_address=mode != "local")


def check_site(method: str, headers: Mapping[str, str]) -> None:
    """Check that no page of another site sends the request; programs do not send the headers checked here.

    :param headers: a mapping that ignores the case of names.
    :raises Problem: 403, a page of another site sent the request.
    """
    if method in SAFE_METHODS:
        return
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    foreign_site = site is not None and site not in ("same-origin", "none")
    foreign_origin = origin is not None and not _is_own(origin, headers)
    if foreign_site or foreign_origin:
        raise Problem(
            "cross-site-request", 403, sentence("Web pages of other sites may not change anything on this server.")
        )


def _is_own(origin: str, headers: Mapping[str, str]) -> bool:
    """Return whether an origin is this server's, as far as the request shows.

    Without ``X-Forwarded-Proto``, a proxy may receive HTTPS all the same. The header can only narrow the choice: a page
    cannot send it to another origin without a preflight, which is refused.
    """
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    forwarded = headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    # Anyone on the network can put a page under our name without TLS.
    schemes = ("https",) if forwarded == "https" else ("http", "https")
    return page.scheme in schemes and page.netloc.lower() == headers.get("Host", "").lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
