"""Pipelines in JSON and YAML files."""

import json
from pathlib import Path

from pixmill.commands.words import text

JSON = (".json",)
YAML = (".yml", ".yaml")
EXAMPLE = '{"steps": [{"algorithm": "flip"}]}'


def is_pipeline_file(what: str) -> bool:
    """Return whether the name of a pipeline is that of a file."""
    return what.endswith(JSON + YAML)


def params_in(path: Path) -> dict[str, object]:
    """Return the params of the pipeline in a file.

    :raises FileNotFoundError: the file does not exist.
    :raises ValueError: the file does not contain a pipeline.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(text("there is no file '{path}'", path=path)) from error
    try:
        document = _yaml(content) if path.suffix in YAML else json.loads(content)
    except ValueError as error:
        raise ValueError(text("cannot read {file}: {error}", file=path, error=error)) from error
    if not (isinstance(document, dict) and "steps" in document):
        raise ValueError(text("{file} has no steps; write: {example}", file=path, example=EXAMPLE))
    return document


def _yaml(content: bytes) -> object:
    """Return the JSON for a YAML document.

    :raises ValueError: it is not YAML, or has a value that JSON does not have, such as a date without quotes.
    """
    try:
        import yaml
    except ImportError as error:
        raise ValueError(text("YAML needs PyYAML: pip install PyYAML, or pip install 'pixmill[serve]'")) from error
    try:
        document: object = json.loads(json.dumps(yaml.safe_load(content), allow_nan=False))
    except yaml.YAMLError as error:
        # The library's message has several lines.
        raise ValueError(" ".join(str(error).split())) from error
    except TypeError as error:
        raise ValueError(text("a value is not a text, number, list or object; put dates in quotes")) from error
    return document
