"""``python pixmill/scripts/params.py``: write ``pixmill/params.py`` from the registry of algorithms.

Each algorithm becomes a dataclass, and so does each object among its parameters. ``make docs`` runs it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill, indent

from image_processor.algorithms.registry import Algorithm, all_algorithms
from image_processor.imaging.output import Output, Report, Tiles
from image_processor.imaging.params import Params
from image_processor.imaging.source import Source
from pixmill.steps import Step

TARGET = Path(__file__).parents[1] / "src" / "pixmill" / "params.py"
ENDS: Mapping[str, type[Params]] = {"Output": Output, "Source": Source}

RESERVED = frozenset(name for name in dir(Step) if not name.startswith("_"))

HEAD = '''"""The algorithms of this version. ``make docs`` generates this file from their registry: do not edit it.

A parameter that is ``None`` is not sent, and the server's default counts. Steps are joined with ``|``:

>>> steps = Resize(width=800) | Watermark(text="© me")

Colors are written as in CSS. The page ``docs/algorithms.md`` shows what each algorithm does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pixmill.steps import Custom, Pipeline, Step, Value
'''

Schema = Mapping[str, object]


def text() -> str:
    """Return the whole module, formatted."""
    classes: dict[str, str] = {}
    for name, model in ENDS.items():
        classes |= _definitions(model.model_json_schema())
        classes[name] = "\n".join(_value(name, model.model_json_schema()))
    for algorithm in all_algorithms().values():
        # A plugin of the machine that generates this has no place in the library.
        if algorithm.run.__module__.startswith("image_processor."):
            classes |= _definitions(algorithm.params.model_json_schema())
            classes[_title(algorithm.name)] = "\n".join(_step(algorithm))
    exported = sorted({*classes, "Custom", "Pipeline"})
    parts = [f"{HEAD}\n__all__ = {json.dumps(exported)}", *classes.values()]
    command = [sys.executable, "-m", "ruff", "format", "--line-length", "120", "-"]
    # No shell, and ruff is one of the project's tools.
    run = subprocess.run(command, input="\n\n\n".join(parts), check=True, capture_output=True, text=True)  # nosec B603
    return run.stdout


def _definitions(schema: Schema) -> dict[str, str]:
    return {
        name: "\n".join(_value(name, _object(schema_part)))
        for name, schema_part in _object(schema.get("$defs", {})).items()
    }


def _value(name: str, schema: Schema) -> Iterator[str]:
    yield f"@dataclass(frozen=True, kw_only=True)\nclass {name}(Value):"
    yield _docstring(str(schema.get("description", "Values.")))
    for field, schema_part in _object(schema.get("properties", {})).items():
        yield from _field(field, _object(schema_part), required=field in _names(schema.get("required", [])))


def _step(algorithm: Algorithm) -> Iterator[str]:
    schema = algorithm.params.model_json_schema()
    required = _names(schema.get("required", []))
    properties = {name: _object(schema_part) for name, schema_part in _object(schema.get("properties", {})).items()}
    gathered = {
        name: _members(schema_part, schema) for name, schema_part in properties.items() if "oneOf" in schema_part
    }
    yield f"@dataclass(frozen=True, kw_only=True)\nclass {_title(algorithm.name)}(Step):"
    yield _docstring(algorithm.summary)
    yield f'    algorithm: ClassVar[str] = "{algorithm.name}"'
    if issubclass(algorithm.gives, Report | Tiles):
        yield "    gives_image: ClassVar[bool] = False"
    if gathered:
        names = {target: list(members) for target, members in gathered.items()}
        yield f"    gathered: ClassVar[Mapping[str, Sequence[str]]] = {json.dumps(names)}"
    yield ""
    taken = (properties.keys() | {name for members in gathered.values() for name in members}) & RESERVED
    if taken:
        raise ValueError(f"{algorithm.name}: {taken} are names of Step's own")
    for name, schema_part in properties.items():
        # Its fields may be given directly instead.
        yield from _field(name, schema_part, required=name in required and name not in gathered)
    for target, members in gathered.items():
        clash = members.keys() & properties.keys()
        if clash:
            raise ValueError(f"{algorithm.name}: {clash} are both parameters and fields of {target}")
        for name, schema_part in members.items():
            yield from _field(name, schema_part, required=False)


def _members(union: Schema, schema: Schema) -> dict[str, Schema]:
    """Return the fields of all objects of a union."""
    members: dict[str, Schema] = {}
    choices = union.get("oneOf")
    for choice in choices if isinstance(choices, list) else []:
        name = str(choice["$ref"]).rpartition("/")[2]
        definition = _object(_object(schema["$defs"])[name])
        members |= {field: _object(schema_part) for field, schema_part in _object(definition["properties"]).items()}
    return members


def _field(name: str, schema: Schema, *, required: bool) -> Iterator[str]:
    described = _type(schema)
    yield f"    {name}: {described}" if required else f"    {name}: {described.removesuffix(' | None')} | None = None"
    yield _docstring(f"{schema.get('description', '')}{_default(schema)}")


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or default is False:
        return ""
    return f" (default: {default if isinstance(default, str) else json.dumps(default)})"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema and isinstance(schema["enum"], list):
        return f"Literal[{', '.join(json.dumps(choice) for choice in schema['enum'])}]"
    for union in ("anyOf", "oneOf"):
        choices = schema.get(union)
        if isinstance(choices, list):
            found = dict.fromkeys(_type(schema_part) for schema_part in choices)
            # A union with `str` says no more than `str`.
            kept = ["str"] if "str" in found else [schema_part for schema_part in found if schema_part != "None"]
            return " | ".join([*kept, *(["None"] if "None" in found else [])])
    if schema.get("type") == "array":
        return f"Sequence[{_type(_object(schema['items']))}]"
    return {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}[
        str(schema["type"])
    ]


def _docstring(described: str) -> str:
    plain = " ".join(described.split()).replace("\\", "\\\\").replace("`", "``")
    wrapped = fill(f'"""{plain}"""', 112)
    return indent(wrapped, "    ") if "\n" not in wrapped else indent(fill(f'"""{plain}', 112) + '\n"""', "    ")


def _title(name: str) -> str:
    return name.title().replace("_", "")


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"not an object but {value!r}")
    return value


def _names(value: object) -> list[str]:
    return [str(schema_part) for schema_part in value] if isinstance(value, list) else []


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
