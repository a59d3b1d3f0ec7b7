"""Counts the pages that the queries of a process read."""

import psycopg
from sqlalchemy import Engine, event

from tests.support.databases import libpq_url


class PagesRead:
    """Runs EXPLAIN ANALYZE for every SELECT of an engine before it is executed.

    :ivar most: the largest number of pages that a SELECT reads.
    :ivar statements: the number of explained statements.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self.most = self.statements = 0
        self._engine = engine
        self._connection = psycopg.connect(libpq_url(url), autocommit=True)
        self._connection.execute("SET plan_cache_mode = force_custom_plan")
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(
        self, _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: bool
    ) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
            return
        self.statements += 1
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        [(plan,)] = self._connection.execute(explain, parameters).fetchall()  # type: ignore[call-overload]  # the driver's own statement and parameters
        self.most = max(self.most, plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])

    def close(self) -> None:
        event.remove(self._engine, "before_cursor_execute", self._explain)
        self._connection.close()
