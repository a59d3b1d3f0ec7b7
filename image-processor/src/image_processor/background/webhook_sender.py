"""Send signed webhooks to public addresses, with retries.

Signed according to Standard Webhooks (https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature`` with HMAC-SHA256.
"""

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import httpcore2
import structlog
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from image_processor.background.public_network import ForbiddenAddressError
from image_processor.models import Callback
from image_processor.services.tasks.webhooks import WebhookService, payload

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""Between two checks for webhooks that are due."""
MAX_DELIVERIES = 32
"""Concurrent deliveries, so that a slow receiver blocks no other."""
_DELIVERY_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,
    UnicodeError,  # an invalid host name
)


class WebhookSender:
    """A thread in every worker, and one more for each delivery.

    :param timeout_seconds: of each step of a delivery.
    """

    def __init__(
        self, callbacks: WebhookService, http: httpcore2.ConnectionPool, timeout_seconds: float, secret: str
    ) -> None:
        self._callbacks = callbacks
        self._http = http
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)
        self._webhook = Webhook(base64.b64encode(secret.encode()).decode())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="callbacks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _loop(self) -> None:
        sending: list[threading.Thread] = []
        while not self._stopped.wait(POLL_SECONDS):
            sending = [thread for thread in sending if thread.is_alive()]
            for callback in self._take(MAX_DELIVERIES - len(sending)):
                # A daemon thread, so that a slow receiver does not delay the shutdown.
                thread = threading.Thread(target=self._send, args=(callback,), name="callback", daemon=True)
                thread.start()
                sending.append(thread)

    def _take(self, count: int) -> Sequence[Callback]:
        with _errors_logged():
            return self._callbacks.take_due(count) if count else []
        return []

    def _send(self, callback: Callback) -> None:
        with _errors_logged():
            self._deliver(callback)

    def _deliver(self, callback: Callback) -> None:
        body = payload(callback)
        try:
            status = self._post(callback.url, body, self._headers(callback, body))
        except ForbiddenAddressError as error:
            self._callbacks.undeliverable(callback, str(error))
        except _DELIVERY_ERRORS as error:
            self._callbacks.failed(callback, str(error) or type(error).__name__)
        else:
            if 200 <= status < 300:
                self._callbacks.delivered(callback)
            else:
                self._callbacks.failed(callback, f"answered {status}")

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        extensions = {"timeout": self._timeouts}
        # Streamed, to leave the response's body unread: it may have any length.
        with self._http.stream(
            "POST", url, headers=list(headers.items()), content=body, extensions=extensions
        ) as response:
            return response.status

    def _headers(self, callback: Callback, body: bytes) -> dict[str, str]:
        message_id, now = f"callback_{callback.id}", datetime.now(UTC)
        return {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "Pixmill",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message_id, now, body.decode()),
        }


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log errors and keep the thread running: an undelivered webhook is due again later."""
    try:
        yield
    except SQLAlchemyError as error:
        log.warning("callbacks wait for the database", error=str(error))
    except Exception:
        log.exception("callbacks failed")
