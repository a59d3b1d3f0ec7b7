from alembic import context

from service_kit.access.migrations.grants import GRANTS
from service_kit.access.models import Base
from service_kit.grants import grant
from service_kit.migrations import run_migrations

run_migrations(Base.metadata)
grant(context.config.attributes["connection"], "access_keys", GRANTS)
