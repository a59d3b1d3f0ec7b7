"""Sign webhooks according to Standard Webhooks (https://www.standardwebhooks.com)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook


def signed_headers(secrets: Sequence[bytes], message_id: str, body: bytes) -> dict[str, str]:
    """Return ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` with HMAC-SHA256.

    :param secrets: each signs; a receiver accepts the message if it knows one of them.
    """
    now = datetime.now(UTC)
    signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
