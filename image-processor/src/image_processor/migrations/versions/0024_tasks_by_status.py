"""Replace four indexes of tasks in some statuses by two of all tasks that no worker holds.

A list of pending tasks, or of tasks in several statuses, read all older tasks; so did a list of the pending tasks of an
owner with many tasks.
"""

from alembic import op
from sqlalchemy import text

revision = "0024"
down_revision = "0023"

# The model explains the unusual conditions.
_LISTED = "status <> 'processing' AND losses >= 0"


def upgrade() -> None:
    listed, of_others = text(_LISTED), text(f"{_LISTED} AND owner || '' <> 'local'")
    op.create_index("tasks_status", "tasks", ["status", "id"], postgresql_where=listed, sqlite_where=listed)
    op.create_index(
        "tasks_owner_status", "tasks", ["owner", "status", "id"], postgresql_where=of_others, sqlite_where=of_others
    )
    # Last, because a drop locks out readers until the migration ends.
    for name in ("restartable", "unsuccessful", "finished", "finished_owner"):
        op.drop_index(f"tasks_{name}", "tasks")
