"""Add the names of objects in S3: an object is written once, under a name that no other object ever has.

Blobs from before have no row: their object is named by the SHA-256 alone. Blobs in a folder never have one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "stored_objects",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    used, loose = sa.text("state = 'used'"), sa.text("state <> 'used'")
    op.create_index(
        "ix_stored_objects_used",
        "stored_objects",
        ["sha256"],
        unique=True,
        postgresql_where=used,
        sqlite_where=used,
    )
    op.create_index(
        "ix_stored_objects_loose", "stored_objects", ["created_at"], postgresql_where=loose, sqlite_where=loose
    )
