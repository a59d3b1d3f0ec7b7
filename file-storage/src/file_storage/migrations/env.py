from service_kit.migrations import run_migrations

from file_storage.models import Base

run_migrations(Base.metadata)
