"""The settings of access control."""

import pytest
from service_kit.access.config import AccessSettings
from service_kit.settings import SettingsError, load

ORIGINS = ["https://app.example", "https://b.example:8443"]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_DATABASE__URL", "sqlite:////tmp/access.sqlite3")
    monkeypatch.setenv("ACCESS_HTTP__CORS_ORIGINS", '["https://app.example", "https://b.example:8443"]')


@pytest.mark.parametrize(
    "named", ["https://app.example https://b.example:8443", " https://b.example:8443  https://app.example"]
)
def test_nginx_names_the_same_origins_in_any_order(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("NGINX_CORS_ORIGINS", named)

    assert load(AccessSettings).http.cors_origins == ORIGINS


@pytest.mark.parametrize(
    "named", ["", "https://app.example", "https://app.example https://b.example https://c.example"]
)
def test_other_origins_of_nginx_stop_the_start(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("NGINX_CORS_ORIGINS", named)

    with pytest.raises(SettingsError, match=r"same origins: change config/limits\.env"):
        load(AccessSettings)


@pytest.mark.parametrize(
    ("mode", "bind", "hosts", "open_to_others"),
    [
        ("open", "0.0.0.0", "[]", True),
        ("open", "192.0.2.1", "[]", True),
        ("open", "[::]", "[]", True),
        ("open", "127.0.0.1", '["photos.example"]', True),
        ("open", "127.0.0.1", "[]", False),
        ("open", "[::1]", "[]", False),
        ("keys", "0.0.0.0", '["photos.example"]', False),
        ("local", "127.0.0.1", '["photos.example"]', False),
    ],
)
def test_a_server_is_open_to_others_whom_it_asks_for_no_key(
    monkeypatch: pytest.MonkeyPatch, mode: str, bind: str, hosts: str, *, open_to_others: bool
) -> None:
    monkeypatch.setenv("ACCESS_AUTH__MODE", mode)
    monkeypatch.setenv("ACCESS_HTTP__BIND", bind)
    monkeypatch.setenv("ACCESS_HTTP__HOSTS", hosts)

    assert load(AccessSettings).is_open_to_others is open_to_others


def test_without_nginx_its_origins_are_not_asked_for() -> None:
    assert load(AccessSettings).http.cors_origins == ORIGINS
