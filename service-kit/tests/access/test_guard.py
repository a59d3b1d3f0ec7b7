"""The protection against pages of other sites."""

import pytest
from service_kit.access.guard import LOOPBACK_HOSTS, check_host, check_site, host_name
from service_kit.problems import Problem
from werkzeug.datastructures import Headers

SERVER = "pictures.example.org:8443"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8080", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("Pictures.Example.ORG.", "pictures.example.org"),
        ("", ""),
        ("[::1", ""),
    ],
)
def test_a_host_is_compared_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "[::1]:8080", "localhost.:1"])
def test_the_names_of_this_machine_are_allowed(host: str) -> None:
    check_host(host, LOOPBACK_HOSTS, any_address=False)


@pytest.mark.parametrize(
    "host", ["rebind.example:8080", "127.0.0.1.example", "localhost.example", "", "10.0.0.1", "a@localhost.x"]
)
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(Problem) as refused:
        check_host(host, LOOPBACK_HOSTS, any_address=False)

    assert refused.value.status == 421


@pytest.mark.parametrize("host", ["10.0.0.1:8080", "[2001:db8::1]"])
def test_where_keys_are_needed_all_addresses_are_allowed_but_no_names(host: str) -> None:
    check_host(host, LOOPBACK_HOSTS, any_address=True)

    with pytest.raises(Problem):
        check_host("rebind.example", LOOPBACK_HOSTS, any_address=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything-new"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
        {"Origin": "https://pictures.example.org:9999"},
        {"Origin": "https://pictures.example.org"},
        {"Origin": f"https://{SERVER}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": f"http://{SERVER}", "X-Forwarded-Proto": "https"},
        {"Origin": f"http://{SERVER}", "X-Forwarded-Proto": "HTTPS, http"},
        {"Origin": f"ftp://{SERVER}"},
        {"Origin": f"//{SERVER}"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_page_of_another_site_may_change_nothing(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        check_site(method, Headers({"Host": SERVER, **headers}))  # type: ignore[arg-type]  # Headers is such a mapping

    assert refused.value.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": f"https://{SERVER.upper()}"},
        {"Origin": f"http://{SERVER}"},
        {"Origin": f"http://{SERVER}", "X-Forwarded-Proto": "http"},
        {"Origin": f"https://{SERVER}", "X-Forwarded-Proto": "https"},
        # A second proxy behind the first, which ends TLS.
        {"Origin": f"https://{SERVER}", "X-Forwarded-Proto": "http"},
    ],
)
def test_programs_and_our_own_page_may(headers: dict[str, str]) -> None:
    check_site("POST", Headers({"Host": SERVER, **headers}))  # type: ignore[arg-type]  # as above


def test_a_page_of_another_site_may_ask_but_the_browser_hides_the_answer() -> None:
    check_site("GET", Headers({"Host": SERVER, "Sec-Fetch-Site": "cross-site"}))  # type: ignore[arg-type]  # as above
