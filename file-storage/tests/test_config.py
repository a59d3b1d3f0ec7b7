"""Settings that are valid alone but not together."""

import pytest
from file_storage.config import Settings
from service_kit.settings import SettingsError, load


@pytest.mark.usefixtures("settings")
def test_x_sendfile_without_redirect_is_refused_for_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__URL", "s3://bucket")
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__HEADER", "X-Sendfile")

    with pytest.raises(SettingsError, match="set redirect"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_a_redirect_is_refused_without_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__REDIRECT", "true")

    with pytest.raises(SettingsError, match=r"set storage\.url"):
        load(Settings)
