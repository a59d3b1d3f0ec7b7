"""``python -m file_storage.gc``: removes expired uploads and bytes that no file has; safe while the server runs."""

import argparse

import structlog
import svcs
from service_kit import logs
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from file_storage.services.uploads import UploadService

DEFAULT_AGE_SECONDS = 24 * 3600

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m file_storage.gc", description=__doc__)
    parser.add_argument(
        "--older-than",
        type=float,
        default=DEFAULT_AGE_SECONDS,
        metavar="SECONDS",
        help="leave younger bytes alone: an upload may still be on its way (default: a day)",
    )
    older_than = parser.parse_args().older_than
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    files, uploads = svcs.Container(create_registry(settings)).get(FileService, UploadService)
    garbage = files.collect_garbage(older_than)
    structlog.get_logger().info("garbage collected", **garbage._asdict(), uploads=uploads.collect_garbage(older_than))
