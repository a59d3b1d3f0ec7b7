"""Add the origin, folder, photo date and expiry of files; search in comments.

Constant defaults and partial indexes change no row. Only files with a comment are updated, for the search.
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ROWS = 5000
"""Number of rows per update."""

_folder = sa.String(500, collation="C").with_variant(sa.String(500), "sqlite")
_folded = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

# Unlike pixmill_letters, this takes time proportional to the length: a comment may have 10,000 characters.
_LETTERS = """
CREATE FUNCTION pixmill_letters_of_text(content text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT array_agg(DISTINCT part)
FROM (SELECT letter, letter || lead(letter) OVER (ORDER BY place) AS pair
      FROM unnest(string_to_array(content, NULL)) WITH ORDINALITY AS letters (letter, place)) AS pairs,
     unnest(ARRAY[letter, pair]) AS part
WHERE part IS NOT NULL
$$
"""

_COALESCED = "coalesce(taken_at, created_at)"


def upgrade() -> None:
    op.add_column("files", sa.Column("source_id", sa.BigInteger))
    op.add_column("files", sa.Column("task_id", sa.BigInteger))
    op.add_column("files", sa.Column("origin", sa.String(8), nullable=False, server_default="upload"))
    op.add_column("files", sa.Column("folder", _folder, nullable=False, server_default=""))
    op.add_column("files", sa.Column("taken_at", sa.Double))
    op.add_column("files", sa.Column("expires_at", sa.Double))
    op.add_column("files", sa.Column("search_comment", _folded))
    op.add_column("uploads", sa.Column("folder", _folder, nullable=False, server_default=""))
    op.add_column("uploads", sa.Column("expires_in", sa.BigInteger))
    _fold_comments()
    _create_partial_index("source_id", ["source_id", "id"], "source_id IS NOT NULL")
    _create_partial_index("task_id", ["task_id", "id"], "task_id IS NOT NULL")
    _create_partial_index("folder", ["folder", "id"], "folder <> ''")
    _create_partial_index("expires_at", ["expires_at"], "expires_at IS NOT NULL")
    op.create_index("ix_files_origin_id", "files", ["origin", "id"])
    op.create_index("ix_files_taken_at_id", "files", [sa.text(_COALESCED), "id"])
    op.create_index("ix_files_owner_taken_at_id", "files", ["owner", sa.text(_COALESCED), "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_LETTERS)
        for kind, indexed in (
            ("trigrams", "search_comment gin_trgm_ops"),
            ("letters", "pixmill_letters_of_text(search_comment)"),
        ):
            op.execute(
                f"CREATE INDEX ix_files_search_comment_{kind} ON files USING gin ({indexed})"
                " WHERE search_comment IS NOT NULL"
            )


def _create_partial_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(f"ix_files_with_{name}", "files", columns, postgresql_where=where, sqlite_where=where)


def _fold_comments() -> None:
    files = sa.table("files", sa.column("id"), sa.column("comment"), sa.column("search_comment"))
    connection = op.get_bind()
    last = 0
    page = sa.select(files.c.id, files.c.comment).where(files.c.comment != "").order_by(files.c.id).limit(ROWS)
    update = sa.update(files).where(files.c.id == sa.bindparam("row")).values(search_comment=sa.bindparam("folded"))
    while rows := connection.execute(page.where(files.c.id > last)).all():
        connection.execute(update, [{"row": row.id, "folded": _fold(row.comment)} for row in rows])
        last = rows[-1].id


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
