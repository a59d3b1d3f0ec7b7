"""Verification of webhooks signed with the server's library."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from pixmill import WebhookError, verify_webhook

SECRET = "a secret of webhooks with 32 bytes and more"
BODY = json.dumps({"type": "task.finished", "task": {"id": 1, "result_id": 2}}).encode()


def headers(secret: str = SECRET, sent: datetime | None = None) -> dict[str, str]:
    moment = sent or datetime.now(UTC)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": "v1,b3RoZXI= " + Webhook(secret.encode()).sign("msg_1", moment, BODY.decode()),
    }


@pytest.mark.parametrize("secret", [SECRET, f"another one, {SECRET}"])
def test_a_signed_webhook_is_returned(secret: str) -> None:
    event = verify_webhook(headers(), BODY, secret)

    assert (event.id, event.type, event.task) == ("msg_1", "task.finished", {"id": 1, "result_id": 2})


@pytest.mark.parametrize(
    ("changed", "body", "secret"),
    [({}, BODY + b" ", SECRET), ({}, BODY, "another secret"), ({"Webhook-Id": "msg_2"}, BODY, SECRET)],
    ids=["body", "secret", "id"],
)
def test_a_webhook_with_another_signature_is_refused(changed: dict[str, str], body: bytes, secret: str) -> None:
    with pytest.raises(WebhookError, match="not signed"):
        verify_webhook({**headers(), **changed}, body, secret)


def test_an_old_webhook_is_refused() -> None:
    with pytest.raises(WebhookError, match="too old"):
        verify_webhook(headers(sent=datetime.now(UTC) - timedelta(minutes=6)), BODY, SECRET)


def test_a_request_without_a_signature_is_refused() -> None:
    with pytest.raises(WebhookError, match="webhook-signature"):
        verify_webhook({}, BODY, SECRET)
