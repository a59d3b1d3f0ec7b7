"""Pixmill behind an HTTPS proxy, with the configuration printed in the docs."""

import os
import re
import ssl
from collections.abc import Iterator

import httpx2
import pytest
import trustme

from tests.support.client import FILES, TASKS, Served, new_key, processed_bytes
from tests.support.environment import ENVIRONMENT, PROJECT, TRUSTED_PROXY
from tests.support.images import opened, photo
from tests.support.processes import Process, accepts, find_program, free_port
from tests.support.stacks import FullStack
from tests.support.waiting import STATE_SECONDS


def printed_in(page: str) -> str:
    """Return the proxy configuration printed on the page."""
    blocks: list[str] = re.findall(
        r"```nginx\n(server .*?)```", (PROJECT / page / "operations/https.md").read_text(), re.DOTALL
    )
    [block] = blocks
    return block


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure_port(full: FullStack, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("https"), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "certificate.pem")
    server = printed_in("docs")
    places = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/photos.example.pem": str(folder / "certificate.pem"),
        "/etc/ssl/photos.example.key": str(folder / "certificate.pem"),
        "http://127.0.0.1:8080": full.url,
        "proxy_http_version 1.1;": f"proxy_http_version 1.1; proxy_bind {TRUSTED_PROXY};",
    }
    for printed, here in places.items():
        assert printed in server
        server = server.replace(printed, here)
    config = f"pid {folder}/pid; events {{}} http {{ access_log off; {server} }}"
    (folder / "nginx.conf").write_text(config)
    command = [find_program("nginx"), "-c", str(folder / "nginx.conf"), "-g", "daemon off;", "-e", "stderr"]
    proxy = Process("https", command, ENVIRONMENT, folder / "log")
    proxy.wait_until(accepts(port))
    yield port
    proxy.stop()


@pytest.fixture
def pixmill(full: FullStack, secure_port: int, authority: trustme.CA) -> Iterator[Served]:
    with Served(full.url) as local:
        key = new_key(local, "team", "writer")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with Served(f"https://127.0.0.1:{secure_port}", key=key, verify=trusted) as client:
        client.http.headers["Host"] = "photos.example"
        yield client


def test_an_image_is_processed(pixmill: Served) -> None:
    result = processed_bytes(pixmill, photo(80, 60), "p.png", "resize", {"width": 40})

    assert opened(result).size == (40, 30)


def test_a_large_file_is_uploaded_and_downloaded(pixmill: Served) -> None:
    content = os.urandom(20_000_000)

    file = pixmill.http.put(f"{FILES}/large.bin", content=content).json()

    assert pixmill.files.read(file["id"]) == content


def test_without_a_key_nobody_comes_in_through_the_proxy(pixmill: Served) -> None:
    del pixmill.http.headers["Authorization"]

    assert pixmill.http.get(f"{FILES}/").status_code == 401


def test_events_are_not_buffered(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(80, 60), name="p.png")
    # A proxy that buffers sends nothing of a stream that does not end.
    with pixmill.http.stream("GET", f"{TASKS}/events", timeout=STATE_SECONDS) as events:
        pixmill.run([source], "flip")

        assert any('"finished"' in line for line in events.iter_lines())


def test_a_link_begins_with_https_and_the_host_name(pixmill: Served) -> None:
    file = pixmill.files.upload(b"signed", name="a.txt")

    url = httpx2.URL(pixmill.http.post(f"{FILES}/{file.id}/links", json={}).json()["url"])

    assert (url.scheme, url.host) == ("https", "photos.example")
    assert pixmill.http.get(url.path).content == b"signed"


def test_both_languages_print_the_same_lines() -> None:
    assert printed_in("docs") == printed_in("docs/ru")
