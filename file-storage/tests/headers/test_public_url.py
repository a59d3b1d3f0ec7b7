"""The public address at the start of links."""

import pytest
from file_storage.config import HttpSettings
from file_storage.headers.public_url import public_url
from service_kit.problems import Problem
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request


def asked(host: str = "photos.example", **headers: str) -> Request:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = EnvironBuilder(headers=list(names.items())).get_environ()
    return Request({**environ, "HTTP_HOST": host, "REMOTE_ADDR": "10.0.0.1"})


def settings_of(**given: object) -> HttpSettings:
    return HttpSettings.model_validate(given)


def test_the_setting_comes_before_what_the_request_says() -> None:
    settings = settings_of(public_url="https://pictures.example/")

    assert public_url(asked("evil.example"), settings) == "https://pictures.example"


@pytest.mark.parametrize("host", ["photos.example", "photos.example:8080", "localhost", "127.0.0.1:80", "[::1]:8080"])
def test_without_the_setting_the_host_of_the_request_counts(host: str) -> None:
    assert public_url(asked(host), settings_of()) == f"http://{host}"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a\r\nb", "javascript:alert(1)", "[::1", "a:b", "-", 'a"'])
def test_what_is_not_a_host_is_refused(host: str) -> None:
    with pytest.raises(Problem) as raised:
        public_url(asked(host), settings_of())

    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("peer", "proto", "scheme"),
    [
        ("172.16.0.5", "https", "https"),
        ("172.16.0.5", "HTTPS", "https"),
        ("172.16.0.5", "javascript", "http"),
        ("192.0.2.1", "https", "http"),
        ("nobody", "https", "http"),
    ],
)
def test_only_a_trusted_proxy_says_that_clients_use_https(peer: str, proto: str, scheme: str) -> None:
    settings = settings_of(trusted_proxies=["172.16.0.0/12"])

    url = public_url(asked(X_Peer_Address=peer, X_Forwarded_Proto=proto), settings)

    assert url == f"{scheme}://photos.example"


def test_no_proxy_is_trusted_by_default() -> None:
    assert public_url(asked(X_Peer_Address="127.0.0.1", X_Forwarded_Proto="https"), settings_of()).startswith("http:")
