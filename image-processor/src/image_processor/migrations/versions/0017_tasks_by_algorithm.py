"""Add an index of tasks by algorithm: a list or a deletion of the tasks of a rare algorithm read all tasks."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_index("tasks_algorithm", "tasks", ["algorithm", "id"])
