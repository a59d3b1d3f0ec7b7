"""Secrets that the start generates, and weak ones that it refuses."""

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from service_kit import secrets
from service_kit.secrets import SecretError, share_out

pytestmark = pytest.mark.slow

SIGNING = [
    "PIXMILL_LINK_SECRET",
    "PIXMILL_CALLBACK_SECRET",
    "PIXMILL_RENDER_SECRET",
    "PIXMILL_WORKER_INNER_SECRET",
    "PIXMILL_RENDER_INNER_SECRET",
    "PIXMILL_IMAGE_PROCESSOR_INNER_SECRET",
]
PASSWORDS = [
    "POSTGRES_PASSWORD",
    "RABBITMQ_DEFAULT_PASS",
    "PIXMILL_FILE_STORAGE_DB_PASSWORD",
    "PIXMILL_IMAGE_PROCESSOR_DB_PASSWORD",
    "PIXMILL_WORKER_DB_PASSWORD",
    "PIXMILL_WEBHOOKS_DB_PASSWORD",
    "PIXMILL_ACCESS_DB_PASSWORD",
    "PIXMILL_RENDER_DB_PASSWORD",
]
PUBLISHED = "pixmill-development"
RABBITS = "a password of at least 32 bytes for rabbits"


def values(folder: Path) -> dict[str, set[str]]:
    """Return the values of the services' secrets by name."""
    found: dict[str, set[str]] = {}
    for path in folder.glob("*/*"):
        found.setdefault(path.name, set()).add(path.read_text())
    return found


def test_everything_is_generated_and_differs(tmp_path: Path) -> None:
    share_out(tmp_path, {})

    found = values(tmp_path)
    generated = [found[name] for name in [*SIGNING, *PASSWORDS]]
    assert all(len(secrets) == 1 for secrets in generated), "all services have the same"
    assert len(set.union(*generated)) == len(generated)
    assert all(len(value.encode()) >= 32 for value in set.union(*generated))


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    share_out(tmp_path, {})
    before = values(tmp_path)

    share_out(tmp_path, {})

    after = values(tmp_path)
    assert {**after, "definitions.json": set()} == {**before, "definitions.json": set()}


def test_two_installations_have_different_secrets(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        share_out(tmp_path / name, {})

    here, there = values(tmp_path / "here"), values(tmp_path / "there")

    assert all(here[name].isdisjoint(there[name]) for name in [*SIGNING, *PASSWORDS])


@pytest.mark.parametrize("name", [*SIGNING, *PASSWORDS, "POSTGRES_DB", "RABBITMQ_DEFAULT_USER"])
def test_what_the_operator_sets_replaces_what_was_generated(tmp_path: Path, name: str) -> None:
    share_out(tmp_path, {})

    share_out(tmp_path, {name: "chosen by the operator of this installation"})

    assert values(tmp_path)[name] == {"chosen by the operator of this installation"}


def test_what_the_operator_had_set_stays_when_the_line_is_removed(tmp_path: Path) -> None:
    share_out(tmp_path, {"POSTGRES_PASSWORD": "chosen by the operator of this installation"})

    share_out(tmp_path, {"POSTGRES_PASSWORD": ""})

    assert values(tmp_path)["POSTGRES_PASSWORD"] == {"chosen by the operator of this installation"}


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_short_password_that_an_earlier_version_kept_is_replaced_when_the_line_is_removed(
    tmp_path: Path, name: str
) -> None:
    share_out(tmp_path, {})
    for path in tmp_path.glob(f"*/{name}"):
        path.write_text("abc")

    share_out(tmp_path, {})

    found = values(tmp_path)
    if name == "RABBITMQ_DEFAULT_PASS":
        [user] = json.loads((tmp_path / "rabbitmq/definitions.json").read_text())["users"]
        [password], salted = found[name], base64.b64decode(user["password_hash"])
        assert salted[4:] == hashlib.sha256(salted[:4] + password.encode()).digest()
    assert all(len(value) >= 32 for value in found[name])
    assert len(found[name]) == 1


@pytest.mark.parametrize("name", [*SIGNING, *PASSWORDS])
def test_the_published_value_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretError, match=f"^{name} in config/.* was published .*; remove it"):
        share_out(tmp_path, {name: PUBLISHED})

    assert values(tmp_path) == {}


