"""The id of a request, which its log lines, its audit entry and its answer have."""

import secrets

MAX_LENGTH = 128


def request_id(offered: str) -> str:
    """Return the id that a server in front or a client has given, or a new one if that fits no log."""
    if offered.isascii() and offered.isprintable() and 0 < len(offered) <= MAX_LENGTH:
        return offered
    return secrets.token_hex(8)
