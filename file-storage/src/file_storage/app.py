"""The file-storage application."""

from flask import Response
from flask_openapi3 import OpenAPI
from service_kit import logs
from service_kit.api import create_api, render
from service_kit.problems import Problem
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.routers.collection import collection
from file_storage.routers.download import downloads
from file_storage.routers.files import files
from file_storage.storage import StorageFullError

BASE_PATH = "/api/file-server"


def create_app() -> OpenAPI:
    """The WSGI application, configured by ``config/file-storage/conf.yml`` and the environment."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    app = create_api(
        __name__, "Pixmill file server", "Put files in, get them back.", BASE_PATH, create_registry(settings)
    )
    for blueprint in (collection, files, downloads):
        app.register_api(blueprint)
    app.register_error_handler(StorageFullError, _render_storage_full)
    return app


def _render_storage_full(_error: StorageFullError) -> Response:
    return render(Problem("storage-full", 507, "The server has no room for this file; nothing of it was kept."))
