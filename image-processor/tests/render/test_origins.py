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

_REDIRECTS = {
    "/elsewhere": "http://other.example/a.png",
    "/moved": "/a.png",
    "/moved-to-utf-8": "/é.png".encode().decode("latin-1"),
    "/malformed": "http://[",
    "/empty-label": "http://a..localhost/a.png",
    "/loop": "/loop",
}


class Origin(ThreadingHTTPServer):
    """Another server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.control = "max-age=3600"
        self.asked = list[tuple[str, str | None]]()
        """The requested paths, with the versions that the client has."""
        self.gate = threading.Event()
        """Lets requests pass that wait for it."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: some tests include clients that give up."""

    def url(self, path: str) -> str:
        return f"http://localhost:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        known = self.headers["If-None-Match"]
        self.server.asked.append((self.path, known))
        if self.path in _REDIRECTS:
            self._answer(302, b"", Location=_REDIRECTS[self.path])
            return
        match self.path:
            case "/missing":
                self._answer(404, b"")
            case "/broken":
                self._answer(500, b"")
            case "/counted":
                self._answer(200, b"%d" % len(self.server.asked))
            case "/gated":
                self.server.gate.wait(30)
                self._answer(200, PICTURE)
            case "/gated-if-known":
                if known:
                    self.server.gate.wait(30)
                self._answer(304 if known else 200, b"" if known else PICTURE, ETag='"1"')
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
        server.gate.set()
        server.shutdown()


def origins(folder: Path, **changes: object) -> Origins:
    given: dict[str, object] = {"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"], **changes}
    return Origins(OriginSettings.model_validate(given), folder / "origins", 1_000_000)


def busy_fetches(**changes: object) -> dict[str, object]:
    """Return settings with which one fetch from a host runs and few wait."""
    return {"hosts": ["localhost", "127.0.0.1"], "fetches": 2, "fetches_of_a_host": 1, "queue": 2, **changes}


async def begun(origin: Origin, count: int = 1) -> None:
    """Wait until the origin has received this many requests."""
    while len(origin.asked) < count:
        await asyncio.sleep(0.005)


def refusal(made: Origins, url: str) -> str:
    with pytest.raises(DomainError) as error:
        asyncio.run(made.fetch(url))
    return error.value.kind


def test_a_file_of_an_allowed_host_is_fetched(origin: Origin, tmp_path: Path) -> None:
    file = asyncio.run(origins(tmp_path).fetch(origin.url("/a.png")))

    assert file.path.read_bytes() == PICTURE
    assert file.sha256 == hashlib.sha256(PICTURE).hexdigest()


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
    assert first is second
    assert second.path.read_bytes() == PICTURE


def test_a_redirect_to_an_allowed_host_is_followed(origin: Origin, tmp_path: Path) -> None:
    file = asyncio.run(origins(tmp_path).fetch(origin.url("/moved")))

    assert file.path.read_bytes() == PICTURE


def test_letters_outside_of_ascii_are_escaped(origin: Origin, tmp_path: Path) -> None:
    fetched = origins(tmp_path)

    for path in ("/é.png", "/moved-to-utf-8"):
        assert asyncio.run(fetched.fetch(origin.url(path))).path.read_bytes() == PICTURE

    assert [path for path, _ in origin.asked] == ["/%C3%A9.png", "/moved-to-utf-8", "/%C3%A9.png"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/elsewhere", "origin-forbidden"),
        ("/malformed", "origin-forbidden"),
        ("/loop", "origin-failed"),
        ("/missing", "file-not-found"),
        ("/broken", "origin-failed"),
        ("/empty-label", "origin-failed"),
    ],
)
def test_what_an_origin_does_wrong_has_a_name(origin: Origin, tmp_path: Path, path: str, kind: str) -> None:
    assert refusal(origins(tmp_path, hosts=["localhost", "*.localhost"]), origin.url(path)) == kind


@pytest.mark.parametrize("label", ["", "a" * 64])
def test_a_name_that_cannot_be_looked_up_is_a_failed_origin(tmp_path: Path, label: str) -> None:
    assert refusal(origins(tmp_path, hosts=["*.localhost"]), f"http://a.{label}.localhost/a.png") == "origin-failed"


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


def test_a_file_in_use_outlives_its_replacement(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "no-cache"

    first = asyncio.run(made.fetch(origin.url("/counted")))
    second = asyncio.run(made.fetch(origin.url("/counted")))

    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"1", b"2")


