"""Settings from a YAML file, each overridable by an environment variable."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource


class SettingsError(Exception):
    """A setting is unknown or wrong; the message is one line for the operator."""


def _expand_environment(text: str, encode: Callable[[str], str]) -> str:
    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ValueError(f"environment variable {name} is not set")
        return encode(os.environ[name])

    return re.sub(r"\$\{(\w+)\}", value_of, text)


def _expand_url(url: str) -> str:
    return _expand_environment(url, lambda value: quote(value, safe=""))


def _expand_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(_expand_environment(secret.get_secret_value(), str))


Url = Annotated[str, AfterValidator(_expand_url)]
"""A URL whose ``${NAME}`` parts are replaced, percent-encoded, by environment variables."""

Secret = Annotated[SecretStr, AfterValidator(_expand_secret)]
"""A secret whose ``${NAME}`` parts are replaced by environment variables; it shows in no log."""


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class ServiceSettings(BaseSettings):
    """Base of a service's settings.

    ``env_prefix`` and ``yaml_file`` come from the subclass; ``<PREFIX>CONFIG`` names another YAML file.
    """

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        prefix = cls.model_config.get("env_prefix", "")
        path = os.environ.get(f"{prefix}CONFIG") or cls.model_config.get("yaml_file")
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=path)


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def load(settings_class: type[_Settings]) -> _Settings:
    """Reads the settings, the environment over the file.

    :raises SettingsError: a setting is unknown, missing or out of its range, or the file is missing.
    """
    prefix = settings_class.model_config.get("env_prefix", "")
    path = str(os.environ.get(f"{prefix}CONFIG") or settings_class.model_config.get("yaml_file"))
    if not Path(path).is_file():
        raise SettingsError(f"settings file {path} does not exist (set {prefix}CONFIG)")
    _refuse_unknown_variables(settings_class, prefix)
    try:
        return settings_class()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {name} in {path} or the environment: {first['msg']}") from error


def load_or_exit(settings_class: type[_Settings]) -> _Settings:
    """Like :func:`load`, but ends the process with one line on standard error."""
    try:
        return load(settings_class)
    except SettingsError as error:
        exit_with(error)


def exit_with(error: SettingsError) -> NoReturn:
    """Ends the process with one line on standard error."""
    print(f"pixmill: {error}", file=sys.stderr)
    sys.exit(2)


def _refuse_unknown_variables(settings_class: type[BaseModel], prefix: str) -> None:
    for variable in os.environ:
        if variable.startswith(prefix) and variable != f"{prefix}CONFIG":
            names = variable.removeprefix(prefix).lower().split("__")
            if not _is_setting(settings_class, names):
                raise SettingsError(f"environment variable {variable} is not a setting")


def _is_setting(model: type[BaseModel], names: list[str]) -> bool:
    field = model.model_fields.get(names[0])
    if field is None:
        return False
    if len(names) == 1:
        return True
    section = field.annotation
    if isinstance(section, type) and issubclass(section, BaseModel):
        return _is_setting(section, names[1:])
    return False
