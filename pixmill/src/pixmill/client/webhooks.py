"""Verifies webhooks (Standard Webhooks, https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from pixmill.client.answers import WebhookEvent
from pixmill.client.problems import WebhookError

TOLERANCE_SECONDS = 300
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
    :raises WebhookError: the webhook is not signed with this secret, or is too old.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    message, stamp = sent.get("webhook-id", ""), sent.get("webhook-timestamp", "")
    signatures = [
        part.removeprefix("v1,") for part in sent.get("webhook-signature", "").split() if part.startswith("v1,")
    ]
    if not (message and signatures and stamp.isdecimal()):
        raise WebhookError("The request has no webhook-id, webhook-timestamp or webhook-signature.")
    if abs(time.time() - int(stamp)) > tolerance_seconds:
        raise WebhookError("The webhook is too old, or the clock of this machine is wrong.")
    signed = f"{message}.{stamp}.".encode() + body
    expected = [_signature(_bytes_of(part), signed) for part in secret.split(",") if part.strip()]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures):
        raise WebhookError("The webhook is not signed with this secret.")
    try:
        document: object = json.loads(body)
    except ValueError as error:
        raise WebhookError("The webhook is not JSON.") from error
    return WebhookEvent.of({**document, "id": message} if isinstance(document, dict) else document)


def _signature(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _bytes_of(secret: str) -> bytes:
    text = secret.strip()
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise WebhookError(f"What follows {_PREFIX} in the secret is not base64.") from error
