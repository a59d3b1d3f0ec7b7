"""HTTP/1.1 according to RFC 9112 (h11), with problem documents for invalid messages."""

import asyncio
import json
import re
import string
import sys
from email.utils import formatdate
from typing import ClassVar
from urllib.parse import quote

import h11
from service_kit.problems import Problem
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from pixmill.front.client import POLICIES
from pixmill.front.framing import HEAD_TOO_LARGE
from pixmill.front.limits import Limit

HEAD_TIMEOUT_SECONDS = 60
"""Seconds for a request's head to arrive completely, after which the connection is closed."""
LINGER_SECONDS = 2
"""Seconds for which a refused connection stays open."""
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length:(.*)", re.IGNORECASE | re.MULTILINE)
_AS_SENT = string.punctuation + " \r"

# h11 accepts chunk sizes of 20 digits, and control characters in chunk extensions; both are refused here.
h11._readers.chunk_header_re = re.compile(
    rb"(?P<chunk_size>0{0,5}[0-9A-Fa-f]{1,15})(?P<chunk_ext>[ \t]*;[\t\x20-\x7e\x80-\xff]*)?[ \t]*\r\n"
)

_DETAILS = {
    400: "The request is not a valid HTTP/1.1 message (RFC 9112).",
    431: HEAD_TOO_LARGE,
    501: "The only supported transfer coding is 'chunked'.",
}


class StrictHttp(H11Protocol):
    """A client's connection, counted in ``limit``."""

    limit: ClassVar[Limit]
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        if not self.limit.enter(self._address):
            self._refuse_connection()
            return
        # The application calls these to close the connection of a client that has stopped reading, and to end the
        # output to one that still sends.
        self.app_state = {**self.app_state, "abort": transport.abort, "end_output": transport.write_eof}
        self._expect_head()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _refuse_connection(self) -> None:
        self._is_refused = True
        self._unset_keepalive_if_required()
        detail = "Too many connections at the same time, or too many from this address; try again."
        self._answer(Problem("too-many-connections", 503, detail, retry_after=5))
        # Closing at once would reset a connection on which the request is still arriving, and lose the response.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_refused:
            self.limit.leave(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(self._lenient(data))
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._expect_head()

    def handle_events(self) -> None:
        # h11 accepts repeated Content-Length headers with equal values; nginx refuses them (RFC 9110, 8.6).
        if self.conn.their_state is h11.IDLE and _repeats_length(self.conn.trailing_data[0]):
            self.send_400_response("repeated Content-Length")
        else:
            super().handle_events()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (our text is clearer)
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # The response has begun, so no problem document can be sent.
            self.transport.close()
            return
        # The base class calls this while it handles h11's error.
        status = getattr(sys.exception(), "error_status_hint", 400)
        problem = Problem("malformed-request", status, _DETAILS.get(status, _DETAILS[400]))
        self._answer(problem)
        self.transport.close()

    def _answer(self, problem: Problem) -> None:
        body = json.dumps(problem.document()).encode()
        headers = [
            (b"Content-Type", b"application/problem+json"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
            (b"Date", formatdate(usegmt=True).encode()),
            *POLICIES,
        ]
        if problem.retry_after is not None:
            headers.append((b"Retry-After", b"%d" % problem.retry_after))
        for event in (
            h11.Response(status_code=problem.status, headers=headers, reason=STATUS_PHRASES[problem.status]),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")

    def _expect_head(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self.timeout_keep_alive_handler)

    def _lenient(self, data: bytes) -> bytes:
        """Accept what nginx accepts and h11 does not.

        This is an empty line before the request line (RFC 9112, 2.2), and a URL with non-ASCII characters, which curl
        sends as typed.
        """
        if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            return data
        data = data.lstrip(b"\r\n")
        line, end, rest = data.partition(b"\n")
        return data if line.isascii() else quote(line, safe=_AS_SENT).encode() + end + rest


def _repeats_length(received: bytes) -> bool:
    end = _END_OF_HEAD.search(received)
    lengths = b",".join(_LENGTH.findall(received, 0, end.start())) if end else b""
    return b"," in lengths
