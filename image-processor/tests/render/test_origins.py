"""Images from other servers: only from allowed hosts at allowed addresses, and revalidated when stale."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from image_processor.render import origins as module
from image_processor.render.config import OriginSettings
from image_processor.render.origins import Origins
from service_kit.errors import DomainError

PICTURE = b"the bytes of a picture"


class Origin(ThreadingHTTPServer):
    """Another server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.control = "max-age=3600"
        self.asked = list[tuple[str, str | None]]()
        """The requested paths, with the versions that the client has."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: some tests include clients that give up."""

    def url(self, path: str) -> str:
        return f"http://localhost:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        known = self.headers["If-None-Match"]
        self.server.asked.append((self.path, known))
        match self.path:
            case "/elsewhere":
                self._answer(302, b"", Location="http://other.example/a.png")
            case "/moved":
                self._answer(301, b"", Location="/a.png")
            case "/moved-to-utf-8":
                self._answer(301, b"", Location="/é.png".encode().decode("latin-1"))
            case "/malformed":
                self._answer(301, b"", Location="http://[")
            case "/loop":
                self._answer(302, b"", Location="/loop")
            case "/missing":
                self._answer(404, b"")
            case "/broken":
                self._answer(500, b"")
            case "/slow":
                time.sleep(2)
                self._answer(200, PICTURE)
            case _ if known == '"1"':
                self._answer(304, b"")
            case _:
                self._answer(200, PICTURE, ETag='"1"')

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Cache-Control": self.server.control, **headers}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    with Origin() as server:
        # The system chooses the ports of tests; by default only the standard ports are allowed.
        monkeypatch.setattr(module, "_PORTS", (server.server_port, None))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def origins(folder: Path, **changes: object) -> Origins:
    given: dict[str, object] = {"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"], **changes}
    return Origins(OriginSettings.model_validate(given), folder / "origins", 1_000_000)


def refusal(made: Origins, url: str) -> str:
    with pytest.raises(DomainError) as error:
        asyncio.run(made.fetch(url))
    return error.value.kind


def test_a_file_of_an_allowed_host_is_fetched(origin: Origin, tmp_path: Path) -> None:
    path, sha256 = asyncio.run(origins(tmp_path).fetch(origin.url("/a.png")))

    assert path.read_bytes() == PICTURE
    assert sha256 == hashlib.sha256(PICTURE).hexdigest()


def test_a_fresh_file_is_not_asked_for_again(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)

    for _ in range(2):
        asyncio.run(made.fetch(origin.url("/a.png")))

    assert origin.asked == [("/a.png", None)]


def test_an_old_file_is_kept_if_the_origin_says_that_it_has_not_changed(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "no-cache"

    first = asyncio.run(made.fetch(origin.url("/a.png")))
    second = asyncio.run(made.fetch(origin.url("/a.png")))

    assert origin.asked == [("/a.png", None), ("/a.png", '"1"')]
    assert first == second
    assert second[0].read_bytes() == PICTURE


def test_a_redirect_to_an_allowed_host_is_followed(origin: Origin, tmp_path: Path) -> None:
    path, _ = asyncio.run(origins(tmp_path).fetch(origin.url("/moved")))

    assert path.read_bytes() == PICTURE


def test_letters_outside_of_ascii_are_escaped(origin: Origin, tmp_path: Path) -> None:
    fetched = origins(tmp_path)

    for path in ("/é.png", "/moved-to-utf-8"):
        assert asyncio.run(fetched.fetch(origin.url(path)))[0].read_bytes() == PICTURE

    assert [path for path, _ in origin.asked] == ["/%C3%A9.png", "/moved-to-utf-8", "/%C3%A9.png"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/elsewhere", "origin-forbidden"),
        ("/malformed", "origin-forbidden"),
        ("/loop", "origin-failed"),
        ("/missing", "file-not-found"),
        ("/broken", "origin-failed"),
    ],
)
def test_what_an_origin_does_wrong_has_a_name(origin: Origin, tmp_path: Path, path: str, kind: str) -> None:
    assert refusal(origins(tmp_path), origin.url(path)) == kind


def test_a_slow_origin_is_given_up(origin: Origin, tmp_path: Path) -> None:
    assert refusal(origins(tmp_path, timeout_seconds=0.2), origin.url("/slow")) == "origin-too-slow"


def test_a_large_file_is_refused_and_not_kept(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, max_bytes=10)

    assert refusal(made, origin.url("/a.png")) == "source-too-large"
    assert list((tmp_path / "origins").iterdir()) == []


def test_an_address_of_the_inner_network_is_refused_even_if_its_name_is_allowed(origin: Origin, tmp_path: Path) -> None:
    assert refusal(origins(tmp_path, allow_networks=[]), origin.url("/a.png")) == "origin-forbidden"
    assert origin.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/a.png",
        "http://localhost.other.example/a.png",
        "http://user@localhost/a.png",
        "http://localhost:8081/a.png",
        "ftp://localhost/a.png",
        "http://[bad/a.png",
    ],
)
def test_other_hosts_ports_and_users_are_refused(origin: Origin, tmp_path: Path, url: str) -> None:
    assert refusal(origins(tmp_path), url) == "origin-forbidden"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("a.example.invalid", True),
        ("a.b.example.invalid", True),
        ("example.invalid", False),
        ("badexample.invalid", False),
    ],
)
def test_a_star_stands_for_names_below(tmp_path: Path, host: str, allowed: bool) -> None:
    made = origins(tmp_path, hosts=["*.example.invalid"], timeout_seconds=0.1)

    with pytest.raises(DomainError) as error:
        asyncio.run(made.fetch(f"http://{host}/a.png"))

    assert (error.value.kind == "origin-forbidden") is not allowed


def test_without_hosts_nothing_is_fetched(origin: Origin, tmp_path: Path) -> None:
    assert refusal(origins(tmp_path, hosts=[]), origin.url("/a.png")) == "origin-forbidden"
