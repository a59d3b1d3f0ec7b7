"""Keys in the database."""

import hashlib
from pathlib import Path

import pytest
from service_kit.access import keys as keys_module
from service_kit.access.keys import SESSIONS_OF_A_KEY, KeyRequest, KeyService, NewKey
from service_kit.access.models import BrowserSession, Key
from service_kit.access.owners import OwnerService
from service_kit.access.principals import READER, WRITER, Limits, Scope
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import insert, update

from tests.support.deletions import deleted_rows

LONG = 3600.0


@pytest.fixture
def keys(database: Database) -> KeyService:
    return KeyService(database)


def signed_in(keys: KeyService, made: NewKey) -> str:
    """Return the token of a new browser session with this key."""
    principal = keys.recognize(made.secret)
    assert principal is not None
    return keys.sign_in(principal, LONG)


def test_a_key_is_recognized_with_its_owner_and_scopes(keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", WRITER))

    principal = keys.recognize(made.secret)

    assert principal is not None
    assert (principal.owner, principal.scopes, principal.key_id) == ("alice", WRITER, made.key.id)


def test_neither_the_secret_nor_a_part_of_it_is_stored(keys: KeyService, tmp_path: Path) -> None:
    secret = keys.create(KeyRequest("alice", READER)).secret

    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert secret.split("_", 2)[2].encode() not in stored
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in stored


def test_secrets_have_256_random_bits(keys: KeyService) -> None:
    secrets = {keys.create(KeyRequest("alice", READER)).secret.split("_", 2)[2] for _ in range(50)}

    assert {len(secret) for secret in secrets} == {43}
    assert len(secrets) == 50


@pytest.mark.parametrize("change", ["x", "", "pxm_", " ", "A"])
def test_a_changed_secret_is_not_recognized(keys: KeyService, change: str) -> None:
    secret = keys.create(KeyRequest("alice", READER)).secret

    assert keys.recognize(secret[:-1] + change if change != "A" else secret.swapcase()) is None


def test_the_secret_of_one_key_does_not_fit_another(keys: KeyService) -> None:
    alices, bobs = keys.create(KeyRequest("alice", READER)), keys.create(KeyRequest("bob", READER))

    assert keys.recognize(alices.secret.replace(alices.key.id, bobs.key.id)) is None


def test_a_revoked_key_ends_with_its_sessions(keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))
    token = signed_in(keys, made)

    keys.revoke(made.key.id)

    assert keys.recognize(made.secret) is None
    assert keys.recognize_session(token) is None


def test_another_process_learns_of_a_revocation_when_its_memory_ends(
    database: Database, keys: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "CACHE_SECONDS", 0.0)
    elsewhere = KeyService(database)
    made = keys.create(KeyRequest("alice", READER))
    assert elsewhere.recognize(made.secret) is not None

    keys.revoke(made.key.id)

    assert elsewhere.recognize(made.secret) is None


def test_an_expired_key_is_not_recognized(database: Database, keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER, expires_in=LONG))
    with database.write() as session:
        session.execute(update(Key).values(expires_at=1.0))

    assert keys.recognize(made.secret) is None


def test_a_rotated_key_has_the_same_scopes_and_the_old_one_ends(keys: KeyService) -> None:
    old = keys.create(KeyRequest("alice", WRITER, note="camera"))

    new = keys.rotate(old.key.id, overlap_seconds=0)

    assert keys.recognize(old.secret) is None
    assert (new.key.owner, new.key.scopes, new.key.note) == ("alice", sorted(WRITER), "camera")


def test_during_the_overlap_both_keys_are_valid(keys: KeyService) -> None:
    old = keys.create(KeyRequest("alice", WRITER))

    new = keys.rotate(old.key.id, overlap_seconds=LONG)

    assert None not in (keys.recognize(old.secret), keys.recognize(new.secret))


def test_a_rotation_does_not_lengthen_the_life_of_the_old_key(database: Database, keys: KeyService) -> None:
    old = keys.create(KeyRequest("alice", WRITER, expires_in=60))

    keys.rotate(old.key.id, overlap_seconds=LONG)

    with database.read() as session:
        expiry = session.get_one(Key, old.key.id).expires_at
    assert expiry == old.key.expires_at


def test_a_rotated_key_lives_as_long_as_the_old_one_was_made_to_live(database: Database, keys: KeyService) -> None:
    old = keys.create(KeyRequest("alice", WRITER, expires_in=LONG))
    with database.write() as session:
        session.execute(update(Key).values(created_at=Key.created_at - 3000, expires_at=Key.expires_at - 3000))

    new = keys.rotate(old.key.id, overlap_seconds=LONG)

    assert new.key.expires_at is not None
    assert new.key.expires_at - new.key.created_at == pytest.approx(LONG)


def test_the_successor_of_a_key_that_never_expires_never_expires(keys: KeyService) -> None:
    old = keys.create(KeyRequest("alice", WRITER))

    assert keys.rotate(old.key.id, overlap_seconds=LONG).key.expires_at is None


