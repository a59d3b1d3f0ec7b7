"""The file-storage application."""

from flask_openapi3 import OpenAPI
from service_kit import logs
from service_kit.api import create_api
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.routers.files import files

BASE_PATH = "/api/file-server"


def create_app() -> OpenAPI:
    """The WSGI application, configured by ``config/file-storage/conf.yml`` and the environment."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    app = create_api(
        __name__, "Pixmill file server", "Put files in, get them back.", BASE_PATH, create_registry(settings)
    )
    app.register_api(files)
    return app
