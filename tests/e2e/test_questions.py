"""A large body is received only after file-storage has said yes; every other answer is the answer of the upload."""

import json

import httpx2
import psycopg
import pytest

from tests.support.client import FILES, Served, assert_problem, new_key
from tests.support.databases import libpq_url
from tests.support.environment import MAX_UPLOAD
from tests.support.processes import accepts, free_port
from tests.support.raw_http import Answer, answer_of, begun
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

PUT = f"PUT {FILES}/a.bin"
SIZE = 100_000_000
SMALLER = 20_000_000
EXPECT = {"Expect": "100-continue"}
WAITING_PROMISES = """
    SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO uploads%'
"""


def refused(
    full: FullStack,
    target: str = PUT,
    size: int | str = SIZE,
    source: str = "127.0.0.1",
    url: str = "",
    **headers: str,
) -> Answer:
    """Return the answer to an upload whose body is never sent."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    # Without a body, nginx sends 100 all the same.
    expect = EXPECT if size else {}
    with begun(url or full.url, target, size, headers=expect | named, source=source) as connection:
        answer = answer_of(connection)
    assert answer.status != 100
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.body)
    assert document["status"] == answer.status
    return answer


def test_wrong_keys_send_no_body(full: FullStack) -> None:
    answers = [refused(full, source="127.0.0.31", Authorization="Bearer pxm_wrong") for _ in range(12)]

    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert answers[0].headers["www-authenticate"] == 'Bearer realm="Pixmill", error="invalid_token"'
    assert b"does not exist" in answers[0].body
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_the_answer_names_the_missing_scope(full: FullStack) -> None:
    with Served(full.url) as local:
        key = new_key(local, "team", "reader")

    answer = refused(full, Authorization=f"Bearer {key}")

    assert answer.status == 403
    assert 'scope="files:write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("target", "size", "status"),
    [
        (f"PUT {FILES}/123", SIZE, 405),
        (PUT, MAX_UPLOAD + 2_000_000, 413),
        # Zeros in front must not hide that the body is large.
        (PUT, f"{MAX_UPLOAD + 2_000_000:030}", 413),
        (f"POST {FILES}/", MAX_UPLOAD + 2_000_000, 413),
    ],
)
def test_every_refusal_comes_before_the_body(full: FullStack, target: str, size: int | str, status: int) -> None:
    form = "multipart/form-data; boundary=x"

    assert refused(full, target, size, Content_Type=form).status == status


@pytest.mark.parametrize(
    ("target", "status", "headers"),
    [
        (PUT, 415, {"Content_Encoding": "gzip"}),
        (PUT, 400, {"Idempotency_Key": "a" * 1000}),
        (f"{PUT}?unknown=1", 422, {}),
        (f"POST {FILES}/", 415, {"Content_Type": "text/plain"}),
        (f"POST {FILES}/batch", 415, {"Content_Type": "text/plain"}),
        (f"PUT {FILES}/a%2Fb", 404, {}),
        (PUT, 421, {"Host": "other.example"}),
    ],
)
def test_what_the_headers_decide_is_decided_before_the_body(
    full: FullStack, target: str, status: int, headers: dict[str, str]
) -> None:
    assert refused(full, target, **headers).status == status


def test_an_upload_and_its_question_count_as_one_request(full: FullStack) -> None:
    with Served(full.url) as local:
        key = new_key(local, "hasty", "writer")
        # The owner may send the requests of two seconds at once.
        assert local.http.put("/api/owners/hasty/limits", json={"requests_per_second": 1}).is_success
    headers = {"Authorization": f"Bearer {key}", "X-Body-Stage": "answered"}

    large = [httpx2.put(f"{full.url}{FILES}/a.bin", content=b"x" * 11_000_000, headers=headers) for _ in range(2)]

    assert [response.status_code for response in large] == [201, 201]


def test_a_client_cannot_say_that_its_request_was_counted(full: FullStack) -> None:
    with Served(full.url) as local:
        key = new_key(local, "sly", "writer")
        assert local.http.put("/api/owners/sly/limits", json={"requests_per_second": 1}).is_success
    headers = {"Authorization": f"Bearer {key}", "X-Body-Stage": "answered"}

    with httpx2.Client(base_url=full.url, headers=headers) as client:
        answers = [client.put(f"{FILES}/a.bin", content=b"x").status_code for _ in range(50)]

    assert 429 in answers


def test_a_page_of_another_site_is_refused_before_its_body(full: FullStack) -> None:
    answer = refused(full, Origin="https://other.example", Sec_Fetch_Site="cross-site")

    assert answer.status == 403


def test_a_service_that_cannot_answer_gets_no_body(full: FullStack) -> None:
    port = free_port()
    nowhere = {"FILE_STORAGE_LARGE": f"127.0.0.1:{free_port()}"}
    nginx = full.start_nginx("questions-nginx", port, free_port(), nowhere)
    try:
        nginx.wait_until(accepts(port))
        answer = refused(full, url=f"http://127.0.0.1:{port}")
    finally:
        nginx.stop()

    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(("target", "size"), [(PUT, SIZE), (f"GET {FILES}/", 0)])
def test_long_headers_reach_the_service(full: FullStack, target: str, size: int) -> None:
    """uWSGI accepts as many bytes of headers as nginx does."""
    long = {"Cookie": f"a={'b' * 15_000}", "X_Pixmill_Owner": "c" * 15_000}

    answer = refused(full, target, size, source="127.0.0.33", Authorization=f"Bearer {'a' * 15_000}", **long)

    assert answer.status == 401


def test_headers_that_are_too_long_are_refused(full: FullStack) -> None:
    answer = refused(full, Cookie=f"a={'b' * 15_000}", X_A="a" * 15_000, X_B="b" * 15_000, X_C="c" * 15_000)

    assert answer.status == 431
    assert b"16 KiB" in answer.body


def test_the_connection_takes_no_further_request_out_of_the_body(full: FullStack) -> None:
    """The bytes after a refusal are dropped, and none of them gets onto the disk."""
    incoming = full.files / "incoming"
    with begun(full.url, PUT, SIZE, headers={"Authorization": "Bearer pxm_wrong"}, source="127.0.0.34") as connection:
        assert answer_of(connection).status == 401
        connection.sendall(f"GET {FILES}/ HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 1000)
        assert not list(incoming.iterdir())
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def entry_of(client: Served, response: httpx2.Response) -> dict[str, object]:
    """Return the only entry of the audit trail for the request with this response."""

    def entries() -> list[dict[str, object]]:
        listed: list[dict[str, object]] = []
        while page := client.http.get(f"/api/audit/?after={listed[-1]['id'] if listed else 0}").json():
            listed += page
        return [entry for entry in listed if entry["request_id"] == response.headers["X-Request-ID"]]

    [entry] = wait_until(entries, "the audit trail has the request")
    return entry


@pytest.mark.parametrize("size", [9_000_000, 11_000_000])
@pytest.mark.parametrize("target", [PUT, f"POST {FILES}/batch"])
def test_a_refused_upload_of_any_size_is_in_the_audit_trail(full: FullStack, target: str, size: int) -> None:
    with Served(full.url) as local:
        key = new_key(local, f"audited-{size}", "reader")
        method, path = target.split()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=x"}

        response = httpx2.request(method, f"{full.url}{path}", content=b"x" * size, headers=headers)

        assert_problem(response, 403, "files:write")
        entry = entry_of(local, response)
    assert (entry["object"], entry["status"]) == (path, 403)
    assert str(entry["action"]).startswith(method)


def test_a_stored_upload_is_in_the_audit_trail_once(full: FullStack) -> None:
    with Served(full.url) as local:
        response = local.http.put(f"{FILES}/once.bin", content=b"x" * 11_000_000)

        assert entry_of(local, response)["status"] == 201


def test_a_refusal_is_in_the_language_of_the_client(full: FullStack) -> None:
    answer = refused(full, source="127.0.0.32", Authorization="Bearer pxm_wrong", Accept_Language="ru")

    assert answer.headers["content-language"] == "ru"
    assert "ключ" in json.loads(answer.body)["detail"].lower()


def test_a_client_that_leaves_before_the_answer_holds_no_bytes(full: FullStack) -> None:
    with Served(full.url) as local:
        key = new_key(local, "leaving", "writer")
    authorization = {"Authorization": f"Bearer {key}"}
    url = libpq_url(full.environment["FILE_STORAGE_DATABASE__URL"])

    # A promise whose body does not begin ends by itself, but not while a smaller upload may be its body.
    with (
        psycopg.connect(url, autocommit=True) as operator,
        begun(full.url, PUT, SMALLER, headers=authorization) as smaller,
    ):

        def held() -> list[tuple[int]]:
            smaller.sendall(b"x")
            return operator.execute("SELECT reserved FROM uploads WHERE owner = 'leaving'").fetchall()

        smaller.sendall(b"x" * 2_000_000)
        wait_until(lambda: held() == [(SMALLER,)], "the smaller upload holds its bytes")
        with psycopg.connect(url) as no_promises:
            no_promises.execute("LOCK TABLE uploads IN SHARE MODE")
            with begun(full.url, PUT, SIZE, headers=authorization):
                wait_until(lambda: operator.execute(WAITING_PROMISES).fetchall(), "the question waits")
            # Then the servers have handled what came before, such as the end of the connection.
            for _ in range(20):
                assert httpx2.get(f"{full.url}{FILES}/", headers=authorization).is_success

        # The promise that waited has been made before that of a later upload.
        stored = httpx2.put(f"{full.url}{FILES}/a.bin", content=b"x" * 11_000_000, headers=authorization)
        assert stored.is_success
        wait_until(lambda: held() == [(SMALLER,)], "the upload that left holds no bytes")


def test_bytes_are_promised_once_and_come_back_when_the_client_leaves(full: FullStack) -> None:
    with Served(full.url) as local:
        key = new_key(local, "promised", "writer")
        assert local.http.put("/api/owners/promised/limits", json={"bytes": SIZE + SIZE // 2}).is_success
    authorization = {"Authorization": f"Bearer {key}"}

    with begun(full.url, PUT, SIZE, headers=EXPECT | authorization) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        assert refused(full, **authorization).status == 507
        connection.sendall(b"x" * 1_000_000)

    def begins_again() -> bool:
        with begun(full.url, PUT, SIZE, headers=EXPECT | authorization) as again:
            return again.recv(1000).startswith(b"HTTP/1.1 100")

    wait_until(begins_again, "the bytes are given back")

    def stored() -> httpx2.Response | None:
        response = httpx2.put(f"{full.url}{FILES}/a.bin", content=b"x" * SIZE, headers=authorization)
        return response if response.status_code == 201 else None

    response = wait_until(stored, "the last promise is given back")
    assert response.json()["size"] == SIZE
    with Served(full.url) as client:
        client.http.headers |= authorization
        assert client.http.get(f"{FILES}/stats").json()["reserved_bytes"] == 0
