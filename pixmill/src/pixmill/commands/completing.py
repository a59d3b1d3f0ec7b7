"""Shell completion of WHAT: presets, algorithms and their params, from the server's lists."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import typer

from pixmill.client.exchange import Retries
from pixmill.client.places import cache_folder, write_private
from pixmill.client.problems import PixmillError
from pixmill.client.sync import Pixmill
from pixmill.commands import profiles_file
from pixmill.commands.profiles_file import ProfileError

KEEP_SECONDS = 600
TIMEOUT_SECONDS = 5
"""Request timeout in seconds: the user is waiting at the prompt."""

Catalog = Mapping[str, Mapping[str, object]]
"""The JSON Schema of the params of each algorithm; presets have an empty schema."""


def complete_what(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the completions of WHAT."""
    with suppress(PixmillError, ProfileError, OSError, ValueError):
        return list(proposals(catalog(ctx), incomplete))
    return []


def proposals(known: Catalog, incomplete: str) -> Iterator[str]:
    """Yield the completions that start with ``incomplete``."""
    before, bar, step = incomplete.rpartition("|")
    indent = step[: len(step) - len(step.lstrip())]
    words = step.split(" ") if not indent else step.lstrip().split(" ")
    begun = before + bar + indent
    if len(words) == 1:
        # A preset cannot be a step of a pipeline.
        names = [name for name, schema in known.items() if schema or not bar]
        yield from (begun + name for name in names if name.startswith(words[0]))
        return
    *given, last = words
    fields = known.get(given[0], {}).get("properties", {})
    if not isinstance(fields, Mapping):
        return
    head = begun + " ".join(given) + " "
    name, equals, value = last.partition("=")
    if equals:
        choices = fields.get(name, {}).get("enum", ())
        yield from (f"{head}{name}={choice}" for choice in choices if str(choice).startswith(value))
        return
    taken = {word.partition("=")[0] for word in given[1:]}
    yield from (f"{head}{field}=" for field in fields if field.startswith(name) and field not in taken)


def catalog(ctx: typer.Context) -> Catalog:
    """Return the algorithms and presets of the server that the command line chooses, cached for ten minutes."""
    url, profile = (ctx.params.get(name) for name in ("url", "profile"))
    choice = profiles_file.chosen(url, profile)
    # By where the key comes from: to run its command takes longer than to read the cache.
    identity = repr((choice.url, choice.key, choice.profile))
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    kept = cache_folder() / f"catalog-{name}.json"
    with suppress(OSError, ValueError):
        if time.time() - kept.stat().st_mtime < KEEP_SECONDS:
            found: Catalog = json.loads(kept.read_text("utf-8"))
            return found
    server = profiles_file.server(url, profile)
    retries = Retries(attempts=1)
    with Pixmill(server.url, key=server.key, timeout_seconds=TIMEOUT_SECONDS, retries=retries) as pixmill:
        fetched: dict[str, Mapping[str, object]] = {preset.name: {} for preset in pixmill.presets.list()}
        fetched |= {entry.name: {"properties": _fields(entry.params)} for entry in pixmill.algorithms()}
    with suppress(OSError):
        write_private(kept, json.dumps(fetched))
    return fetched


def complete_algorithm(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the algorithms that start with ``incomplete``."""
    with suppress(PixmillError, ProfileError, OSError, ValueError):
        return [name for name, schema in catalog(ctx).items() if schema and name.startswith(incomplete)]
    return []


def complete_preset(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the presets that start with ``incomplete``."""
    with suppress(PixmillError, ProfileError, OSError, ValueError):
        return [name for name, schema in catalog(ctx).items() if not schema and name.startswith(incomplete)]
    return []


def _fields(schema: Mapping[str, object]) -> Mapping[str, Mapping[str, Sequence[object]]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    # Omit color patterns: they are long, and nobody completes them.
    return {
        name: {"enum": entry["enum"]} if "enum" in entry else {}
        for name, entry in properties.items()
        if name not in ("source", "output")
    }
