"""Settings that are valid on their own but not together."""

import re

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


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("body", "largest"),
    [("5m", 4 * 1024**2), ("1g", 1023 * 1024**2), ("2097152", 1024**2), ("2048K", 1024**2), ("1G", 1023 * 1024**2)],
)
def test_nginx_must_accept_the_largest_file_and_the_form_around_it(
    body: str, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NGINX_MAX_BODY", body)
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__MAX_BYTES", str(largest))
    assert load(Settings).upload.max_bytes == largest

    monkeypatch.setenv("FILE_STORAGE_UPLOAD__MAX_BYTES", str(largest + 1))

    with pytest.raises(SettingsError, match=rf"too large for NGINX_MAX_BODY \({body}\).* config/limits\.env"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_nginx_without_a_limit_accepts_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGINX_MAX_BODY", "0")
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__MAX_BYTES", str(10**15))

    assert load(Settings).upload.max_bytes == 10**15


# Digits and a "K" that only Python takes for those of ASCII, and a number above the 64 bits of nginx.
@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "size", ["5 GB", "", "m", "1.5g", "5mb", "1t", "-1", "\u0665g", "9\u212a", "8589934592g", "9" * 20]
)
def test_a_size_that_nginx_cannot_read_is_refused(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("NGINX_MAX_BODY", size)

    with pytest.raises(SettingsError, match=rf"NGINX_MAX_BODY \({re.escape(size)}\) is not a size"):
        load(Settings)


@pytest.mark.usefixtures("settings")
def test_streams_leave_a_thread_to_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIXMILL_PROCESSES": "3", "PIXMILL_THREADS": "4", "NGINX_STREAMS": "7"}.items():
        monkeypatch.setenv(name, value)
    load(Settings)

    monkeypatch.setenv("NGINX_STREAMS", "8")

    with pytest.raises(SettingsError, match=r"NGINX_STREAMS \(8\) .* must be less than 8"):
        load(Settings)
