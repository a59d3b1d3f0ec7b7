"""Profiles: access to the file, and the server that a command uses."""

import stat
import tomllib
from pathlib import Path

import pytest
from pixmill.commands import profiles_file
from pixmill.commands.profiles_file import Profile, ProfileError, Profiles, server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PIXMILL_URL", "PIXMILL_KEY", "PIXMILL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    work = Profile("https://work.example", key='pxm_"quoted"')
    profiles_file.save(Profiles("work", {"work": work, "home": Profile("http://home.example", None, "echo pxm_home")}))


def test_only_its_owner_reads_the_file() -> None:
    assert stat.S_IMODE(profiles_file.path().stat().st_mode) == 0o600


def test_the_profile_in_use_is_the_server() -> None:
    chosen = server(None, None)

    assert (chosen.url, chosen.key) == ("https://work.example", 'pxm_"quoted"')


def test_a_command_prints_the_key_of_a_profile() -> None:
    assert server(None, "home").key == "pxm_home"


def test_the_environment_overrides_the_profile_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_URL", "http://other.example")
    monkeypatch.setenv("PIXMILL_KEY", "pxm_other")

    chosen = server(None, None)

    assert (chosen.url, chosen.key) == ("http://other.example", "pxm_other")


@pytest.mark.parametrize("in_environment", [True, False], ids=["variable", "option"])
def test_the_key_of_a_profile_is_not_sent_to_another_server(
    monkeypatch: pytest.MonkeyPatch, in_environment: bool
) -> None:
    def key_for(url: str) -> str | None:
        if in_environment:
            monkeypatch.setenv("PIXMILL_URL", url)
        return server(None if in_environment else url, None).key

    others = (
        "https://evil.example",
        "http://work.example",
        "https://work.example:8443",
        "https://work.example@evil.example",
    )
    assert [key_for(url) for url in others] == [None] * 4
    assert key_for("https://work.example/") == 'pxm_"quoted"'


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(ProfileError, match="no profile 'nowhere'"):
        server(None, "nowhere")


def test_without_anything_the_server_is_on_this_machine(tmp_path: Path) -> None:
    profiles_file.path().unlink()

    assert server(None, None).url == "http://127.0.0.1:8080"


@pytest.mark.parametrize("url", ["photos.example", "ftp://photos.example"])
def test_what_is_not_a_url_of_a_server_is_an_error(url: str) -> None:
    with pytest.raises(ProfileError, match="begin with http"):
        server(url, None)


@pytest.mark.parametrize("url", ["http://me:word\N{ACCOUNT OF}@host", "http://me:[word@host"])
def test_the_key_of_a_profile_is_not_sent_to_a_url_that_is_not_valid(url: str) -> None:
    chosen = server(url, None)

    assert (chosen.url, chosen.key) == (url, None)


@pytest.mark.parametrize(
    "command", ["pass show \N{KEY}", 'a "b" \\c', "tab\tline\nfeed\x00\x1f", "delete\x7f", "line\u2028separator"]
)
def test_each_text_comes_back_from_the_file(command: str) -> None:
    profiles_file.save(Profiles("work", {"work": Profile("https://work.example", None, command)}))

    assert profiles_file.load().named["work"].key_command == command
    # The oracle is Python's TOML parser, which rejects characters that need an escape.
    assert tomllib.loads(profiles_file.path().read_text("utf-8"))["profiles"]["work"]["key_command"] == command


@pytest.mark.parametrize("command", ["/nowhere/no-such-program", "'one quotation mark", "false"])
def test_a_key_command_that_does_not_run_is_an_error_of_the_profile(command: str) -> None:
    profiles_file.save(Profiles("work", {"work": Profile("https://work.example", None, command)}))

    with pytest.raises(ProfileError, match="the key_command failed: "):
        server(None, None)


@pytest.mark.parametrize("in_environment", [True, False], ids=["variable", "option"])
def test_a_url_needs_no_profile_of_the_environment(monkeypatch: pytest.MonkeyPatch, in_environment: bool) -> None:
    monkeypatch.setenv("PIXMILL_PROFILE", "removed")
    if in_environment:
        monkeypatch.setenv("PIXMILL_URL", "http://other.example")

    chosen = server(None if in_environment else "http://other.example", None)

    assert (chosen.url, chosen.key) == ("http://other.example", None)


def test_a_named_profile_is_needed_in_addition_to_a_url() -> None:
    with pytest.raises(ProfileError, match="no profile 'removed'"):
        server("http://other.example", "removed")
