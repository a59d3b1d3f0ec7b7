"""The gate identifies the sender of a request by its headers."""

from pathlib import Path
from typing import Literal

import pytest
from service_kit.access import rates
from service_kit.access.config import AccessSettings
from service_kit.access.gate import Asked, Gate, Rules, require
from service_kit.access.gate_injectors import create_gate
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import (
    LOCAL,
    NOBODY,
    READER,
    WRITER,
    InnerScope,
    Limits,
    Principal,
    Process,
    Scope,
)
from service_kit.access.wrong_keys import FAILURES_PER_MINUTE, WrongKeys
from service_kit.database import Database
from service_kit.problems import Problem
from service_kit.settings import load_or_exit
from werkzeug.datastructures import Headers

INNER = {process: f"a secret of {process}" for process in Process}
CORS = "https://app.example.org"

Mode = Literal["local", "keys", "open"]


class Door:
    """A gate in a mode, whose clock stands still, and keys for it."""

    def __init__(self, database: Database, mode: Mode) -> None:
        self.keys = KeyService(database)
        self.owners = OwnerService(database)
        rules = Rules(mode, INNER, ["pictures.example.org"], [CORS])
        self._gate = Gate(rules, self.keys, WrongKeys(database), rates.Rates(clock=lambda: 0.0))

    def admit(
        self, *, method: str = "GET", session: str | None = None, address: str = "192.0.2.1", **headers: str
    ) -> Principal:
        named = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._gate.admit(Asked(method, Headers(named), address, session))  # type: ignore[arg-type]  # Headers is such a mapping

    def admit_after_question(self, secret: str) -> Principal:
        headers = Headers({"Host": "localhost", "Authorization": f"Bearer {secret}"})
        return self._gate.admit(Asked("PUT", headers, "192.0.2.1", None), counts=False)  # type: ignore[arg-type]  # likewise

    def sign_in(self, secret: str) -> Principal:
        return self._gate.sign_in(secret, "192.0.2.1", NOBODY)

    def status(self, **headers: str) -> int:
        with pytest.raises(Problem) as refused:
            self.admit(**headers)
        return refused.value.status

    def secret(self, owner: str = "alice") -> str:
        return self.keys.create(KeyRequest(owner, READER)).secret

    def session(self) -> str:
        """Return the session token of a browser that has signed in."""
        return self.keys.sign_in(self.admit(Authorization=f"Bearer {self.secret()}"), 3600)


@pytest.mark.parametrize(("mode", "expected"), [("local", LOCAL), ("open", LOCAL), ("keys", NOBODY)])
def test_without_a_key_the_mode_decides(database: Database, mode: Mode, expected: Principal) -> None:
    assert Door(database, mode).admit() == expected


@pytest.mark.parametrize(
    "header",
    ["X_Forwarded_For", "X_Forwarded_Proto", "X_Forwarded_Host", "x_forwarded_port", "X_Forwarded_Prefix", "Forwarded"],
)
def test_what_a_proxy_forwards_is_not_from_this_machine(database: Database, header: str) -> None:
    assert Door(database, "local").admit(**{header: "192.0.2.7"}) == NOBODY


@pytest.mark.parametrize("mode", ["local", "open", "keys"])
def test_a_key_counts_in_every_mode(database: Database, mode: Mode) -> None:
    door = Door(database, mode)

    assert door.admit(Authorization=f"Bearer {door.secret()}").owner == "alice"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_is_compared_without_case(database: Database, scheme: str) -> None:
    door = Door(database, "keys")

    assert door.admit(Authorization=f"{scheme} {door.secret()}").owner == "alice"


@pytest.mark.parametrize("mode", ["local", "open", "keys"])
def test_a_wrong_key_is_refused_in_every_mode(database: Database, mode: Mode) -> None:
    assert Door(database, mode).status(Authorization="Bearer pxm_000000000000_x") == 401


def test_a_session_is_recognized(database: Database) -> None:
    door = Door(database, "keys")
    token = door.session()

    assert door.admit(session=token).owner == "alice"


def test_an_ended_session_is_like_none(database: Database) -> None:
    assert Door(database, "keys").admit(session="ended") == NOBODY


@pytest.mark.parametrize("mode", ["local", "open", "keys"])
def test_a_foreign_host_is_refused_in_every_mode(database: Database, mode: Mode) -> None:
    assert Door(database, mode).status(Host="rebind.example") == 421


