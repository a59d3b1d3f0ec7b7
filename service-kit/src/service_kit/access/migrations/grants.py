"""The privileges of the role of the render service, which runs no migrations and decodes hostile pictures."""

from collections.abc import Mapping

GRANTS: Mapping[str, Mapping[str, str]] = {
    "render": {
        "access_owners": "SELECT",
        "access_keys": "SELECT, UPDATE (last_used_at)",
        "access_sessions": "SELECT",
        "access_wrong_keys": "SELECT, INSERT, UPDATE, DELETE",
        # Not its id: an id of the future would stop the entries of others.
        "access_audit": "INSERT (time, owner, key_id, address, action, object, status, request_id)",
        "access_audit_id_seq": "USAGE",
    },
}
"""The privileges of each role, by table or sequence."""
