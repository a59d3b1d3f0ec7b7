"""Runs the front: ``python -m pixmill.front``, which ``config/embedded/wsgi.ini`` does."""

import os
import resource

import uvicorn

from pixmill.front.app import create_app
from pixmill.front.framing import MAX_HEAD_BYTES
from pixmill.front.protocol import StrictHttp

IDLE_SECONDS = 75
"""As nginx keeps a connection without a request."""
STOP_SECONDS = 3
"""For downloads and uploads in progress; the launcher ends everything after nine (``embedded.STOP_SECONDS``)."""


def main() -> None:
    """Serve ``PIXMILL_HOST:PIXMILL_PORT`` until SIGTERM."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvicorn.run(
        create_app,
        factory=True,
        host=os.environ["PIXMILL_HOST"],
        port=int(os.environ["PIXMILL_PORT"]),
        http=StrictHttp,
        ws="none",
        loop="asyncio",
        lifespan="off",
        # A line for each client that speaks no HTTP, or hangs up, is of no use to anybody.
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Its own is up to a second late.
        date_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