def test_a_host_of_the_settings_is_allowed(database: Database) -> None:
    assert Door(database, "local").admit(Host="pictures.example.org:8080") == LOCAL


@pytest.mark.parametrize("mode", ["local", "open", "keys"])
def test_a_page_of_another_site_is_refused_in_every_mode(database: Database, mode: Mode) -> None:
    assert Door(database, mode).status(method="POST", Sec_Fetch_Site="cross-site") == 403


def test_an_origin_of_the_settings_may_send_a_key(database: Database) -> None:
    door = Door(database, "keys")
    headers = {"Origin": CORS, "Sec_Fetch_Site": "cross-site", "Authorization": f"Bearer {door.secret()}"}

    assert door.admit(method="POST", **headers).owner == "alice"


def test_an_origin_of_the_settings_may_not_use_a_session(database: Database) -> None:
    door = Door(database, "keys")
    token = door.session()

    with pytest.raises(Problem) as refused:
        door.admit(method="POST", session=token, Origin=CORS, Sec_Fetch_Site="cross-site")

    assert refused.value.status == 403


def test_an_address_that_tries_many_wrong_keys_has_to_wait_but_not_who_has_a_valid_one(database: Database) -> None:
    door = Door(database, "keys")
    secret = door.secret()
    for _ in range(FAILURES_PER_MINUTE):
        assert door.status(Authorization="Bearer wrong") == 401

    assert door.status(Authorization="Bearer wrong") == 429
    assert door.admit(Authorization=f"Bearer {secret}").owner == "alice"


def test_gates_of_a_service_count_requests_together(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{tmp_path}/access.db")
    monkeypatch.setattr(rates, "SHARED", rates.Rates(clock=lambda: 0.0))
    settings = load_or_exit(AccessSettings)
    door = Door(database, "keys")
    asked = Asked("GET", Headers({"Host": "localhost", "Authorization": f"Bearer {door.secret('alice')}"}), "", None)  # type: ignore[arg-type]  # Headers is such a mapping
    door.owners.limit("alice", Limits(requests_per_second=1))
    first, second, third = (create_gate(settings, KeyService(database), database) for _ in range(3))

    first.admit(asked)
    second.admit(asked)

    with pytest.raises(Problem) as refused:
        third.admit(asked)
    assert refused.value.status == 429


def test_an_owner_may_send_a_number_of_requests_a_second_with_all_keys_together(database: Database) -> None:
    door = Door(database, "keys")
    secrets = [door.secret("alice"), door.secret("alice")]
    door.owners.limit("alice", Limits(requests_per_second=1))

    for secret in secrets:
        door.admit(Authorization=f"Bearer {secret}")

    assert door.status(Authorization=f"Bearer {secrets[0]}") == 429
    assert door.admit(Authorization=f"Bearer {door.secret('bob')}").owner == "bob"


def test_signing_in_counts_as_a_request_of_the_owner(database: Database) -> None:
    door = Door(database, "keys")
    secret = door.secret("alice")
    door.owners.limit("alice", Limits(requests_per_second=1))
    for _ in range(2):
        assert door.sign_in(secret).owner == "alice"

    with pytest.raises(Problem) as refused:
        door.sign_in(secret)

    assert refused.value.kind == "too-many-requests"
    assert door.status(Authorization=f"Bearer {secret}") == 429


def test_a_request_that_was_counted_as_a_question_counts_no_more(database: Database) -> None:
    door = Door(database, "keys")
    secret = door.secret("alice")
    door.owners.limit("alice", Limits(requests_per_second=1))

    for _ in range(2):
        door.admit(Authorization=f"Bearer {secret}")
        assert door.admit_after_question(secret).owner == "alice"

    assert door.status(Authorization=f"Bearer {secret}") == 429


@pytest.mark.parametrize(
    ("principal", "status", "challenge"),
    [
        (NOBODY, 401, 'Bearer realm="Pixmill"'),
        (
            Principal("alice", READER),
            403,
            'Bearer realm="Pixmill", error="insufficient_scope", scope="files:write"',
        ),
    ],
)
def test_a_missing_scope_is_named(principal: Principal, status: int, challenge: str) -> None:
    with pytest.raises(Problem) as refused:
        require(principal, Scope.FILES_WRITE)

    assert (refused.value.status, refused.value.headers) == (status, {"WWW-Authenticate": challenge})


def test_a_scope_suffices() -> None:
    require(Principal("alice", WRITER), Scope.FILES_WRITE)


def inner(door: Door, process: Process = Process.WORKER, **headers: str) -> Principal:
    return door.admit(Authorization=f"Bearer {INNER[process]}", **headers)


@pytest.mark.parametrize("mode", ["local", "open", "keys"])
@pytest.mark.parametrize("process", Process)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Pixmill_Owner": "alice"},
        {"X_Pixmill_Sees": "all"},
        {"X_Pixmill_Owner": "alice", "X_Pixmill_Sees": "all"},
    ],
)
def test_no_secret_of_a_process_grants_what_a_key_may_do(
    database: Database, mode: Mode, process: Process, headers: dict[str, str]
) -> None:
    principal = inner(Door(database, mode), process, **headers)

    assert principal.is_service
    assert principal.scopes.isdisjoint(Scope)
    for scope in Scope:
        with pytest.raises(Problem) as refused:
            require(principal, scope)
        assert refused.value.status == 403


