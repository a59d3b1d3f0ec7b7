"""Which responses of the render service nginx may cache, and for how long."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from image_processor.imaging.output import Output
from image_processor.render.config import FrontCacheSettings
from image_processor.render.plans.plan import Encoding, FileSource, RenderPlan, Wishes
from image_processor.render.processes.job import StoredFile
from image_processor.render.removals import Removals
from image_processor.render.routers.nginx_cache import LONGEST_SECONDS, MOST_KEPT, NginxCache, forgetting
from image_processor.render.service import Found
from image_processor.render.sources.freshness import Freshness
from starlette.requests import Request
from starlette.responses import Response

from tests.support.answering import answering

PLAN = RenderPlan(FileSource(42), (), Encoding(Output()))
TARGET = b"/img/signature/42"
STORED = StoredFile("a" * 64, 42)


MARK = Path("nginx-keeps")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def nginx_cache(url: str = "http://nginx.invalid:8081", removals: Removals | None = None) -> NginxCache:
    return NginxCache(FrontCacheSettings(url=url, timeout_seconds=5), MARK, removals or Removals())


def found(seconds: float = 20, file: StoredFile = STORED) -> Found:
    """Return a result whose file must be looked up again after this many seconds."""
    return Found("key", PLAN, file, (), "source", None, time.monotonic() + seconds)


def refuse_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "utime", refuse)


def wishing(wishes: Wishes) -> RenderPlan:
    return replace(PLAN, wishes=wishes)


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw})


def offered(method: str = "GET", status: int = 200, target: bytes = TARGET, last_second: int = 2**33) -> str | None:
    response = Response(status_code=status)
    nginx_cache().offer(request(method), target, response, found(), last_second)
    return response.headers.get("X-Accel-Expires")


def test_nginx_keeps_an_image_until_its_file_is_looked_up_again() -> None:
    before = time.time()
    looked_up = found(20)
    after = time.time()

    last = nginx_cache().last_second(PLAN, looked_up)

    assert before + 17 < last <= after + 19


def test_nginx_keeps_an_image_no_longer_than_its_preset_is_known() -> None:
    plan = wishing(Wishes(preset_until=time.monotonic() + 10))

    assert nginx_cache().last_second(plan, found(30)) <= time.time() + 9


def test_nginx_keeps_an_image_to_the_second_before_its_url_expires() -> None:
    expires = int(time.time()) + 800

    assert nginx_cache().last_second(wishing(Wishes(expires=expires)), found(2000)) == expires - 1


@pytest.mark.parametrize("wishes", [Wishes(max_age=0), Wishes(expires=1), Wishes(preset_until=0)])
def test_nginx_keeps_nothing_that_caches_must_not_keep_or_that_is_over(wishes: Wishes) -> None:
    assert nginx_cache().last_second(wishing(wishes), found(20)) == 0


def test_without_nginx_nothing_is_kept() -> None:
    assert nginx_cache(url="").last_second(PLAN, found(20)) == 0


def test_nginx_receives_the_last_second() -> None:
    assert offered(last_second=8_000_000_000) == "@8000000000"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 206), ("GET", 304), ("GET", 404)])
def test_other_responses_than_a_whole_image_are_not_kept(method: str, status: int) -> None:
    assert offered(method, status) is None


def test_a_response_that_must_not_be_kept_is_not_offered() -> None:
    assert offered(last_second=0) is None


def test_a_url_that_is_too_long_to_be_remembered_is_not_kept() -> None:
    assert offered(target=b"/img/" + b"x" * 2048) is None


def test_nginx_keeps_no_more_than_can_be_forgotten() -> None:
    nginx, last = nginx_cache(), Response()
    for number in range(MOST_KEPT):
        nginx.offer(request(), b"/img/%d" % number, Response(), found(), 2**33)

    nginx.offer(request(), TARGET, last, found(), 2**33)

    assert "X-Accel-Expires" not in last.headers


def test_what_has_expired_makes_room() -> None:
    nginx, last = nginx_cache(), Response()
    for number in range(MOST_KEPT):
        nginx.offer(request(), b"/img/%d" % number, Response(), found(), 1)

    nginx.offer(request(), TARGET, last, found(), 2**33)

    assert last.headers["X-Accel-Expires"] == f"@{2**33}"


def test_an_nginx_that_does_not_answer_fails_no_removal() -> None:
    async def run() -> None:
        nginx = nginx_cache("http://127.0.0.1:9")
        nginx.offer(request(), TARGET, Response(), found(), 2**33)
        await nginx.forget(42, STORED.sha256)
        await nginx.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("file_id", "sha256", "forgotten"),
    [
        (42, "a" * 64, ["/first", "/same"]),
        (43, "a" * 64, ["/first", "/same"]),
        # A file that no longer exists.
        (42, None, ["/first"]),
        (44, "b" * 64, ["/other"]),
    ],
)
def test_nginx_forgets_what_is_made_from_a_file_or_the_same_bytes(
    file_id: int, sha256: str | None, forgotten: list[str]
) -> None:
    files = {"/first": STORED, "/same": StoredFile("a" * 64, 43), "/other": StoredFile("b" * 64, 44)}

    async def run(url: str) -> None:
        nginx = nginx_cache(url)
        for target, file in files.items():
            nginx.offer(request(Host="pixmill.example"), target.encode(), Response(), found(file=file), 2**33)
        await nginx.forget(file_id, sha256)
        await nginx.close()

    with answering() as server:
        asyncio.run(run(server.url))

    assert sorted(server.paths("")) == forgotten


def test_nginx_forgets_an_image_of_a_client_whose_headers_are_not_ascii() -> None:
    async def run(url: str) -> None:
        nginx = nginx_cache(url)
        nginx.offer(request(Accept="image/webp,\xe9"), TARGET, Response(), found(), 2**33)
        await nginx.forget(42, None)
        await nginx.close()

    with answering() as server:
        asyncio.run(run(server.url))

    assert [headers["Accept"] for headers in server.headers] == ["image/webp,\xe9"]


def test_what_nginx_has_not_forgotten_is_tried_again_by_the_next_removal() -> None:
    async def run(url: str) -> None:
        nginx = nginx_cache(url)
        nginx.offer(request(), TARGET, Response(), found(), 2**33)
        for _ in range(3):
            await nginx.forget(42, None)
        await nginx.close()

    with answering() as server:
        server.answer = lambda _method, _path, _body: None if len(server.requests) == 1 else (404, {})
        asyncio.run(run(server.url))

    assert len(server.requests) == 2


def test_what_was_rendered_while_its_results_were_removed_is_not_kept() -> None:
    removals, response = Removals(), Response()
    nginx, rendered = nginx_cache(removals=removals), found()
    removals.add(42, STORED.sha256)

    nginx.offer(request(), TARGET, response, rendered, 2**33)

    assert "X-Accel-Expires" not in response.headers


def test_what_is_being_sent_while_its_results_are_removed_is_forgotten_again() -> None:
    removals, response = Removals(), Response()

    async def run(url: str) -> None:
        nginx = nginx_cache(url, removals)
        nginx.offer(request(Host="pixmill.example"), TARGET, response, found(), 2**33)
        removals.add(42, STORED.sha256)
        await nginx.forget(42, STORED.sha256)
        assert response.background is not None
        await response.background()
        await nginx.close()

    with answering() as server:
        asyncio.run(run(server.url))

    assert server.paths("") == [TARGET.decode()] * 2


@pytest.mark.parametrize(
    "freshness", [Freshness(2**33, 2**33, is_private=True), Freshness(2**33, 2**33, is_stored=False)]
)
def test_nginx_keeps_nothing_that_an_origin_allows_no_shared_cache(freshness: Freshness) -> None:
    assert nginx_cache().last_second(PLAN, replace(found(), freshness=freshness)) == 0


def test_after_a_crash_a_removal_waits_until_what_nginx_may_keep_has_expired() -> None:
    last_second = int(time.time()) + 1
    nginx_cache().offer(request(), TARGET, Response(), found(), last_second)

    asyncio.run(nginx_cache().forget(42, STORED.sha256))

    assert time.time() >= last_second + 1


def test_the_mark_of_a_clock_that_was_set_back_does_not_last() -> None:
    MARK.touch()
    os.utime(MARK, (2**33, 2**33))

    assert nginx_cache()._unknown_until <= time.time() + LONGEST_SECONDS


def test_a_mark_that_cannot_be_changed_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    nginx = nginx_cache()
    nginx.offer(request(), TARGET, Response(), found(), 2**33)
    refuse_times(monkeypatch)

    nginx.offer(request(), TARGET, Response(), found(), 2**33 + 1)

    assert MARK.stat().st_mtime == 2**33


def test_nginx_keeps_nothing_that_the_next_process_would_not_know_of() -> None:
    # A read-only disk would do the same, but not for root.
    MARK.mkdir()

    assert offered() is None


def test_what_replaces_a_kept_image_has_expired() -> None:
    replacement = forgetting(request(X_Pixmill_Forget="1"))

    assert replacement is not None
    assert replacement.headers["X-Accel-Expires"] == "@1"


def test_other_requests_replace_nothing() -> None:
    assert forgetting(request()) is None
