"""Add indexes for the pages of keys, and of the audit entries of an owner or a key."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("access_keys_created", "access_keys", ["created_at", "id"])
    op.create_index("access_audit_owner", "access_audit", ["owner", "id"])
    of_key = sa.text("key_id IS NOT NULL")
    op.create_index("access_audit_key", "access_audit", ["key_id", "id"], postgresql_where=of_key, sqlite_where=of_key)
