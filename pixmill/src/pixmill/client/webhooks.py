"""Verifies webhooks (Standard Webhooks, https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping

from pixmill.client.answers import WebhookEvent
from pixmill.client.problems import UnexpectedAnswerError, WebhookError

TOLERANCE_SECONDS = 300
STAMP = re.compile(r"[0-9]{1,15}")
"""A time in seconds; a number with thousands of digits is not computed."""
_PREFIX = "whsec_"


def verify_webhook(
    headers: Mapping[str, str], body: bytes, secret: str, *, tolerance_seconds: float = TOLERANCE_SECONDS
) -> WebhookEvent:
    """Verify a webhook and return its event.

    Store ``id`` and ignore known events: a webhook may be delivered twice.

    :param headers: of the request; the case of names does not matter.
    :param body: the raw bytes; reserialized JSON has another signature.
    :param secret: the result of ``webhook_secret()`` with the key that created the tasks; for tasks created without a
    key, the server's ``PIXMILL_CALLBACK_SECRET``. If it has several parts, separated by commas, one of them must match.
    :param tolerance_seconds: the maximum difference between the webhook's time and the local clock.
    :raises WebhookError: the webhook is not signed with this secret, or is too old. Nothing that a stranger sends
    causes another error.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    message, stamp = sent.get("webhook-id", ""), sent.get("webhook-timestamp", "")
    signatures = [
        part.removeprefix("v1,") for part in sent.get("webhook-signature", "").split() if part.startswith("v1,")
    ]
    if not (message and signatures and STAMP.fullmatch(stamp)):
        raise WebhookError("The request has no webhook-id, webhook-timestamp or webhook-signature.")
    if abs(time.time() - int(stamp)) > tolerance_seconds:
        raise WebhookError("The webhook is too old, or the clock of this machine is wrong.")
    # A stranger may send any text; no other text becomes the same bytes.
    signed = f"{message}.{stamp}.".encode("utf-8", "surrogatepass") + body
    expected = [_signature(_bytes_of(part), signed) for part in secret.split(",") if part.strip()]
    given = [part.encode("utf-8", "surrogatepass") for part in signatures]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise WebhookError("The webhook is not signed with this secret.")
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookError("The webhook is not JSON.") from error
    try:
        return WebhookEvent.of({**document, "id": message} if isinstance(document, dict) else document)
    except UnexpectedAnswerError as error:
        raise WebhookError("The webhook has no event.") from error


def _signature(secret: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())


def _bytes_of(secret: str) -> bytes:
    text = secret.strip()
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise WebhookError(f"What follows {_PREFIX} in the secret is not base64.") from error
