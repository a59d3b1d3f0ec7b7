"""Signed links: a changed letter makes a link invalid, and each link expires."""

import time

import pytest
from file_storage.services.links import Link, LinkSigner
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DomainError

SIGNER = LinkSigner("a secret of tests")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
links = st.builds(Link, st.integers(1, 2**63 - 1), st.integers(int(time.time()) + 3600, 2**40))


@given(link=links)
def test_a_token_is_read_as_the_signed_link(link: Link) -> None:
    assert SIGNER.read(SIGNER.sign(link)) == link


@given(link=links, place=st.integers(0, 200), letter=st.sampled_from(LETTERS))
def test_any_changed_letter_is_refused(link: Link, place: int, letter: str) -> None:
    token = SIGNER.sign(link)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]

    if changed != token:
        with pytest.raises(DomainError, match="not made by this server"):
            SIGNER.read(changed)


def test_another_last_letter_that_decodes_to_the_same_signature_is_refused() -> None:
    tokens = (SIGNER.sign(Link(number, 2**40)) for number in range(1, 1000))
    token = next(token for token in tokens if token.endswith("A"))

    with pytest.raises(DomainError, match="not made by this server"):
        SIGNER.read(token[:-1] + "B")


@given(file_id=st.integers(1, 2**63 - 1), expired_at=st.integers(1, int(time.time())))
def test_a_link_that_has_expired_is_refused(file_id: int, expired_at: int) -> None:
    token = SIGNER.sign(Link(file_id, expired_at))

    with pytest.raises(DomainError, match="expired") as refused:
        SIGNER.read(token)

    assert refused.value.kind == "link-expired"
