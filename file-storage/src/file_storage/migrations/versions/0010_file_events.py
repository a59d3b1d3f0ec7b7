"""Add events of files: triggers record creations, changes and deletions in the transaction of the change.

On PostgreSQL they run once per statement, so that deleting thousands of files costs only one more statement.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# Moving a file to the trash is a deletion and restoring it a creation; its removal from the trash is not an event.
_POSTGRESQL = [
    "ALTER TABLE file_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()::text::bigint",
    """
    CREATE FUNCTION record_file_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO file_events (file_id, owner, change, created_at)
        SELECT id, owner, TG_ARGV[0], extract(epoch from clock_timestamp())
        FROM affected WHERE deleted_at IS NULL ORDER BY id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION record_changed_files() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO file_events (file_id, owner, change, created_at)
        SELECT affected.id, affected.owner,
               CASE WHEN affected.deleted_at IS NOT NULL THEN 'deleted'
                    WHEN former.deleted_at IS NOT NULL THEN 'created' ELSE 'changed' END,
               extract(epoch from clock_timestamp())
        FROM affected JOIN former USING (id)
        WHERE affected.deleted_at IS NULL OR former.deleted_at IS NULL ORDER BY affected.id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER files_created AFTER INSERT ON files REFERENCING NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('created')
    """,
    """
    CREATE TRIGGER files_changed AFTER UPDATE ON files REFERENCING OLD TABLE AS former NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_changed_files()
    """,
    """
    CREATE TRIGGER files_deleted AFTER DELETE ON files REFERENCING OLD TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('deleted')
    """,
]
_INSERT = "INSERT INTO file_events (file_id, owner, change, created_at)"
_NOW = "(julianday('now') - 2440587.5) * 86400.0"
_CHANGE = (
    "CASE WHEN NEW.deleted_at IS NOT NULL THEN 'deleted' WHEN OLD.deleted_at IS NOT NULL THEN 'created'"
    " ELSE 'changed' END"
)
_SQLITE = [
    f"CREATE TRIGGER file_{name} AFTER {statement} ON files WHEN {condition}"
    f" BEGIN {_INSERT} VALUES ({row}.id, {row}.owner, {change}, {_NOW}); END"
    for name, statement, row, change, condition in (
        ("created", "INSERT", "NEW", "'created'", "NEW.deleted_at IS NULL"),
        ("changed", "UPDATE", "NEW", _CHANGE, "OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL"),
        ("deleted", "DELETE", "OLD", "'deleted'", "OLD.deleted_at IS NULL"),
    )
]


def upgrade() -> None:
    op.create_table(
        "file_events",
        sa.Column("id", _id, primary_key=True),
        sa.Column("transaction_id", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("file_id", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("change", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
        sqlite_autoincrement=True,
    )
    op.create_index("file_events_order", "file_events", ["transaction_id", "id"])
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
