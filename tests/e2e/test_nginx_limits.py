"""nginx's limits, small enough that a test can exceed them."""

import select
import socket
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from service_kit.access.cors import Cors

from tests.support.client import FILES, TASKS, Served, assert_problem, new_key
from tests.support.environment import MAX_UPLOAD
from tests.support.processes import accepts, free_port
from tests.support.raw_http import Answer, answer_of, assert_refused, begun
from tests.support.stacks import FullStack
from tests.support.waiting import STATE_SECONDS, wait_until

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
ORIGIN = "https://app.example"
OTHER_ORIGIN = "https://b.example:8443"
NAMED = {"NGINX_CORS_ORIGINS": f"{OTHER_ORIGIN} {ORIGIN}"}
KEY = {"Authorization": "Bearer pxm_wrong"}
FEW = {"NGINX_REQUESTS_PER_SECOND": "1", "NGINX_REQUESTS_AT_ONCE": "5"}


def test_too_many_requests_of_an_address_get_429_with_retry_after(full: FullStack) -> None:
    with limited(full, FEW) as client, ThreadPoolExecutor(4) as threads:
        answers: list[httpx2.Response] = list(threads.map(lambda _: client.http.get(f"{FILES}/?limit=1"), range(20)))

        # One request a second is answered: on a slow machine that may be the first of these.
        large = wait_until(lambda: unless_stored(client.http.put(f"{FILES}/a.bin", content=b"x" * 11_000_000)))
        chunked = wait_until(lambda: unless_stored(client.http.put(f"{FILES}/a.bin", content=iter([b"x"]))))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert_problem(large, 429, "Retry-After")
    assert_problem(chunked, 429, "Retry-After")
    assert 5 <= len(answers) - len(refused) < len(answers)
    for answer in refused:
        assert_problem(answer, 429, "Retry-After")
        assert answer.headers["Retry-After"] == "1"


def unless_stored(answer: httpx2.Response) -> httpx2.Response | None:
    return None if answer.status_code == 201 else answer


@pytest.fixture(scope="module")
def behind_a_proxy(full: FullStack) -> Iterator[Served]:
    """Return a client of an nginx that trusts the address in X-Forwarded-For and allows few requests of an address."""
    trusted = "real_ip_header X-Forwarded-For; set_real_ip_from 127.0.0.0/8;"
    with Served(full.url) as local:
        # Requests forwarded by a proxy need a key.
        key = new_key(local, "team", "reader")
    with limited(full, FEW, trusted) as client:
        client.http.headers["Authorization"] = f"Bearer {key}"
        yield client


def statuses_for(client: Served, addresses: Iterable[str]) -> list[int]:
    """Return the statuses of one request from each address."""
    from_each = [{"X-Forwarded-For": address} for address in addresses]
    return [client.http.get(f"{FILES}/?limit=1", headers=headers).status_code for headers in from_each]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("192.0.2.{}", id="IPv4"),
        pytest.param("::ffff:198.51.100.{}", id="IPv4 mapped into IPv6"),
        pytest.param("2001:db8:0:{}::1", id="IPv6 networks"),
    ],
)
def test_behind_a_trusted_proxy_each_client_has_its_own_limits(behind_a_proxy: Served, pattern: str) -> None:
    answers = statuses_for(behind_a_proxy, map(pattern.format, range(20)))

    assert set(answers) == {200}


@pytest.mark.parametrize("pattern", ["2001:db8:1:2:{}::1", "2001:db8:a0a:a0a:a0a:a0a:a0a:{}", "2001:db8:2::{}"])
def test_the_addresses_of_an_ipv6_network_have_the_limits_of_one(behind_a_proxy: Served, pattern: str) -> None:
    answers = statuses_for(behind_a_proxy, map(pattern.format, range(20)))

    assert set(answers) == {200, 429}


