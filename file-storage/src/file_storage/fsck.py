"""``python -m file_storage.fsck``: check every stored file and repair errors where possible.

It is safe while the server runs.

The exit code is 1 if files are lost (the log has a line for each), and 2 if the database or the store does not answer.
"""

import sys
from dataclasses import asdict

import structlog

from file_storage.maintenance import argument_parser, exit_if_unavailable, services
from file_storage.services.fsck import Fsck

if __name__ == "__main__":
    parser = argument_parser("fsck", __doc__)
    parser.add_argument("--quick", action="store_true", help="only check that the bytes exist, without reading them")
    arguments = parser.parse_args()
    fsck = services().get(Fsck)
    with exit_if_unavailable():
        counts = fsck.run(arguments.older_than, read_bytes=not arguments.quick)
    structlog.get_logger().info("files checked", **asdict(counts))
    sys.exit(1 if counts.lost else 0)
