"""HTTP/1.1 as RFC 9112 has it (h11), with problem documents for what is none."""

import asyncio
import json
import re
import string
import sys
from email.utils import formatdate
from urllib.parse import quote

import h11
from service_kit.problems import Problem
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from pixmill.front.framing import HEAD_TOO_LARGE

SILENT_SECONDS = 60
"""A client that says nothing for so long before its request's head is complete is let go."""
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length:(.*)", re.IGNORECASE | re.MULTILINE)
_AS_SENT = string.punctuation + " \r"

# h11 takes a chunk of any length that has 20 digits, and waits for it; and control characters in what stands behind.
h11._readers.chunk_header_re = re.compile(
    rb"(?P<chunk_size>0{0,5}[0-9A-Fa-f]{1,15})(?P<chunk_ext>[ \t]*;[\t\x20-\x7e\x80-\xff]*)?[ \t]*\r\n"
)

_DETAILS = {
    400: "The request is no valid HTTP/1.1 message (RFC 9112).",
    431: HEAD_TOO_LARGE,
    501: "Of transfer codings only 'chunked' is understood.",
}


class StrictHttp(H11Protocol):
    """A client's connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        # How an application ends a connection whose client takes nothing more.
        self.app_state = {**self.app_state, "abort": transport.abort}
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(self._lenient(data))
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._expect_head()

    def handle_events(self) -> None:
        # h11 drops a repeated Content-Length that says the same; nginx refuses it (RFC 9110, 8.6).
        if self.conn.their_state is h11.IDLE and _repeats_length(self.conn.trailing_data[0]):
            self.send_400_response("repeated Content-Length")
        else:
            super().handle_events()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (its text says less than ours)
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # Its answer has begun: there is nothing more to be said.
            self.transport.close()
            return
        # The base class calls this where it handles h11's error.
        status = getattr(sys.exception(), "error_status_hint", 400)
        problem = Problem("malformed-request", status, _DETAILS.get(status, _DETAILS[400]))
        body = json.dumps(problem.document()).encode()
        headers = [
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("Date", formatdate(usegmt=True)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(SILENT_SECONDS, self.timeout_keep_alive_handler)

    def _lenient(self, data: bytes) -> bytes:
        """Take what h11 does not and nginx does.

        An empty line before a request's (RFC 9112, 2.2), and a URL with letters beyond ASCII: curl sends one as it was
        typed.
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
