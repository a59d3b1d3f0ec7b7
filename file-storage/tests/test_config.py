"""Settings that are valid on their own but not together."""

import pytest
from file_storage.config import Settings
from service_kit.settings import SettingsError, load


@pytest.mark.usefixtures("settings")
def test_x_sendfile_without_redirect_is_refused_for_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__URL", "s3://bucket")
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__HEADER", "X-Sendfile")

    with pytest.raises(SettingsError, match=r"set download\.redirect"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_a_redirect_is_refused_without_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_STORAGE_DOWNLOAD__REDIRECT", "true")

    with pytest.raises(SettingsError, match=r"set storage\.url"):
        load(Settings)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("secrets", ["pixmill-development", "x" * 31, f"{'x' * 32},", f"{'x' * 32},{'y' * 31}"])
def test_a_link_secret_of_fewer_than_32_bytes_is_refused(monkeypatch: pytest.MonkeyPatch, secrets: str) -> None:
    monkeypatch.setenv("PIXMILL_LINK_SECRET", secrets)

    with pytest.raises(SettingsError, match=r"shorter than 32 bytes|published"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_link_secrets_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_LINK_SECRET", f"{'x' * 32}, {'ы' * 16}")

    assert load(Settings).links.secrets == ["x" * 32, "ы" * 16]
