"""Allow idempotency keys without a file, which are revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("idempotency_keys") as table:
        table.alter_column("file_id", existing_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=True)
