"""Keeps the database from deleting entries of the audit trail before their time.

Each process sets the time before it deletes entries, because the setting may have changed.
"""

from sqlalchemy import Connection, select, text

from service_kit.database import dialect_of, epoch_now, one_at_a_time

YEAR = 365 * 86_400.0
"""The time that a migration sets."""
REFUSAL = "an entry of the audit trail is deleted only after its time"
_LOCK = 0x61756469
"""Number of the lock in :class:`one_at_a_time`: PostgreSQL refuses to replace a function twice at the same time."""


def keep_entries(connection: Connection, seconds: float) -> None:
    """Let the database refuse to delete entries that are younger than this, also for its owner."""
    # SQL has no literal for infinity, which a setting may be.
    kept = min(float(seconds), 1e300)
    now = str(epoch_now().compile(dialect=connection.dialect))
    # Compute exactly what `delete_step` computes: otherwise rounding could refuse a row that it deletes.
    is_old = f"OLD.time < {now} - {kept!r}"
    if dialect_of(connection) == "postgresql":
        connection.execute(select(one_at_a_time(_LOCK)))
        connection.execute(text(_FUNCTION.format(is_old=f"{is_old}::double precision", refusal=REFUSAL)))
        return
    connection.execute(text("DROP TRIGGER IF EXISTS audit_entry_kept"))
    connection.execute(
        text(
            "CREATE TRIGGER audit_entry_kept BEFORE DELETE ON access_audit"
            f" WHEN NOT ({is_old}) BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    )


_FUNCTION = """
CREATE OR REPLACE FUNCTION keep_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {is_old} THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '{refusal}' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
