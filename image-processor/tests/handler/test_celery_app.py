"""The restrictions on Celery's actions and logs."""

import os
import warnings

import pytest
from celery.platforms import check_privileges  # type: ignore[attr-defined]  # celery-types lacks it
from image_processor.config import BrokerSettings
from image_processor.handler.celery_app import allow_root, create_celery


def test_a_worker_of_root_starts_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    celery = create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={}))

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        allow_root()
        check_privileges(celery.conf.accept_content)

    assert said == []
