"""Every application of the API gives the pages of named origins the same answers. No server is started."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping

import httpx2
import pytest
import structlog
from file_storage.app import create_app as create_file_server
from file_storage.events import create_app as create_file_events
from flask import Flask
from image_processor.app import create_app as create_image_processing
from image_processor.events import create_app as create_task_events
from image_processor.render.app import create_app as create_render
from service_kit.access.app import create_app as create_access
from service_kit.access.cors import Cors
from starlette.applications import Starlette

from tests.support.applications import configure_applications
from tests.support.environment import PROJECT

NAMED = "https://app.example"
OTHER = "https://evil.example"
KEY = {"Authorization": "Bearer pxm_wrong"}
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}

Create = Callable[[], Flask | Starlette]
ENDPOINTS: list[tuple[Create, str, str]] = [
    (create_access, "/api", "/keys"),
    (create_file_server, "/api/file-server", "/"),
    (create_image_processing, "/api/image-processing", "/"),
    (create_file_events, "", "/api/file-server/events"),
    (create_task_events, "", "/api/image-processing/events"),
    (create_render, "", "/api/image-processing/thumbnails/1/128"),
    (create_render, "", "/api/image-processing/metadata/1"),
    (create_render, "", "/api/image-processing/renders/metrics"),
]
"""An endpoint of each application: its path within the application's own path."""
IDS = [f"{base}{path}" for _, base, path in ENDPOINTS]


class Application:
    """Sends requests to an application."""

    def __init__(self, create: Create, base: str, path: str) -> None:
        self._app = create()
        self._path = path if isinstance(self._app, Starlette) else base + path
        self._base = base

    def answer(self, method: str, headers: Mapping[str, str]) -> httpx2.Response:
        app, path = self._app, self._path
        if isinstance(app, Flask):
            environment = {"SCRIPT_NAME": self._base, "PATH_INFO": path.removeprefix(self._base)}
            answer = app.test_client().open(
                method=method, headers=dict(headers), base_url="http://localhost", environ_overrides=environment
            )
            return httpx2.Response(answer.status_code, headers=list(answer.headers), content=answer.get_data())

        async def ask() -> httpx2.Response:
            transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers=dict(headers))

        return asyncio.run(ask())


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    configure_applications(monkeypatch, "cors")
    monkeypatch.setenv("ACCESS_AUTH__MODE", "keys")
    monkeypatch.setenv("ACCESS_HTTP__CORS_ORIGINS", f'["{NAMED}"]')
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def nginx() -> str:
    return (PROJECT / "config/nginx.conf").read_text()


def cors_headers(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def varies_by(response: httpx2.Response) -> set[str]:
    return {name.strip().lower() for name in response.headers.get("vary", "").split(",")}


@pytest.mark.parametrize(("create", "base", "path"), ENDPOINTS, ids=IDS)
def test_a_named_origin_learns_what_it_may_send(create: Create, base: str, path: str) -> None:
    response = Application(create, base, path).answer("OPTIONS", {"Origin": NAMED, **PREFLIGHT})

    allowed = cors_headers(response)
    assert (response.status_code, response.content) == (204, b"")
    assert allowed["access-control-allow-origin"] == NAMED
    assert "PATCH" in allowed["access-control-allow-methods"].split(", ")
    assert {"Authorization", "Last-Event-ID"} <= set(allowed["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in allowed
    assert "origin" in varies_by(response)


@pytest.mark.parametrize(("create", "base", "path"), ENDPOINTS, ids=IDS)
def test_a_named_origin_may_read_the_answer_to_a_key_also_a_refusal(create: Create, base: str, path: str) -> None:
    response = Application(create, base, path).answer("GET", {"Origin": NAMED, **KEY})

    assert response.status_code == 401
    assert cors_headers(response).keys() == {"access-control-allow-origin", "access-control-expose-headers"}
    assert response.headers["Access-Control-Allow-Origin"] == NAMED
    assert "ETag" in response.headers["Access-Control-Expose-Headers"].split(", ")
    assert varies_by(response) >= {"origin", "accept-language"}


@pytest.mark.parametrize(("create", "base", "path"), ENDPOINTS, ids=IDS)
@pytest.mark.parametrize("headers", [{"Origin": OTHER}, {"Origin": "null"}, {}], ids=["another", "null", "no origin"])
def test_another_origin_may_read_nothing(create: Create, base: str, path: str, headers: Mapping[str, str]) -> None:
    application = Application(create, base, path)

    answer = application.answer("GET", {**headers, **KEY})
    preflight = application.answer("OPTIONS", {**headers, **PREFLIGHT})

    assert (cors_headers(answer), cors_headers(preflight)) == ({}, {})
    assert "origin" in varies_by(answer)


@pytest.mark.parametrize(("create", "base", "path"), ENDPOINTS, ids=IDS)
def test_without_a_key_a_named_origin_may_read_nothing(create: Create, base: str, path: str) -> None:
    assert cors_headers(Application(create, base, path).answer("GET", {"Origin": NAMED})) == {}


# Without a key, these modes send events, which never end; all applications share the rule.
@pytest.mark.parametrize("mode", ["local", "open", "keys"])
@pytest.mark.parametrize(("create", "base", "path"), [ENDPOINTS[0], ENDPOINTS[1], ENDPOINTS[5]])
def test_another_scheme_is_not_a_key(
    create: Create, base: str, path: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCESS_AUTH__MODE", mode)

    answer = Application(create, base, path).answer("GET", {"Origin": NAMED, "Authorization": "Basic eDp5"})

    assert cors_headers(answer) == {}


@pytest.mark.parametrize(
    "authorization", ["Bearer pxm_x", "bearer pxm_x", "Bearer", "Bearer ", "Basic eDp5", "BearerX y", "", "x Bearer y"]
)
def test_nginx_and_the_services_agree_on_what_a_key_is(authorization: str) -> None:
    key = re.search(r'map \$http_authorization \$origin_with_key \{\s+"~\*(.+)" \$http_origin;\s+\}', nginx())
    assert key is not None

    is_key_for_nginx = re.search(key[1], authorization, re.IGNORECASE) is not None

    headers = {"Origin": NAMED, "Authorization": authorization}
    assert is_key_for_nginx == bool(Cors([NAMED]).headers("GET", headers))


def test_all_applications_give_the_same_answers() -> None:
    asked = {"Origin": NAMED, **PREFLIGHT}
    answers = [cors_headers(Application(*endpoint).answer("OPTIONS", asked)) for endpoint in ENDPOINTS]

    assert answers == [answers[0]] * len(ENDPOINTS)


def test_a_picture_by_url_is_the_same_for_every_origin() -> None:
    response = Application(create_render, "", "/img/unsigned/42").answer("GET", {"Origin": NAMED, **KEY})

    assert cors_headers(response) == {}
    assert "origin" not in varies_by(response)


@pytest.mark.parametrize("location", ["location /blobs/ {", 'location ~ "^/s3/'])
def test_nginx_sends_files_with_the_headers_of_the_service(location: str) -> None:
    block = nginx().partition(location)[2].partition("\n        }\n")[0]

    added = set(re.findall(r"^ +add_header ([\w-]+) ", block, re.MULTILINE))

    assert {*Cors([NAMED]).headers("GET", {"Origin": NAMED, **KEY}), "Vary"} <= added
