"""Every route that answers with a list has bounds, so that slow readers hold neither all threads nor all of the disk.

A list has pages of a limited size, or the limits of long responses at nginx and at the front of ``make run``. It is
also given up after a while. No server is started.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
import structlog
from file_storage.app import create_app as create_file_server
from image_processor.app import create_app as create_image_processing
from pixmill.front.app import LONG_RESPONSE
from service_kit.access.app import create_app as create_access

from tests.support.applications import configure_applications
from tests.support.environment import PROJECT

FEW = {
    "/api/file-server/stats": "sums by type and by month",
    "/api/image-processing/stats": "sums by day",
    "/api/image-processing/batches/{id}": "at most 50 causes of errors",
    "/api/image-processing/webhook-secrets": "a current and an earlier secret",
}
"""Routes whose lists are always short, with the reason."""
PAGE = 1000
"""Maximum size of a page that needs no other limit."""
ANY_TIME = {"/api/file-server/", "/api/file-server/index", "/api/file-server/trash", "/api/image-processing/"}
"""Lists of files and tasks, of which there are millions, may take any time."""


class ListRoute(NamedTuple):
    """A route that answers with a list, and its parameter ``limit`` if it has one."""

    path: str
    limit: Mapping[str, object] | None

    @property
    def example(self) -> str:
        return re.sub(r"\{\w+\}", "1", self.path)

    @property
    def is_paged(self) -> bool:
        """Whether a request gets a page of at most ``PAGE`` entries, also one without a limit."""
        schema = self.limit or {}
        maxima = [int(maximum) for maximum in re.findall(r"'maximum': (\d+)", str(schema))]
        return schema.get("default") is not None and bool(maxima) and max(maxima) <= PAGE


@pytest.fixture(scope="module")
def routes() -> Iterator[list[ListRoute]]:
    """All list routes, as the OpenAPI documents of the services describe them."""
    handlers, level = logging.root.handlers[:], logging.root.level
    with pytest.MonkeyPatch.context() as monkeypatch:
        configure_applications(monkeypatch, "lists")
        found = []
        for base, create in (
            ("/api/file-server", create_file_server),
            ("/api/image-processing", create_image_processing),
            ("/api", create_access),
        ):
            document = create().test_client().get("/openapi.json", base_url="http://localhost").json
            assert document is not None
            found += [
                ListRoute(base + path, _limit_of(methods["get"]))
                for path, methods in document["paths"].items()
                if "get" in methods and _has_list(methods["get"], document)
            ]
        yield found
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def _limit_of(operation: Mapping[str, object]) -> Mapping[str, object] | None:
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    return next((parameter["schema"] for parameter in parameters if parameter["name"] == "limit"), None)


def _has_list(operation: Mapping[str, object], document: Mapping[str, object]) -> bool:
    """Return whether the response is an array of JSON, or an object with an array."""
    schema = _at(operation, "responses", "200", "content", "application/json", "schema")
    if schema is None:
        return False
    properties = _at(_resolved(schema, document), "properties") or {}
    assert isinstance(properties, Mapping)
    return any(_at(_resolved(part, document), "type") == "array" for part in (schema, *properties.values()))


def _at(part: object, *names: str) -> object:
    for name in names:
        part = part.get(name) if isinstance(part, Mapping) else None
    return part


def _resolved(schema: object, document: Mapping[str, object]) -> object:
    while isinstance(schema, Mapping) and "$ref" in schema:
        schema = _at(document, *schema["$ref"].split("/")[1:])
    return schema


def unbounded(routes: list[ListRoute]) -> list[ListRoute]:
    return [route for route in routes if not route.is_paged and route.path not in FEW]


def nginx_counts_as_list(path: str) -> bool:
    """Return whether nginx's location for this path has the limits of lists."""
    conf = (PROJECT / "config/nginx.conf").read_text()
    limits = "limit_conn lists ${NGINX_LISTS_OF_AN_ADDRESS};"
    # Of the locations with an expression, nginx takes the first that matches; else the longest prefix.
    for expression, block in re.findall(r"^ {8}location ~ (\S+) \{(.*(?:\n(?! {8}\S).*)*)", conf, re.MULTILINE):
        # Python writes a group with a name in another way.
        if re.search(expression.strip('"').replace("(?<", "(?P<"), path):
            return limits in block
    [rewrite] = re.findall(r"rewrite (\S+) /file-list last;", conf)
    return limits in conf.partition("location = /file-list {")[2].partition("\n        }")[0] and bool(
        re.search(rewrite, path)
    )


def is_given_up(service: str, path: str) -> bool:
    """Return whether uWSGI gives up a GET request of this path after a while."""
    ini = (PROJECT / f"config/{service}/wsgi.ini").read_text()
    with_method = re.findall(
        r"route-if = regexp:\$\{REQUEST_METHOD\}\$\{REQUEST_URI\};(.*) addvar:PIXMILL_REQUEST_SECONDS", ini
    )
    by_path = re.findall(r"route-uri = (.*) addvar:PIXMILL_REQUEST_SECONDS", ini)
    return any(re.search(rule, f"GET{path}") for rule in with_method) or any(re.search(rule, path) for rule in by_path)


def test_the_services_have_lists(routes: list[ListRoute]) -> None:
    paths = {route.path for route in routes}

    assert paths >= {"/api/file-server/links", "/api/image-processing/batches", "/api/keys", "/api/audit"}
    assert paths >= FEW.keys() | ANY_TIME


def test_a_list_has_pages_or_counts_as_a_long_response_at_the_front(routes: list[ListRoute]) -> None:
    assert [route.path for route in unbounded(routes) if not LONG_RESPONSE.fullmatch(route.example)] == []


@pytest.mark.parametrize("end", ["", "/"])
def test_a_list_has_pages_or_counts_as_a_list_at_nginx(routes: list[ListRoute], end: str) -> None:
    paths = [route.example.rstrip("/") + end for route in unbounded(routes)]

    assert [path for path in paths if not nginx_counts_as_list(path)] == []


def test_a_list_is_given_up_after_a_while(routes: list[ListRoute]) -> None:
    endless = [
        (service, route.path)
        for route in routes
        if route.path not in ANY_TIME
        for service in ("embedded", "image-processor" if "image-processing" in route.path else "file-storage")
        if not is_given_up(service, route.example)
    ]

    assert endless == []
