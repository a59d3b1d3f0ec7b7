import structlog

from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.migrations import migrate
from service_kit.settings import load_or_exit, warn_of_short_passwords

log = structlog.get_logger()

if __name__ == "__main__":
    settings = load_or_exit(AccessSettings)
    logs.configure(settings.log.level)
    warn_of_short_passwords(settings)
    if settings.auth.mode == "open":
        log.warning("auth.mode is open: anyone who reaches the port can read, change and delete everything")
    migrate(settings.database.url, "service_kit.access")
