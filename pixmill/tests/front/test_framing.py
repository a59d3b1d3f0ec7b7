"""Requests with ambiguous framing, and requests with an absolute URL as their target."""

import pytest
from pixmill.front.framing import MAX_HEAD_BYTES, check_framing, in_origin_form
from service_kit.problems import Problem
from starlette.types import Scope


def request(*headers: tuple[bytes, bytes], version: str = "1.1", target: str = "/a", query: bytes = b"") -> Scope:
    return {
        "http_version": version,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query,
        "headers": list(headers),
    }


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        (request((b"content-length", b"5"), (b"transfer-encoding", b"chunked")), 400),
        (request((b"transfer-encoding", b"chunked"), version="1.0"), 400),
        (request((b"content-length", b"9" * 19)), 413),
        (request(query=b"x" * MAX_HEAD_BYTES), 414),
        (request((b"x", b"x" * MAX_HEAD_BYTES)), 431),
        *(
            (request((b"host", host)), 400)
            for host in (b"a b", b"a/b", b"a?b", b"[::1", b"a:http", b"a\xe9", b"a@b", b"a:1:2")
        ),
        (request(version="2.0"), 505),
        (request(version="0.9"), 505),
    ],
)
def test_an_ambiguous_or_too_large_request_is_refused(scope: Scope, status: int) -> None:
    with pytest.raises(Problem) as refused:
        check_framing(scope)

    assert refused.value.status == status


@pytest.mark.parametrize(
    "scope",
    [
        request(),
        request(version="1.0"),
        *(request((b"host", host)) for host in (b"", b"a.example:8080", b"[::1]:80", b"a_b-c.d", b"192.0.2.1", b"a:")),
        request((b"content-length", b"9" * 18)),
        request((b"transfer-encoding", b"chunked")),
        request(query=b"x" * (MAX_HEAD_BYTES - 2)),
    ],
)
def test_an_unambiguous_request_passes(scope: Scope) -> None:
    check_framing(scope)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://files.example/a/b", "/a/b"),
        ("HTTPS://files.example:8080/a//b", "/a//b"),
        ("http://files.example", "/"),
    ],
)
def test_an_absolute_url_is_split_into_path_and_host(target: str, path: str) -> None:
    scope = in_origin_form(request((b"host", b"other"), (b"accept", b"*/*"), target=target))

    assert (scope["path"], scope["raw_path"]) == (path, path.encode())
    assert scope["headers"] == [(b"host", target.split("/")[2].encode()), (b"accept", b"*/*")]


@pytest.mark.parametrize("target", ["/a", "/http://b", "*", "//a"])
def test_a_target_that_is_not_a_url_is_unchanged(target: str) -> None:
    scope = request((b"host", b"other"), target=target)

    assert in_origin_form(scope) == scope