def test_a_session_ends_when_it_expires(database: Database, keys: KeyService) -> None:
    token = signed_in(keys, keys.create(KeyRequest("alice", READER)))
    with database.write() as session:
        session.execute(update(BrowserSession).values(expires_at=1.0))

    assert keys.recognize_session(token) is None


def test_signing_in_deletes_a_bounded_number_of_expired_sessions(database: Database, keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))
    rows = [{"sha256": f"{number:064x}", "key_id": made.key.id, "expires_at": 1.0} for number in range(1500)]
    with database.begin() as connection:
        connection.execute(insert(BrowserSession), rows)

    with deleted_rows(database) as counts:
        signed_in(keys, made)
        signed_in(keys, made)

    assert [count for count in counts if count] == [1000, 500]


def test_the_oldest_session_of_a_key_ends_when_too_many_browsers_sign_in(database: Database, keys: KeyService) -> None:
    made, other = keys.create(KeyRequest("alice", READER)), keys.create(KeyRequest("alice", READER))
    of_other_key = signed_in(keys, other)
    tokens = [signed_in(keys, made) for _ in range(SESSIONS_OF_A_KEY)]
    with database.write() as session:
        first = BrowserSession.sha256 == hashlib.sha256(tokens[7].encode()).hexdigest()
        session.execute(update(BrowserSession).where(first).values(expires_at=BrowserSession.expires_at - 60))
    assert None not in [keys.recognize_session(token) for token in (of_other_key, *tokens)]

    newest = signed_in(keys, made)

    lasting = [token for token in (of_other_key, *tokens, newest) if keys.recognize_session(token) is not None]
    assert lasting == [of_other_key, *tokens[:7], *tokens[8:], newest]


def test_a_shorter_session_than_the_others_begins_too(keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))
    principal = keys.recognize(made.secret)
    assert principal is not None
    for _ in range(SESSIONS_OF_A_KEY):
        keys.sign_in(principal, LONG)

    assert keys.recognize_session(keys.sign_in(principal, LONG / 2)) is not None


def test_a_session_ends_when_the_browser_signs_out(keys: KeyService) -> None:
    token = signed_in(keys, keys.create(KeyRequest("alice", READER)))

    keys.sign_out(token)

    assert keys.recognize_session(token) is None


def test_a_key_has_the_limits_of_its_owner(database: Database, keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))
    limits = Limits(bytes=10, files=2, pending_tasks=3, requests_per_second=4, listeners=5)

    OwnerService(database).limit("alice", limits)

    principal = keys.recognize(made.secret)
    assert principal is not None
    assert principal.limits == limits


def test_the_time_of_the_last_use_is_recorded(keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))

    keys.recognize(made.secret)

    [key] = keys.page("", 2)
    assert key.last_used_at is not None
    assert key.last_used_at >= key.created_at


def test_the_pages_together_have_every_key_once_and_newest_last(database: Database, keys: KeyService) -> None:
    made = [keys.create(KeyRequest("alice", READER)).key.id for _ in range(5)]
    with database.write() as session:
        # Several keys of one moment are in the order of their ids.
        session.execute(update(Key).where(Key.id.in_(made[1:4])).values(created_at=2.0))
        session.execute(update(Key).where(Key.id == made[0]).values(created_at=1.0))
    found: list[str] = []

    while page := keys.page(found[-1] if found else "", 2):
        found += [key.id for key in page]

    assert found == [made[0], *sorted(made[1:4]), made[4]]


def test_the_pages_of_owners_are_in_the_order_of_names(database: Database, keys: KeyService) -> None:
    for owner in ("bob", "alice", "carol"):
        keys.create(KeyRequest(owner, READER))
    owners = OwnerService(database)

    assert [owner.name for owner in owners.page("", 2)] == ["alice", "bob"]
    assert [owner.name for owner in owners.page("bob", 2)] == ["carol"]


@pytest.mark.parametrize("owner", ["", "Alice", "a b", "a/b", "a" * 65, "-a", "ä", "a\n"])
def test_an_owner_needs_a_plain_name(keys: KeyService, owner: str) -> None:
    with pytest.raises(DomainError) as refused:
        keys.create(KeyRequest(owner, READER))

    assert refused.value.kind == "invalid-fields"


def test_a_key_without_scopes_is_refused(keys: KeyService) -> None:
    with pytest.raises(DomainError):
        keys.create(KeyRequest("alice", frozenset()))


def test_a_scope_of_a_newer_version_allows_nothing(database: Database, keys: KeyService) -> None:
    made = keys.create(KeyRequest("alice", READER))
    with database.write() as session:
        session.execute(update(Key).values(scopes=["files:read", "files:teleport"]))

    principal = keys.recognize(made.secret)

    assert principal is not None
    assert principal.scopes == {Scope.FILES_READ}
