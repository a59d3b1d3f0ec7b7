"""``python -m pixmill.front``: run the front. ``config/embedded/wsgi.ini`` starts it."""

import os
import resource

import uvicorn

from pixmill.front.app import create_app
from pixmill.front.framing import MAX_HEAD_BYTES
from pixmill.front.limits import connection_limit
from pixmill.front.protocol import StrictHttp

IDLE_SECONDS = 75
"""Seconds after which an idle connection is closed, as in nginx."""
STOP_SECONDS = 3
"""Grace period in seconds for running transfers; the launcher kills everything after nine (``embedded.STOP_SECONDS``).
"""


def main() -> None:
    """Serve ``PIXMILL_HOST:PIXMILL_PORT`` until SIGTERM."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    StrictHttp.limit = connection_limit()
    uvicorn.run(
        create_app,
        factory=True,
        host=os.environ["PIXMILL_HOST"],
        port=int(os.environ["PIXMILL_PORT"]),
        http=StrictHttp,
        ws="none",
        loop="asyncio",
        lifespan="off",
        # Log lines for clients that disconnect or do not speak HTTP would be noise.
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # uvicorn's own Date header is up to a second late.
        date_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
