"""The request id, which appears in the log lines, the audit entry and the response of a request."""

import secrets

MAX_LENGTH = 128


def request_id(offered: str) -> str:
    """Return the id from the server in front or the client, or a new one if that id is not fit for logs."""
    if offered.isascii() and offered.isprintable() and 0 < len(offered) <= MAX_LENGTH:
        return offered
    return secrets.token_hex(8)