def test_a_file_that_nothing_uses_is_deleted_with_its_replacement(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "no-cache"

    asyncio.run(made.fetch(origin.url("/counted")))
    second = asyncio.run(made.fetch(origin.url("/counted")))

    assert list((tmp_path / "origins").iterdir()) == [second.path]


def test_a_file_that_is_evicted_while_the_origin_is_asked_again_is_still_there(origin: Origin, tmp_path: Path) -> None:
    given = OriginSettings.model_validate({"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"]})
    made = Origins(given, tmp_path / "origins", len(PICTURE))
    origin.control = "no-cache"

    async def run() -> tuple[Path, Path]:
        await made.fetch(origin.url("/gated-if-known"))
        asked_again = asyncio.create_task(made.fetch(origin.url("/gated-if-known")))
        await begun(origin, 2)
        await made.fetch(origin.url("/evicts-the-other.png"))
        origin.gate.set()
        return (await asked_again).path, (await made.fetch(origin.url("/gated-if-known"))).path

    for path in asyncio.run(run()):
        assert path.read_bytes() == PICTURE


def test_a_kept_file_that_somebody_deleted_is_fetched_again(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    asyncio.run(made.fetch(origin.url("/a.png"))).path.unlink()

    assert asyncio.run(made.fetch(origin.url("/a.png"))).path.read_bytes() == PICTURE


def test_a_slow_host_does_not_hold_up_others(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches(queue=8))

    async def run() -> tuple[bytes, list[str]]:
        slow = [asyncio.create_task(made.fetch(origin.url("/gated")))]
        await begun(origin)
        slow += [asyncio.create_task(made.fetch(origin.url(f"/{number}.png"))) for number in range(2)]
        await asyncio.sleep(0)
        other = await made.fetch(origin.url("/other.png").replace("localhost", "127.0.0.1"))
        asked = [path for path, _ in origin.asked]
        origin.gate.set()
        await asyncio.gather(*slow)
        return other.path.read_bytes(), asked

    assert asyncio.run(run()) == (PICTURE, ["/gated", "/other.png"])


def test_a_fetch_for_which_the_queue_is_full_is_refused(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches())

    async def run() -> DomainError:
        accepted = [asyncio.create_task(made.fetch(origin.url("/gated")))]
        await begun(origin)
        accepted.append(asyncio.create_task(made.fetch(origin.url("/waits.png"))))
        await asyncio.sleep(0)
        with pytest.raises(DomainError) as error:
            await made.fetch(origin.url("/refused.png"))
        origin.gate.set()
        await asyncio.gather(*accepted)
        return error.value

    refused = asyncio.run(run())

    assert (refused.kind, refused.retry_after) == ("renders-busy", 1)
    assert [path for path, _ in origin.asked] == ["/gated", "/waits.png"]


def test_a_fetch_that_waits_too_long_is_refused(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches(queue_seconds=0.05))

    async def run() -> tuple[str, int]:
        running = asyncio.create_task(made.fetch(origin.url("/gated")))
        await begun(origin)
        with pytest.raises(DomainError) as error:
            await made.fetch(origin.url("/waits.png"))
        origin.gate.set()
        await running
        return error.value.kind, made.waiting

    assert asyncio.run(run()) == ("renders-busy", 0)


def test_a_fetch_that_waits_goes_with_the_last_client_that_wants_it(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches())

    async def run() -> list[int]:
        running = asyncio.create_task(made.fetch(origin.url("/gated")))
        await begun(origin)
        clients = [asyncio.create_task(made.fetch(origin.url("/waits.png"))) for _ in range(2)]
        await asyncio.sleep(0)
        waiting = list[int]()
        for client in clients:
            client.cancel()
            await asyncio.wait([client])
            await asyncio.sleep(0)
            waiting.append(made.waiting)
        origin.gate.set()
        await running
        return waiting

    assert asyncio.run(run()) == [1, 0]
    assert [path for path, _ in origin.asked] == ["/gated"]


def test_what_a_client_that_left_had_begun_to_fetch_is_kept(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)

    async def run() -> bytes:
        left = asyncio.create_task(made.fetch(origin.url("/gated")))
        await begun(origin)
        left.cancel()
        await asyncio.wait([left])
        origin.gate.set()
        return (await made.fetch(origin.url("/gated"))).path.read_bytes()

    assert asyncio.run(run()) == PICTURE
    assert len(origin.asked) == 1
