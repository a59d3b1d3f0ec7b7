"""Entries of the audit trail are never changed, and deleted only when they are old."""

import sqlalchemy as sa
from alembic import op
from service_kit.access.retention import YEAR, keep_entries

revision = "0004"
down_revision = "0003"

_POSTGRESQL = (
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'an entry of the audit trail is never changed' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER audit_entry_unchanged BEFORE UPDATE OR TRUNCATE ON access_audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_entry_kept BEFORE DELETE ON access_audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit_entry()
    """,
)
_SQLITE = (
    """
    CREATE TRIGGER audit_entry_unchanged BEFORE UPDATE ON access_audit
    BEGIN SELECT RAISE(ABORT, 'an entry of the audit trail is never changed'); END
    """,
    # INSERT OR REPLACE deletes a row without the trigger of DELETE.
    """
    CREATE TRIGGER audit_entry_not_replaced BEFORE INSERT ON access_audit
    WHEN EXISTS (SELECT 1 FROM access_audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'an entry of the audit trail is never changed'); END
    """,
)


def upgrade() -> None:
    connection = op.get_bind()
    keep_entries(connection, YEAR)
    for statement in _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE:
        connection.execute(sa.text(statement))
