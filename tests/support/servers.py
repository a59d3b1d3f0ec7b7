"""Servers that Pixmill needs, started for a test on a free port in a temporary folder."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service_kit.secrets import DATABASE_ROLES, FOLDER_VARIABLE, share_out

from tests.support.environment import ENVIRONMENT, PROJECT
from tests.support.folders import temporary_folder
from tests.support.processes import Process, find_program, free_port, skip_where_missing


def start_postgres(
    folder: Path, port: int, env: Mapping[str, str], server_env: Mapping[str, str] | None = None
) -> Process:
    """Start a PostgreSQL in ``folder`` with an empty database ``pixmill`` for the user ``pixmill``.

    :param server_env: variables of the server itself, not of the commands that start it.
    """
    binaries = "/usr/lib/postgresql/*/bin"
    data = folder / "postgres"
    data.mkdir()
    prefix: list[str] = []
    if os.getuid() == 0:
        # PostgreSQL refuses to run as root.
        shutil.chown(data, "postgres")
        prefix = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
    initdb = [
        find_program("initdb", binaries),
        "-U",
        "pixmill",
        "--auth",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run([*prefix, *initdb, "-D", str(data)], check=True, capture_output=True, cwd="/")
    variables = [f"{name}={value}" for name, value in (server_env or {}).items()]
    server = ["env", *variables, find_program("postgres", binaries), "-D", str(data), "-p", str(port)]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    process = Process("postgres", [*prefix, *server, *options], env, folder / "postgres.log", signal.SIGINT)
    psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "pixmill", "-d", "postgres"]
    create = [*psql, "-c", "CREATE DATABASE pixmill"]
    process.wait_until(lambda: subprocess.run(create, capture_output=True, check=False).returncode == 0)
    return process


def create_roles(folder: Path, port: int) -> dict[str, str]:
    """Create the services' roles as docker-compose does, and return the URL of the database for each.

    :param folder: for the secrets.
    """
    shares = folder / "secrets"
    shares.mkdir(exist_ok=True)
    share_out(shares, {})
    passwords = shares / "postgres"
    address = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "POSTGRES_USER": "pixmill", "POSTGRES_DB": "pixmill"}
    environment = {**ENVIRONMENT, **address, FOLDER_VARIABLE: str(passwords)}
    subprocess.run([PROJECT / "config/postgresql/roles.sh"], env=environment, check=True)
    return {
        role: f"postgresql+psycopg://{role}:{(passwords / name).read_text()}@127.0.0.1:{port}/pixmill"
        for role, name in DATABASE_ROLES.items()
    }


@contextmanager
def started_postgres(name: str) -> Iterator[str]:
    """Start a PostgreSQL for the block and return the URL of an empty database."""
    port = free_port()
    with skip_where_missing():
        server = start_postgres(temporary_folder(name), port, ENVIRONMENT)
    try:
        yield f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill"
    finally:
        server.stop()
