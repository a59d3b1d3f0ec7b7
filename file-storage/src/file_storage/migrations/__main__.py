from service_kit import logs
from service_kit.migrations import migrate
from service_kit.settings import load_or_exit

from file_storage.config import Settings

if __name__ == "__main__":
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    migrate(settings.database.url, "file_storage")
