from service_kit.migrations import run_migrations

from image_processor.models import Base

run_migrations(Base.metadata)
