"""The JSON of clients is bounded before it is validated; the work for a client that leaves is cancelled."""

import asyncio
import json

import pytest
from image_processor.render.routers.api import PreviewIn
from image_processor.render.routers.clients import json_of, until_gone
from image_processor.render.urls.signed_urls import UrlRequest
from pydantic import ValidationError
from service_kit.json_extent import MAX_DEPTH, MAX_VALUES
from service_kit.problems import Problem
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

ALLOWED = {"file_id": 1, "steps": [1] * (MAX_VALUES - 10)}


def received(body: bytes) -> object:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return asyncio.run(json_of(Request({"type": "http", "method": "POST", "headers": []}, receive)))


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (PreviewIn, "file_id", True),
        (PreviewIn, "max_side", "256"),
        (UrlRequest, "file_id", "1"),
        (UrlRequest, "width", True),
        (UrlRequest, "widths", ["100"]),
        (UrlRequest, "quality", True),
        (UrlRequest, "expires_in", True),
    ],
)
def test_an_integer_is_a_number(model: type[PreviewIn | UrlRequest], field: str, value: object) -> None:
    """RFC 8259: neither `true` nor `"1"` is a number."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate({"file_id": 1, "steps": [], field: value})

    assert [error["loc"][0] for error in refused.value.errors()] == [field]


def test_a_large_body_is_returned() -> None:
    assert received(json.dumps(ALLOWED).encode()) == ALLOWED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({f"k{number}": 1 for number in range(MAX_VALUES + 1)}).encode(), "json-too-large"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "json-too-deep"),
    ],
    ids=["wide", "deep"],
)
def test_a_body_with_too_many_or_too_deep_values_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Problem) as refused:
        received(body)

    assert (refused.value.kind, refused.value.status) == (kind, 422)


def leaving() -> Request:
    """Return the request of a client that disconnects at once."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_a_client_that_leaves_before_its_body_ends_has_disconnected() -> None:
    with pytest.raises(ClientDisconnect):
        asyncio.run(json_of(leaving()))


def test_the_work_for_a_client_that_leaves_is_cancelled() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    with pytest.raises(ClientDisconnect):
        asyncio.run(until_gone(leaving(), work()))

    assert ended == ["work"]
