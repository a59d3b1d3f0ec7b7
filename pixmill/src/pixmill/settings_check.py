"""``python -m pixmill.settings_check``: load the settings of every process of the embedded stack.

Exits with one line for the first wrong setting. The launcher runs it before uWSGI, because uWSGI would start, and print
lines of its own around that one.
"""

from file_storage.config import Settings
from image_processor.config import ApiSettings, WebhookSettings, WorkerSettings
from image_processor.render.config import RenderSettings
from service_kit.access.config import AccessSettings
from service_kit.settings import load_or_exit


def main() -> None:
    """Load all settings."""
    for settings in (AccessSettings, Settings, ApiSettings, WorkerSettings, WebhookSettings, RenderSettings):
        load_or_exit(settings)


if __name__ == "__main__":
    main()
