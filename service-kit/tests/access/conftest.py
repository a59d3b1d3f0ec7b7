from pathlib import Path

import pytest
from service_kit.database import Database
from service_kit.migrations import migrate


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path}/access.db"
    migrate(url, "service_kit.access")
    return Database(url)
