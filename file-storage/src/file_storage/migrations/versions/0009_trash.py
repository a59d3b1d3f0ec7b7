"""Add the trash: the time of a file's deletion, an index of deleted files, and totals maintained by triggers.

A column without a default changes no row, and the indexes start empty, so this is quick for any number of files.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_POSTGRESQL = [
    """
    CREATE FUNCTION count_trash() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE more_bytes bigint := 0; more_files bigint := 0;
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL THEN
            more_bytes := NEW.size;
            more_files := 1;
        END IF;
        IF OLD.deleted_at IS NOT NULL THEN
            more_bytes := more_bytes - OLD.size;
            more_files := more_files - 1;
        END IF;
        INSERT INTO storage_totals (connection, bytes, files, trashed_bytes, trashed_files)
        VALUES (pg_backend_pid(), 0, 0, more_bytes, more_files)
        ON CONFLICT (connection) DO UPDATE
        SET trashed_bytes = storage_totals.trashed_bytes + EXCLUDED.trashed_bytes,
            trashed_files = storage_totals.trashed_files + EXCLUDED.trashed_files;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER trash_counted AFTER UPDATE OF deleted_at ON files
    FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION count_trash()
    """,
    """
    CREATE TRIGGER trash_emptied AFTER DELETE ON files
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL) EXECUTE FUNCTION count_trash()
    """,
]

_SQLITE = [
    """
    CREATE TRIGGER trash_counted AFTER UPDATE OF deleted_at ON files BEGIN
        UPDATE storage_totals
        SET trashed_bytes = trashed_bytes + NEW.size * (NEW.deleted_at IS NOT NULL)
                            - OLD.size * (OLD.deleted_at IS NOT NULL),
            trashed_files = trashed_files + (NEW.deleted_at IS NOT NULL) - (OLD.deleted_at IS NOT NULL)
        WHERE connection = 0;
    END
    """,
    """
    CREATE TRIGGER trash_emptied AFTER DELETE ON files WHEN OLD.deleted_at IS NOT NULL BEGIN
        UPDATE storage_totals SET trashed_bytes = trashed_bytes - OLD.size, trashed_files = trashed_files - 1
        WHERE connection = 0;
    END
    """,
]


def upgrade() -> None:
    op.add_column("files", sa.Column("deleted_at", sa.Double))
    in_trash = sa.text("deleted_at IS NOT NULL")
    for name, columns in (("deleted_at_id", ["deleted_at", "id"]), ("owner_trash", ["owner", "deleted_at", "id"])):
        op.create_index(f"ix_files_{name}", "files", columns, postgresql_where=in_trash, sqlite_where=in_trash)
    for column in ("trashed_bytes", "trashed_files"):
        op.add_column("storage_totals", sa.Column(column, sa.BigInteger, nullable=False, server_default="0"))
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
