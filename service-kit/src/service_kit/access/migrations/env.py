from service_kit.access.models import Base
from service_kit.migrations import run_migrations

run_migrations(Base.metadata)
