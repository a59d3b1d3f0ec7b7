"""``python docs/configuration.py [FOLDER]``: write ``config/*/conf.yml`` and ``docs/configuration.md``.

They come from the models of the settings. ``FOLDER`` is the project's own by default.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, MinLen
from file_storage.config import Settings
from image_processor.config import ApiSettings, WebhookSettings, WorkerSettings
from image_processor.render.config import RenderSettings
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from service_kit.access.config import AccessSettings
from service_kit.settings import ServiceSettings, Unit, is_section

SERVICES: dict[str, type[ServiceSettings]] = {
    "access": AccessSettings,
    "file-storage": Settings,
    "image-processor": ApiSettings,
    "worker": WorkerSettings,
    "webhooks": WebhookSettings,
    "render": RenderSettings,
}
EXAMPLES = {
    "access": ("auth.mode", "keys"),
    "file-storage": ("upload.max_bytes", "1000000"),
    "image-processor": ("broker.queue_type", "classic"),
    "worker": ("limits.max_pixels", "50000000"),
    "webhooks": ("timeout_seconds", "20"),
    "render": ("imagor.quality", "80"),
}
WIDTH = 120
SCALES = {
    "bytes": [(1024**3, "GiB"), (1024**2, "MiB")],
    "pixels": [(1_000_000, "megapixels")],
    "seconds": [(86_400, "days"), (3600, "hours"), (60, "minutes")],
}


@dataclass(frozen=True)
class Setting:
    """A setting of a service."""

    service: str
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return prefix_of(self.service) + "__".join(self.path).upper()

    @property
    def description(self) -> str:
        return self.field.description or ""

    @property
    def default(self) -> object:
        default: object = self.field.default
        if isinstance(default, list):
            return [value.get_secret_value() if isinstance(value, SecretStr) else value for value in default]
        return default.get_secret_value() if isinstance(default, SecretStr) else default

    @property
    def unit(self) -> str:
        return next((mark.name for mark in self.field.metadata if isinstance(mark, Unit)), "")

    @property
    def range(self) -> str:
        """Return the values that are possible, for people."""
        kind = self.field.annotation
        if get_origin(kind) is Literal:
            return ", ".join(f"`{choice}`" for choice in get_args(kind))
        if kind is bool:
            return "`true` or `false`"
        bounds = ", ".join(bound for mark in self.field.metadata if (bound := bound_of(mark, self.unit)))
        return re.sub(r"^at least (\d+), at most ", r"\1 to ", bounds)

    @property
    def readable_default(self) -> str:
        """Return a large number with a larger unit."""
        return readable(self.default, self.unit) if isinstance(self.default, int | float) else ""


def prefix_of(service: str) -> str:
    return SERVICES[service].model_config.get("env_prefix", "")


def bound_of(mark: object, unit: str) -> str:
    """Return a limit of a value in words."""
    match mark:
        case Ge(ge=int(low)):
            return f"at least {bytes_or_number(low, unit)}"
        case Gt(gt=int(low)):
            return f"more than {low:,}"
        case Le(le=int(high)):
            return f"at most {bytes_or_number(high, unit)}"
        case MinLen(min_length=1):
            return "not empty"
        case MinLen(min_length=length):
            return f"at least {length} characters"
    return ""


def bytes_or_number(number: int, unit: str) -> str:
    return (unit == "bytes" and readable(number, unit)) or f"{number:,}"


def readable(number: float, unit: str) -> str:
    """Return a number in the largest unit of which it is a multiple, or nothing where its own unit is that."""
    for size, name in SCALES.get(unit, []):
        if number and number % size == 0:
            count = int(number) // size
            return f"{count} {name.removesuffix('s') if count == 1 else name}"
    return ""


def settings_of(service: str) -> list[Setting]:
    def of_model(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Setting]:
        for name, field in model.model_fields.items():
            if is_section(field.annotation):
                yield from of_model(field.annotation, (*path, name))
            else:
                yield Setting(service, (*path, name), field)

    return list(of_model(SERVICES[service], ()))


FILE_HEAD = """\
# Settings of {service}. `make config` generates this file from the defaults in {module}.
#
# Each line is a setting with its default value. To change it, remove the # and edit the value. An upgrade may
# change the defaults of lines with a #; a line without # keeps your value.
# An environment variable overrides this file: {name} is {variable}={value}.
# ${{NAME}} in a url or a secret is replaced by that environment variable, or else by the file NAME in the folder
# PIXMILL_SECRETS; percent-encoded in a url.
# docs/configuration.md has all settings in a table.
"""


def file(service: str) -> Iterator[str]:
    """Return the lines of a service's ``conf.yml``."""
    name, value = EXAMPLES[service]
    [example] = [setting for setting in settings_of(service) if setting.name == name]
    module = SERVICES[service].__module__
    yield FILE_HEAD.format(service=service, module=module, name=name, variable=example.variable, value=value)
    section: tuple[str, ...] = ()
    for setting in settings_of(service):
        if setting.path[:-1] != section or not section:
            if section:
                yield ""
            section = setting.path[:-1]
            if section:
                yield f"{section[0]}:"
        indent = "  " * len(section)
        comment = " ".join([setting.description, remark(setting)]).strip()
        yield textwrap.fill(
            comment, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
        )
        for line in value_of(setting).splitlines():
            yield f"{indent}#{line}"
        if not section:
            yield ""


