"""Schema migrations with Alembic; a separate module, because a service needs it only at its start."""

import time
from importlib.resources import files

import structlog
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Engine, MetaData, text
from sqlalchemy.exc import OperationalError

from service_kit.database import create_engine_for

log = structlog.get_logger()

_MIGRATION_LOCK = 0x70697877
"""Number of the advisory lock for migrations."""
_WAIT_SECONDS = 60
_POLL_SECONDS = 0.5


def migrate(url: str, package: str, revision: str = "head") -> None:
    """Migrate to a revision in ``<package>/migrations``, by default the newest; processes may do so concurrently.

    :raises OperationalError: the database could not be reached for a minute.
    """
    config = Config()
    config.set_main_option("script_location", str(files(package) / "migrations"))
    config.set_main_option("version_table", f"{package.rpartition('.')[2]}_version")
    engine = create_engine_for(url, pool_size=1)
    _await_database(engine)
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _await_database(engine: Engine) -> None:
    # Retry: otherwise a service that starts while the database restarts would exit, and its web server with it.
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            engine.connect().close()
            return
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("migration waits for the database", error=str(error.orig))
        time.sleep(_POLL_SECONDS)


def run_migrations(metadata: MetaData) -> None:
    """Run the revisions on the connection of :func:`migrate`; Alembic's ``env.py`` calls this."""
    config = context.config
    context.configure(
        connection=config.attributes["connection"],
        target_metadata=metadata,
        version_table=config.get_main_option("version_table") or "alembic_version",
    )
    with context.begin_transaction():
        context.run_migrations()
