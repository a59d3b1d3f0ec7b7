"""Operations on keys, owners and the audit trail, and on the server itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from pixmill.client.answers import AuditEntry, Key, Owner, Readiness, Session
from pixmill.client.exchange import Call, Exchange, Operation, get, json_call, once
from pixmill.client.paging import PAGE
from pixmill.client.tasks import TASKS
from pixmill.client.uploads import FILES

SERVICES: Mapping[str, str] = {"files": FILES, "tasks": TASKS}


class AccessOperations:
    """The operations of an administrator."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def session(self) -> Operation[Session]:
        reply = yield from self._exchange.send(get("/api/session"))
        return Session.of(reply.json())

    def webhook_secret(self) -> Operation[str]:
        reply = yield from self._exchange.send(get(f"{TASKS}/webhook-secrets"))
        return ",".join(reply.texts("secrets"))

    def keys(self) -> Operation[list[Key]]:
        reply = yield from self._exchange.send(get("/api/keys"))
        return [Key.of(row) for row in reply.rows()]

    def create_key(
        self, owner: str, role: str | None, scopes: Sequence[str], note: str, expires_in: float | None
    ) -> Operation[Key]:
        body = {"owner": owner, "role": role, "scopes": list(scopes), "note": note, "expires_in": expires_in}
        reply = yield from self._exchange.send(json_call("POST", "/api/keys", body))
        return Key.of(reply.json())

    def rotate_key(self, key_id: str, overlap_seconds: float) -> Operation[Key]:
        body = {"overlap_seconds": overlap_seconds}
        reply = yield from self._exchange.send(json_call("POST", f"/api/keys/{quote(key_id, safe='')}/rotate", body))
        return Key.of(reply.json())

    def revoke_key(self, key_id: str) -> Operation[Key]:
        # Revoking a key twice has the same effect as once.
        call = Call("DELETE", f"/api/keys/{quote(key_id, safe='')}", repeatable=True)
        return Key.of((yield from self._exchange.send(call)).json())

    def owners(self) -> Operation[list[Owner]]:
        reply = yield from self._exchange.send(get("/api/owners"))
        return [Owner.of(row) for row in reply.rows()]

    def limit_owner(self, name: str, limits: Mapping[str, int | None]) -> Operation[Owner]:
        call = json_call("PUT", f"/api/owners/{quote(name, safe='')}/limits", dict(limits), repeatable=True)
        return Owner.of((yield from self._exchange.send(call)).json())

    def audit_page(self, call: Call) -> Operation[tuple[list[AuditEntry], Call | None]]:
        reply = yield from self._exchange.send(call)
        entries = [AuditEntry.of(row) for row in reply.rows()]
        if len(entries) < PAGE:
            return entries, None
        others = [(name, value) for name, value in call.query if name != "after"]
        return entries, get(call.path, [*others, ("after", str(entries[-1].id))])

    def readiness(self) -> Operation[dict[str, Readiness]]:
        """Return whether each service and its dependencies answer; a service that is not ready is not an error."""
        found = {}
        for name, path in SERVICES.items():
            reply = yield from once(get(f"{path}/readyz"))
            if not reply.is_success and reply.status != 503:
                raise reply.problem()
            found[name] = Readiness.of(reply.json())
        return found


def audit_call(owner: str | None, key_id: str | None, since: datetime | None) -> Call:
    """Return the call for the first page of the audit trail."""
    start = None if since is None else since.astimezone(UTC).isoformat()
    given = {"owner": owner, "key_id": key_id, "since": start, "limit": PAGE}
    return get("/api/audit", [(name, str(value)) for name, value in given.items() if value is not None])
