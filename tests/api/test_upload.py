"""Uploads with the file itself as the body, and digests (RFC 9530)."""

import hashlib
import socket
import subprocess
from base64 import b64encode
from pathlib import Path

import httpx2
import pytest

from tests.support.client import FILES, Served, assert_problem, stored_so_far
from tests.support.images import photo
from tests.support.stacks import Stack
from tests.support.waiting import STATE_SECONDS

pytestmark = pytest.mark.both_stacks

CONTENT = bytes(range(256)) * 1000


def digest(content: bytes, algorithm: str = "sha-256") -> str:
    value = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{b64encode(value).decode()}:"


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("content", [CONTENT, b"", b"small"])
def test_a_body_is_the_file(pixmill: Served, method: str, content: bytes) -> None:
    response = pixmill.http.request(
        method, f"{FILES}/", params={"name": "Отчёт.BIN", "comment": "raw"}, content=content
    )

    assert response.status_code == 201, response.text
    file = response.json()
    assert (file["name"], file["extension"], file["comment"]) == ("Отчёт", ".bin", "raw")
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert response.headers["Location"] == f"{FILES}/{file['id']}"
    assert pixmill.files.read(file["id"]) == content


def test_curl_uploads_a_file_by_its_name(pixmill: Served, tmp_path: Path) -> None:
    path = tmp_path / "My photo.jpg"
    path.write_bytes(photo(60, 40, format="JPEG"))

    answer = curl("-T", str(path), f"{pixmill.http.base_url}{FILES}/")

    assert '"name":"My photo","extension":".jpg"' in answer
    assert '"media_type":"image/jpeg","width":60,"height":40' in answer


@pytest.mark.parametrize("name", ["Makefile", "archives", "1st"])
def test_a_name_needs_no_dot(pixmill: Served, name: str) -> None:
    response = pixmill.http.put(f"{FILES}/{name}", content=CONTENT)

    assert response.status_code == 201, response.text
    assert (response.json()["name"], response.json()["extension"]) == (name, "")


@pytest.mark.parametrize("name", ["archive", "batch", "uploads", "healthz", "openapi.json", "1", "-1", "1.5"])
def test_a_name_that_is_another_address_is_refused(pixmill: Served, name: str) -> None:
    before = stored_so_far(pixmill)

    response = pixmill.http.put(f"{FILES}/{name}", content=CONTENT)

    assert response.status_code in (404, 405), response.text
    assert stored_so_far(pixmill) == before


def test_curl_uploads_a_file_by_another_name(pixmill: Served, tmp_path: Path) -> None:
    path = tmp_path / "x.tmp"
    path.write_bytes(CONTENT)

    answer = curl("-T", str(path), f"{pixmill.http.base_url}{FILES}/?name=data.bin")

    assert '"name":"data","extension":".bin"' in answer


def test_a_client_that_expects_100_continue_gets_it(pixmill: Served, stack: Stack) -> None:
    address = httpx2.URL(stack.url)
    head = f"PUT {FILES}/a.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((address.host, address.port or 80), STATE_SECONDS) as client:
        client.sendall(head.encode())
        interim = client.recv(1000)
        client.sendall(b"abc")
        answer = client.recv(1000)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 201 ")


def test_a_body_of_unknown_length_is_the_file(pixmill: Served) -> None:
    response = pixmill.http.put(f"{FILES}/", params={"name": "a.bin"}, content=iter([CONTENT, CONTENT]))

    assert response.json()["size"] == 2 * len(CONTENT)


def test_a_body_without_a_name_is_refused(pixmill: Served) -> None:
    assert_problem(pixmill.http.put(f"{FILES}/", content=CONTENT), 422, "name")
    assert_problem(pixmill.http.post(f"{FILES}/", content=CONTENT), 415, "?name=")


def test_an_encoded_body_is_refused(pixmill: Served) -> None:
    response = pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers={"Content-Encoding": "gzip"})

    assert_problem(response, 415, "Content-Encoding")


def test_the_same_key_gives_the_same_file(pixmill: Served) -> None:
    key = {"Idempotency-Key": f"raw-{hashlib.sha256(str(pixmill.http.base_url).encode()).hexdigest()}"}

    first, second = (pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers=key) for _ in range(2))

    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_a_digest_is_checked(pixmill: Served, field: str, algorithm: str) -> None:
    right = pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers={field: digest(CONTENT, algorithm)})
    before = stored_so_far(pixmill)
    wrong = pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers={field: digest(b"another", algorithm)})

    assert right.status_code == 201
    assert_problem(wrong, 400, algorithm)
    assert stored_so_far(pixmill) == before


def test_the_digest_of_a_form_covers_the_whole_body(pixmill: Served) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\nwords\r\n--b--\r\nand an epilogue"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    right = pixmill.http.post(f"{FILES}/", content=body, headers=headers | {"Content-Digest": digest(body)})
    wrong = pixmill.http.post(f"{FILES}/", content=body, headers=headers | {"Content-Digest": digest(b"words")})

    assert right.status_code == 201
    assert_problem(wrong, 400, "sha-256")


def test_a_digest_of_another_algorithm_is_ignored(pixmill: Served) -> None:
    response = pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers={"Content-Digest": "md5=:AAAA:"})

    assert response.status_code == 201


@pytest.mark.parametrize("value", ["sha-256", "sha-256=abc", "sha-256=:not base64:", "=", "sha-256=:AA==: x"])
def test_a_malformed_digest_is_refused(pixmill: Served, value: str) -> None:
    response = pixmill.http.put(f"{FILES}/a.bin", content=CONTENT, headers={"Content-Digest": value})

    assert_problem(response, 400, "RFC 9530")


def test_a_client_cannot_name_a_body_file(pixmill: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")

    response = pixmill.http.put(f"{FILES}/a.bin", content=b"mine", headers={"X-Body-File": str(secret)})

    assert pixmill.files.read(response.json()["id"]) == b"mine"
