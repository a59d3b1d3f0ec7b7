"""Digest fields (RFC 9530): a body is compared with the digests in its headers."""

import hashlib
import socket
from base64 import b64encode
from io import BytesIO

import pytest
from file_storage.headers.digests import CheckedBody, checked_body, digest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from service_kit.problems import Problem
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

BODY = b'{"hello": "world"}\n'
SHA_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA_512 = "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
"""The body and the digests of the examples in RFC 9530."""

OF_NOTHING = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
OF_ANOTHER = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"

FIELDS = pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])


def check(body: bytes, headers: dict[str, str]) -> None:
    CheckedBody(BytesIO(body), Headers(headers)).check(7)


def problem_with(body: bytes, headers: dict[str, str]) -> Problem:
    with pytest.raises(Problem) as raised:
        check(body, headers)
    return raised.value


@FIELDS
@pytest.mark.parametrize("value", [SHA_256, SHA_512, f"{SHA_256}, {SHA_512}", f"{SHA_256},{SHA_512}"])
def test_the_example_of_rfc_9530_has_its_digests(field: str, value: str) -> None:
    check(BODY, {field: value})


@FIELDS
@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"\n", b"", BODY.upper()])
@pytest.mark.parametrize("value", [SHA_256, SHA_512])
def test_a_body_that_was_changed_in_transit_is_refused(field: str, body: bytes, value: str) -> None:
    problem = problem_with(body, {field: value})

    assert (problem.kind, problem.status) == ("digest-mismatch", 400)
    assert f"{value[:7]} of the body does not match {field}" in problem.detail


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Digest": SHA_256, "Repr-Digest": OF_ANOTHER},
        {"Content-Digest": OF_ANOTHER, "Repr-Digest": SHA_256},
        {"Content-Digest": f"{OF_ANOTHER}, {SHA_512}"},
        {"Content-Digest": f"{SHA_512}, {OF_ANOTHER}"},
    ],
)
def test_a_single_wrong_digest_is_enough_to_refuse(headers: dict[str, str]) -> None:
    assert problem_with(BODY, headers).kind == "digest-mismatch"


def test_an_empty_body_has_a_digest() -> None:
    check(b"", {"Content-Digest": OF_NOTHING})


def test_a_digest_of_another_length_is_wrong() -> None:
    assert problem_with(BODY, {"Content-Digest": "sha-256=:RK/0qw==:"}).kind == "digest-mismatch"


@pytest.mark.parametrize("value", ["md5=:AAAA:", "unixsum=30637", "new;x=1", f"sha=:AAAA:, {SHA_256}", ""])
def test_unknown_algorithms_are_ignored(value: str) -> None:
    check(BODY, {"Repr-Digest": value})


def test_parameters_of_a_digest_are_ignored() -> None:
    check(BODY, {"Content-Digest": f"{SHA_256};signed;by=me"})


@FIELDS
@pytest.mark.parametrize(
    "value",
    [
        "sha-256",
        "sha-256=1",
        'sha-256="RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="',
        "sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
        "sha-256=:RK/0qy18",
        "sha-256=:не base64:",
        f"({SHA_256})",
        "sha-256=(:AAAA: :BBBB:)",
        f"{SHA_256},",
        "SHA-256=:AAAA:",
    ],
)
def test_a_field_that_is_not_a_dictionary_of_byte_sequences_is_refused(field: str, value: str) -> None:
    problem = problem_with(BODY, {field: value})

    assert (problem.kind, problem.status) == ("malformed-digest", 400)
    assert field in problem.detail


def test_a_malformed_field_is_refused_before_the_body_is_read() -> None:
    body = BytesIO(BODY)

    with pytest.raises(Problem):
        CheckedBody(body, Headers({"Content-Digest": "sha-256"}))

    assert body.tell() == 0


def test_a_body_without_digests_is_not_read_to_its_end() -> None:
    body = BytesIO(BODY)

    CheckedBody(body, Headers()).check(7)

    assert body.tell() == 0


@given(body=st.binary(max_size=200), read=st.integers(0, 200), chunk=st.integers(1, 50))
def test_a_body_is_compared_as_a_whole_regardless_of_how_much_was_read_before(
    body: bytes, read: int, chunk: int
) -> None:
    value = f"sha-512=:{b64encode(hashlib.sha512(body).digest()).decode()}:"
    checked = CheckedBody(BytesIO(body), Headers({"Content-Digest": value}))

    first = checked.read(read)
    checked.check(chunk)

    assert first == body[:read]


@given(body=st.binary(min_size=1, max_size=100), data=st.data())
def test_a_flipped_bit_is_noticed(body: bytes, data: st.DataObject) -> None:
    value = f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"
    place, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(body)
    changed[place] ^= 1 << bit

    assert problem_with(bytes(changed), {"Repr-Digest": value}).kind == "digest-mismatch"


def test_the_digest_of_a_response_is_the_one_of_rfc_9530() -> None:
    assert digest("44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38") == SHA_256


@given(st.binary(max_size=50))
def test_a_body_with_the_digest_of_a_response_is_accepted(body: bytes) -> None:
    check(body, {"Content-Digest": digest(hashlib.sha256(body).hexdigest())})


def test_the_body_and_the_digests_come_from_the_request() -> None:
    headers = Headers({"Content-Digest": SHA_256})
    checked = checked_body(Request(EnvironBuilder(method="PUT", data=BODY, headers=headers).get_environ()))

    body = checked.read(100)
    checked.check(100)

    assert body == BODY


def test_a_body_shorter_than_its_content_length_is_malformed() -> None:
    environ = EnvironBuilder(method="PUT", data=BODY).get_environ()
    environ["CONTENT_LENGTH"] = str(len(BODY) + 1)
    checked = checked_body(Request(environ))
    checked.read(len(BODY))

    with pytest.raises(Problem, match="before its Content-Length") as raised:
        checked.read(1)

    assert (raised.value.kind, raised.value.status) == ("malformed-upload", 400)


def test_a_body_whose_connection_breaks_is_malformed() -> None:
    client, server = socket.socketpair()
    server.sendall(b"never read, so that closing resets the connection")
    client.close()

    with server, server.makefile("rb") as stream, pytest.raises(Problem, match="connection broke") as raised:
        CheckedBody(stream, Headers()).read(1)

    assert (raised.value.kind, raised.value.status) == ("malformed-upload", 400)
