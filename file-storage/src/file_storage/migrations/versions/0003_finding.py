"""Add search of files by name, type, size and time; detect their type from their bytes."""

import sqlalchemy as sa
from alembic import op

from file_storage.services.names import folded

revision = "0003"
down_revision = "0002"

PAGE_SIZE = 5000
"""Number of rows per update."""

_exact = sa.String(255, collation="C").with_variant(sa.String(255), "sqlite")
_folded = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

_LETTERS = """
CREATE FUNCTION pixmill_letters(name text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT array_agg(DISTINCT substr(name, place, length))
FROM generate_series(1, length(name)) AS place, generate_series(1, 2) AS length
$$
"""


def upgrade() -> None:
    op.add_column("files", sa.Column("media_type", _exact, nullable=False, server_default="application/octet-stream"))
    op.add_column("files", sa.Column("width", sa.Integer))
    op.add_column("files", sa.Column("height", sa.Integer))
    op.add_column("files", sa.Column("search_name", _folded, nullable=False, server_default=""))
    _fold_names()
    for column in ("extension", "media_type", "size", "created_at"):
        op.create_index(f"ix_files_{column}_id", "files", [column, "id"])
    # A long name does not fit into a B-tree page, so sort by its first 255 characters.
    op.create_index("ix_files_search_name_id", "files", [sa.text("substr(search_name, 1, 255)"), "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE INDEX ix_files_search_name_trigrams ON files USING gin (search_name gin_trgm_ops)")
        # Trigrams need at least three letters, and most Chinese words are shorter.
        op.execute(_LETTERS)
        op.execute("CREATE INDEX ix_files_search_name_letters ON files USING gin (pixmill_letters(search_name))")


def _fold_names() -> None:
    files = sa.table("files", sa.column("id"), sa.column("name"), sa.column("extension"), sa.column("search_name"))
    connection = op.get_bind()
    last = 0
    page = sa.select(files.c.id, files.c.name, files.c.extension).order_by(files.c.id).limit(PAGE_SIZE)
    update = sa.update(files).where(files.c.id == sa.bindparam("row")).values(search_name=sa.bindparam("folded"))
    while rows := connection.execute(page.where(files.c.id > last)).all():
        connection.execute(update, [{"row": row.id, "folded": folded(row.name + row.extension)} for row in rows])
        last = rows[-1].id
