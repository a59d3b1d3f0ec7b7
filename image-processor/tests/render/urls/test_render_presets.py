"""Owners' presets for images by URL: fetched from the API and cached."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

import pytest
from image_processor.render.config import RenderPresetSettings
from image_processor.render.urls.presets import FoundPreset, RenderPresets
from service_kit.errors import DomainError

from tests.support.web_server import WebServer

CONFIGURED: Mapping[str, Mapping[str, object]] = {"web": {"steps": []}}
FLIP: Mapping[str, object] = {"steps": [{"algorithm": "flip"}]}


class Seen(NamedTuple):
    """A request that the API has received."""

    path: str
    owner: str
    authorization: str


class Api(WebServer):
    """Answers like the API; each owner has a preset ``mine``, and requests for ``broken`` fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.mine = FLIP

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        headers = self.headers
        self.server.seen.append(Seen(self.path, headers["X-Pixmill-Owner"], headers["Authorization"]))
        name = self.path.rpartition("/")[2]
        status = {"mine": 200, "broken": 500}.get(name, 404)
        body = json.dumps({"name": name, "params": self.server.mine, "read_only": False}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(
    api: Api, work: Callable[[RenderPresets], Awaitable[list[FoundPreset | None]]], seconds: float = 60
) -> list[FoundPreset | None]:
    url = f"http://127.0.0.1:{api.server_port}"
    settings = RenderPresetSettings(url=url, timeout_seconds=5)

    async def run() -> list[FoundPreset | None]:
        presets = RenderPresets(CONFIGURED, settings, "secret", seconds)
        try:
            return await work(presets)
        finally:
            await presets.close()

    return asyncio.run(run())


def test_a_preset_of_the_settings_comes_first(api: Api) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        return [await presets.find("web", "ann")]

    assert asked(api, work) == [FoundPreset(CONFIGURED["web"], for_everybody=True)]
    assert api.seen == []


def test_a_preset_is_asked_for_its_owner_once(api: Api) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        together = await asyncio.gather(*(presets.find("mine", "ann") for _ in range(5)))
        return [*together, await presets.find("mine", "bob")]

    assert asked(api, work) == [FoundPreset(FLIP, for_everybody=False)] * 6
    assert [(seen.path, seen.owner) for seen in api.seen] == [("/presets/mine", "ann"), ("/presets/mine", "bob")]
    assert api.seen[0].authorization == "Bearer secret"


def test_a_fresh_answer_is_remembered_too(api: Api) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        first = await presets.find("mine", "ann")
        api.mine = {"steps": [{"algorithm": "rotate"}]}
        return [
            first,
            await presets.find("mine", "ann"),
            await presets.find("mine", "ann", fresh=True),
            await presets.find("mine", "ann"),
        ]

    found = [each.params if each else None for each in asked(api, work)]

    assert found == [FLIP, FLIP, api.mine, api.mine]
    assert len(api.seen) == 2


def test_a_preset_says_until_when_it_is_remembered(api: Api) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        return [await presets.find(name, "ann") for name in ("web", "mine")]

    before = time.monotonic()
    until = [each.until for each in asked(api, work, seconds=60) if each]

    assert len(until) == 2
    assert all(before + 60 <= each <= time.monotonic() + 60 for each in until)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 65, "a?b", "a b"])
def test_what_is_not_a_name_is_not_a_preset_and_no_request(api: Api, name: str) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        return [await presets.find(name, "ann")]

    assert asked(api, work) == [None]
    assert api.seen == []


def test_a_missing_preset_is_not_found(api: Api) -> None:
    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        return [await presets.find("other", "ann"), await presets.find("other", "ann")]

    assert asked(api, work) == [None, None]
    assert api.paths() == ["/presets/other"]


def test_a_failure_is_a_problem_and_not_remembered(api: Api) -> None:
    kinds = list[str]()

    async def work(presets: RenderPresets) -> list[FoundPreset | None]:
        for _ in range(2):
            with pytest.raises(DomainError) as refused:
                await presets.find("broken", "ann")
            kinds.append(refused.value.kind)
        return []

    asked(api, work)

    assert kinds == ["presets-unavailable"] * 2
    assert len(api.seen) == 2
