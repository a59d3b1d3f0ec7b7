"""The choice of fields of links, whose addresses are shown only once."""

import json
from collections.abc import Callable, Sequence
from http.client import CREATED, NO_CONTENT

import pytest
from file_storage.routers.links import LinkOut, SetLinkOut
from pixmill.commands.console import Exit
from pixmill.commands.sharing import FILE_LINK_FIELDS, SET_LINK_FIELDS
from typer.testing import Result

from tests.support.answering import FakeServer

LINK = {"id": 3, "url": "http://here/s/token", "expires_at": "Mon, 30 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    "words", [("share", "12"), ("share", "12", "--direct"), ("links", "revoke", "3")], ids=["set", "file", "revoked"]
)
def test_an_unknown_field_is_refused_before_the_request(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (NO_CONTENT, b"") if "revoke" in words else (CREATED, LINK)

    run = command(*words, "--json=id,ulr")

    assert (run.exit_code, run.stdout, fake_server.requests) == (Exit.USAGE, "", [])
    assert "'ulr'" in run.stderr


def test_the_fields_of_a_link_can_be_chosen(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = lambda _method, _path, _body: (CREATED, LINK)

    page = command("share", "12", "--json=url,token")
    download = command("share", "12", "--direct", "--json=file_id,url")

    assert json.loads(page.stdout) == {"url": LINK["url"], "token": None}
    assert json.loads(download.stdout) == {"file_id": 12, "url": LINK["url"]}


@pytest.mark.parametrize("words", [[], ["--direct"]], ids=["page", "file"])
def test_no_time_at_all_is_not_the_usual_time(
    fake_server: FakeServer, command: Callable[..., Result], words: Sequence[str]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (CREATED, LINK)

    command("share", "12", "--for", "0s", *words)

    # The server refuses it.
    assert [json.loads(request[-1])["expires_in"] for request in fake_server.requests] == [0]


@pytest.mark.parametrize(("fields", "answer"), [(FILE_LINK_FIELDS, LinkOut), (SET_LINK_FIELDS, SetLinkOut)])
def test_the_known_fields_are_those_of_the_server(
    fields: tuple[str, ...], answer: type[LinkOut] | type[SetLinkOut]
) -> None:
    assert fields == tuple(answer.model_fields)
