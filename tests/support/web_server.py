"""A web server of a test, whose clients may leave during a request."""

import sys
from http.server import ThreadingHTTPServer
from socket import socket


class WebServer(ThreadingHTTPServer):
    """Say nothing about clients that leave: the text would be in the output that a later test captures."""

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
