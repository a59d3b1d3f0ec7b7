"""Health checks, start page, API documentation, idempotency keys and chunked uploads."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served, assert_problem

pytestmark = pytest.mark.both_stacks


@pytest.mark.parametrize("place", [FILES, TASKS, ""])
def test_each_service_has_health_checks(pixmill: Served, place: str) -> None:
    live, ready = pixmill.http.get(f"{place}/healthz"), pixmill.http.get(f"{place}/readyz")

    assert (live.status_code, live.json()["status"]) == (200, "ok")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["dependencies"]["database"] == "ok"


def test_the_page_links_to_both_apis(pixmill: Served) -> None:
    page = pixmill.http.get("/")

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    for text in ("Pixmill", f"{FILES}/docs", f"{TASKS}/docs"):
        assert text in page.text


@pytest.mark.parametrize("path", ["/", "/tasks", f"{FILES}/docs", f"{FILES}/healthz", "/nothing"])
def test_every_response_forbids_content_sniffing(pixmill: Served, path: str) -> None:
    assert pixmill.http.get(path).headers.get_list("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/1", "/api", "/api/", "//api/file-server/x/", f"{FILES}/x/y", f"{TASKS}/x/y"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_addresses_get_a_problem(pixmill: Served, method: str, path: str) -> None:
    response = pixmill.http.request(method, f"{path}?a=b", content=b"{}" * 100_000)

    assert_problem(response, 404, "nothing")


def test_an_unknown_address_is_answered_in_the_language_of_the_client(pixmill: Served) -> None:
    answer = pixmill.http.get("/nothing", headers={"Accept-Language": "ru"})

    assert answer.json()["title"] == "Не найдено"
    assert (answer.headers["Content-Language"], answer.headers["Vary"]) == ("ru", "Accept-Language")


def test_the_page_accepts_no_post(pixmill: Served) -> None:
    response = pixmill.http.post("/", content=b"{}" * 100_000)

    assert response.status_code in (404, 405)
    assert_problem(response, response.status_code, "here" if response.status_code == 405 else "nothing")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unexpected_body_is_ignored(pixmill: Served, method: str) -> None:
    file = pixmill.files.upload(b"a", name="a.txt")

    response = pixmill.http.request(method, f"{FILES}/{file.id}", content=b"{}" * 100_000)

    assert response.status_code == (204 if method == "DELETE" else 200)


@pytest.mark.parametrize("place", [FILES, TASKS])
def test_each_api_has_an_openapi_document_and_a_page(pixmill: Served, place: str) -> None:
    document = pixmill.http.get(f"{place}/openapi.json").json()
    page = pixmill.http.get(f"{place}/docs", follow_redirects=True)

    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": place}]
    assert page.status_code == 200
    assert "swagger" in page.text.lower()


@pytest.mark.parametrize("path", ["/", "/nowhere", f"{FILES}/?limit=1", f"{FILES}/{{id}}/download", f"{FILES}/0"])
def test_every_response_has_a_date(pixmill: Served, path: str) -> None:
    file = pixmill.files.upload(b"a", name="a.txt")

    before = int(time.time())
    answers = [pixmill.http.request(method, path.format(id=file.id)) for method in ("GET", "HEAD")]
    after = time.time()

    for answer in answers:
        [date] = answer.headers.get_list("Date")
        assert before <= parsedate_to_datetime(date).timestamp() <= after


def test_a_response_has_a_request_id(pixmill: Served) -> None:
    assert pixmill.http.get(f"{FILES}/").headers["X-Request-ID"]


def test_the_same_idempotency_key_makes_one_file(pixmill: Served) -> None:
    def post(key: str, content: bytes) -> httpx2.Response:
        return pixmill.http.post(f"{FILES}/", files={"file": ("a.txt", content)}, headers={"Idempotency-Key": key})

    key = f"key-{len(pixmill.http.get(f'{FILES}/').json())}"
    first, again, other = post(key, b"one"), post(key, b"one"), post(key, b"two")

    assert again.json() == first.json()
    assert_problem(other, 422, "Idempotency-Key")


def test_a_chunked_upload_is_stored(pixmill: Served) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="c.txt"\r\n\r\n'
        for _ in range(10):
            yield b"chunk " * 1000
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = pixmill.http.post(f"{FILES}/", content=body(), headers=headers)

    assert response.status_code == 201, response.text
    assert pixmill.files.read(response.json()["id"]) == b"chunk " * 10_000
