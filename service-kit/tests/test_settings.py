"""Settings: the environment overrides the YAML file, which overrides the defaults."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from service_kit.settings import (
    PoolSize,
    Secret,
    Section,
    ServiceSettings,
    SettingsError,
    SigningSecret,
    Url,
    exit_with,
    load,
    load_or_exit,
    warn_of_short_passwords,
)
from structlog.testing import capture_logs

FILE = """
database:
  url: postgresql://${TEST_USER}:${TEST_PASSWORD}@db/pixmill
  pool_size: 4
secret: ${TEST_PASSWORD}
"""


class DatabaseSection(Section):
    url: Url
    pool_size: int = Field(ge=1)


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="KIT_TEST_", yaml_file="conf.yml")

    database: DatabaseSection
    secret: Secret


class LimitSection(Section):
    retries: int = Field(3, ge=0)
    name: Secret = Field(SecretStr("${TEST_USER}"))


class PoolSection(Section):
    size: PoolSize = Field(8)


class DefaultSettings(ServiceSettings):
    """Settings with defaults only."""

    model_config = SettingsConfigDict(env_prefix="KIT_TEST_", yaml_file="conf.yml")

    limit: LimitSection
    pool: PoolSection
    words: dict[str, int] = Field({"a": 1})


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the settings file in the service's working directory."""
    path = tmp_path / "conf.yml"
    path.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_USER", "pixmill")
    monkeypatch.setenv("TEST_PASSWORD", "p@ss/word")
    return path


def refusal() -> str:
    with pytest.raises(SettingsError) as raised:
        load(Settings)
    return str(raised.value)


def test_settings_come_from_the_file() -> None:
    assert load(Settings).database.pool_size == 4


def test_the_environment_stands_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_TEST_DATABASE__POOL_SIZE", "9")

    found = load(Settings)

    assert found.database.pool_size == 9
    assert found.database.url.startswith("postgresql://")


def test_the_environment_may_name_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.yml"
    other.write_text(FILE.replace("pool_size: 4", "pool_size: 5"))
    monkeypatch.setenv("KIT_TEST_CONFIG", str(other))

    assert load(Settings).database.pool_size == 5


def test_variables_in_a_url_are_percent_encoded() -> None:
    assert load(Settings).database.url == "postgresql://pixmill:p%40ss%2Fword@db/pixmill"


def test_variables_in_a_secret_stay_as_they_are() -> None:
    assert load(Settings).secret.get_secret_value() == "p@ss/word"


def test_a_secret_shows_nowhere() -> None:
    assert "p@ss/word" not in repr(load(Settings))


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_USER")

    assert "environment variable TEST_USER is not set" in refusal()


def test_a_dollar_without_braces_is_not_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_TEST_SECRET", "pa$TEST_USER{x}")

    assert load(Settings).secret.get_secret_value() == "pa$TEST_USER{x}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings().max_examples // 3)
