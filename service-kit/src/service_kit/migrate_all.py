"""``python -m service_kit.migrate_all PACKAGE…``: migrate the schemas of several packages, one after another.

One process does it all, because importing SQLAlchemy and Alembic takes most of the time of a migration.
"""

import sys
from collections.abc import Iterable
from runpy import run_module


def migrate_all(packages: Iterable[str]) -> None:
    """Run the migrations of these packages as ``python -m`` does, with the settings of each."""
    for package in packages:
        run_module(f"{package}.migrations", run_name="__main__")


if __name__ == "__main__":
    migrate_all(sys.argv[1:])
