"""Keys that an operator changes on the machine are in the audit trail, as those changed over HTTP."""

import json
import logging
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from service_kit.access.__main__ import main
from service_kit.access.audit import AuditFilter, AuditTrail
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.models import AuditEntry
from service_kit.access.principals import READER
from service_kit.database import Database

NO_KEY = "000000000000"
PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _settings(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{tmp_path}/access.db")
    # What an account may set itself says nothing about who it is.
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def key_id(database: Database) -> str:
    return KeyService(database).create(KeyRequest("alice", READER)).key.id


def entries(database: Database) -> list[AuditEntry]:
    return list(AuditTrail(database, 3600).page(AuditFilter(), 0, 10))


COMMANDS = {
    "create": (["--owner", "alice", "--role", "reader"], 201),
    "revoke": (["{key_id}"], 200),
    "rotate": (["{key_id}", "--overlap-days", "0"], 201),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_change_is_recorded_with_who_where_and_what(database: Database, key_id: str, command: str) -> None:
    words, status = COMMANDS[command]

    assert main([command, *(word.format(key_id=key_id) for word in words)]) == 0

    [entry] = entries(database)
    account = subprocess.run(["id", "--user", "--name"], check=True, capture_output=True, text=True).stdout.strip()
    assert (entry.owner, entry.key_id) == ("local", None)
    assert entry.address == f"{account}@{socket.gethostname()}"[:64]
    made = [key.id for key in KeyService(database).page("", 10)][-1]
    subject = made if command == "create" else key_id
    assert (entry.action, entry.object) == (f"pixmill keys {command}", f"/api/keys/{subject}")
    assert entry.status == status


@pytest.mark.parametrize(
    ("words", "object_", "status"),
    [
        (["revoke", NO_KEY], f"/api/keys/{NO_KEY}", 404),
        (["rotate", NO_KEY], f"/api/keys/{NO_KEY}", 404),
        (["create", "--owner", "Not Allowed", "--role", "reader"], "/api/keys", 422),
        (["create"], "/api/keys", 422),
    ],
)
def test_a_refused_change_is_recorded(database: Database, words: list[str], object_: str, status: int) -> None:
    assert main(words) == 1

    assert [(entry.object, entry.status) for entry in entries(database)] == [(object_, status)]


def test_a_change_is_a_log_line_and_the_output_is_only_the_secret(capfd: pytest.CaptureFixture[str]) -> None:
    main(["create", "--role", "admin"])

    written = capfd.readouterr()
    [line] = [json.loads(line) for line in written.err.splitlines() if line.startswith("{")]
    assert (line["event"], line["action"], line["status"]) == ("audit", "pixmill keys create", 201)
    assert re.fullmatch(r"pxm_[0-9a-f]{12}_\S{43}\n", written.out)
    assert written.out.strip() not in written.err


def test_a_list_changes_nothing(database: Database, key_id: str, capfd: pytest.CaptureFixture[str]) -> None:
    main(["list"])

    assert capfd.readouterr().out.startswith(key_id)
    assert entries(database) == []


def test_every_command_is_either_the_list_or_a_recorded_change(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    [commands] = re.findall(r"\{([a-z,-]+)\}", capfd.readouterr().out)[:1]
    assert set(commands.split(",")) == {"list", *COMMANDS}


def test_an_account_without_a_name_is_its_number(
    database: Database, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)

    main(["revoke", key_id])

    assert [entry.address for entry in entries(database)] == [f"4000000@{socket.gethostname()}"[:64]]
