"""Add indexes for the list of folders, for the uploads that room was promised to, and for unfinished ones.

The index of folders has everything that the list needs, also the time of a file's expiry, so that it reads no file.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    where = sa.text("folder <> '' AND deleted_at IS NULL")
    columns = ["owner", "folder", "expires_at"]
    op.create_index("ix_files_folders", "files", columns, postgresql_where=where, sqlite_where=where)
    reserved = sa.text("reserved > 0")
    op.create_index("ix_uploads_reserved", "uploads", ["expires_at"], postgresql_where=reserved, sqlite_where=reserved)
    op.create_index(
        "ix_uploads_unfinished",
        "uploads",
        ["concat_header"],
        postgresql_where=sa.text("finished IS false"),
        sqlite_where=sa.text("finished IS 0"),
    )
