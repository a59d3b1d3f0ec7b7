"""``python -m file_storage.fsck``: checks every stored file and mends what can be; safe while the server runs.

The exit code is 1 where files are lost: each has a line in the log.
"""

import argparse
import sys
from dataclasses import asdict

import structlog
import svcs
from service_kit import logs
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.gc import DEFAULT_AGE_SECONDS
from file_storage.injectors import create_registry
from file_storage.services.fsck import Fsck

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m file_storage.fsck", description=__doc__)
    parser.add_argument(
        "--older-than",
        type=float,
        default=DEFAULT_AGE_SECONDS,
        metavar="SECONDS",
        help="leave younger bytes alone: an upload may still be on its way (default: a day)",
    )
    parser.add_argument("--quick", action="store_true", help="only look whether the bytes are there, do not read them")
    chosen = parser.parse_args()
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    report = svcs.Container(create_registry(settings)).get(Fsck).run(chosen.older_than, read_bytes=not chosen.quick)
    structlog.get_logger().info("files checked", **asdict(report))
    sys.exit(1 if report.lost else 0)
