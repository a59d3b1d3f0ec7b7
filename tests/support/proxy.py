"""A TCP proxy between a client and a server that cuts, delays and duplicates."""

import itertools
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Faults:
    """The faults that the proxy adds to connections.

    :param cut: the share of connections that are cut within the request or the response.
    :param within: the maximum number of bytes before a cut.
    :param swallow: the share of connections whose response is dropped after the server has done its work.
    :param delay: the maximum delay before a chunk, in seconds.
    :param duplicate: the share of requests that the server receives twice; the client sees the second response.
    """

    cut: float = 0
    within: int = 400_000
    swallow: float = 0
    delay: float = 0
    duplicate: float = 0


class Proxy:
    """Forwards each connection to ``url`` with faults; its own address is ``self.url``."""

    def __init__(self, url: str, faults: Faults, seed: int) -> None:
        target = urlsplit(url)
        self._target = (str(target.hostname), target.port or 80)
        self._faults = faults
        self._seed = seed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.happened: dict[str, int] = {"cut": 0, "swallow": 0, "duplicate": 0}
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            for number in itertools.count():
                client, _ = self._listener.accept()
                # A generator for each connection, so that its faults do not depend on how others are scheduled.
                chance = random.Random(f"{self._seed} {number}")
                threading.Thread(target=self._serve, args=(client, chance), daemon=True).start()

    def _serve(self, client: socket.socket, chance: random.Random) -> None:
        fault = chance.random()
        faults = self._faults
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            if fault < faults.cut:
                self._forward(client, server, chance, limit=chance.randrange(1, faults.within))
            elif fault < faults.cut + faults.swallow:
                self._swallow(client, server)
            elif fault < faults.cut + faults.swallow + faults.duplicate:
                self._duplicate(client, server, chance)
            else:
                self._forward(client, server, chance, limit=None)

    def _forward(self, client: socket.socket, server: socket.socket, chance: random.Random, limit: int | None) -> None:
        """Forward in both directions; with a limit, reset the connection after this many bytes."""
        budget = [limit]
        threads = [
            threading.Thread(target=self._pump, args=(*pair, chance, budget), daemon=True)
            for pair in ((client, server), (server, client))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if budget[0] is not None and budget[0] <= 0:
            self.happened["cut"] += 1

    def _pump(
        self, source: socket.socket, target: socket.socket, chance: random.Random, budget: list[int | None]
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                threading.Event().wait(chance.uniform(0, self._faults.delay))
                left = budget[0]
                if left is not None:
                    budget[0] = left - len(piece)
                    if left <= len(piece):
                        target.sendall(piece[:left])
                        for end in (source, target):
                            end.shutdown(socket.SHUT_RDWR)
                        return
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def _swallow(self, client: socket.socket, server: socket.socket) -> None:
        """Let the server process the first request, and drop its response."""
        server.sendall(_request(client))
        server.recv(1)
        self.happened["swallow"] += 1

    def _duplicate(self, client: socket.socket, server: socket.socket, chance: random.Random) -> None:
        """Send the first request twice on two connections, and forward the second response."""
        request = _request(client)
        server.sendall(request)
        server.recv(65536)
        with socket.create_connection(self._target) as second:
            second.sendall(request)
            self.happened["duplicate"] += 1
            self._pump(second, client, chance, [None])


def _request(client: socket.socket) -> bytes:
    """Return a complete request."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError("the client left")
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
    while len(body) < length:
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError("the client left")
        body += piece
    # Allow one request per connection, so that each gets its own fault.
    return head + b"\r\nConnection: close\r\n\r\n" + body


@contextmanager
def proxy(url: str, faults: Faults, seed: int = 1) -> Iterator[Proxy]:
    """Start a proxy for the server at ``url``."""
    made = Proxy(url, faults, seed)
    try:
        yield made
    finally:
        made.stop()
