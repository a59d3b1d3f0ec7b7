"""Let the trigger of a task write its events and its webhook with the rights of the tables' owner.

The worker's role inserted these rows itself: a decoder that was taken over could insert a webhook to any URL. The
triggers are unchanged on SQLite, which has no roles.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_FUNCTIONS = ("record_task_event", "record_batch_events")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # Each caller has a search path of its own, in which it could put other tables of these names first.
    path = f"{connection.scalar(sa.text('SELECT quote_ident(current_schema())'))}, pg_temp"
    for function in _FUNCTIONS:
        op.execute(f"ALTER FUNCTION {function}() SECURITY DEFINER SET search_path = {path}")
        # A role with tables of its own could otherwise make this a trigger of one of them.
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function}() FROM PUBLIC")