@contextmanager
def limited(full: FullStack, values: Mapping[str, str], http_lines: str = "") -> Iterator[Served]:
    """Return a client for an nginx with a modified configuration."""
    port = free_port()
    nginx = full.start_nginx("limited-nginx", port, free_port(), values, http_lines)
    try:
        nginx.wait_until(accepts(port))
        with Served(f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        nginx.stop()


def test_a_url_that_is_too_long_is_refused(full: FullStack) -> None:
    with Served(full.url) as client:
        answer = client.http.get(f"{FILES}/?name={'a' * 20_000}")

    assert_problem(answer, 414, "too long")


@pytest.mark.parametrize(
    "target",
    [
        f"POST {TASKS}/",
        f"POST {FILES}/lookup",
        f"POST {FILES}/1/links",
        f"POST {FILES}/links",
        f"PATCH {FILES}/1",
        f"POST {FILES}/./copies",
    ],
)
def test_json_of_a_gigabyte_is_refused_before_it_is_sent(full: FullStack, target: str) -> None:
    with begun(full.url, target, 1_000_000_000) as connection:
        assert_refused(connection, b"413", b"JSON may have 2 MiB")


@pytest.mark.parametrize(
    ("target", "headers"), [(f"PUT {FILES}/a.bin", {}), (f"POST {FILES}/?name=a.bin", {}), (f"POST {FILES}/", FORM)]
)
def test_a_file_over_the_limit_is_refused_before_it_is_sent(
    full: FullStack, target: str, headers: dict[str, str]
) -> None:
    with begun(full.url, target, MAX_UPLOAD + 2_000_000, headers=headers) as connection:
        assert_refused(connection, b"413", f"A file may have at most {MAX_UPLOAD} bytes".encode())


def test_an_upload_for_another_host_is_refused_before_it_is_sent(full: FullStack) -> None:
    with begun(full.url, f"PUT {FILES}/a.bin", 100_000_000, host="rebind.example") as connection:
        assert_refused(connection, b"421", b"unknown-host")


def test_the_size_limit_applies_to_each_file_of_a_batch(full: FullStack) -> None:
    with begun(full.url, f"POST {FILES}/batch", MAX_UPLOAD + 2_000_000, headers=FORM) as connection:
        connection.settimeout(1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


BODIES = [
    "POST /api/session",
    "POST /api/keys",
    "PATCH /api/file-server/1",
    "GET /api/file-server/1/download",
    "GET /api/file-server/shared/token/1/thumbnails/128",
    "POST /api/file-server/links",
    "POST /api/file-server/lookup",
    "POST /api/file-server/archive",
    "POST /api/file-server/events",
    "POST /api/image-processing/",
    "POST /api/image-processing/cancel",
    "POST /api/image-processing/events",
    "POST /api/image-processing/preview",
    "GET /img/signature/1",
]
"""A request with a body other than an upload for each location of nginx that has such a limit."""


def status_of(url: str, target: str, body: bytes, source: str = "127.0.0.1") -> int:
    """Return the status of a request with a whole body from an address."""
    json = {"Content-Type": "application/json"}
    with begun(url, target, len(body), headers=json, source=source) as connection:
        connection.sendall(body)
        return answer_of(connection).status


def is_answered(connection: socket.socket) -> bool:
    """Return whether the server has answered or closed the connection."""
    return bool(select.select([connection], [], [], 0)[0])


def test_bodies_that_do_not_arrive_leave_room_to_other_addresses(full: FullStack) -> None:
    lookup, body = f"POST {FILES}/lookup", b'{"ids": [1]}'
    with limited(full, {"NGINX_BODIES_OF_AN_ADDRESS": str(len(BODIES))}) as client, ExitStack() as opened:
        url = str(client.http.base_url)
        held: dict[str, socket.socket] = {}

        def is_full() -> bool:
            for target in BODIES:
                # nginx refuses one that arrives while a lookup has its place.
                if target not in held or is_answered(held[target]):
                    held[target] = opened.enter_context(begun(url, target, 1000, source="127.0.0.3"))
            return status_of(url, lookup, body, "127.0.0.3") == 503

        wait_until(is_full, "the address has no more places")

        with begun(url, lookup, 5_000_000, source="127.0.0.3") as connection:
            assert_refused(connection, b"413", b"JSON may have 2 MiB")
        assert status_of(url, f"GET {FILES}/?limit=1", b"", "127.0.0.3") == 200
        assert status_of(url, lookup, body) == 200


@pytest.mark.parametrize("path", ["lookup", "copies/", "%6cookup"])
def test_posts_that_answer_with_a_list_have_the_limit_of_lists(full: FullStack, path: str) -> None:
    with limited(full, {"NGINX_LISTS_OF_AN_ADDRESS": "1"}) as client:
        url = str(client.http.base_url)
        lookup, body = f"POST {FILES}/lookup", b'{"ids": [1]}'
        with ExitStack() as opened:

            def is_full() -> bool:
                # nginx refuses one that arrives while the lookup before it has the place.
                opened.enter_context(begun(url, f"POST {FILES}/{path}", 1000, source="127.0.0.3"))
                return status_of(url, lookup, body, "127.0.0.3") == 503

            wait_until(is_full, "the address has no more places")

            assert status_of(url, f"POST {FILES}/links", b"{}", "127.0.0.3") == 422
            assert status_of(url, lookup, body) == 200


@pytest.fixture(scope="module")
def of_named_origins(full: FullStack) -> Iterator[Served]:
    """Return a client of an nginx with named origins, whose image-processor and process of large uploads are down."""
    down = {"IMAGE_PROCESSOR": f"127.0.0.1:{free_port()}", "FILE_STORAGE_LARGE": f"127.0.0.1:{free_port()}"}
    with limited(full, {**NAMED, **down}) as client:
        yield client


REFUSALS = [
    pytest.param(400, "GET", FILES, {"Content-Length": "many"}, id="400"),
    pytest.param(404, "GET", "/nothing", {}, id="404"),
    pytest.param(405, "TRACE", FILES, {}, id="405"),
    pytest.param(413, "POST", f"{FILES}/lookup", {"Content-Length": "5000000"}, id="413"),
    pytest.param(431, "GET", FILES, {"X-Long": "x" * 20_000}, id="431"),
    pytest.param(503, "GET", f"{TASKS}/1", {}, id="502"),
    pytest.param(
        503, "PUT", f"{FILES}/a.bin", {"Content-Length": "11000000"}, id="502 to the question of a large body"
    ),
]
"""A request for each refusal of nginx itself that it makes after the header Origin."""


@pytest.mark.parametrize("origin", [ORIGIN, OTHER_ORIGIN])
@pytest.mark.parametrize(("status", "method", "target", "headers"), REFUSALS)
def test_the_page_of_a_named_origin_reads_the_refusals_of_nginx(
    of_named_origins: Served, status: int, method: str, target: str, headers: Mapping[str, str], origin: str
) -> None:
    asked = {"Origin": origin, **KEY}

    answer = refusal(of_named_origins, method, target, {**asked, **headers})

    expected = Cors([origin]).headers(method, asked)
    assert answer.status == status, answer
    assert {name: answer.headers.get(name.lower()) for name in expected} == dict(expected)
    assert answer.headers["vary"] == "Accept-Language, Origin"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://appXexample", **KEY}, id="a dot is a dot"),
        pytest.param({"Origin": f"{ORIGIN}.evil.example", **KEY}, id="longer"),
        pytest.param({"Origin": "https://app", **KEY}, id="shorter"),
        pytest.param({"Origin": f"{OTHER_ORIGIN} {ORIGIN}", **KEY}, id="the list"),
        pytest.param({"Origin": f"{ORIGIN} |{ORIGIN}", **KEY}, id="signs of the expression"),
        pytest.param({"Origin": "null", **KEY}, id="null"),
        pytest.param(KEY, id="no origin"),
        pytest.param({"Origin": ORIGIN}, id="no key"),
    ],
)
def test_another_origin_reads_no_refusal_of_nginx(of_named_origins: Served, headers: Mapping[str, str]) -> None:
    answer = refusal(of_named_origins, "GET", "/nothing", headers)

    assert answer.status == 404
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["vary"] == "Accept-Language, Origin"


def test_the_page_of_a_named_origin_learns_that_it_asks_too_often(full: FullStack) -> None:
    with limited(full, {**FEW, **NAMED}) as client:
        asked = [client.http.get(f"{FILES}/?limit=1", headers={"Origin": ORIGIN, **KEY}) for _ in range(20)]

    refused = [answer for answer in asked if answer.status_code == 429]
    assert refused
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in refused} == {ORIGIN}


def test_without_named_origins_a_refusal_does_not_vary_by_them(full: FullStack) -> None:
    with Served(full.url) as client:
        answer = refusal(client, "GET", "/nothing", {"Origin": ORIGIN, **KEY})

    assert answer.headers["vary"] == "Accept-Language"
    assert "access-control-allow-origin" not in answer.headers


def refusal(client: Served, method: str, target: str, headers: Mapping[str, str]) -> Answer:
    """Send the head of a request and return its response."""
    lines = {"Host": "localhost", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    address = client.http.base_url
    with socket.create_connection((address.host, address.port or 80), STATE_SECONDS) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        return answer_of(connection)
