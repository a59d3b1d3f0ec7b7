"""Security headers by kind of response, on both stacks."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

import pytest

from tests.support.client import FILES, TASKS, Served
from tests.support.environment import PROJECT
from tests.support.images import photo
from tests.support.raw_http import received
from tests.support.stacks import Stack

pytestmark = pytest.mark.both_stacks

NOSNIFF = {"X-Content-Type-Options": "nosniff"}
CLOSED = {**NOSNIFF, "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"}
API = {**CLOSED, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
DOWNLOAD = {**CLOSED, "Content-Security-Policy": "sandbox; default-src 'none'"}
PAGE = {**CLOSED, "Cross-Origin-Opener-Policy": "same-origin"}
KEPT = {
    **NOSNIFF,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "public, max-age=31536000, immutable",
}
ASSET = min(path.name for path in (PROJECT / "web/dist/assets").iterdir())

PAGE_POLICY = {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"}

RESPONSES = {
    "list of files": ("GET", f"{FILES}/?limit=1", 200, API),
    "list of tasks": ("GET", f"{TASKS}/?limit=1", 200, API),
    "file": ("GET", f"{FILES}/{{id}}", 200, API),
    "algorithms": ("GET", f"{TASKS}/algorithms", 200, API),
    "openapi": ("GET", f"{FILES}/openapi.json", 200, API),
    "health": ("GET", "/healthz", 200, API),
    "download": ("GET", f"{FILES}/{{id}}/download", 200, DOWNLOAD),
    "inline": ("GET", f"{FILES}/{{id}}/download?disposition=inline", 200, DOWNLOAD),
    "archive": ("GET", f"{FILES}/archive?id={{id}}", 200, DOWNLOAD),
    "script of a file": ("GET", f"{FILES}/{{script}}/download?disposition=inline", 200, DOWNLOAD),
    "page": ("GET", "/", 200, PAGE),
    "asset of the page": ("GET", f"/assets/{ASSET}", 200, KEPT),
    "docs of files": ("GET", f"{FILES}/docs/swagger", 200, PAGE),
    "docs of tasks": ("GET", f"{TASKS}/docs/swagger", 200, PAGE),
    "no file": ("GET", f"{FILES}/999999999", 404, API),
    "nothing": ("GET", "/nothing", 404, API),
    "wrong method": ("DELETE", f"{TASKS}/algorithms", 405, API),
    "wrong events": ("GET", f"{TASKS}/events?id=x", 422, API),
    "wrong link": ("GET", f"{FILES}/links/x", 403, API),
}


@pytest.fixture(scope="module")
def ids(stack: Stack) -> Mapping[str, object]:
    with Served(stack.url) as client:
        image = client.files.upload(photo(20, 10), name="a.png").id
        return {"id": image, "script": client.files.upload(b"<html><script>alert(1)</script></html>", name="a.html").id}


@pytest.mark.parametrize("kind", RESPONSES)
def test_each_kind_of_response_has_its_headers(kind: str, pixmill: Served, ids: Mapping[str, object]) -> None:
    method, place, status, headers = RESPONSES[kind]

    answer = pixmill.http.request(method, place.format_map(ids))

    assert answer.status_code == status
    assert {name: answer.headers.get_list(name) for name in headers} == {name: [it] for name, it in headers.items()}


@pytest.mark.parametrize("byte_range", ["bytes=0-4", "bytes=0-1,4-5"])
def test_a_part_of_a_file_has_the_headers_of_the_whole(
    byte_range: str, pixmill: Served, ids: Mapping[str, object]
) -> None:
    answer = pixmill.http.get(f"{FILES}/{ids['id']}/download", headers={"Range": byte_range})

    assert answer.status_code == 206
    assert {name: answer.headers.get_list(name) for name in DOWNLOAD} == {name: [it] for name, it in DOWNLOAD.items()}


def test_a_request_that_is_not_http_gets_the_headers_too(stack: Stack) -> None:
    answer = received(stack.url, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n").decode()

    assert answer.startswith("HTTP/1.1 400")
    assert "x-content-type-options: nosniff" in answer.lower()
    assert "content-security-policy: default-src 'none'" in answer.lower()


@pytest.mark.parametrize("place", ["/", f"{FILES}/docs/swagger", f"{TASKS}/docs/swagger"])
def test_a_page_runs_only_its_own_scripts_and_is_in_no_frame(place: str, pixmill: Served) -> None:
    page = pixmill.http.get(place)

    directives = page.headers["Content-Security-Policy"].split("; ")
    assert set(directives) >= PAGE_POLICY
    scripts = [directive for directive in directives if directive.startswith("script-src")] or ["'self'"]
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page.text, re.DOTALL)
    assert [script for script in inline if hash_of(script) not in scripts[0]] == []
    assert "unsafe" not in scripts[0]
    assert not re.search(r"<[^>]+\son\w+=", page.text), "a policy without 'unsafe-inline' forbids handlers in HTML"


def hash_of(script: str) -> str:
    """Return a script's source expression (CSP 3, 2.3.1)."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def test_the_scripts_of_the_docs_are_served_from_the_same_origin(pixmill: Served) -> None:
    page = pixmill.http.get(f"{FILES}/docs/swagger")

    scripts = re.findall(r'<script src="([^"]+)"', page.text)
    answers = [pixmill.http.get(page.url.join(script)) for script in scripts]
    assert len(answers) == 2
    assert {answer.status_code for answer in answers} == {200}
    assert all("javascript" in answer.headers["Content-Type"] for answer in answers)
