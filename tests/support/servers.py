"""Servers that Pixmill needs, started for a test on a free port in a temporary folder."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.environment import ENVIRONMENT
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
