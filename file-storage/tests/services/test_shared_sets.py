"""Links for sets of files give access to these files only, until they expire or are revoked."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest
import svcs
from file_storage.models import File, Link
from file_storage.services import links as file_links
from file_storage.services import shared_sets
from file_storage.services.files import FileService
from file_storage.services.links import LinkService, ListedLink, NewLink, forget_expired
from file_storage.services.passwords import matches
from file_storage.services.shared_sets import FAILURES_PER_MINUTE, NewSet, SetSigner, SharedSet, SharedSets
from file_storage.services.trash import TrashService
from hypothesis import given
from hypothesis import strategies as st
from service_kit.access.principals import ALL_SCOPES, LOCAL, READER, WRITER, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import delete, event, select, text, update
from sqlalchemy.orm import Session

from tests.support.stored import stored

BOB, ANN, ADMIN = Principal("bob", WRITER), Principal("ann", WRITER), Principal("root", ALL_SCOPES)
OLD, NEW = "an old secret of tests, of 32 bytes", "a new secret of tests, of 32 bytes"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
IN_AN_HOUR = int(time.time()) + 3600
SIGNER = SetSigner([OLD])
LOCKED = SharedSet(1, "", IN_AN_HOUR, None, [1], Principal("bob", READER), "salt.hash")


@pytest.fixture
def sets(services: svcs.Container) -> SharedSets:
    return services.get(SharedSets)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as refused:
        act()
    return refused.value.kind


def change(services: svcs.Container, model: type[File] | type[Link], **values: object) -> None:
    with services.get(Database).write() as session:
        session.execute(update(model).values(values))


def test_a_set_has_its_files_in_the_order_given_and_each_once(services: svcs.Container, sets: SharedSets) -> None:
    first, second = (stored(services, content, principal=BOB).id for content in (b"first", b"second"))

    link, token = sets.create(BOB, NewSet([second, first, second], 60))

    assert [file.id for file in sets.files(sets.find(token))] == [second, first]
    assert link.file_count == 2


def test_a_file_that_is_not_in_the_set_is_not_found(services: svcs.Container, sets: SharedSets) -> None:
    shared, private = (stored(services, content, principal=BOB).id for content in (b"shared", b"private"))
    found = sets.find(sets.create(BOB, NewSet([shared], 60)).token)

    assert sets.file(found, shared).id == shared
    assert refusal(lambda: sets.file(found, private)) == "file-not-found"


def test_a_deleted_file_leaves_the_set(services: svcs.Container, sets: SharedSets) -> None:
    kept, deleted = (stored(services, content, principal=BOB).id for content in (b"kept", b"deleted"))
    found = sets.find(sets.create(BOB, NewSet([kept, deleted], 60)).token)

    services.get(FileService).delete(BOB, deleted)

    assert [file.id for file in sets.files(found)] == [kept]
    assert refusal(lambda: sets.file(found, deleted)) == "file-not-found"


def test_a_file_that_now_belongs_to_another_owner_leaves_the_set(services: svcs.Container, sets: SharedSets) -> None:
    file_id = stored(services, b"content", principal=BOB).id
    found = sets.find(sets.create(BOB, NewSet([file_id], 60)).token)

    change(services, File, owner="ann")

    assert sets.files(found) == []
    assert refusal(lambda: sets.file(found, file_id)) == "file-not-found"


def test_a_link_to_files_of_another_owner_is_refused_naming_them(services: svcs.Container, sets: SharedSets) -> None:
    of_ann, of_bob = stored(services, b"of Ann", principal=ANN).id, stored(services, b"of Bob", principal=BOB).id

    with pytest.raises(DomainError, match=f"no file {of_bob};"):
        sets.create(ANN, NewSet([of_ann, of_bob], 60))

    assert services.get(LinkService).page(ADMIN, 0, 10) == []


def test_who_sees_all_shares_files_of_all(services: svcs.Container, sets: SharedSets) -> None:
    file_id = stored(services, b"content", principal=BOB).id

    found = sets.find(sets.create(ADMIN, NewSet([file_id], 60)).token)

    assert [file.owner for file in sets.files(found)] == ["bob"]


def test_an_expired_a_revoked_and_an_unknown_link_get_the_same_answer(
    services: svcs.Container, sets: SharedSets
) -> None:
    file_id = stored(services, b"content").id
    link, revoked = sets.create(LOCAL, NewSet([file_id], 60))
    services.get(LinkService).revoke(LOCAL, str(link.id))
    expired = sets.create(LOCAL, NewSet([file_id], 60)).token
    change(services, Link, expires_at=time.time() - 1)

    answers = set()
    for token in (revoked, expired, "x" * 32, "", "no tokén \udcff"):
        with pytest.raises(DomainError) as refused:
            sets.find(token)
        answers.add((refused.value.kind, refused.value.detail))

    assert [kind for kind, _ in answers] == ["link-not-found"]


def test_the_database_has_no_token_and_no_password(services: svcs.Container, sets: SharedSets) -> None:
    token = sets.create(LOCAL, NewSet([stored(services, b"content").id], 60, password="a password")).token

    with services.get(Database).connect() as connection:
        rows = str(connection.execute(text("SELECT * FROM links")).all())

    assert f"'{LOCAL.owner}'" in rows
    assert token not in rows
    assert "a password" not in rows


def test_a_new_secret_ends_no_link_until_the_old_one_is_removed() -> None:
    made = SetSigner([OLD]).digests("token")[0]

    assert made in SetSigner([NEW, OLD]).digests("token")
    assert made not in SetSigner([NEW]).digests("token")


def test_links_of_both_kinds_are_listed_and_revoked_by_their_owner_alone(
    services: svcs.Container, sets: SharedSets
) -> None:
    links, file = services.get(LinkService), stored(services, b"content", principal=BOB)
    links.create(BOB, file, NewLink(60, note="a file"))
    link, token = sets.create(BOB, NewSet([file.id], 60, note="a set"))

    listed = [(found.link.note, found.link.file_id, found.file_count) for found in links.page(BOB, 0, 10)]
    assert listed == [("a file", file.id, 1), ("a set", None, 1)]
    assert links.page(ANN, 0, 10) == []
    assert refusal(lambda: links.revoke(ANN, str(link.id))) == "link-not-found"
    assert refusal(lambda: links.revoke(ANN, token)) == "link-not-found"

    links.revoke(BOB, token)

    assert [found.link.note for found in links.page(BOB, 0, 10)] == ["a file"]


def test_the_list_counts_what_who_opens_the_link_sees(services: svcs.Container, sets: SharedSets) -> None:
    seen, trashed, gone, of_ann = (
        stored(services, content, principal=who).id
        for content, who in ((b"seen", BOB), (b"trashed", BOB), (b"gone", BOB), (b"of ann", ANN))
    )
    token = sets.create(BOB, NewSet([seen, trashed, gone], 60)).token
    sets.create(ADMIN, NewSet([seen, trashed, of_ann], 60))
    services.get(TrashService).delete(BOB, trashed)
    services.get(FileService).delete(BOB, gone)

    listed = [(found.file_count, found.trashed_count) for found in services.get(LinkService).page(LOCAL, 0, 10)]

    assert listed == [(1, 1), (2, 1)]
    assert len(sets.files(sets.find(token))) == 1


def test_a_long_list_loads_the_ids_of_few_sets_at_a_time(services: svcs.Container) -> None:
    engine, loaded = services.get(Database).engine, []
    with services.get(Database).write() as session:
        for number in range(250):
            link = Link(owner="bob", expires_at=IN_AN_HOUR, note="", file_ids=[number + 1], token_digest=str(number))
            session.add(link)

    def note(*execution: object) -> None:
        _, _, statement, parameters, *_ = execution
        if "links.file_ids" in str(statement):
            loaded.append(len(cast("tuple[object, ...]", parameters)))

    event.listen(engine, "before_cursor_execute", note)
    listed = services.get(LinkService).page(BOB, 0, 1000)

    assert (len(listed), sum(loaded), max(loaded)) == (250, 250, 100)


def test_a_link_that_is_revoked_while_it_is_listed_has_no_files(
    services: svcs.Container, sets: SharedSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets.create(BOB, NewSet([stored(services, b"content", principal=BOB).id], 60))
    links = services.get(LinkService)

    def counted_late(session: Session, found: Sequence[Link]) -> Sequence[ListedLink]:
        session.execute(delete(Link))
        return counted(session, found)

    counted = file_links._counted
    monkeypatch.setattr(file_links, "_counted", counted_late)

    assert [(found.file_count, found.trashed_count) for found in links.page(BOB, 0, 10)] == [(0, 0)]


def test_the_note_and_the_expiry_of_a_set_change(services: svcs.Container, sets: SharedSets) -> None:
    links = services.get(LinkService)
    link, token = sets.create(BOB, NewSet([stored(services, b"content", principal=BOB).id], 60, note="before"))

    renamed = links.change(BOB, str(link.id), "after", None).link
    extended = links.change(BOB, token, None, 3600).link

    assert (renamed.note, renamed.expires_at) == ("after", link.expires_at)
    assert (extended.note, round(extended.expires_at - link.expires_at, -2)) == ("after", 3500)
    assert refusal(lambda: links.change(ANN, str(link.id), "stolen", None)) == "link-not-found"
    assert sets.find(token).note == "after"


def test_an_expired_link_does_not_change(services: svcs.Container, sets: SharedSets) -> None:
    link = sets.create(LOCAL, NewSet([stored(services, b"content").id], 60)).link
    change(services, Link, expires_at=time.time() - 1)

    assert refusal(lambda: services.get(LinkService).change(LOCAL, str(link.id), None, 3600)) == "link-not-found"


def test_the_expiry_of_a_link_to_one_file_is_signed_but_its_note_changes(services: svcs.Container) -> None:
    links = services.get(LinkService)
    link = links.create(LOCAL, stored(services, b"content"), NewLink(60)).link

    assert refusal(lambda: links.change(LOCAL, str(link.id), "x", 120)) == "link-expiry-signed"
    assert links.change(LOCAL, str(link.id), "x", None).link.note == "x"


@pytest.fixture
def locked(services: svcs.Container, sets: SharedSets) -> SharedSet:
    return sets.find(sets.create(LOCAL, NewSet([stored(services, b"content").id], 60, password="right")).token)


def failures(services: svcs.Container) -> int:
    with services.get(Database).connect() as connection:
        return int(connection.execute(text("SELECT failures FROM links")).scalar_one())


@pytest.mark.slow
def test_only_the_right_password_opens_a_link_and_only_wrong_ones_count(
    services: svcs.Container, sets: SharedSets, locked: SharedSet
) -> None:
    assert not sets.is_opened_by("wrong", locked)
    assert failures(services) == 1
    assert sets.is_opened_by("right", locked)
    assert failures(services) == 1


@pytest.mark.slow
def test_after_too_many_wrong_passwords_no_password_is_compared_for_a_minute(
    services: svcs.Container, sets: SharedSets, locked: SharedSet
) -> None:
    change(services, Link, failures=FAILURES_PER_MINUTE, failures_until=time.time() + 60)
    assert refusal(lambda: sets.is_opened_by("right", locked)) == "too-many-passwords"

    change(services, Link, failures_until=time.time() - 1)
    assert sets.is_opened_by("right", locked)
    assert not sets.is_opened_by("wrong", locked)
    assert failures(services) == 1


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_many_requests_with_the_right_password_at_once_are_all_admitted(
    services: svcs.Container, locked: SharedSet, processes: int
) -> None:
    apart = [SharedSets(services.get(Database), SIGNER) for _ in range(processes)]
    change(services, Link, failures=FAILURES_PER_MINUTE - 1, failures_until=time.time() + 60)

    with ThreadPoolExecutor(24) as threads:
        opened = list(threads.map(lambda number: apart[number % processes].is_opened_by("right", locked), range(24)))

    assert opened == [True] * 24
    assert failures(services) == FAILURES_PER_MINUTE - 1


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_of_many_wrong_passwords_at_once_few_are_compared(
    services: svcs.Container, locked: SharedSet, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    apart = [SharedSets(services.get(Database), SIGNER) for _ in range(processes)]
    compared: list[str] = []

    def compare(password: str, stored: str) -> bool:
        compared.append(password)
        return matches(password, stored)

    def guess(number: int) -> bool | str:
        try:
            return apart[number % processes].is_opened_by(f"wrong {number}", locked)
        except DomainError as error:
            return error.kind

    monkeypatch.setattr(shared_sets, "matches", compare)
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(guess, range(24)))

    assert answers.count(False) == FAILURES_PER_MINUTE
    assert answers.count("too-many-passwords") == 24 - FAILURES_PER_MINUTE
    assert FAILURES_PER_MINUTE <= len(compared) < FAILURES_PER_MINUTE + processes


@pytest.mark.slow
def test_a_password_that_was_right_a_moment_ago_does_not_wait_for_wrong_ones(
    services: svcs.Container, sets: SharedSets, locked: SharedSet
) -> None:
    sets.is_opened_by("right", locked)
    change(services, Link, failures=FAILURES_PER_MINUTE, failures_until=time.time() + 60)

    assert sets.is_opened_by("right", locked)
    assert refusal(lambda: sets.is_opened_by("wrong", locked)) == "too-many-passwords"


def test_a_ticket_opens_its_link_alone_and_only_while_the_password_is_the_same() -> None:
    ticket = SIGNER.ticket(LOCKED, IN_AN_HOUR)

    assert SIGNER.is_valid(ticket, LOCKED)
    assert SetSigner([NEW, OLD]).is_valid(ticket, LOCKED)
    assert not SetSigner([NEW]).is_valid(ticket, LOCKED)
    assert not SIGNER.is_valid(ticket, replace(LOCKED, link_id=2))
    assert not SIGNER.is_valid(ticket, replace(LOCKED, password_hash="other.hash"))


@given(place=st.integers(0, 200), letter=st.sampled_from(LETTERS))
def test_a_ticket_with_any_changed_letter_is_refused(place: int, letter: str) -> None:
    ticket = SIGNER.ticket(LOCKED, IN_AN_HOUR)
    place %= len(ticket)
    changed = ticket[:place] + letter + ticket[place + 1 :]

    assert SIGNER.is_valid(changed, LOCKED) is (changed == ticket)


@pytest.mark.parametrize("ticket", ["", ".", "1", "é.ü", "9999999999.", "\udcff.x", "9999999999"])
def test_what_is_not_a_ticket_is_refused(ticket: str) -> None:
    assert not SIGNER.is_valid(ticket, LOCKED)


def test_a_ticket_that_has_expired_is_refused() -> None:
    assert not SIGNER.is_valid(SIGNER.ticket(LOCKED, int(time.time()) - 1), LOCKED)


def test_a_ticket_expires_with_its_link(sets: SharedSets) -> None:
    assert sets.ticket(replace(LOCKED, expires_at=time.time() + 60))[1] <= time.time() + 60


def test_housekeeping_removes_expired_links_for_sets(services: svcs.Container, sets: SharedSets) -> None:
    file = stored(services, b"content")
    expired = sets.create(LOCAL, NewSet([file.id], 60)).link
    change(services, Link, expires_at=1)
    later = sets.create(LOCAL, NewSet([file.id], 60)).link

    assert forget_expired(services.get(Database)) == 1

    with services.get(Database).read() as session:
        assert session.scalars(select(Link.id)).all() == [later.id]
    assert expired.id != later.id
