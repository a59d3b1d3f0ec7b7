"""``python -m file_storage.gc``: remove old trash, expired files and uploads, and bytes that no file uses.

It is safe while the server runs.

The exit code is 2 if the database or the store does not answer.
"""

import structlog
from service_kit.access.config import AccessSettings
from service_kit.access.keys import KeyService
from service_kit.database import Database
from service_kit.settings import load_or_exit

from file_storage.maintenance import argument_parser, exit_if_unavailable, services
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import ExpiryService
from file_storage.services.totals import fold
from file_storage.services.trash import TrashService
from file_storage.services.upload_expiry import UploadExpiry
from file_storage.storage import Staging

if __name__ == "__main__":
    older_than = argument_parser("gc", __doc__).parse_args().older_than
    database, trash, expiry, blobs, staging, upload_expiry = services().get(
        Database, TrashService, ExpiryService, BlobService, Staging, UploadExpiry
    )
    access = load_or_exit(AccessSettings).database
    limits_of = KeyService(Database(access.url, access.pool_size)).limits
    with exit_if_unavailable():
        fold(database)
        removed = {
            "files": expiry.collect_garbage(),
            "trash": trash.collect_garbage(),
            "blobs": blobs.collect_garbage(older_than),
            "staging": staging.sweep(older_than),
            "uploads": upload_expiry.collect_garbage(older_than, limits_of),
        }
    structlog.get_logger().info("garbage collected", **removed)
