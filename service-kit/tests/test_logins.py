"""The passwords in the URLs of servers on other machines."""

import pytest
from service_kit.logins import has_short_password, refuse_known
from service_kit.secrets import SecretError

LONG = "x" * 32


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://postgres:postgres@db1.example/pixmill",
        "postgresql+psycopg://worker:worker@db1.example:5432/pixmill",
        "postgresql+psycopg://worker:Post%67res@192.0.2.7/pixmill",
        "postgresql+psycopg://pixmill:pixmill@[2001:db8::7]:5432/pixmill",
        "postgresql+psycopg://worker:postgres@/pixmill?host=127.0.0.1:5432&host=db2.example:5432",
        "postgresql+psycopg://worker:postgres@/pixmill?host=/run/postgresql,db2.example",
        "postgresql+psycopg://db1.example/pixmill?user=worker&password=postgres",
        "postgresql+psycopg://worker:postgres@/pixmill?hostaddr=192.0.2.7",
        "amqp://guest:guest@rabbitmq:5672//",
        f"amqp://pixmill:{LONG}@mq1.example//;amqp://pixmill:pixmill@mq2.example//",
    ],
)
def test_a_known_password_for_another_machine_is_refused(url: str) -> None:
    with pytest.raises(SecretError, match="tries first: choose another on that server"):
        refuse_known(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://postgres:postgres@127.0.0.1:5432/pixmill",
        "postgresql+psycopg://postgres:postgres@127.1.2.3/pixmill",
        "postgresql+psycopg://postgres:postgres@localhost/pixmill",
        "postgresql+psycopg://postgres:postgres@[::1]:5432/pixmill",
        "postgresql+psycopg://postgres:postgres@/pixmill?host=/run/postgresql",
        "amqp://guest:guest@localhost//",
        "postgresql+psycopg://worker@db1.example/pixmill",
        "postgresql+psycopg://worker:@db1.example/pixmill",
        f"postgresql+psycopg://worker:{LONG}@db1.example/pixmill",
        "sqlite:////var/lib/pixmill/worker.sqlite3",
        "filesystem://",
        "http://nginx:8081/api/file-server",
        "no URL",
    ],
)
def test_any_other_login_is_accepted_and_not_short(url: str) -> None:
    refuse_known(url)

    assert not has_short_password(url)


def test_the_message_names_the_user_and_the_servers_but_no_password() -> None:
    with pytest.raises(SecretError) as refused:
        refuse_known("postgresql://worker:Changeme@/pixmill?host=db2.example:5432&host=db1.example:5432")

    assert "user 'worker' on db1.example, db2.example is one" in str(refused.value)
    assert "hangeme" not in str(refused.value)


@pytest.mark.parametrize(("password", "is_short"), [("x" * 31, True), ("x" * 32, False), ("%D1%8B" * 16, False)])
def test_a_password_has_32_bytes(password: str, is_short: bool) -> None:
    assert has_short_password(f"postgresql+psycopg://worker:{password}@db1.example/pixmill") is is_short


@pytest.mark.parametrize("password", ["a[b", "a]b", "a%2Fb", "\u2100"])
def test_signs_that_other_parsers_refuse_are_accepted(password: str) -> None:
    assert has_short_password(f"postgresql+psycopg://worker:{password}@db1.example/pixmill")
