"""What the file server learns of a guest who opens a thumbnail of a link."""

import asyncio
from collections.abc import Mapping
from email.message import Message

import pytest
from image_processor.render.config import RenderFileSettings
from image_processor.render.sources.shared_links import SharedLinks
from starlette.datastructures import Headers

from tests.support.answering import answering


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


TICKET = "1893456000.AbC-_9"


def passed_on(sent: Mapping[str, str]) -> Message:
    """Return the headers that the file server receives if a guest sends these."""
    guest = Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()])

    async def run(url: str) -> None:
        links = SharedLinks(RenderFileSettings.model_validate({"url": url}))
        assert await links.refusal("token", 42, guest) is None
        await links.close()

    with answering() as server:
        asyncio.run(run(server.url))
    return server.headers[0]


@pytest.mark.parametrize(("name", "value"), [("Accept-Language", "fran\xe7ais"), ("Authorization", "Basic \xe9")])
def test_a_header_arrives_in_the_bytes_that_the_guest_sent(name: str, value: str) -> None:
    assert passed_on({name: value})[name] == value


@pytest.mark.parametrize("other", ["a[b]=1", "foo", "a=b c", 'a="', "\xe9=\xe9"])
def test_an_unusual_cookie_does_not_lock_the_link_again(other: str) -> None:
    assert passed_on({"Cookie": f"{other}; pixmill-shared={TICKET}"})["Cookie"] == f"pixmill-shared={TICKET}"


@pytest.mark.parametrize("ticket", ["", '"1;\\073 pixmill-session=2"', '"\\012"'])
def test_other_text_than_a_ticket_stays_here(ticket: str) -> None:
    assert "Cookie" not in passed_on({"Cookie": f"pixmill-shared={ticket}"})
