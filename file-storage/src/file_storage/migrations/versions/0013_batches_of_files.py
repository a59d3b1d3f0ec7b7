"""Add the batch that made a file, and indexes of files that are not in the trash.

A column without a default changes no row. Lists in id order read the new indexes, so they do not skip over a million
deleted files to find the next one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_in_batch = sa.text("batch_id IS NOT NULL")
_present = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    op.add_column("files", sa.Column("batch_id", sa.BigInteger))
    op.create_index(
        "ix_files_with_batch_id",
        "files",
        ["batch_id", "owner", "id"],
        postgresql_where=_in_batch,
        sqlite_where=_in_batch,
    )
    op.create_index("ix_files_present", "files", ["id"], postgresql_where=_present, sqlite_where=_present)
    op.create_index(
        "ix_files_owner_present", "files", ["owner", "id"], postgresql_where=_present, sqlite_where=_present
    )
    # All lists of an owner's files exclude the trash.
    op.drop_index("ix_files_owner_id", "files")
