from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.migrations import migrate
from service_kit.settings import load_or_exit

if __name__ == "__main__":
    settings = load_or_exit(AccessSettings)
    logs.configure(settings.log.level)
    migrate(settings.database.url, "service_kit.access")
