"""Pipelines in files."""

import json
import re
import sys
from pathlib import Path

import pytest
from pixmill.commands.pipeline_file import EXAMPLE, is_pipeline_file, params_in

PIPELINE = {"steps": [{"algorithm": "watermark", "params": {"mark": {"text": "no"}, "scale": 40}}], "output": {}}
IN_YAML = """\
# A comment.
steps:
  - algorithm: watermark
    params:
      mark: {text: "no"}
      scale: 40
output: {}
"""


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", json.dumps(PIPELINE)), ("a.yml", IN_YAML), ("a.yaml", json.dumps(PIPELINE))]
)
def test_a_file_has_a_pipeline_in_json_or_yaml(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)

    assert is_pipeline_file(name)
    assert params_in(tmp_path / name) == PIPELINE


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{", "a.json: Expecting"),
        ("a.json", IN_YAML, "a.json: Expecting"),
        ("a.json", '{"algorithm": "flip"}', f"a.json has no steps; write: {EXAMPLE}"),
        ("a.json", "[]", "has no steps"),
        ("a.yml", "", "has no steps"),
        ("a.yml", "steps: [", "line 1"),
        ("a.yml", "steps: [{algorithm: a, params: {day: 2026-11-30}}]", "put dates in quotes"),
        ("a.yml", "steps: [{algorithm: a, params: {number: .nan}}]", "not JSON compliant"),
        ("a.yml", "steps: &steps [*steps]", "Circular reference"),
        ("a.yml", "steps: !!python/name:os.system ''", "could not determine a constructor"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_its_name(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        params_in(tmp_path / name)

    assert name in str(raised.value)
    assert says in str(raised.value)


def test_without_pyyaml_json_is_read_and_yaml_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    for name in ("a.json", "a.yml"):
        (tmp_path / name).write_text(EXAMPLE)

    assert params_in(tmp_path / "a.json") == json.loads(EXAMPLE)
    with pytest.raises(ValueError, match=re.escape("pip install PyYAML, or pip install 'pixmill[serve]'")):
        params_in(tmp_path / "a.yml")


def test_the_example_is_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(EXAMPLE)

    assert params_in(tmp_path / "a.yml") == json.loads(EXAMPLE)
