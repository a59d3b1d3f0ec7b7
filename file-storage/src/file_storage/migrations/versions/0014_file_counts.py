"""Count files and their bytes by owner, kind of media type and month, with the triggers that count an owner's files.

Files in the trash are included, as in the totals, so that deleting and restoring a file writes nothing here. On
PostgreSQL each connection adds to its own rows, once per statement. Existing files are counted in one pass.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_POSTGRESQL = [
    """
    CREATE OR REPLACE FUNCTION count_files_of_owners() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE sign integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
        SELECT owner, pg_backend_pid(), sign * sum(size), sign * count(*), 0 FROM affected GROUP BY owner
        ON CONFLICT (owner, connection) DO UPDATE
        SET bytes = owner_totals.bytes + EXCLUDED.bytes, files = owner_totals.files + EXCLUDED.files;
        INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
        SELECT owner, split_part(media_type, '/', 1),
               to_char(to_timestamp(created_at) AT TIME ZONE 'UTC', 'YYYY-MM'),
               pg_backend_pid(), sign * count(*), sign * sum(size)
        FROM affected GROUP BY 1, 2, 3
        ON CONFLICT (owner, kind, month, connection) DO UPDATE
        SET files = file_counts.files + EXCLUDED.files, bytes = file_counts.bytes + EXCLUDED.bytes;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_changed_file() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
        SELECT owner, split_part(media_type, '/', 1),
               to_char(to_timestamp(created_at) AT TIME ZONE 'UTC', 'YYYY-MM'),
               pg_backend_pid(), sum(more), sum(more * size)
        FROM (VALUES (OLD.owner, OLD.media_type, OLD.created_at, OLD.size, -1),
                     (NEW.owner, NEW.media_type, NEW.created_at, NEW.size, 1))
             AS changed (owner, media_type, created_at, size, more)
        GROUP BY 1, 2, 3
        ON CONFLICT (owner, kind, month, connection) DO UPDATE
        SET files = file_counts.files + EXCLUDED.files, bytes = file_counts.bytes + EXCLUDED.bytes;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER file_recounted AFTER UPDATE OF owner, size, media_type, created_at ON files
    FOR EACH ROW EXECUTE FUNCTION count_changed_file()
    """,
]
_COUNT_POSTGRESQL = """
    INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
    SELECT owner, split_part(media_type, '/', 1), to_char(to_timestamp(created_at) AT TIME ZONE 'UTC', 'YYYY-MM'), 0,
           count(*), sum(size)
    FROM files GROUP BY 1, 2, 3
"""

_ADDED = """
    ON CONFLICT (owner, kind, month, connection) DO UPDATE
    SET files = files + excluded.files, bytes = bytes + excluded.bytes;
"""
_ADD = """
    INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
    VALUES (NEW.owner, substr(NEW.media_type, 1, instr(NEW.media_type || '/', '/') - 1),
            strftime('%Y-%m', NEW.created_at, 'unixepoch'), 0, 1, NEW.size)
"""
_ADD += _ADDED
_REMOVE = """
    INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
    VALUES (OLD.owner, substr(OLD.media_type, 1, instr(OLD.media_type || '/', '/') - 1),
            strftime('%Y-%m', OLD.created_at, 'unixepoch'), 0, -1, -OLD.size)
"""
_REMOVE += _ADDED
_SQLITE = [
    f"CREATE TRIGGER file_recounted_insert AFTER INSERT ON files BEGIN {_ADD} END",
    "CREATE TRIGGER file_recounted_update AFTER UPDATE OF owner, size, media_type, created_at ON files"
    f" BEGIN {_REMOVE} {_ADD} END",
    f"CREATE TRIGGER file_recounted_delete AFTER DELETE ON files BEGIN {_REMOVE} END",
]
_COUNT_SQLITE = """
    INSERT INTO file_counts (owner, kind, month, connection, files, bytes)
    SELECT owner, substr(media_type, 1, instr(media_type || '/', '/') - 1),
           strftime('%Y-%m', created_at, 'unixepoch'), 0, count(*), sum(size)
    FROM files GROUP BY 1, 2, 3
"""


def upgrade() -> None:
    op.create_table(
        "file_counts",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(255), primary_key=True),
        sa.Column("month", sa.String(16), primary_key=True),
        sa.Column("connection", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    # Triggers come first: creating them blocks other writers, so that no file is missed or counted twice.
    for statement in _POSTGRESQL if postgresql else _SQLITE:
        op.execute(statement)
    op.execute(_COUNT_POSTGRESQL if postgresql else _COUNT_SQLITE)
