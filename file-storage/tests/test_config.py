"""Settings that are right alone and wrong together."""

import pytest
from file_storage.config import Settings
from service_kit.settings import SettingsError, load


@pytest.mark.usefixtures("settings")
def test_x_sendfile_alone_cannot_name_what_is_in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__URL", "s3://bucket")
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__HEADER", "X-Sendfile")

    with pytest.raises(SettingsError, match=r"set download\.redirect"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_a_redirect_needs_a_store_to_lead_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__REDIRECT", "true")

    with pytest.raises(SettingsError, match=r"set storage\.url"):
        load(Settings)
