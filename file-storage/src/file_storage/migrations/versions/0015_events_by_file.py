"""Add an index of events by file: a listener who comes back after a long time reads only its own."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_index("file_events_file", "file_events", ["file_id"])
