"""The headers that a page of another origin may read."""

import re
from pathlib import Path

import pytest
from service_kit.access.cors import Cors

PROJECT = Path(__file__).parents[3]
ORIGIN = "https://page.example"


def exposed() -> str:
    """Return the headers that the services expose to a page that sends a key."""
    headers = Cors([ORIGIN]).headers("GET", {"Origin": ORIGIN, "Authorization": "Bearer key"})
    return headers["Access-Control-Expose-Headers"]


def test_nginx_exposes_the_same_headers_as_the_services() -> None:
    found = re.search(
        r'map \$named_origin \$exposed_headers \{[^}]*default "([^"]+)"', (PROJECT / "config/nginx.conf").read_text()
    )

    assert found is not None
    assert found[1] == exposed()


@pytest.mark.parametrize("name", ["X-Pixmill-Full-Size", "X-Pixmill-Ignored"])
def test_a_header_of_the_render_service_is_exposed(name: str) -> None:
    assert name in exposed().split(", ")
