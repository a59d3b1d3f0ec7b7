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
    "GET /api/file-server/stats": "sums by type and by month",
    "POST /api/file-server/delete": "at most 10,000 ids",
    "POST /api/file-server/restore": "at most 10,000 ids",
    "POST /api/image-processing/": "at most 10,000 ids",
    "POST /api/image-processing/cancel": "at most 10,000 ids",
    "POST /api/image-processing/forget": "at most 10,000 ids",
    "POST /api/image-processing/restart": "at most 10,000 ids",
    "GET /api/image-processing/stats": "sums by day",
    "GET /api/image-processing/batches/{id}": "at most 50 causes of errors",
    "GET /api/image-processing/webhook-secrets": "a current and an earlier secret",
}
"""Routes whose lists are always short, with the reason: they fit into the buffers of a connection."""
PAGE = 1000
"""Maximum size of a page that needs no other limit."""
ANY_TIME = {
    "GET /api/file-server/",
    "GET /api/file-server/index",
    "GET /api/file-server/trash",
    "GET /api/image-processing/",
    "POST /api/file-server/batch",
}
"""Uploads, and lists of files and tasks, of which there are millions, may take any time."""
METHODS = {"get", "put", "post", "patch", "delete"}


class ListRoute(NamedTuple):
    """A route that answers with a list, as method and path, and its parameter ``limit`` if it has one."""

    name: str
    limit: Mapping[str, object] | None

    @property
    def example(self) -> str:
        return re.sub(r"\{\w+\}", "1", self.name)

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
                ListRoute(f"{method.upper()} {base}{path}", _limit_of(operation))
                for path, operations in document["paths"].items()
                for method, operation in operations.items()
                if method in METHODS and _has_list(operation, document)
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
    """Return whether a successful response is an array of JSON, or an object with an array."""
    return any(
        _is_list(_at(operation, "responses", status, "content", "application/json", "schema"), document)
        for status in ("200", "201")
    )


def _is_list(schema: object, document: Mapping[str, object]) -> bool:
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
    return [route for route in routes if not route.is_paged and route.name not in FEW]


def nginx_counts(example: str) -> bool:
    """Return whether nginx's location for this method and path has the limits of lists, or those of uploads."""
    conf = (PROJECT / "config/nginx.conf").read_text()
    if any(re.search(rule, example) for rule in rules_of_map("is_upload")):
        return "limit_conn uploads ${NGINX_UPLOADS_OF_AN_ADDRESS};" in block_of(conf, "/upload")
    method, path = example.split()
    limits = "limit_conn lists ${NGINX_LISTS_OF_AN_ADDRESS};"
    # Of the locations with an expression, nginx takes the first that matches; else the longest prefix.
    for expression, block in re.findall(r"^ {8}location ~ (\S+) \{(.*(?:\n(?! {8}\S).*)*)", conf, re.MULTILINE):
        # Python writes a group with a name in another way.
        if re.search(expression.strip('"').replace("(?<", "(?P<"), path):
            return limits in block and counts(method, path)
    for expression, location in re.findall(r"rewrite (\S+) (/file-\w+) last;", conf):
        if re.search(expression, path):
            return limits in block_of(conf, f"= {location}") and counts(method, location)
    return False


def block_of(conf: str, location: str) -> str:
    return conf.partition(f"location {location} {{")[2].partition("\n        }")[0]


def counts(method: str, location: str) -> bool:
    """Return whether nginx's zone of lists counts a request of this method in this location."""
    return any(re.search(rule, f"{method} {location}") for rule in rules_of_map("lists_of"))


def rules_of_map(variable: str) -> list[str]:
    """Return the expressions for which a map of nginx has a value."""
    conf = (PROJECT / "config/nginx.conf").read_text()
    [block] = re.findall(rf"map [^\n]* \${variable} \{{\n(.*?)\n    \}}", conf, re.DOTALL)
    texts = re.findall(r'^ *"(~?)(.*)" [$1]\S*;$', block, re.MULTILINE)
    return [text if is_expression else f"^{re.escape(text)}$" for is_expression, text in texts]


def is_given_up(service: str, example: str) -> bool:
    """Return whether uWSGI gives up a request of this method and path after a while."""
    method, path = example.split()
    ini = (PROJECT / f"config/{service}/wsgi.ini").read_text()
    with_method = re.findall(
        r"route-if = regexp:\$\{REQUEST_METHOD\}\$\{REQUEST_URI\};(.*) addvar:PIXMILL_REQUEST_SECONDS", ini
    )
    by_path = re.findall(r"route-uri = (.*) addvar:PIXMILL_REQUEST_SECONDS", ini)
    return any(re.search(rule, f"{method}{path}") for rule in with_method) or any(
        re.search(rule, path) for rule in by_path
    )


def test_the_services_have_lists(routes: list[ListRoute]) -> None:
    names = {route.name for route in routes}

    assert names >= {
        "GET /api/file-server/links",
        "GET /api/image-processing/batches",
        "GET /api/keys",
        "GET /api/audit",
    }
    assert names >= {"POST /api/file-server/copies", "POST /api/file-server/lookup"} | FEW.keys() | ANY_TIME


def test_a_list_has_pages_or_counts_as_a_long_response_at_the_front(routes: list[ListRoute]) -> None:
    assert [route.name for route in unbounded(routes) if not LONG_RESPONSE.fullmatch(route.example)] == []


@pytest.mark.parametrize("end", ["", "/"])
def test_a_list_has_pages_or_counts_as_a_list_at_nginx(routes: list[ListRoute], end: str) -> None:
    examples = [route.example.rstrip("/") + end for route in unbounded(routes)]

    assert [example for example in examples if not nginx_counts(example)] == []


def test_a_list_is_given_up_after_a_while(routes: list[ListRoute]) -> None:
    endless = [
        (service, route.name)
        for route in routes
        if route.name not in ANY_TIME
        for service in ("embedded", "image-processor" if "image-processing" in route.name else "file-storage")
        if not is_given_up(service, route.example)
    ]

    assert endless == []
