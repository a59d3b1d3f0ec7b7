"""``python -m pixmill.preparation``: load the settings of the whole embedded stack, then migrate its schemas.

Exits with one line for the first wrong setting. The launcher runs it before uWSGI, which would print lines of its own
around that line. One process does both, because importing takes most of the time of each.
"""

from file_storage.config import Settings
from image_processor.config import ApiSettings, WebhookSettings, WorkerSettings
from image_processor.render.config import RenderSettings
from service_kit.access.config import AccessSettings
from service_kit.migrate_all import migrate_all
from service_kit.settings import load_or_exit


def main() -> None:
    """Load all settings and migrate all schemas."""
    for settings in (AccessSettings, Settings, ApiSettings, WorkerSettings, WebhookSettings, RenderSettings):
        load_or_exit(settings)
    migrate_all(["service_kit.access", "file_storage", "image_processor"])


if __name__ == "__main__":
    main()
