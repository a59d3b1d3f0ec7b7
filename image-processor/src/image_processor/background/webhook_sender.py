"""Sends signed webhooks to public addresses, with retries."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpcore2
import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.models import Callback
from image_processor.services.outbound import ForbiddenAddressError
from image_processor.services.tasks.webhook_signature import secrets_of, signed_headers
from image_processor.services.tasks.webhooks import DELIVERIES_OF_AN_OWNER, Taken, WebhookService, payload

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""Interval between checks for due webhooks."""
MAX_DELIVERIES = 2 * DELIVERIES_OF_AN_OWNER
"""Maximum number of concurrent deliveries."""
MAX_UNPROVEN_DELIVERIES = 24
"""Maximum for hosts that have never answered or are failing, so that they cannot block the other hosts."""
_DELIVERY_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,
    UnicodeError,  # an invalid host name
)


class WebhookSender:
    """A thread that takes due webhooks and starts a thread for each delivery.

    :param secrets: the installation's secrets; each adds a signature.
    :param alive: a file touched while the database responds; a health check reads its age.
    """

    def __init__(
        self,
        callbacks: WebhookService,
        http: httpcore2.ConnectionPool,
        secrets: Sequence[bytes],
        alive: Path | None = None,
    ) -> None:
        self._callbacks = callbacks
        self._http = http
        self._secrets = secrets
        self._alive = alive
        self._sending: dict[threading.Thread, Taken] = {}
        self._changing = threading.Lock()
        """Held while ``_sending`` changes, so that it contains only started threads."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 0) -> None:
        """Stop taking webhooks, wait for running deliveries, and make the interrupted ones due again.

        :param seconds: maximum time to wait.
        """
        self._stopped.set()
        deadline = time.monotonic() + seconds
        self._thread.join(seconds)
        with self._changing:
            sending = list(self._sending.items())
        for thread, _ in sending:
            thread.join(max(0.0, deadline - time.monotonic()))
        interrupted = [taken.callback for thread, taken in sending if thread.is_alive()]
        if interrupted:
            with _errors_logged():
                self._callbacks.release(interrupted)

    def _loop(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            with self._changing:
                self._sending = {thread: taken for thread, taken in self._sending.items() if thread.is_alive()}
            with _errors_logged():
                self._send_due()

    def _send_due(self) -> None:
        delivering = list(self._sending.values())
        unproven = sum(not taken.proven for taken in delivering)
        free, free_unproven = MAX_DELIVERIES - len(delivering), MAX_UNPROVEN_DELIVERIES - unproven
        for taken in self._callbacks.take_due(free, free_unproven, delivering) if free else ():
            # A daemon thread, so that a slow receiver does not delay the shutdown.
            thread = threading.Thread(target=self._send, args=(taken.callback,), name="webhook", daemon=True)
            with self._changing:
                thread.start()
                self._sending[thread] = taken
        if self._alive:
            self._alive.touch()

    def _send(self, callback: Callback) -> None:
        with _errors_logged():
            self._deliver(callback)

    def _deliver(self, callback: Callback) -> None:
        body = payload(callback)
        secrets = secrets_of(callback.owner, callback.key_id, self._secrets)
        headers = signed_headers(secrets, f"callback_{callback.id}", body)
        try:
            status = self._post(callback.url, body, headers)
        except ForbiddenAddressError as error:
            self._callbacks.undeliverable(callback, str(error))
        except _DELIVERY_ERRORS as error:
            self._callbacks.failed(callback, str(error) or type(error).__name__, answered=False)
        else:
            if 200 <= status < 300:
                self._callbacks.delivered(callback)
            else:
                self._callbacks.failed(callback, f"answered {status}", answered=True)

    def _post(self, url: str, body: bytes, signature: dict[str, str]) -> int:
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "Pixmill",
            **signature,
        }
        # Streamed in order to ignore the response's body, which may be of any length.
        with self._http.stream("POST", url, headers=list(headers.items()), content=body) as response:
            return response.status


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log errors and keep the thread running: an undelivered webhook becomes due again later."""
    try:
        yield
    except SQLAlchemyError as error:
        log.warning("webhooks wait for the database", error=str(error))
    except Exception:
        log.exception("webhooks failed")
