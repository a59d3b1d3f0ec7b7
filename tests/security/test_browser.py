"""Web pages of other sites, opened in a real browser."""

import functools
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.client import Served
from tests.support.processes import find_program
from tests.support.stacks import Stack
from tests.support.web_server import WebServer

PAGE = """<!doctype html><title>another site</title><body><script>
const form = new FormData();
form.append("file", new Blob(["planted"]), "planted.txt");
const requests = [
    ["%(url)s/api/file-server/", {method: "POST", body: form, mode: "no-cors"}],
    ["%(url)s/api/file-server/?name=planted.txt", {method: "POST", body: "planted", mode: "no-cors"}],
    ["%(url)s/api/image-processing/restart", {method: "POST", mode: "no-cors"}],
    ["%(url)s/api/file-server/", {method: "DELETE"}],
];
Promise.allSettled(requests.map(([url, options]) => fetch(url, options))).then((answers) => {
    document.title = answers.length + " answers";
});
</script>"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def other_site(tmp_path: Path, stack: Stack) -> Iterator[str]:
    (tmp_path / "index.html").write_text(PAGE % {"url": stack.url})
    server = WebServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def open_in_browser(url: str, profile: Path, *options: str) -> str:
    """Return the page as shown by the browser once its requests have ended."""
    command = [
        find_program("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=20000",
        *options,
        "--dump-dom",
        url,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.both_stacks
def test_a_page_on_another_port_changes_nothing(pixmill: Served, other_site: str, tmp_path: Path) -> None:
    page = open_in_browser(other_site, tmp_path / "profile")

    assert "<title>4 answers</title>" in page
    assert pixmill.http.get("/api/file-server/?name=planted").json() == []


@pytest.mark.both_stacks
def test_a_host_name_that_is_rebound_to_the_server_reads_nothing(stack: Stack, pixmill: Served, tmp_path: Path) -> None:
    pixmill.files.upload(b"private", name="private.txt")
    address = urlsplit(stack.url).netloc
    rebound = f"--host-resolver-rules=MAP rebind.example {address}"

    page = open_in_browser("http://rebind.example/api/file-server/", tmp_path / "profile", rebound)

    assert "unknown-host" in page
    assert "private" not in page


@pytest.mark.both_stacks
def test_the_same_page_under_the_servers_own_name_reads(stack: Stack, pixmill: Served, tmp_path: Path) -> None:
    pixmill.files.upload(b"private", name="private.txt")

    page = open_in_browser(f"{stack.url}/api/file-server/", tmp_path / "profile")

    assert "private" in page
