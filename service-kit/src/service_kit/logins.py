"""Judges the passwords in the URLs of servers, such as an operator's own PostgreSQL or RabbitMQ.

Pixmill does not choose these passwords, and its operator may be unable to change them, so it refuses only those that
everyone tries first.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from service_kit.secrets import MIN_BYTES, SecretError

KNOWN = frozenset({"postgres", "rabbitmq", "guest", "admin", "pixmill", "password", "secret", "changeme", "example"})
"""Passwords of images, manuals and earlier builds, in lower case. A user's own name is known, too."""


class _Login(NamedTuple):
    user: str
    password: str
    hosts: frozenset[str]


def refuse_known(url: str) -> None:
    """Refuse a known password for a server on another machine.

    :raises SecretError: the URL has one.
    """
    for login in _remote_logins(url):
        if login.password.lower() in KNOWN | {login.user.lower()}:
            raise SecretError(
                f"the password of user '{login.user}' on {', '.join(sorted(login.hosts))} is one that everyone tries"
                " first: choose another on that server (openssl rand -hex 32), and set it here"
            )


def has_short_password(url: str) -> bool:
    """Return whether a password for a server on another machine has fewer bytes than a generated one."""
    return any(len(login.password.encode()) < MIN_BYTES for login in _remote_logins(url))


def _remote_logins(url: str) -> Iterator[_Login]:
    """Yield the logins with a password on other machines.

    kombu takes several URLs, separated by semicolons; PostgreSQL takes several hosts.
    """
    for server_url in re.split(r";(?=[\w+]+://)", url):
        try:
            parts = make_url(server_url)
        except (ArgumentError, ValueError):
            # The URL is invalid; connecting to it reports the error.
            continue
        query = parts.normalized_query
        named = [host for name in ("host", "hostaddr") for value in query.get(name, ()) for host in value.split(",")]
        remote = frozenset(host for host in (parts.host, *map(_name_of, named)) if host and not _is_local(host))
        user = parts.username or "".join(query.get("user", ()))
        password = str(parts.password or "".join(query.get("password", ())))
        if password and remote:
            yield _Login(user, password, remote)


def _name_of(host: str) -> str:
    """Return a host without its port; the folder of a Unix socket has none."""
    return host if host.startswith("/") else make_url(f"postgresql://{host}").host or ""


def _is_local(host: str) -> bool:
    """Return whether a host is this machine, by name, address or the folder of a Unix socket."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("/")
