"""Arguments, services and exit codes shared by the maintenance commands."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import svcs
from service_kit import logs
from service_kit.settings import load_or_exit
from sqlalchemy.exc import DBAPIError

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.storage import StorageUnavailableError
from file_storage.storage.staging import ABANDONED_AFTER_SECONDS

log = structlog.get_logger()


def argument_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser for ``python -m file_storage.<command>``."""
    parser = argparse.ArgumentParser(prog=f"python -m file_storage.{command}", description=description)
    parser.add_argument(
        "--older-than",
        type=float,
        default=ABANDONED_AFTER_SECONDS,
        metavar="SECONDS",
        help="keep newer bytes, which may belong to an unfinished upload (default: a day)",
    )
    return parser


def services() -> svcs.Container:
    """Return the services with the server's own settings; exit with one line if a setting is wrong."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    return svcs.Container(create_registry(settings))


@contextmanager
def exit_if_unavailable() -> Iterator[None]:
    """Log one line and exit with code 2 if the database or the store does not respond."""
    try:
        yield
    except DBAPIError as error:
        log.error("database unavailable", error=str(error.orig))
        sys.exit(2)
    except StorageUnavailableError as error:
        log.error("storage unavailable", error=str(error))
        sys.exit(2)
