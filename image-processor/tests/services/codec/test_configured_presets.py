"""Presets in the configuration: the error message for an invalid preset."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_processor.config import ApiSettings
from image_processor.services.codec.configured_presets import ConfiguredPresets
from service_kit.settings import SettingsError

from tests.support.environment import INNER_SECRETS

CONFIG = Path(__file__).parents[4] / "config" / "image-processor" / "conf.yml"


@pytest.mark.parametrize(
    ("preset", "reason"),
    [
        ({"steps": [{"algorithm": "crop"}]}, "/steps/0/params: nothing to do: give width, height, aspect_ratio, left"),
        ({"steps": [{"algorithm": "flip"}, {"algorithm": "pad", "params": {}}]}, "/steps/1/params: nothing to do"),
        ({"steps": [{"algorithm": "border", "params": {"color": "x"}}]}, "/steps/0/params/color: 'x' is not a color"),
        ({"steps": [{"algorithm": "flop"}]}, "/steps/0/algorithm: There is no algorithm 'flop'"),
        ({"steps": [{"algorithm": "flip"}], "output": {"format": "bmp"}}, "/output/format: Input should be"),
        ({}, "/steps: Field required"),
    ],
)
def test_the_error_names_the_wrong_preset_and_field(preset: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        ConfiguredPresets({"fine": {"steps": [{"algorithm": "flip"}]}, "old": preset})

    assert str(refused.value).startswith(f"setting presets.old: {reason}")


@pytest.mark.slow
def test_starting_with_a_wrong_preset_fails_with_a_one_line_error() -> None:
    names, passwords = (
        ("POSTGRES_DB", "RABBITMQ_DEFAULT_USER"),
        ("PIXMILL_IMAGE_PROCESSOR_DB_PASSWORD", "RABBITMQ_DEFAULT_PASS"),
    )
    environment = {
        **os.environ,
        **dict.fromkeys(names, "x"),
        **dict.fromkeys(passwords, "a-password-of-these-tests-of-32-bytes"),
        **INNER_SECRETS,
        "PIXMILL_CALLBACK_SECRET": "a-secret-of-webhooks-in-these-tests-only",
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
    shipped = ApiSettings.model_fields["presets"].default

    assert [name for name, _ in ConfiguredPresets(shipped).items()] == ["avatar", "web"]
