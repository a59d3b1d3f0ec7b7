"""``python -m file_storage.fsck``: checks every stored file and mends what can be; safe while the server runs.

The exit code is 1 where files are lost, each of which has a line in the log, and 2 where the database or the store does
not answer.
"""

import sys
from dataclasses import asdict

import structlog

from file_storage.maintenance import argument_parser, ended_by_a_line, services
from file_storage.services.fsck import Fsck

if __name__ == "__main__":
    parser = argument_parser("fsck", __doc__)
    parser.add_argument("--quick", action="store_true", help="only look whether the bytes are there, do not read them")
    chosen = parser.parse_args()
    fsck = services().get(Fsck)
    with ended_by_a_line():
        report = fsck.run(chosen.older_than, read_bytes=not chosen.quick)
    structlog.get_logger().info("files checked", **asdict(report))
    sys.exit(1 if report.lost else 0)
