"""Sign webhooks according to Standard Webhooks (https://www.standardwebhooks.com)."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.access.principals import LOCAL_OWNER
from standardwebhooks import Webhook


def secrets_of(owner: str, secrets: Sequence[bytes]) -> Sequence[bytes]:
    """Return the secrets that sign an owner's webhooks, which nobody can compute from those of another owner.

    They follow from the installation's, which sign those of the owner ``local``, so that they change with them.

    :param secrets: the installation's.
    """
    if owner == LOCAL_OWNER:
        return secrets
    return [hmac.digest(secret, f"webhooks of {owner}".encode(), "sha256") for secret in secrets]


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
