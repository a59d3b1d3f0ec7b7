"""On PostgreSQL, count an owner's files once per statement instead of once per file.

A statement that deletes ten thousand files created as many versions of the owner's row, which takes seconds because the
cost is quadratic. SQLite changes a row in place.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_POSTGRESQL = [
    """
    CREATE FUNCTION count_files_of_owners() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE sign integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
        SELECT owner, pg_backend_pid(), sign * sum(size), sign * count(*), 0 FROM affected GROUP BY owner
        ON CONFLICT (owner, connection) DO UPDATE
        SET bytes = owner_totals.bytes + EXCLUDED.bytes, files = owner_totals.files + EXCLUDED.files;
        RETURN NULL;
    END $$
    """,
    "DROP TRIGGER file_counted ON files",
    """
    CREATE TRIGGER file_counted AFTER UPDATE OF owner, size ON files
    FOR EACH ROW EXECUTE FUNCTION count_files_of_owner()
    """,
    """
    CREATE TRIGGER files_counted_insert AFTER INSERT ON files REFERENCING NEW TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION count_files_of_owners()
    """,
    """
    CREATE TRIGGER files_counted_delete AFTER DELETE ON files REFERENCING OLD TABLE AS affected
    FOR EACH STATEMENT EXECUTE FUNCTION count_files_of_owners()
    """,
]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.execute(statement)
