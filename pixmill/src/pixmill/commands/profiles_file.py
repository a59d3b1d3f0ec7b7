"""The file of profiles (servers with their keys), readable only by its owner."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pixmill.client.drivers import without_login
from pixmill.client.places import config_folder, write_private
from pixmill.client.settings import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from pixmill.commands.words import text

PROFILE_VARIABLE = "PIXMILL_PROFILE"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ProfileError(Exception):
    """A profile is unusable; the message is one line for the user."""


@dataclass(frozen=True)
class Profile:
    """A profile: a server and its key.

    :param key_command: a command that prints the key; instead of ``key``.
    """

    url: str
    key: str | None = None
    key_command: str | None = None

    def secret(self) -> str | None:
        """Return the key, if any.

        :raises ProfileError: the key command fails.
        """
        if self.key_command is None:
            return self.key
        try:
            # The command comes from the user's own file and runs without a shell.
            run = subprocess.run(shlex.split(self.key_command), capture_output=True, text=True, check=False)  # nosec B603
        except (OSError, ValueError) as error:
            # The program is missing, a quotation is not closed, or the output is not text.
            raise ProfileError(text("the key_command failed: {error}", error=error)) from error
        if run.returncode:
            raise ProfileError(text("the key_command failed: {error}", error=run.stderr.strip() or run.returncode))
        return run.stdout.strip()


@dataclass(frozen=True)
class Profiles:
    """The content of the file.

    :param current: the default profile.
    """

    current: str | None = None
    named: Mapping[str, Profile] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A server that is chosen, and where its key is.

    :param key: the key from the environment.
    :param profile: the profile that has the key, if the environment has none.
    """

    url: str
    key: str | None
    origin: str
    profile: Profile | None = None


@dataclass(frozen=True)
class Server:
    """The server to use, and the key for it."""

    url: str
    key: str | None
    origin: str
    """The source of the URL, for ``doctor``."""


def path() -> Path:
    return config_folder() / "config.toml"


def load() -> Profiles:
    """:raises ProfileError: the file is invalid."""
    try:
        document = tomllib.loads(path().read_text("utf-8"))
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError) as error:
        raise ProfileError(text("cannot read {file}: {error}", file=path(), error=error)) from error
    try:
        named = {
            name: Profile(str(entry["url"]), entry.get("key"), entry.get("key_command"))
            for name, entry in document.get("profiles", {}).items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ProfileError(text("a profile in {file} has no url", file=path())) from error
    return Profiles(document.get("current"), named)


def save(profiles: Profiles) -> None:
    lines = [] if profiles.current is None else [f"current = {_in_toml(profiles.current)}"]
    for name, profile in profiles.named.items():
        lines += ["", f"[profiles.{name}]"]
        fields = {"url": profile.url, "key": profile.key, "key_command": profile.key_command}
        lines += [f"{field} = {_in_toml(value)}" for field, value in fields.items() if value is not None]
    write_private(path(), "\n".join([*lines, ""]))


def _in_toml(value: str) -> str:
    """Return a text as a TOML string: a JSON string in which DEL is escaped and surrogate pairs are not used."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def chosen(url: str | None, name: str | None) -> Choice:
    """Return the chosen server: from the option, the environment, the profile, or the default, in this order.

    No key command runs.

    :raises ProfileError: the profile does not exist, or its URL is invalid.
    """
    profiles = load()
    given = url or (None if name else os.environ.get(URL_VARIABLE)) or None
    wanted = name or os.environ.get(PROFILE_VARIABLE) or profiles.current
    profile = profiles.named.get(wanted) if wanted else None
    if wanted and profile is None and (name or given is None):
        raise ProfileError(text("there is no profile '{name}'; see: pixmill profile ls", name=wanted))
    key = os.environ.get(KEY_VARIABLE) or None
    named = "--url" if url else URL_VARIABLE
    if given is not None and not given.startswith(("http://", "https://")):
        shown = without_login(given)
        raise ProfileError(text("'{url}' is not a URL: begin with http:// or https://", url=shown))
    if profile is None:
        return Choice(DEFAULT_URL, key, text("the default")) if given is None else Choice(given, key, named)
    if given is not None and _origin(given) != _origin(profile.url):
        # Use a profile's key only for the profile's own server.
        return Choice(given, key, named)
    origin = text("profile '{name}'", name=wanted)
    return Choice(given or profile.url, key, origin, None if key else profile)


def server(url: str | None, name: str | None) -> Server:
    """Return the chosen server with its key.

    :raises ProfileError: the profile does not exist, its URL is invalid, or its key command fails.
    """
    choice = chosen(url, name)
    key = choice.key if choice.profile is None else choice.profile.secret()
    return Server(choice.url, key, choice.origin)


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its text may contain the password; the first request reports what is not valid.
        return "", url
    return parts.scheme, parts.netloc
