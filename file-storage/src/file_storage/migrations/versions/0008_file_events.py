"""Events of files: triggers record what is created, changed and deleted, in the transaction of the change.

On PostgreSQL once a statement, so that one that deletes thousands of files costs one more statement.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_POSTGRESQL = [
    "ALTER TABLE file_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()::text::bigint",
    """
    CREATE FUNCTION record_file_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO file_events (file_id, owner, change, created_at)
        SELECT id, owner, TG_ARGV[0], extract(epoch from clock_timestamp()) FROM affected ORDER BY id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER files_created AFTER INSERT ON files REFERENCING NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('created')
    """,
    """
    CREATE TRIGGER files_changed AFTER UPDATE ON files REFERENCING NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('changed')
    """,
    """
    CREATE TRIGGER files_deleted AFTER DELETE ON files REFERENCING OLD TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('deleted')
    """,
]


_INSERT = "INSERT INTO file_events (file_id, owner, change, created_at)"
_NOW = "(julianday('now') - 2440587.5) * 86400.0"
_SQLITE = [
    f"CREATE TRIGGER file_{change} AFTER {statement} ON files"
    f" BEGIN {_INSERT} VALUES ({row}.id, {row}.owner, '{change}', {_NOW}); END"
    for change, statement, row in (
        ("created", "INSERT", "NEW"),
        ("changed", "UPDATE", "NEW"),
        ("deleted", "DELETE", "OLD"),
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
