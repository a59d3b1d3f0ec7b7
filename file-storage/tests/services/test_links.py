"""Signed links: changing a letter makes a link invalid, and each link can expire or be revoked."""

import time

import pytest
import svcs
from file_storage.models import Link
from file_storage.services.files import FileService
from file_storage.services.links import MAX_LINK_SECONDS, LinkClaim, LinkService, LinkSigner, NewLink, forget_expired
from hypothesis import given
from hypothesis import strategies as st
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import update

from tests.support.stored import stored

BOB, ANN = Principal("bob", WRITER), Principal("ann", WRITER)
OLD, NEW = "an old secret of tests, of 32 bytes", "a new secret of tests, of 32 bytes"
SIGNER = LinkSigner([OLD])
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
soon = st.integers(int(time.time()) + 3600, int(time.time()) + MAX_LINK_SECONDS)
prefixes = st.text("0123456789abcdef", min_size=16, max_size=16)
claims = st.builds(LinkClaim, st.integers(1, 2**63 - 1), soon, prefixes)


@given(claim=claims)
def test_a_token_is_read_as_the_signed_claim(claim: LinkClaim) -> None:
    assert SIGNER.read(SIGNER.sign(claim)) == claim


@given(claim=claims, place=st.integers(0, 200), letter=st.sampled_from(LETTERS))
def test_any_changed_letter_is_refused(claim: LinkClaim, place: int, letter: str) -> None:
    token = SIGNER.sign(claim)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]

    if changed != token:
        with pytest.raises(DomainError, match="not created by this server"):
            SIGNER.read(changed)


def test_another_last_letter_that_decodes_to_the_same_signature_is_refused() -> None:
    tokens = (SIGNER.sign(LinkClaim(number, int(time.time()) + 3600, "0" * 16)) for number in range(1, 1000))
    token = next(token for token in tokens if token.endswith("A"))

    with pytest.raises(DomainError, match="not created by this server"):
        SIGNER.read(token[:-1] + "B")


@pytest.mark.parametrize("token", ["", ".", "1", "1.2", "é.ü", "..."])
def test_what_is_not_a_token_is_refused(token: str) -> None:
    with pytest.raises(DomainError) as refused:
        SIGNER.read(token)

    assert refused.value.kind == "invalid-link"


@given(link_id=st.integers(1, 2**63 - 1), expired_at=st.integers(1, int(time.time())))
def test_a_link_that_has_expired_is_refused(link_id: int, expired_at: int) -> None:
    token = SIGNER.sign(LinkClaim(link_id, expired_at, "0" * 16))

    with pytest.raises(DomainError, match="expired") as refused:
        SIGNER.read(token)

    assert refused.value.kind == "link-expired"


def test_a_link_that_lasts_longer_than_any_that_we_make_is_refused() -> None:
    a_week_and_an_hour = int(time.time()) + 7 * 86_400 + 3600

    with pytest.raises(DomainError, match="not created by this server"):
        SIGNER.read(SIGNER.sign(LinkClaim(1, a_week_and_an_hour, "0" * 16)))


def test_the_first_secret_signs_and_all_verify() -> None:
    claim = LinkClaim(1, int(time.time()) + 3600, "0" * 16)
    rotated = LinkSigner([NEW, OLD])

    assert rotated.read(SIGNER.sign(claim)) == claim
    assert LinkSigner([NEW]).read(rotated.sign(claim)) == claim
    with pytest.raises(DomainError, match="not created by this server"):
        SIGNER.read(rotated.sign(claim))


@pytest.fixture
def links(services: svcs.Container) -> LinkService:
    return services.get(LinkService)


def refusal(links: LinkService, token: str) -> str:
    # The short query finds nothing to send, either.
    assert links.sent(token) is None
    with pytest.raises(DomainError) as refused:
        links.file(token)
    return refused.value.kind


def test_links_are_listed_and_revoked_by_their_owner_alone(services: svcs.Container, links: LinkService) -> None:
    link, token = links.create(BOB, stored(services, b"content", principal=BOB), NewLink(60, note="for Carol"))

    assert [found.link.note for found in links.page(BOB, 0, 10)] == ["for Carol"]
    assert links.page(ANN, 0, 10) == []
    with pytest.raises(DomainError, match="no link"):
        links.revoke(ANN, str(link.id))
    assert links.file(token).file.owner == "bob"
    assert [found.link.id for found in links.page(LOCAL, 0, 10)] == [link.id]

    links.revoke(BOB, str(link.id))

    assert refusal(links, token) == "link-not-found"
    assert links.page(BOB, 0, 10) == []


def test_a_link_ends_with_its_file(services: svcs.Container, links: LinkService) -> None:
    file = stored(services, b"content")
    token = links.create(LOCAL, file, NewLink(60)).token

    services.get(FileService).delete(LOCAL, file.id)

    assert refusal(links, token) == "link-not-found"


def test_a_link_does_not_fit_another_file_to_which_its_id_is_given_again(
    services: svcs.Container, links: LinkService
) -> None:
    link, token = links.create(LOCAL, stored(services, b"content"), NewLink(60))
    other = stored(services, b"other")
    with services.get(Database).write() as session:
        session.execute(update(Link).where(Link.id == link.id).values(file_id=other.id))

    assert refusal(links, token) == "link-not-found"


def test_a_link_does_not_fit_a_later_link_to_which_its_id_is_given_again(
    services: svcs.Container, links: LinkService
) -> None:
    link, token = links.create(LOCAL, stored(services, b"content"), NewLink(60))
    with services.get(Database).write() as session:
        session.execute(update(Link).where(Link.id == link.id).values(expires_at=link.expires_at + 1))

    assert refusal(links, token) == "link-not-found"


def test_housekeeping_removes_expired_links(services: svcs.Container, links: LinkService) -> None:
    file = stored(services, b"content")
    expired = links.create(LOCAL, file, NewLink(60)).link
    with services.get(Database).write() as session:
        session.execute(update(Link).values(expires_at=1))
    kept = links.create(LOCAL, file, NewLink(60)).link

    assert forget_expired(services.get(Database)) == 1

    with services.get(Database).read() as session:
        assert session.get(Link, expired.id) is None
        assert session.get(Link, kept.id) is not None


def test_no_link_is_made_to_a_file_that_was_just_deleted(services: svcs.Container, links: LinkService) -> None:
    file = stored(services, b"content")
    services.get(FileService).delete(LOCAL, file.id)

    with pytest.raises(DomainError, match="no file"):
        links.create(LOCAL, file, NewLink(60))


def test_a_link_is_revoked_by_its_token_too_but_not_by_who_was_given_it(
    services: svcs.Container, links: LinkService
) -> None:
    token = links.create(BOB, stored(services, b"content", principal=BOB), NewLink(60)).token

    with pytest.raises(DomainError, match="no link"):
        links.revoke(ANN, token)
    links.revoke(BOB, token)

    assert refusal(links, token) == "link-not-found"
