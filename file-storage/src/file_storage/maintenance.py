"""What the commands of an operator share: their arguments, and the services they work on."""

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
    """The arguments of ``python -m file_storage.<command>``: how old bytes must be to be left over."""
    parser = argparse.ArgumentParser(prog=f"python -m file_storage.{command}", description=description)
    parser.add_argument(
        "--older-than",
        type=float,
        default=ABANDONED_AFTER_SECONDS,
        metavar="SECONDS",
        help="leave younger bytes alone: an upload may still be on its way (default: a day)",
    )
    return parser


def services() -> svcs.Container:
    """The services, as the server's own settings have them; a wrong setting ends the process with one line."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    return svcs.Container(create_registry(settings))


@contextmanager
def ended_by_a_line() -> Iterator[None]:
    """Where the database or the store goes away, one line tells so, and the process ends with exit code 2."""
    try:
        yield
    except DBAPIError as error:
        log.error("database unavailable", error=str(error.orig))
        sys.exit(2)
    except StorageUnavailableError as error:
        log.error("storage unavailable", error=str(error))
        sys.exit(2)
