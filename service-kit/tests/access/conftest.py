from pathlib import Path

import pytest
from service_kit.database import Database

from tests.support.databases import empty_sqlite


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(empty_sqlite(tmp_path / "access.db", "service_kit.access"))
