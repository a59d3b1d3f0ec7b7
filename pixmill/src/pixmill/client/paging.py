"""Pagination with the ``Link`` header (RFC 8288)."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from pixmill.client.exchange import Call, Reply

PAGE = 1000
"""Maximum number of entries in a page."""
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


def following(call: Call, reply: Reply) -> Call | None:
    """Return the call for the next page, if there is one."""
    found = _NEXT.search(reply.headers.get("link", ""))
    if found is None:
        return None
    # Use only the query, instead of one in the path: behind a proxy the path may differ.
    query = parse_qsl(urlsplit(found[1]).query, keep_blank_values=True)
    return replace(call, path=call.path.partition("?")[0], query=query)
