"""Request bodies: JSON with a problem for each error, chunked bodies, and unread remainders."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from service_kit.problems import Problem
from service_kit.request_body import (
    JSON_LIMIT,
    decode_chunked,
    described,
    drain_unread,
    json_body,
    send_continue,
    validated,
)
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

app = Flask(__name__)


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    count: int = 1


def order(body: bytes, content_type: str = "application/json") -> Order:
    """Return a request's body as parsed."""
    with app.test_request_context(method="POST", data=body, content_type=content_type):
        return json_body(Order)


def refusal(body: bytes, content_type: str = "application/json") -> Problem:
    with pytest.raises(Problem) as raised:
        order(body, content_type)
    return raised.value


def padded(length: int) -> bytes:
    """Return a JSON body of ``length`` bytes."""
    return b'{"name": "a"}'.ljust(length)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/a+json"]
)
def test_a_json_body_is_read_as_the_model(content_type: str) -> None:
    assert order('{"name": "снимок", "count": 3}'.encode(), content_type) == Order(name="снимок", count=3)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_body_of_another_type_is_not_supported(content_type: str) -> None:
    problem = refusal(b'{"name": "a"}', content_type)

    assert (problem.kind, problem.status) == ("unsupported-media-type", 415)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{'name': 'a'}", b'{"name": "a"} {}', b'{"name": "\xff"}', b"[" * 100_000], ids=range(6)
)
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    problem = refusal(body)

    assert (problem.kind, problem.status) == ("malformed-json", 400)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"{}", ["/name"]),
        (b'{"name": 1, "count": "x"}', ["/name", "/count"]),
        (b'{"name": "a", "other": 1}', ["/other"]),
    ],
)
def test_json_of_another_shape_names_the_wrong_fields(body: bytes, pointers: list[str]) -> None:
    problem = refusal(body)

    assert (problem.kind, problem.status) == ("invalid-fields", 422)
    assert [error["pointer"] for error in problem.errors] == pointers


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"'])
def test_json_that_is_not_an_object_is_refused(body: bytes) -> None:
    assert refusal(body).status == 422


def test_a_json_body_may_be_as_large_as_the_limit() -> None:
    assert order(padded(JSON_LIMIT)) == Order(name="a")


def test_a_json_body_of_one_more_byte_is_too_large() -> None:
    problem = refusal(padded(JSON_LIMIT + 1))

    assert (problem.kind, problem.status) == ("body-too-large", 413)
    assert str(JSON_LIMIT) in problem.detail


def test_the_error_for_an_unknown_field_lists_the_known_ones() -> None:
    with pytest.raises(Problem, match="the fields are: name, count"):
        validated(Order, {"name": "a", "other": 1})


def test_valid_data_is_returned_as_the_model() -> None:
    assert validated(Order, {"name": "a"}) == Order(name="a")


def test_an_operation_is_described_by_the_schema_of_its_body() -> None:
    assert described(Order) == {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "title": "Order",
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["name"],
                        "properties": {
                            "name": {"title": "Name", "type": "string"},
                            "count": {"title": "Count", "type": "integer", "default": 1},
                        },
                    }
                }
            },
        }
    }


def drain(method: str, status: int, body: BytesIO, length: int) -> Response:
    """Return the response, after it was sent, to a request with ``length`` declared bytes whose body was not read."""
    environ = EnvironBuilder(method=method).get_environ()
    with app.request_context(environ | {"wsgi.input": body, "CONTENT_LENGTH": str(length)}):
        response = drain_unread(Response(status=status))
        assert body.tell() == 0
        response.close()
    return response


@pytest.mark.parametrize(
    ("method", "status", "is_read"),
    [
        ("GET", 200, True),
        ("HEAD", 200, True),
        ("DELETE", 204, True),
        ("OPTIONS", 204, True),
        ("POST", 400, True),
        ("PUT", 413, True),
        ("PATCH", 500, True),
        ("POST", 201, False),
        ("PUT", 200, False),
        ("PATCH", 399, False),
    ],
)
def test_the_rest_of_a_refused_or_unexpected_body_is_read(method: str, status: int, is_read: bool) -> None:
    body = BytesIO(bytes(600_000))

    drain(method, status, body, 600_000)

    assert body.tell() == (600_000 if is_read else 0)


def test_no_more_than_the_body_is_drained() -> None:
    body = BytesIO(b"body" + b"the next request")

    drain("GET", 200, body, len(b"body"))

    assert body.read() == b"the next request"


def test_an_incomplete_body_is_drained_to_its_end() -> None:
    body = BytesIO(b"short")

    response = drain("POST", 400, body, 100)

    assert (response.status_code, body.tell()) == (400, len(b"short"))


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Provide the module that exists only inside uWSGI; a test adds the functions that it needs."""
    module = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return module


def no_answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    return []


def start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Callable[[bytes], object]:
    raise AssertionError("No response is expected.")


def read_by(environ: "WSGIEnvironment", size: int) -> bytes:
    """Return the body as read by an application, ``size`` bytes at a time."""
    stream = get_input_stream(environ, max_content_length=None)
    return b"".join(iter(lambda: stream.read(size), b""))


# The fixture only creates an empty module; each example adds its own chunks.
@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=10), size=st.integers(1, 60))
def test_a_chunked_body_is_its_chunks_in_their_order(uwsgi: ModuleType, chunks: list[bytes], size: int) -> None:
    left = iter([*chunks, b"", b""])
    uwsgi.chunked_read = lambda: next(left)  # type: ignore[attr-defined]
    environ = EnvironBuilder(method="POST", headers=Headers({"Transfer-Encoding": "Chunked"})).get_environ()

    decode_chunked(no_answer)(environ, start)

    assert read_by(environ, size) == b"".join(chunks)


def test_a_body_with_a_length_stays_as_it_is() -> None:
    environ = EnvironBuilder(method="POST", data=b"content").get_environ()
    body = environ["wsgi.input"]

    decode_chunked(no_answer)(environ, start)

    assert environ["wsgi.input"] is body


@pytest.fixture
def connection(uwsgi: ModuleType) -> Iterator[int]:
    """Return the client's end of uWSGI's connection."""
    client, server = os.pipe()
    uwsgi.connection_fd = lambda: server  # type: ignore[attr-defined]
    os.set_blocking(client, False)
    yield client
    os.close(client)
    os.close(server)


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
def test_a_client_that_waits_gets_100_continue_before_the_response(connection: int, value: str) -> None:
    seen = []

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        seen.append(os.read(connection, 100))
        return []

    send_continue(application)(EnvironBuilder(headers=Headers({"Expect": value})).get_environ(), start)

    assert seen == [b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize("headers", [{}, {"Expect": "something-else"}])
def test_a_client_that_does_not_wait_is_sent_nothing(connection: int, headers: dict[str, str]) -> None:
    send_continue(no_answer)(EnvironBuilder(headers=Headers(headers)).get_environ(), start)

    with pytest.raises(BlockingIOError):
        os.read(connection, 100)


def test_the_json_of_a_chunked_request_is_read(uwsgi: ModuleType) -> None:
    left = iter([b'{"na', b'me": "a"}', b"", b""])
    uwsgi.chunked_read = lambda: next(left)  # type: ignore[attr-defined]
    environ = EnvironBuilder(
        method="POST", headers=Headers({"Transfer-Encoding": "chunked", "Content-Type": "application/json"})
    ).get_environ()
    decode_chunked(no_answer)(environ, start)

    with app.request_context(environ):
        assert request.content_length is None
        assert json_body(Order) == Order(name="a")