@given(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=10))
def test_no_password_changes_the_other_parts_of_a_url(password: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TEST_PASSWORD", password)
        url = load(Settings).database.url

    user_and_password, at, rest = url.removeprefix("postgresql://").partition("@")
    assert (at, rest) == ("@", "db/pixmill")
    assert user_and_password.count(":") == 1
    assert not set("/?#") & set(user_and_password)


@pytest.mark.parametrize(
    ("was", "becomes", "name"),
    [
        ("pool_size: 4", "pool_size: 0", "database.pool_size"),
        ("pool_size: 4", "pool_size: many", "database.pool_size"),
        ("pool_size: 4", "", "database.pool_size"),
        ("pool_size: 4", "pool_size: 4\n  size: 5", "database.size"),
        ("secret:", "other: 1\nsecret:", "other"),
        ("secret: ${TEST_PASSWORD}", "", "secret"),
    ],
)
def test_a_wrong_setting_in_the_file_is_named_in_one_line(file: Path, was: str, becomes: str, name: str) -> None:
    file.write_text(FILE.replace(was, becomes))

    message = refusal()

    assert message.startswith(f"setting {name} in conf.yml")
    assert "\n" not in message


def test_a_wrong_setting_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_TEST_DATABASE__POOL_SIZE", "0")

    assert refusal().startswith("setting database.pool_size")


@pytest.mark.parametrize(
    "variable",
    ["KIT_TEST_OTHER", "KIT_TEST_DATABASE__OTHER", "KIT_TEST_SECRET__OTHER", "KIT_TEST_DATABASE_URL", "KIT_TEST_"],
)
def test_a_variable_that_is_not_a_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")

    assert refusal() == f"environment variable {variable} is not a setting"


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_TESTING", "1")

    assert load(Settings).database.pool_size == 4


def test_a_file_that_is_missing_is_named(file: Path) -> None:
    file.unlink()

    assert refusal() == "settings file conf.yml does not exist (set KIT_TEST_CONFIG)"


@pytest.mark.parametrize("text", ["", "# only a comment", "limit:\npool:\n", "limit:\n  # retries: 3\n", "{}"])
def test_a_file_without_settings_has_the_defaults(file: Path, text: str) -> None:
    file.write_text(text)

    found = load(DefaultSettings)

    assert (found.limit.retries, found.pool.size, found.words) == (3, 8, {"a": 1})
    assert found.limit.name.get_secret_value() == "pixmill"


def test_the_file_stands_over_the_defaults_and_the_environment_over_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("limit: {retries: 4}\npool: {size: 9}\nwords: {b: 2}")
    monkeypatch.setenv("KIT_TEST_LIMIT__RETRIES", "5")

    found = load(DefaultSettings)

    assert (found.limit.retries, found.pool.size, found.words) == (5, 9, {"b": 2})


def test_a_variable_that_a_default_needs_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("")
    monkeypatch.delenv("TEST_USER")

    with pytest.raises(SettingsError, match=r"setting limit\.name in conf\.yml .*: .* TEST_USER is not set$"):
        load(DefaultSettings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit:\n  retries: 1\n more: 2", "settings file conf.yml, line 3: expected <block end>"),
        ("only words", "settings file conf.yml is not a YAML mapping"),
        ("- 1", "settings file conf.yml is not a YAML mapping"),
        ("limit: 5", "setting limit in conf.yml"),
        ("more: 5", "setting more in conf.yml or the environment: this setting does not exist"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_in_one_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)

    with pytest.raises(SettingsError) as raised:
        load(DefaultSettings)

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_variable_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text("")
    monkeypatch.setenv("KIT_TEST_WORDS", "{a")

    with pytest.raises(SettingsError, match=r'settings in the environment: .*"words"'):
        load(DefaultSettings)


def test_a_pool_with_fewer_connections_than_threads_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("")
    monkeypatch.setenv("PIXMILL_THREADS", "8")
    assert load(DefaultSettings).pool.size == 8

    monkeypatch.setenv("PIXMILL_THREADS", "9")

    with pytest.raises(
        SettingsError, match=r"^setting pool\.size in conf\.yml .*: 8 connections .* the 9 threads .*wsgi\.ini"
    ):
        load(DefaultSettings)


def test_good_settings_end_no_process() -> None:
    assert load_or_exit(Settings) == load(Settings)


def test_wrong_settings_end_the_process_with_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.unlink()

    with pytest.raises(SystemExit) as raised:
        load_or_exit(Settings)

    printed = capsys.readouterr()
    assert raised.value.code == 2
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith("pixmill: settings file conf.yml")


def test_a_process_ends_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        exit_with(SettingsError("the reason"))

    assert capsys.readouterr().err == "pixmill: the reason\n"


def test_a_known_password_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "postgres")

    assert refusal().startswith("setting database.url in conf.yml or the environment: the password of user 'pixmill'")


@pytest.mark.parametrize(("password", "named"), [("x" * 31, ["database.url"]), ("x" * 32, [])])
def test_a_start_names_the_settings_with_short_passwords(
    monkeypatch: pytest.MonkeyPatch, password: str, named: list[str]
) -> None:
    monkeypatch.setenv("TEST_PASSWORD", password)
    settings = load(Settings)

    with capture_logs() as events:
        warn_of_short_passwords(settings)

    assert [(event["setting"], event["file"], event["log_level"]) for event in events] == [
        (name, "conf.yml", "warning") for name in named
    ]
    assert password not in str(events)


class SignedSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="KIT_TEST_", yaml_file="conf.yml")

    key: SigningSecret = Field(SecretStr("${TEST_KEY}"))


@pytest.fixture
def secrets_folder(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of secrets; there is also an empty settings file."""
    file.write_text("")
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("PIXMILL_SECRETS", str(folder))
    return folder


def refused_key() -> str:
    with pytest.raises(SettingsError) as raised:
        load(SignedSettings)
    return str(raised.value)


def test_a_name_without_a_variable_is_replaced_by_the_file_of_that_name(secrets_folder: Path) -> None:
    (secrets_folder / "TEST_KEY").write_text("a secret in a file, of 32 bytes or more\n")

    assert load(SignedSettings).key.get_secret_value() == "a secret in a file, of 32 bytes or more"


def test_a_variable_overrides_the_file(secrets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets_folder / "TEST_KEY").write_text("a secret in a file, of 32 bytes or more")
    monkeypatch.setenv("TEST_KEY", "a secret of the operator, of 32 bytes or more")

    assert load(SignedSettings).key.get_secret_value() == "a secret of the operator, of 32 bytes or more"


def test_a_name_that_is_nowhere_is_refused_with_both_places(secrets_folder: Path) -> None:
    assert refused_key() == (
        "setting key in conf.yml or the environment: environment variable TEST_KEY is not set, and"
        f" {secrets_folder} has no file of that name"
    )


@pytest.mark.parametrize("key", ["", "x" * 31])
def test_a_short_signing_secret_is_refused(secrets_folder: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TEST_KEY", key)

    assert "setting key in conf.yml or the environment: shorter than 32 bytes; remove it" in refused_key()


def test_bytes_of_a_signing_secret_count(secrets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "\N{SNOWMAN}" * 11)

    assert load(SignedSettings).key.get_secret_value() == "\N{SNOWMAN}" * 11


@pytest.mark.usefixtures("secrets_folder")
def test_the_published_secret_is_refused_however_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_TEST_KEY", "pixmill-development")

    assert "'pixmill-development' was published with the source; remove it" in refused_key()


def test_a_url_with_the_published_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "pixmill-development")

    assert "setting database.url in conf.yml or the environment: 'pixmill-development' was published" in refusal()
