"""Add an extension to cached results, because their format may differ from the source's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("cached_results", sa.Column("extension", sa.String(16)))
