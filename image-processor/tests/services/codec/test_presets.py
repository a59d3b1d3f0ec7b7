"""Presets: what the operator is told of one that is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from image_processor.services.codec.presets import Presets
from service_kit.settings import SettingsError

CONFIG = Path(__file__).parents[4] / "config" / "image-processor" / "conf.yml"


@pytest.mark.parametrize(
    ("preset", "reason"),
    [
        ({"steps": [{"algorithm": "crop"}]}, "/steps/0/params: nothing to do: give width, height, aspect_ratio, left"),
        ({"steps": [{"algorithm": "flip"}, {"algorithm": "pad", "params": {}}]}, "/steps/1/params: nothing to do"),
        ({"steps": [{"algorithm": "border", "params": {"color": "x"}}]}, "/steps/0/params/color: 'x' is no color"),
        ({"steps": [{"algorithm": "flop"}]}, "/steps/0/algorithm: There is no algorithm 'flop'"),
        ({"steps": [{"algorithm": "flip"}], "output": {"format": "bmp"}}, "/output/format: Input should be"),
        ({}, "/steps: Field required"),
    ],
)
def test_a_wrong_preset_is_named_with_what_is_wrong(preset: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Presets({"fine": {"steps": [{"algorithm": "flip"}]}, "old": preset})

    assert str(refused.value).startswith(f"setting presets.old: {reason}")


def test_a_start_with_a_wrong_preset_ends_with_one_line() -> None:
    secrets = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS")
    environment = {
        **os.environ,
        **dict.fromkeys(secrets, "x"),
        "IMAGE_PROCESSOR_CONFIG": str(CONFIG),
        "IMAGE_PROCESSOR_PRESETS": '{"old": {"steps": [{"algorithm": "crop", "params": {}}]}}',
    }
    code = "from image_processor.app import create_app; create_app()"

    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr == (
        "pixmill: setting presets.old: /steps/0/params: nothing to do: give width, height, aspect_ratio, left or top\n"
    )


def test_the_presets_that_come_with_pixmill_are_right() -> None:
    shipped = yaml.safe_load(CONFIG.read_text("utf-8"))["presets"]

    assert [name for name, _ in Presets(shipped).items()] == ["avatar", "web"]
