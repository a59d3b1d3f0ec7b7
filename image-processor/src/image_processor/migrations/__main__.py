from service_kit import logs
from service_kit.migrations import migrate
from service_kit.settings import load_or_exit, warn_of_short_passwords

from image_processor.config import ApiSettings

if __name__ == "__main__":
    settings = load_or_exit(ApiSettings)
    logs.configure(settings.log.level)
    warn_of_short_passwords(settings)
    migrate(settings.database.url, "image_processor")
