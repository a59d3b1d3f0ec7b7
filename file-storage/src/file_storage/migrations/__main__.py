from service_kit.migrations import migrate
from service_kit.settings import load_or_exit

from file_storage.config import Settings

if __name__ == "__main__":
    migrate(load_or_exit(Settings).database.url, "file_storage")
