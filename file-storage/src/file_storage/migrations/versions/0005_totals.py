"""Maintain totals of all files with triggers instead of summing the whole table.

On PostgreSQL each connection adds to its own row, so that transactions never wait for each other's totals.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_POSTGRESQL = [
    """
    CREATE FUNCTION count_storage() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE more_bytes bigint := 0; more_files bigint := 0;
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            more_files := NEW.file_count;
            more_bytes := CASE WHEN NEW.file_count > 0 THEN NEW.size ELSE 0 END;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            more_files := more_files - OLD.file_count;
            more_bytes := more_bytes - CASE WHEN OLD.file_count > 0 THEN OLD.size ELSE 0 END;
        END IF;
        INSERT INTO storage_totals (connection, bytes, files) VALUES (pg_backend_pid(), more_bytes, more_files)
        ON CONFLICT (connection) DO UPDATE
        SET bytes = storage_totals.bytes + EXCLUDED.bytes, files = storage_totals.files + EXCLUDED.files;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER blob_counted AFTER INSERT OR UPDATE OR DELETE ON blobs FOR EACH ROW EXECUTE FUNCTION count_storage()
    """,
]


_SQLITE = [
    """
    CREATE TRIGGER blob_counted_insert AFTER INSERT ON blobs BEGIN
        UPDATE storage_totals SET files = files + NEW.file_count, bytes = bytes + NEW.size * (NEW.file_count > 0)
        WHERE connection = 0;
    END
    """,
    """
    CREATE TRIGGER blob_counted_update AFTER UPDATE ON blobs BEGIN
        UPDATE storage_totals
        SET files = files + NEW.file_count - OLD.file_count,
            bytes = bytes + NEW.size * (NEW.file_count > 0) - OLD.size * (OLD.file_count > 0)
        WHERE connection = 0;
    END
    """,
    """
    CREATE TRIGGER blob_counted_delete AFTER DELETE ON blobs BEGIN
        UPDATE storage_totals SET files = files - OLD.file_count, bytes = bytes - OLD.size * (OLD.file_count > 0)
        WHERE connection = 0;
    END
    """,
]


def upgrade() -> None:
    op.create_table(
        "storage_totals",
        sa.Column("connection", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
    )
    op.execute("""
        INSERT INTO storage_totals (connection, bytes, files)
        SELECT 0, coalesce(sum(CASE WHEN file_count > 0 THEN size ELSE 0 END), 0), coalesce(sum(file_count), 0)
        FROM blobs
    """)
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
