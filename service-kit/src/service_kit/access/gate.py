"""The gate: identifies who sends a request, or refuses the request."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from service_kit.access.bearer import bearer_token, name_of
from service_kit.access.guard import check_site, host_check
from service_kit.access.keys import KeyService
from service_kit.access.principals import (
    FOR_NO_OWNER,
    LOCAL,
    MONITORING,
    NOBODY,
    SCOPES_OF_PROCESSES,
    InnerScope,
    Principal,
    Process,
    Scope,
)
from service_kit.access.rates import Rates
from service_kit.access.wrong_keys import WrongKeys
from service_kit.front_headers import INNER_PORT
from service_kit.problems import Problem
from service_kit.texts import sentence

SESSION_COOKIE = "pixmill-session"
SHARED_COOKIE = "pixmill-shared"
"""The cookie of a guest who has given the password of a link for a set of files."""
OWNER_HEADER = "X-Pixmill-Owner"
"""The header that names the owner for whom one of Pixmill's own processes acts; the request carries its secret.

New rows belong to this owner and count towards its limits, and the process sees only this owner's rows. Without the
header it acts for nobody and can only read.
"""
SEES_HEADER = "X-Pixmill-Sees"
"""With the value ``all``, one of Pixmill's own processes sees the files of all owners; its scopes stay the same."""


@dataclass(frozen=True)
class Asked:
    """The parts of a request that the gate checks.

    :param headers: a mapping that ignores the case of names.
    :param session: the value of the session cookie.
    """

    method: str
    headers: Mapping[str, str]
    address: str
    session: str | None


@dataclass(frozen=True)
class Rules:
    """The rules from the settings.

    :param inner_secrets: the secret of each of Pixmill's own processes that may send requests to this service.
    :param hosts: names for which the server answers, in addition to those of this machine.
    """

    mode: Literal["local", "keys", "open"]
    inner_secrets: Mapping[Process, str]
    hosts: Collection[str]
    cors_origins: Collection[str]


class Gate:
    """Identifies the principal of each request.

    :param rates: shared with other gates; by default, this gate counts only its own requests.
    """

    def __init__(self, rules: Rules, keys: KeyService, wrong_keys: WrongKeys, rates: Rates | None = None) -> None:
        self._rules = rules
        self._check_host = host_check(rules.mode, rules.hosts)
        self._keys = keys
        self._wrong_keys = wrong_keys
        self._rates = rates or Rates()

    def admit(self, asked: Asked, *, counts: bool = True) -> Principal:
        """Return the principal that sends the request; :data:`NOBODY` if credentials are required and missing.

        :param counts: whether the request counts towards the rate of its owner, and its key as a wrong one; not if it
            was counted before.
        :raises Problem: 401, the key is not valid; 403, a page of another site sent the request; 421, the request is
        for another host; 429, the owner sent too many requests, or the address too many wrong keys.
        """
        token = bearer_token(asked.headers)
        process = name_of(token, self._rules.inner_secrets)
        if process is not None:
            return self._inner(process, asked.headers)
        self._check_host(asked.headers.get("Host", ""))
        if token is None or asked.headers.get("Origin") not in self._rules.cors_origins:
            check_site(asked.method, asked.headers)
        principal = self._recognize(token, asked, counts=counts)
        if counts:
            self._rates.count(principal)
        return principal

    def _inner(self, process: Process, headers: Mapping[str, str]) -> Principal:
        owner, sees_all = headers.get(OWNER_HEADER), headers.get(SEES_HEADER) == "all"
        scopes = SCOPES_OF_PROCESSES[process]
        if not owner:
            return Principal("", scopes & FOR_NO_OWNER, is_service=True, is_for_all=sees_all)
        return Principal(owner, scopes, limits=self._keys.limits(owner), is_service=True, is_for_all=sees_all)

    def try_key(self, secret: str, address: str, *, counts: bool = True) -> Principal:
        """Return the holder of a key; a valid key is accepted regardless of how many wrong keys its address has sent.

        :param counts: whether a key that is not valid counts as a wrong one; not if it was valid before.
        :raises Problem: 401, the key is not valid; 429, the address sent too many wrong keys.
        """
        principal = self._keys.recognize(secret)
        if principal is None:
            if counts:
                self._wrong_keys.count(address)
            raise _unauthorized(sentence("This key does not exist, was revoked or has expired."), invalid=True)
        return principal

    def sign_in(self, secret: str, address: str, sender: Principal) -> Principal:
        """Return the holder of a key that a browser signs in with, and count the request towards the rate of its owner.

        :param sender: whose request :meth:`admit` has counted; it could not read the key, which is in the body.
        :raises Problem: as in :meth:`try_key`; 429, the owner sent too many requests.
        """
        principal = self.try_key(secret, address)
        is_counted = sender.key_id is not None and sender.owner == principal.owner
        if not is_counted:
            self._rates.count(principal)
        return principal

    def _recognize(self, token: str | None, asked: Asked, *, counts: bool) -> Principal:
        if token is not None:
            return self.try_key(token, asked.address, counts=counts)
        if asked.session is not None:
            principal = self._keys.recognize_session(asked.session)
            if principal is not None:
                return principal
        return self._anonymous(asked)

    def _anonymous(self, asked: Asked) -> Principal:
        if asked.headers.get(INNER_PORT):
            return NOBODY if self._rules.mode == "keys" else MONITORING
        match self._rules.mode:
            case "open":
                return LOCAL
            case "local" if not _is_forwarded(asked.headers):
                return LOCAL
            case _:
                return NOBODY


def require(principal: Principal, scope: Scope, *inner: InnerScope) -> None:
    """Check that a principal has a scope.

    :param inner: the scopes of Pixmill's own processes; each suffices too.
    :raises Problem: 401, there are no credentials; 403, the key lacks the scope.
    """
    if not principal.scopes.isdisjoint((scope, *inner)):
        return
    if principal in (NOBODY, MONITORING):
        raise _unauthorized(
            sentence("This request needs a key: send it as 'Authorization: Bearer pxm_…'."), invalid=False
        )
    challenge = f'Bearer realm="Pixmill", error="insufficient_scope", scope="{scope}"'
    detail = sentence("This key lacks the scope '{scope}'.", scope=scope)
    raise Problem("scope-missing", 403, detail, headers={"WWW-Authenticate": challenge})


def _is_forwarded(headers: Mapping[str, str]) -> bool:
    """Return whether a proxy added any of its headers: then a stranger may have sent the request."""
    names = [name.lower() for name in headers.keys()]  # noqa: SIM118 (werkzeug's headers iterate over pairs)
    return any(name == "forwarded" or name.startswith("x-forwarded-") for name in names)


def _unauthorized(detail: str, *, invalid: bool) -> Problem:
    challenge = 'Bearer realm="Pixmill"' + (', error="invalid_token"' if invalid else "")
    kind = "invalid-key" if invalid else "key-required"
    return Problem(kind, 401, detail, headers={"WWW-Authenticate": challenge}, context={})
