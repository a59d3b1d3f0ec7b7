"""Add owners of files, uploads and idempotency keys, totals per owner, and signed links as rows.

Existing rows belong to the owner ``local``. A constant default changes no row, so this is instant for any number of
files. Unfinished uploads count in the totals from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_POSTGRESQL = [
    """
    CREATE FUNCTION count_files_of_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
            VALUES (NEW.owner, pg_backend_pid(), NEW.size, 1, 0)
            ON CONFLICT (owner, connection) DO UPDATE
            SET bytes = owner_totals.bytes + EXCLUDED.bytes, files = owner_totals.files + 1;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
            VALUES (OLD.owner, pg_backend_pid(), -OLD.size, -1, 0)
            ON CONFLICT (owner, connection) DO UPDATE
            SET bytes = owner_totals.bytes + EXCLUDED.bytes, files = owner_totals.files - 1;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER file_counted AFTER INSERT OR UPDATE OF owner, size OR DELETE ON files
    FOR EACH ROW EXECUTE FUNCTION count_files_of_owner()
    """,
    """
    CREATE FUNCTION count_upload() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE more bigint := 0;
    BEGIN
        IF TG_OP <> 'DELETE' AND NEW.reserved <> 0 THEN
            more := NEW.reserved;
            INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
            VALUES (NEW.owner, pg_backend_pid(), 0, 0, NEW.reserved)
            ON CONFLICT (owner, connection) DO UPDATE SET reserved = owner_totals.reserved + EXCLUDED.reserved;
        END IF;
        IF TG_OP <> 'INSERT' AND OLD.reserved <> 0 THEN
            more := more - OLD.reserved;
            INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
            VALUES (OLD.owner, pg_backend_pid(), 0, 0, -OLD.reserved)
            ON CONFLICT (owner, connection) DO UPDATE SET reserved = owner_totals.reserved + EXCLUDED.reserved;
        END IF;
        IF more <> 0 THEN
            INSERT INTO storage_totals (connection, bytes, files, reserved) VALUES (pg_backend_pid(), 0, 0, more)
            ON CONFLICT (connection) DO UPDATE SET reserved = storage_totals.reserved + EXCLUDED.reserved;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER upload_counted AFTER INSERT OR UPDATE OF owner, reserved OR DELETE ON uploads
    FOR EACH ROW EXECUTE FUNCTION count_upload()
    """,
]


_ON_CONFLICT = """
    ON CONFLICT (owner, connection) DO UPDATE
    SET bytes = bytes + excluded.bytes, files = files + excluded.files, reserved = reserved + excluded.reserved;
"""
_INSERT = "INSERT INTO owner_totals (owner, connection, bytes, files, reserved) VALUES "
_ADD_FILE = _INSERT + "(NEW.owner, 0, NEW.size, 1, 0)" + _ON_CONFLICT
_REMOVE_FILE = _INSERT + "(OLD.owner, 0, -OLD.size, -1, 0)" + _ON_CONFLICT
_ADD_UPLOAD = _INSERT + "(NEW.owner, 0, 0, 0, NEW.reserved)" + _ON_CONFLICT
_ADD_UPLOAD += "UPDATE storage_totals SET reserved = reserved + NEW.reserved WHERE connection = 0;"
_REMOVE_UPLOAD = _INSERT + "(OLD.owner, 0, 0, 0, -OLD.reserved)" + _ON_CONFLICT
_REMOVE_UPLOAD += "UPDATE storage_totals SET reserved = reserved - OLD.reserved WHERE connection = 0;"

_SQLITE = [
    f"CREATE TRIGGER file_counted_insert AFTER INSERT ON files BEGIN {_ADD_FILE} END",
    f"CREATE TRIGGER file_counted_update AFTER UPDATE OF owner, size ON files BEGIN {_REMOVE_FILE} {_ADD_FILE} END",
    f"CREATE TRIGGER file_counted_delete AFTER DELETE ON files BEGIN {_REMOVE_FILE} END",
    f"CREATE TRIGGER upload_counted_insert AFTER INSERT ON uploads BEGIN {_ADD_UPLOAD} END",
    "CREATE TRIGGER upload_counted_update AFTER UPDATE OF owner, reserved ON uploads"
    f" BEGIN {_REMOVE_UPLOAD} {_ADD_UPLOAD} END",
    f"CREATE TRIGGER upload_counted_delete AFTER DELETE ON uploads BEGIN {_REMOVE_UPLOAD} END",
]


def upgrade() -> None:
    for table in ("files", "uploads"):
        op.add_column(table, sa.Column("owner", sa.String(64), nullable=False, server_default="local"))
    op.add_column("uploads", sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE uploads SET reserved = length WHERE NOT finished AND length IS NOT NULL")
    op.create_index("ix_files_owner_id", "files", ["owner", "id"])
    for column in ("size", "created_at"):
        op.create_index(f"ix_files_owner_{column}_id", "files", ["owner", column, "id"])
    op.create_index("ix_files_owner_search_name_id", "files", ["owner", sa.text("substr(search_name, 1, 255)"), "id"])
    _give_each_owner_keys()
    _create_links()
    _create_totals()
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def _give_each_owner_keys() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("idempotency_keys", sa.Column("owner", sa.String(64), nullable=False, server_default="local"))
        op.drop_constraint("idempotency_keys_pkey", "idempotency_keys", type_="primary")
        op.create_primary_key("idempotency_keys_pkey", "idempotency_keys", ["owner", "key"])
        return
    # SQLite cannot change a primary key.
    for column in ("file_id", "created_at"):
        op.drop_index(f"ix_idempotency_keys_{column}", "idempotency_keys")
    op.rename_table("idempotency_keys", "earlier_keys")
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(64), primary_key=True, server_default="local"),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("file_id", _id, sa.ForeignKey("files.id", ondelete="CASCADE"), index=True),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
    )
    op.execute("""
        INSERT INTO idempotency_keys (key, fingerprint, file_id, created_at)
        SELECT key, fingerprint, file_id, created_at FROM earlier_keys
    """)
    op.drop_table("earlier_keys")


def _create_links() -> None:
    op.create_table(
        "links",
        sa.Column("id", _id, primary_key=True),
        sa.Column("file_id", _id, sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("disposition", sa.String(16)),
        sa.Column("note", sa.String(255), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_links_owner_id", "links", ["owner", "id"])


def _create_totals() -> None:
    op.add_column("storage_totals", sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "owner_totals",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("connection", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
    )
    op.execute("""
        INSERT INTO owner_totals (owner, connection, bytes, files, reserved)
        SELECT 'local', 0, (SELECT coalesce(sum(size), 0) FROM files), (SELECT count(*) FROM files),
               (SELECT coalesce(sum(reserved), 0) FROM uploads)
    """)
    op.execute(
        "UPDATE storage_totals SET reserved = (SELECT coalesce(sum(reserved), 0) FROM uploads) WHERE connection = 0"
    )
