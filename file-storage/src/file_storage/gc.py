"""``python -m file_storage.gc``: removes expired uploads and bytes that no file has; safe while the server runs.

The exit code is 2 where the database or the store does not answer.
"""

import structlog
from service_kit.database import Database

from file_storage.maintenance import argument_parser, ended_by_a_line, services
from file_storage.services.blobs import BlobService
from file_storage.services.totals import fold
from file_storage.services.uploads import UploadService
from file_storage.storage import Staging

if __name__ == "__main__":
    older_than = argument_parser("gc", __doc__).parse_args().older_than
    database, blobs, staging, uploads = services().get(Database, BlobService, Staging, UploadService)
    with ended_by_a_line():
        fold(database)
        removed = {
            "blobs": blobs.collect_garbage(older_than),
            "staging": staging.sweep(older_than),
            "uploads": uploads.collect_garbage(older_than),
        }
    structlog.get_logger().info("garbage collected", **removed)
