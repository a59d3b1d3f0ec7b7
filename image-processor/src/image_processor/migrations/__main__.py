from service_kit.migrations import migrate
from service_kit.settings import load_or_exit

from image_processor.config import ApiSettings

if __name__ == "__main__":
    migrate(load_or_exit(ApiSettings).database.url, "image_processor")
