"""Add an index of unfinished uploads by owner, by which a new upload counts them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_index(
        "ix_uploads_unfinished_owner",
        "uploads",
        ["owner", "expires_at"],
        postgresql_where=sa.text("finished IS false"),
        sqlite_where=sa.text("finished IS 0"),
    )
