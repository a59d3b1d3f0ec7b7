from service_kit.database import run_migrations

from file_storage.models import Base

run_migrations(Base.metadata)
