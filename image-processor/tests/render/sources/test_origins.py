"""Images from other servers: only from allowed hosts at allowed addresses, and revalidated when stale."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.render.config import OriginSettings
from image_processor.render.sources.origins import Origins
from service_kit.errors import DomainError

from tests.support.origins import PICTURE, Origin
from tests.support.waiting import wait_until


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    with Origin() as server, server.serving(monkeypatch):
        yield server


def origins(folder: Path, **changes: object) -> Origins:
    given: dict[str, object] = {"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"], **changes}
    return Origins(OriginSettings.model_validate(given), folder / "origins", 1_000_000)


def busy_fetches(**changes: object) -> dict[str, object]:
    """Return settings with which one fetch from a host runs and few wait."""
    return {"hosts": ["localhost", "127.0.0.1"], "fetches": 2, "fetches_of_a_host": 1, "queue": 2, **changes}


def refusal(made: Origins, url: str) -> str:
    with pytest.raises(DomainError) as error:
        asyncio.run(made.fetch(url))
    return error.value.kind


def test_a_file_of_an_allowed_host_is_fetched(origin: Origin, tmp_path: Path) -> None:
    file = asyncio.run(origins(tmp_path).fetch(origin.url("/a.png"))).file

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

    first = asyncio.run(made.fetch(origin.url("/a.png"))).file
    second = asyncio.run(made.fetch(origin.url("/a.png"))).file

    assert origin.asked == [("/a.png", None), ("/a.png", '"1"')]
    assert first is second
    assert second.path.read_bytes() == PICTURE


def test_a_redirect_to_an_allowed_host_is_followed(origin: Origin, tmp_path: Path) -> None:
    file = asyncio.run(origins(tmp_path).fetch(origin.url("/moved"))).file

    assert file.path.read_bytes() == PICTURE


def test_letters_outside_of_ascii_are_escaped(origin: Origin, tmp_path: Path) -> None:
    fetched = origins(tmp_path)

    for path in ("/é.png", "/moved-to-utf-8"):
        assert asyncio.run(fetched.fetch(origin.url(path))).file.path.read_bytes() == PICTURE

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

    first = asyncio.run(made.fetch(origin.url("/counted"))).file
    second = asyncio.run(made.fetch(origin.url("/counted"))).file

    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"1", b"2")


def test_a_file_that_nothing_uses_is_deleted_with_its_replacement(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "no-cache"

    asyncio.run(made.fetch(origin.url("/counted")))
    second = asyncio.run(made.fetch(origin.url("/counted"))).file

    # The thread of the fetch still refers to the first for a moment.
    wait_until(lambda: list((tmp_path / "origins").iterdir()) == [second.path], "the first file is deleted")


def test_a_file_that_is_evicted_while_the_origin_is_asked_again_is_still_there(origin: Origin, tmp_path: Path) -> None:
    given = OriginSettings.model_validate({"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"]})
    made = Origins(given, tmp_path / "origins", len(PICTURE))
    origin.control = "no-cache"

    async def run() -> tuple[Path, Path]:
        await made.fetch(origin.url("/gated-if-known"))
        asked_again = asyncio.create_task(made.fetch(origin.url("/gated-if-known")))
        await origin.received(2)
        await made.fetch(origin.url("/evicts-the-other.png"))
        origin.gate.set()
        return (await asked_again).file.path, (await made.fetch(origin.url("/gated-if-known"))).file.path

    for path in asyncio.run(run()):
        assert path.read_bytes() == PICTURE


def test_a_kept_file_that_somebody_deleted_is_fetched_again(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    asyncio.run(made.fetch(origin.url("/a.png"))).file.path.unlink()

    assert asyncio.run(made.fetch(origin.url("/a.png"))).file.path.read_bytes() == PICTURE


def test_a_slow_host_does_not_hold_up_others(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches(queue=8))

    async def run() -> tuple[bytes, list[str]]:
        slow = [asyncio.create_task(made.fetch(origin.url("/gated")))]
        await origin.received(1)
        slow += [asyncio.create_task(made.fetch(origin.url(f"/{number}.png"))) for number in range(2)]
        await asyncio.sleep(0)
        other = await made.fetch(origin.url("/other.png").replace("localhost", "127.0.0.1"))
        asked = [path for path, _ in origin.asked]
        origin.gate.set()
        await asyncio.gather(*slow)
        return other.file.path.read_bytes(), asked

    assert asyncio.run(run()) == (PICTURE, ["/gated", "/other.png"])


def test_a_fetch_for_which_the_queue_is_full_is_refused(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path, **busy_fetches())

    async def run() -> DomainError:
        accepted = [asyncio.create_task(made.fetch(origin.url("/gated")))]
        await origin.received(1)
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
        await origin.received(1)
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
        await origin.received(1)
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
        await origin.received(1)
        left.cancel()
        await asyncio.wait([left])
        origin.gate.set()
        return (await made.fetch(origin.url("/gated"))).file.path.read_bytes()

    assert asyncio.run(run()) == PICTURE
    assert len(origin.asked) == 1


@pytest.mark.parametrize("control", ["no-store", "private, max-age=600"])
def test_what_no_shared_cache_may_keep_goes_with_its_last_user(origin: Origin, tmp_path: Path, control: str) -> None:
    made = origins(tmp_path)
    origin.control = control

    async def run() -> tuple[bytes, bytes]:
        first = await made.fetch(origin.url("/counted"))
        second = await made.fetch(origin.url("/counted"))
        return first.file.path.read_bytes(), second.file.path.read_bytes()

    assert asyncio.run(run()) == (b"1", b"2")
    # The threads of the fetches still refer to the files for a moment.
    wait_until(lambda: list((tmp_path / "origins").iterdir()) == [], "the files are deleted")


def test_a_304_that_repeats_no_header_changes_none(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "max-age=0"
    asyncio.run(made.fetch(origin.url("/a.png")))
    origin.control = ""

    again = asyncio.run(made.fetch(origin.url("/a.png")))

    assert [known for _, known in origin.asked] == [None, '"1"']
    assert again.freshness.clients_until <= time.monotonic()


def test_a_304_may_forbid_to_keep_a_file(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "max-age=0"
    asyncio.run(made.fetch(origin.url("/a.png")))
    origin.control = "no-store"
    asyncio.run(made.fetch(origin.url("/a.png")))

    asyncio.run(made.fetch(origin.url("/a.png")))

    assert [known for _, known in origin.asked] == [None, '"1"', None]


def test_a_url_with_other_bytes_than_utf_8_is_asked_for_with_these(origin: Origin, tmp_path: Path) -> None:
    asyncio.run(origins(tmp_path).fetch(origin.url("/\udcff.png")))

    assert origin.asked == [("/%FF.png", None)]


def test_the_version_of_a_file_is_sent_back_in_the_bytes_of_its_origin(origin: Origin, tmp_path: Path) -> None:
    made = origins(tmp_path)
    origin.control = "max-age=0"
    asyncio.run(made.fetch(origin.url("/latin-1")))

    asyncio.run(made.fetch(origin.url("/latin-1")))

    assert [known for _, known in origin.asked] == [None, '"\xe9"']
