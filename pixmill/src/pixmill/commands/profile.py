"""Commands for profiles: add, use, ls, rm."""

from typing import Annotated

import typer

from pixmill.client.drivers import without_login
from pixmill.commands import profiles_file
from pixmill.commands.console import (
    Exit,
    Fields,
    emit,
    emit_json,
    examples,
    fail,
    json_option,
    reported,
    say,
    secret_of,
)
from pixmill.commands.profiles_file import Profile, ProfileError, Profiles
from pixmill.commands.words import text

app = typer.Typer(
    help="Servers with their keys, in a file that only you read.",
    no_args_is_help=True,
    epilog=examples("pixmill profile add work https://pictures.example.org", "pixmill profile use work"),
)


@app.command(
    epilog=examples(
        "pixmill profile add work https://pictures.example.org",
        "pixmill profile add work https://pictures.example.org --key-command 'pass show pixmill'",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits, - and _.")],
    url: Annotated[str, typer.Argument(help="The server.")],
    key_command: Annotated[str | None, typer.Option(help="A command that prints the key.")] = None,
    without_key: Annotated[bool, typer.Option("--no-key", help="The server needs no key.")] = False,
) -> None:
    """Add a profile and use it; the key is asked for, or read from stdin."""
    if profiles_file.NAME.fullmatch(name) is None:
        raise fail(text("'{name}' is not a name: use letters, digits, - and _", name=name), Exit.USAGE)
    if not url.startswith(("http://", "https://")):
        raise fail(text("'{url}' is not a URL: begin with http:// or https://", url=without_login(url)), Exit.USAGE)
    profiles = _loaded()
    # Not an argument: other users of the machine can see those.
    key = None if key_command or without_key else _asked()
    named = {**profiles.named, name: Profile(url, key or None, key_command)}
    _save(Profiles(name, named))
    say(text("Profile '{name}' is in use.", name=name))


@app.command(epilog=examples("pixmill profile use work", "PIXMILL_PROFILE=home pixmill ls"))
def use(name: Annotated[str, typer.Argument(help="The profile.")]) -> None:
    """Use a profile from now on."""
    profiles = _loaded()
    _check(name, profiles)
    _save(Profiles(name, profiles.named))


@app.command(epilog=examples("pixmill profile ls", "pixmill profile ls --json"))
def ls(as_json: Annotated[Fields | None, json_option(("name", "url", "current"))] = None) -> None:
    """List profiles, without keys; * is the one in use."""
    profiles = _loaded()
    with reported():
        for name, profile in profiles.named.items():
            is_current = name == profiles.current
            address = without_login(profile.url)
            if as_json:
                emit_json({"name": name, "url": address, "current": is_current}, as_json)
            else:
                emit(f"{'*' if is_current else '-'}\t{name}\t{address}")


@app.command(epilog=examples("pixmill profile rm work", "pixmill profile ls"))
def rm(name: Annotated[str, typer.Argument(help="The profile.")]) -> None:
    """Forget a profile and its key."""
    profiles = _loaded()
    _check(name, profiles)
    left = {other: profile for other, profile in profiles.named.items() if other != name}
    _save(Profiles(None if profiles.current == name else profiles.current, left))


def _asked() -> str:
    return secret_of(text("Key (empty for none)")).strip()


def _loaded() -> Profiles:
    try:
        return profiles_file.load()
    except ProfileError as error:
        raise fail(str(error), Exit.USAGE) from error


def _save(profiles: Profiles) -> None:
    with reported():
        profiles_file.save(profiles)


def _check(name: str, profiles: Profiles) -> None:
    if name not in profiles.named:
        raise fail(text("there is no profile '{name}'", name=name), Exit.NOT_FOUND)