@pytest.mark.parametrize("name", [*SIGNING, *PASSWORDS])
def test_a_secret_or_password_needs_32_bytes(tmp_path: Path, name: str) -> None:
    refused = f"^{name} in config/.* shorter than 32 bytes; remove it.*openssl rand -hex 32"
    with pytest.raises(SecretError, match=refused):
        share_out(tmp_path, {name: "x" * 31})

    share_out(tmp_path, {name: "x" * 32})
    assert values(tmp_path)[name] == {"x" * 32}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("file-storage", {"WORKER", "RENDER", "IMAGE_PROCESSOR"}),
        ("image-processor", {"RENDER", "IMAGE_PROCESSOR"}),
        ("worker", {"WORKER"}),
        ("render", {"RENDER"}),
        ("webhooks", set()),
        ("postgres", set()),
        ("rabbitmq", set()),
    ],
)
def test_a_process_has_its_own_inner_secret_and_those_of_its_clients(
    tmp_path: Path, service: str, expected: set[str]
) -> None:
    share_out(tmp_path, {})

    found = {path.name for path in (tmp_path / service).glob("*_INNER_SECRET")}
    assert found == {f"PIXMILL_{process}_INNER_SECRET" for process in expected}


def test_a_worker_has_neither_the_link_secret_nor_passwords_of_others(tmp_path: Path) -> None:
    share_out(tmp_path, {})

    assert {path.name for path in (tmp_path / "worker").iterdir()}.isdisjoint(
        {"PIXMILL_LINK_SECRET", *PASSWORDS} - {"PIXMILL_WORKER_DB_PASSWORD", "RABBITMQ_DEFAULT_PASS"}
    )


def test_render_has_no_password_of_a_role_that_makes_keys(tmp_path: Path) -> None:
    share_out(tmp_path, {})

    has = {path.name for path in (tmp_path / "render").iterdir()}
    assert has & {*PASSWORDS} == {"PIXMILL_RENDER_DB_PASSWORD"}


def test_a_start_takes_away_the_secrets_that_an_earlier_version_shared(tmp_path: Path) -> None:
    share_out(tmp_path, {})
    shared = (tmp_path / "file-storage/PIXMILL_ACCESS_DB_PASSWORD").read_text()
    (tmp_path / "render/PIXMILL_ACCESS_DB_PASSWORD").write_text(shared)
    (tmp_path / "render/PIXMILL_INNER_SECRET").write_text(shared)
    (tmp_path / "render/S3_SECRET").write_text("of the operator")

    share_out(tmp_path, {})

    has = {path.name for path in (tmp_path / "render").iterdir()}
    assert has.isdisjoint({"PIXMILL_ACCESS_DB_PASSWORD", "PIXMILL_INNER_SECRET"})
    assert "S3_SECRET" in has
    assert values(tmp_path)["PIXMILL_ACCESS_DB_PASSWORD"] == {shared}


@pytest.mark.parametrize("service", ["file-storage", "image-processor", "worker", "webhooks", "render"])
def test_only_their_owner_reads_the_secrets_of_a_service(tmp_path: Path, service: str) -> None:
    share_out(tmp_path, {})

    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / service).iterdir()} == {0o600}


@pytest.mark.parametrize("service", ["postgres", "rabbitmq"])
def test_the_user_of_another_image_reads_its_secrets(tmp_path: Path, service: str) -> None:
    share_out(tmp_path, {})

    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / service).iterdir()} == {0o644}


def test_rabbitmq_is_given_the_hash_of_the_password_alone(tmp_path: Path) -> None:
    share_out(tmp_path, {"RABBITMQ_DEFAULT_USER": "mill", "RABBITMQ_DEFAULT_PASS": RABBITS})

    [path] = (tmp_path / "rabbitmq").iterdir()
    definitions = json.loads(path.read_text())
    [user] = definitions["users"]
    decoded = base64.b64decode(user["password_hash"])
    # https://www.rabbitmq.com/docs/passwords#computing-password-hash
    assert decoded[4:] == hashlib.sha256(decoded[:4] + RABBITS.encode()).digest()
    assert user["name"] == "mill"
    assert user["tags"] == []
    assert definitions["permissions"][0]["user"] == "mill"
    assert RABBITS not in path.read_text()


def test_a_start_with_the_published_value_ends_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service_kit.secrets", str(tmp_path)]
    environment = {**os.environ, "PIXMILL_LINK_SECRET": PUBLISHED}

    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr == (
        "pixmill: PIXMILL_LINK_SECRET in config/*.env: 'pixmill-development' was published with the source; remove it,"
        " and the start generates another, or set your own\n"
    )


def test_a_secret_is_kept(tmp_path: Path) -> None:
    first = secrets.keep(tmp_path / "secrets", "NAME")

    assert secrets.keep(tmp_path / "secrets", "NAME") == first
    assert secrets.keep(tmp_path / "secrets", "OTHER") != first


def test_no_draft_of_a_secret_is_left(tmp_path: Path) -> None:
    share_out(tmp_path, {})

    assert [path for path in tmp_path.glob("*/*") if path.name.startswith(".")] == []
