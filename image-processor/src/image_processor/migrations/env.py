from alembic import context
from service_kit.grants import grant
from service_kit.migrations import run_migrations

from image_processor.migrations.grants import GRANTS
from image_processor.models import Base

run_migrations(Base.metadata)
grant(context.config.attributes["connection"], "tasks", GRANTS)
