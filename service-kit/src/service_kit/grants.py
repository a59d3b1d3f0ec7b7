"""Grants database roles without migrations the privileges of their jobs.

The owner of the tables grants them after each migration, so that a new table is open to nobody else until it is named.
``config/postgresql/roles.sh`` creates the roles.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

_ROLE_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_OWN = text(
    "SELECT CASE own.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, own.relname"
    " FROM pg_class own JOIN pg_class known ON known.oid = to_regclass(:table)"
    " AND own.relnamespace = known.relnamespace AND own.relowner = known.relowner"
    " WHERE own.relkind IN ('r', 'S') ORDER BY own.relname"
)
"""The tables and sequences of the owner of a table."""


def grant(connection: Connection, table: str, privileges_of: Mapping[str, Mapping[str, str]]) -> None:
    """Give each role exactly its privileges; do nothing for roles that the database does not have.

    :param table: a table whose owner grants them; all other privileges on that owner's tables are revoked.
    :param privileges_of: the privileges of each role, as in GRANT, by table or sequence.
    """
    if connection.dialect.name != "postgresql":
        return
    own = [(kind, name) for kind, name in connection.execute(_OWN, {"table": table})]
    for role, privileges in privileges_of.items():
        if connection.scalar(_ROLE_EXISTS, {"role": role}) is None:
            continue
        for kind, name in own:
            connection.execute(text(f'REVOKE ALL ON {kind} "{name}" FROM {role}'))
            if name in privileges:
                connection.execute(text(f'GRANT {privileges[name]} ON {kind} "{name}" TO {role}'))