@pytest.mark.parametrize(
    ("process", "scopes"),
    [
        ("worker", {"files:lookup", "files:fetch", "results:store", "results:discard"}),
        ("render", {"files:lookup", "files:fetch", "presets:read"}),
        ("image-processor", {"files:lookup"}),
    ],
)
def test_a_process_has_the_scopes_of_its_job(database: Database, process: str, scopes: set[str]) -> None:
    principal = inner(Door(database, "keys"), Process(process), X_Pixmill_Owner="alice")

    assert principal.scopes == {f"inner:{scope}" for scope in scopes}


def test_a_process_that_acts_for_nobody_only_reads_files(database: Database) -> None:
    principal = inner(Door(database, "open"), X_Pixmill_Sees="all")

    assert principal.scopes == {InnerScope.FILES_LOOKUP, InnerScope.FILES_FETCH}
    assert (principal.owner, principal.sees_all) == ("", True)


def test_a_process_sees_what_the_named_owner_sees(database: Database) -> None:
    principal = inner(Door(database, "keys"), X_Pixmill_Owner="alice")

    assert (principal.owner, principal.sees_all, principal.is_service) == ("alice", False, True)


def test_a_process_sees_all_files_for_an_owner_if_it_says_so(database: Database) -> None:
    principal = inner(Door(database, "keys"), X_Pixmill_Owner="alice", X_Pixmill_Sees="all")

    assert (principal.owner, principal.sees_all) == ("alice", True)


def test_a_service_accepts_the_secrets_of_its_own_clients_only(database: Database) -> None:
    render_only = Gate(
        Rules("keys", {Process.RENDER: INNER[Process.RENDER]}, [], []), KeyService(database), WrongKeys(database)
    )
    by_worker = Headers({"Host": "localhost", "Authorization": f"Bearer {INNER[Process.WORKER]}"})

    with pytest.raises(Problem) as refused:
        render_only.admit(Asked("GET", by_worker, "192.0.2.1", None))  # type: ignore[arg-type]  # Headers is such a mapping

    assert refused.value.status == 401


@pytest.mark.parametrize(("mode", "scopes"), [("local", {"metrics:read"}), ("open", {"metrics:read"}), ("keys", set())])
def test_without_a_key_the_inner_port_shows_at_most_metrics(database: Database, mode: Mode, scopes: set[str]) -> None:
    principal = Door(database, mode).admit(X_Pixmill_Inner_Port="1")

    assert principal.scopes == scopes
    with pytest.raises(Problem) as refused:
        require(principal, Scope.FILES_READ)
    assert refused.value.status == 401


def test_a_key_counts_at_the_inner_port_too(database: Database) -> None:
    door = Door(database, "local")

    principal = door.admit(Authorization=f"Bearer {door.secret('bob')}", X_Pixmill_Inner_Port="1")

    assert (principal.owner, principal.scopes) == ("bob", READER)


def test_the_named_owner_has_its_limits(database: Database) -> None:
    door = Door(database, "keys")
    door.secret("alice")
    door.owners.limit("alice", Limits(bytes=100))

    assert inner(door, X_Pixmill_Owner="alice").limits == Limits(bytes=100)
    assert inner(door, X_Pixmill_Owner="bob").limits == Limits()


@pytest.mark.parametrize("header", ["X_Pixmill_Owner", "X_Pixmill_Sees"])
def test_nobody_else_acts_for_an_owner(database: Database, header: str) -> None:
    door = Door(database, "keys")

    principal = door.admit(Authorization=f"Bearer {door.secret('bob')}", **{header: "all"})

    assert (principal.owner, principal.sees_all) == ("bob", False)
