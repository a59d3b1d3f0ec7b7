"""Prints each request and its answer on stderr, for ``pixmill --debug``."""

import logging
import re
import threading

from pixmill.client.drivers import without_login
from pixmill.commands.console import say

_REQUESTS = "httpx2"
"""The logger of the HTTP library that has a record for each answer: method, URL, version, status and reason."""
_CONNECTIONS = "httpcore2"
"""The parent of the loggers that have the headers of answers and the errors of connections."""
_ANSWERED = "receive_response_headers.complete"
_ID = re.compile(r"b'x-request-id', b'([\w.-]+)'", re.IGNORECASE)
_FAILED = re.compile(r"(?:connect_\w+|start_tls|receive_\w+|send_\w+)\.failed exception=(.*)", re.DOTALL)


class _Printer(logging.Handler):
    """Prints what the records of the HTTP library say, without headers and bodies: those of requests have the key."""

    def __init__(self) -> None:
        super().__init__()
        # Several threads send requests.
        self._latest = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _REQUESTS and isinstance(record.args, tuple) and len(record.args) == 5:
            method, url, _, status, reason = record.args
            say(f"{method} {without_login(str(url))}: {status} {reason}{self._id()}")
            return
        message = record.getMessage()
        if message.startswith(_ANSWERED):
            found = _ID.search(message)
            self._latest.id = None if found is None else found[1]
            return
        failed = _FAILED.match(message)
        if failed is not None:
            say(f"{record.name.rpartition('.')[2]}: {failed[1]}")

    def _id(self) -> str:
        found = getattr(self._latest, "id", None)
        return "" if found is None else f" (request {found})"


def print_traffic() -> None:
    """Print all requests of this process from now on."""
    printer = _Printer()
    for name, level in ((_REQUESTS, logging.INFO), (_CONNECTIONS, logging.DEBUG)):
        logger = logging.getLogger(name)
        logger.handlers = [printer]
        logger.setLevel(level)
