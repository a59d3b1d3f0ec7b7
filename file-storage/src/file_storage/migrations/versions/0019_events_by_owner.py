"""Add an index of events by owner: a listener who comes back after a long time read the events of all owners."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_index("file_events_owner", "file_events", ["owner", "transaction_id", "id"])
