"""The tasks' database, and the claims on it."""

from pathlib import Path

import pytest
from image_processor.config import RetrySettings
from image_processor.services.claims import ClaimService
from service_kit.database import Database
from service_kit.migrations import migrate


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path}/tasks.db"
    migrate(url, "image_processor")
    return Database(url)


@pytest.fixture
def retry() -> RetrySettings:
    return RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3)


@pytest.fixture
def claims(database: Database, retry: RetrySettings) -> ClaimService:
    return ClaimService(database, retry, lease_seconds=60, processes=1)
