"""Add indexes of finished tasks: a list of the newest ones read all newer tasks in other statuses."""

from alembic import op
from sqlalchemy import text

revision = "0023"
down_revision = "0022"

_FINISHED = text("status = 'finished'")
_OF_OTHERS = text("status = 'finished' AND owner <> 'local'")


def upgrade() -> None:
    op.create_index("tasks_finished", "tasks", ["id"], postgresql_where=_FINISHED, sqlite_where=_FINISHED)
    op.create_index(
        "tasks_finished_owner", "tasks", ["owner", "id"], postgresql_where=_OF_OTHERS, sqlite_where=_OF_OTHERS
    )
