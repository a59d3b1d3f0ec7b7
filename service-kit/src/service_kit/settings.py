"""Settings: an environment variable overrides the YAML file, which overrides the default in the model."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeGuard, TypeVar
from urllib.parse import quote

import structlog
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableError

from service_kit import logins, secrets

log = structlog.get_logger()

THREADS_VARIABLE = "PIXMILL_THREADS"
"""Each ``wsgi.ini`` sets this variable to the number of threads of a uWSGI process."""


class SettingsError(Exception):
    """A setting is unknown or invalid; the message is one line for the operator."""


def _expand_environment(text: str, encode: Callable[[str], str]) -> str:
    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        value = secrets.find(name)
        if value is None:
            folder = os.environ.get(secrets.FOLDER_VARIABLE)
            missing = f", and {folder} has no file of that name" if folder else ""
            raise ValueError(f"environment variable {name} is not set{missing}")
        return encode(value)

    return re.sub(r"\$\{(\w+)\}", value_of, text)


def _expand_url(url: str) -> str:
    expanded = _expand_environment(url, lambda value: quote(value, safe=""))
    secrets.refuse_published(expanded)
    logins.refuse_known(expanded)
    return expanded


def _expand_secret(secret: SecretStr) -> SecretStr:
    expanded = _expand_environment(secret.get_secret_value(), str)
    secrets.refuse_published(expanded)
    return SecretStr(expanded)


def _check_strength(secret: SecretStr) -> SecretStr:
    secrets.refuse_weak(secret.get_secret_value())
    return secret


def _check_connections(pool_size: int) -> int:
    threads = int(os.environ.get(THREADS_VARIABLE, 0))
    if pool_size < threads:
        raise ValueError(
            f"{pool_size} connections are fewer than the {threads} threads of a process (threads in wsgi.ini)"
        )
    return pool_size


@dataclass(frozen=True)
class Unit:
    """The unit of a number, shown on the configuration page."""

    name: str


Bytes = Annotated[int, Unit("bytes")]
Seconds = Annotated[float, Unit("seconds")]

PoolSize = Annotated[int, Unit("connections"), AfterValidator(_check_connections)]
"""Database connections per uWSGI process, at least one per thread."""

_IS_URL = AfterValidator(_expand_url)
Url = Annotated[str, _IS_URL]
"""A URL whose ``${NAME}`` parts are replaced by percent-encoded environment variables or files of secrets."""

Secret = Annotated[SecretStr, AfterValidator(_expand_secret)]
"""A secret whose ``${NAME}`` parts are replaced by environment variables or files; logs never show it."""

SigningSecret = Annotated[Secret, AfterValidator(_check_strength)]
"""A secret for signatures; the service refuses to start with fewer than 32 bytes."""


def separate(several: SecretStr) -> list[str]:
    """Return the individual secrets of a :data:`SigningSecrets`."""
    return [secret.strip() for secret in several.get_secret_value().split(",")]


def _check_each(several: SecretStr) -> SecretStr:
    for secret in separate(several):
        secrets.refuse_weak(secret)
    return several


SigningSecrets = Annotated[Secret, AfterValidator(_check_each)]
"""One or more signing secrets, separated by commas: the first signs, all verify."""


class Section(BaseModel):
    """A group of settings; an unknown key is an error, and a group without keys has its defaults."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _accept_no_keys(cls, values: object) -> object:
        return {} if values is None else values


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="The minimum severity of logged events. `info` logs a line for each request and each task.",
    )


class ServiceSettings(BaseSettings):
    """Base of a service's settings.

    ``env_prefix`` and ``yaml_file`` come from the subclass; ``<PREFIX>CONFIG`` names another YAML file. A field is a
    ``Section`` or has a default.
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

    @model_validator(mode="before")
    @classmethod
    def _add_sections(cls, values: Mapping[str, object]) -> dict[str, object]:
        sections: dict[str, object] = {
            name: {} for name, field in cls.model_fields.items() if is_section(field.annotation)
        }
        return {**sections, **values}


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def is_section(annotation: object) -> TypeGuard[type[Section]]:
    """Return whether a field with this annotation is a group of settings."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def load(settings_class: type[_Settings]) -> _Settings:
    """Return the settings of a service.

    :raises SettingsError: a setting is unknown, missing, out of its range or contradicts another, or the file is
        missing or is not YAML.
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
        subject = f"setting {name}" if name else "settings"
        reason = _REASONS.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise SettingsError(f"{subject} in {path} or the environment: {reason}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"settings file {path}{line}: {error.problem}") from error
    except UnreadableError as error:
        raise SettingsError(f"settings in the environment: {error}") from error
    except (TypeError, ValueError) as error:
        raise SettingsError(f"settings file {path} is not a YAML mapping") from error


_REASONS = {"extra_forbidden": "this setting does not exist", "missing": "this setting is required"}
"""Clearer messages than pydantic's own, by pydantic's error type."""


def load_or_exit(settings_class: type[_Settings]) -> _Settings:
    """Return the settings of a service; on an error, print one line to standard error and exit."""
    try:
        return load(settings_class)
    except SettingsError as error:
        exit_with(error)


def warn_of_short_passwords(settings: ServiceSettings) -> None:
    """Log each URL of a server on another machine whose password is shorter than a generated one."""
    for name, url in _urls(settings, ""):
        if logins.has_short_password(url):
            log.warning(
                "a password of a server has fewer than 32 bytes",
                setting=name,
                file=str(settings.model_config.get("yaml_file")),
            )


def _urls(group: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in type(group).model_fields.items():
        value: object = getattr(group, name)
        if isinstance(value, Section):
            yield from _urls(value, f"{prefix}{name}.")
        elif isinstance(value, str) and _IS_URL in field.metadata:
            yield f"{prefix}{name}", value


def exit_with(error: SettingsError) -> NoReturn:
    """Print one line to standard error and exit."""
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
    return is_section(field.annotation) and _is_setting(field.annotation, names[1:])
