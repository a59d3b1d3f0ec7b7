"""Reduces Accept-Encoding to the one form that uWSGI should send."""

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

Headers = list[tuple[bytes, bytes]]

_NAME = b"accept-encoding"


def with_one_encoding(headers: Headers) -> Headers:
    """Return the headers with ``gzip`` or ``identity`` in place of what the client accepts (RFC 9110, 12.5.3).

    uWSGI, which sends the page, only searches Accept-Encoding for the word gzip: it takes ``gzip;q=0`` for a yes.
    """
    accepted = [value for name, value in headers if name == _NAME]
    if not accepted:
        return headers
    others = [(name, value) for name, value in headers if name != _NAME]
    return [*others, (_NAME, b"gzip" if _prefers_gzip(b",".join(accepted).decode("latin-1")) else b"identity")]


def _prefers_gzip(accepted: str) -> bool:
    weights = parse_accept_header(accepted.lower(), Accept)
    # Without a weight of its own, identity is acceptable, but not preferred.
    of_identity = max((weight for name, weight in weights if name == "identity"), default=0)
    return weights["gzip"] > 0 and weights["gzip"] >= of_identity
