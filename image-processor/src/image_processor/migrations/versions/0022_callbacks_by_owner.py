"""Add indexes of webhooks by owner, who take turns: the hosts of one owner filled all senders."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_index("callbacks_owner", "callbacks", ["owner", "due_at"])
    op.create_index("callbacks_owner_host", "callbacks", ["owner", "host", "due_at"])
