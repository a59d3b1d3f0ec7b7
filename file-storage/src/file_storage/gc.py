"""``python -m file_storage.gc``: removes expired uploads and bytes that no file has; safe while the server runs."""

import structlog

from file_storage.maintenance import argument_parser, services
from file_storage.services.files import FileService
from file_storage.services.uploads import UploadService

if __name__ == "__main__":
    older_than = argument_parser("gc", __doc__).parse_args().older_than
    files, uploads = services().get(FileService, UploadService)
    garbage = files.collect_garbage(older_than)
    structlog.get_logger().info("garbage collected", **garbage._asdict(), uploads=uploads.collect_garbage(older_than))
