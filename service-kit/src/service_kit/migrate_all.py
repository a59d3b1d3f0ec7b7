"""``python -m service_kit.migrate_all PACKAGE…``: migrate the schemas of several packages, one after another.

One process does it all, because importing SQLAlchemy and Alembic takes most of the time of a migration.
"""

import sys
from runpy import run_module

if __name__ == "__main__":
    for package in sys.argv[1:]:
        run_module(f"{package}.migrations", run_name="__main__")
