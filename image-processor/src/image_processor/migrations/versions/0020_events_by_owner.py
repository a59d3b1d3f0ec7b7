"""Add an index of events by owner: a listener who comes back after a long time read the events of all owners."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_index("task_events_owner", "task_events", ["owner", "transaction_id", "id"])
