"""Verification of webhooks signed with the server's library."""

import base64
import hashlib
import hmac
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


@pytest.mark.parametrize(
    "hostile",
    [
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "v1,\udcff v1,"},
        {"Webhook-Timestamp": "9" * 400},
        {"Webhook-Timestamp": "9" * 5_000},
        {"Webhook-Timestamp": "٣"},
        {"Webhook-Timestamp": "-1"},
        {"Webhook-Id": "\ud800"},
        {"Webhook-Id": "msg_1\0"},
    ],
    ids=lambda hostile: "-".join(hostile),
)
def test_headers_of_a_stranger_are_refused_and_cause_no_other_error(hostile: dict[str, str]) -> None:
    with pytest.raises(WebhookError):
        verify_webhook({**headers(), **hostile}, BODY, SECRET)


@pytest.mark.parametrize("secret", ["whsec_é", "whsec_a", "whsec_%"])
def test_a_secret_that_is_not_base64_is_reported(secret: str) -> None:
    with pytest.raises(WebhookError, match="not base64"):
        verify_webhook(headers(), BODY, secret)


@pytest.mark.parametrize("body", [b"[]", b"1", b"\xff", b"[" * 100_000], ids=["list", "number", "bytes", "deep"])
def test_a_signed_body_without_an_event_is_refused(body: bytes) -> None:
    moment = datetime.now(UTC)
    stamp = str(int(moment.timestamp()))
    digest = hmac.new(SECRET.encode(), f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signed = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }

    with pytest.raises(WebhookError):
        verify_webhook(signed, body, SECRET)