def remark(setting: Setting) -> str:
    """Return the unit, the range and the readable default, as a sentence."""
    readable_default = f"default {setting.readable_default}" if setting.readable_default else ""
    text = ", ".join(part for part in (setting.unit, setting.range, readable_default) if part)
    return f"({text})" if text else ""


def value_of(setting: Setting) -> str:
    """Return the default as YAML."""
    name = setting.path[-1]
    if has_parts(setting.default):
        return yaml.safe_dump({name: setting.default}, default_flow_style=None, sort_keys=False, width=WIDTH)
    return f"{name}: {default_of(setting)}"


def has_parts(default: object) -> bool:
    return isinstance(default, dict) and any(isinstance(value, dict) for value in default.values())


def page() -> Iterator[str]:
    """Return the lines of ``configuration.md``."""
    yield HEAD
    for service in SERVICES:
        yield f"## {service}\n\n`config/{service}/conf.yml`, environment variables with `{prefix_of(service)}`.\n"
        yield "| setting | environment variable | default | unit, range | what it does, and why |"
        yield "| --- | --- | --- | --- | --- |"
        for setting in settings_of(service):
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells(setting))} |"
        yield ""
    yield FOOT


def cells(setting: Setting) -> Iterator[str]:
    yield f"`{setting.name}`"
    yield f"`{setting.variable}`"
    readable_default = f" ({setting.readable_default})" if setting.readable_default else ""
    yield f"`{default_of(setting)}`{readable_default}"
    yield ", ".join(part for part in (setting.unit, setting.range) if part)
    yield setting.description


def default_of(setting: Setting) -> str:
    """Return the default as one line of YAML; of presets, the names."""
    default = setting.default
    if isinstance(default, dict) and has_parts(default):
        return ", ".join(default)
    flow = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=10_000)
    return flow.removesuffix("\n").removesuffix("\n...")


HEAD = """# Configuration

[По-русски](ru/configuration.md). `make config` generates this page and `config/*/conf.yml` from the settings' models
(`config.py` of each service).

An environment variable overrides the file, the file overrides the default; an empty file works. In an environment
variable a list or a map is JSON. `ACCESS_CONFIG`, `FILE_STORAGE_CONFIG`, `IMAGE_PROCESSOR_CONFIG`, `WORKER_CONFIG`,
`WEBHOOKS_CONFIG` and `RENDER_CONFIG` name another file.
`${NAME}` in a `url` or a `secret` is replaced by that environment variable, or else by the file `NAME` in the folder
`PIXMILL_SECRETS`; percent-encoded in a `url`.

A setting that is unknown, wrong or contradicts another stops the start, with one line that names it.
[How to apply a change](operations/upgrade.md#settings-and-restarts).
"""

FOOT = """## Limits that belong together

| | must be | |
| --- | --- | --- |
| `lease.heartbeat_seconds` of the worker | at most a third of `lease.seconds` | checked at the start |
| `limits.max_task_bytes` of the worker | at least `limits.max_file_bytes` | checked at the start |
| `retry.base_delay_seconds` of the worker | at most `retry.max_delay_seconds` | checked at the start |
| `database.pool_size` of both services | at least `threads` in the service's `wsgi.ini` | checked at the start |
| `download` of file-storage | able to send what `storage.url` stores | checked at the start |
| `NGINX_MAX_BODY` in `config/limits.env` | at least 1 MiB more than `upload.max_bytes` | checked at the start |
| `NGINX_STREAMS` in `config/limits.env` | less than `threads` × 2 in its `wsgi.ini` | checked at the start |
| `NGINX_CORS_ORIGINS` in `config/limits.env` | the origins of `http.cors_origins` | checked at the start |
| `shutdown_seconds` of the worker | less than `stop_grace_period` in `docker-compose.yml` | checked at the start |

## Other files

| file | what it has |
| --- | --- |
| `config/nginx.env`, `config/nginx.conf` | rate limits, connection limits |
| `config/limits.env` | values of nginx that must fit settings of the services |
| `config/*/wsgi.ini` | processes and threads of uWSGI |
| `config/postgresql.env`, `config/rabbitmq.env` | names, and passwords if you choose them yourself |
| `config/callbacks.env`, `config/links.env`, `config/render.env` | secrets that sign, if you choose them yourself |
| `config/postgresql/roles.sh` | the database role of each service |
| `config/s3.env` | credentials and endpoint of S3 |
| `config/embedded/settings.env` | what `make run` sets differently |
"""


def build(folder: Path) -> None:
    """Write the page and the files into ``folder``."""
    for service in SERVICES:
        write(folder / "config" / service / "conf.yml", file(service))
    write(folder / "docs/configuration.md", page())


def write(path: Path, lines: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip("\n") + "\n", "utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent)
