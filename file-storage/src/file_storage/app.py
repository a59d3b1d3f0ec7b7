"""The file-storage application."""

import structlog
from flask import Response
from flask_openapi3 import OpenAPI
from service_kit import logs
from service_kit.api import create_api, render
from service_kit.garbage import spare_what_exists
from service_kit.problems import Problem
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.routers.batch import batch
from file_storage.routers.collection import collection
from file_storage.routers.download import downloads
from file_storage.routers.files import files
from file_storage.routers.named import NewName, named
from file_storage.routers.tus import override_method, tus
from file_storage.storage import StorageFullError, StorageUnavailableError
from file_storage.storage.partial import UploadBusyError

log = structlog.get_logger()

BASE_PATH = "/api/file-server"
DESCRIPTION = (
    "Put files in, get them back. Beside what stands here, `uploads/` takes resumable uploads by the protocol tus 1.0.0"
    " (https://tus.io/protocols/resumable-upload); `OPTIONS` tells its extensions."
)


def create_app() -> OpenAPI:
    """The WSGI application, configured by ``config/file-storage/conf.yml`` and the environment."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    app = create_api(__name__, "Pixmill file server", DESCRIPTION, BASE_PATH, create_registry(settings))
    for blueprint in (collection, batch, files, downloads):
        app.register_api(blueprint)
    app.register_blueprint(tus)
    # The last: it has what no other route has taken.
    app.url_map.converters["new_name"] = NewName
    app.register_api(named)
    app.wsgi_app = override_method(app.wsgi_app)  # type: ignore[assignment,method-assign]  # Flask's documented way
    app.register_error_handler(StorageFullError, _render_storage_full)
    app.register_error_handler(StorageUnavailableError, _render_storage_unavailable)
    app.register_error_handler(UploadBusyError, _render_upload_busy)
    spare_what_exists()
    return app


def _render_storage_full(_error: StorageFullError) -> Response:
    return render(Problem("storage-full", 507, "The server has no room for this file; nothing of it was kept."))


def _render_storage_unavailable(error: StorageUnavailableError) -> Response:
    log.error("storage unavailable", error=str(error))
    return render(
        Problem("storage-unavailable", 503, "The store of the files does not answer; try again.", retry_after=5)
    )


def _render_upload_busy(_error: UploadBusyError) -> Response:
    return render(Problem("upload-busy", 423, "Another request writes to this upload; try again in a moment."))
