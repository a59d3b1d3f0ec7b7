"""Shell completions."""

import pytest
from pixmill.commands.completing import Catalog, proposals

CATALOG: Catalog = {
    "web": {},
    "resize": {"properties": {"width": {}, "fit": {"enum": ["inside", "outside", "cover"]}, "focal": {}}},
    "rotate": {"properties": {"angle": {}}},
}


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("r", ["resize", "rotate"]),
        ("w", ["web"]),
        ("resize f", ["resize fit=", "resize focal="]),
        ("resize fit=cover f", ["resize fit=cover focal="]),
        ("resize fit=in", ["resize fit=inside"]),
        ("resize width=8 | ro", ["resize width=8 | rotate"]),
        ("resize | w", []),
        ("unknown x", []),
    ],
)
def test_what_is_offered(incomplete: str, offered: list[str]) -> None:
    assert list(proposals(CATALOG, incomplete)) == offered
