"""The front's HTTP server with an application of a test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pixmill.front.protocol import StrictHttp
from starlette.types import ASGIApp


@contextmanager
def front_server(application: ASGIApp) -> Iterator[int]:
    """Serve an application in a thread during the block; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(application, http=StrictHttp, ws="none", lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()
