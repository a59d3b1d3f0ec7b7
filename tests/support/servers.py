"""Servers that Pixmill needs, started for a test on a free port with a temporary folder."""

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
from tests.support.processes import Process, accepts, find_program, free_port, skip_where_missing

_POSTGRES_PROGRAMS = "/usr/lib/postgresql/*/bin"


def start_postgres(
    folder: Path, port: int, env: Mapping[str, str], server_env: Mapping[str, str] | None = None
) -> Process:
    """Start a PostgreSQL server in ``folder`` with an empty database ``pixmill`` for the user ``pixmill``.

    :param server_env: variables of the server itself, not of the commands that start it.
    """
    data = _data_folder(folder, "postgres")
    initdb = [
        find_program("initdb", _POSTGRES_PROGRAMS),
        "-U",
        "pixmill",
        "--auth",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    subprocess.run([*_as_postgres(), *initdb, "-D", str(data)], check=True, capture_output=True, cwd="/")
    process = _serve("postgres", data, port, env, server_env or {})
    psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "pixmill", "-d", "postgres"]
    create = [*psql, "-c", "CREATE DATABASE pixmill"]
    process.wait_until(lambda: subprocess.run(create, capture_output=True, check=False).returncode == 0)
    return process


def start_standby(folder: Path, primary_port: int, port: int, env: Mapping[str, str]) -> Process:
    """Start a standby of the primary in ``folder``; every commit of the primary then waits for it."""
    data = _data_folder(folder, "standby")
    copy = [
        find_program("pg_basebackup", _POSTGRES_PROGRAMS),
        "-h",
        "127.0.0.1",
        "-p",
        str(primary_port),
        "-U",
        "pixmill",
    ]
    options = ["--write-recovery-conf", "--create-slot", "--slot=standby", "--checkpoint=fast", "-D", str(data)]
    subprocess.run([*_as_postgres(), *copy, *options], check=True, capture_output=True, cwd="/")
    process = _serve("standby", data, port, env, {})
    process.wait_until(lambda: query(primary_port, "SELECT state FROM pg_stat_replication") == "streaming")
    # Set this only now: the standby would copy it and, once promoted, wait for a standby of its own.
    query(primary_port, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")
    query(primary_port, "SELECT pg_reload_conf()")
    process.wait_until(lambda: query(primary_port, "SELECT sync_state FROM pg_stat_replication") == "quorum")
    return process


def start_pgbouncer(folder: Path, database_port: int, port: int, env: Mapping[str, str]) -> Process:
    """Start a PgBouncer in transaction mode, with two database connections per role and database."""
    users, settings = folder / "pgbouncer-users.txt", folder / "pgbouncer.ini"
    users.write_text("".join(f'"{role}" ""\n' for role in ("pixmill", *DATABASE_ROLES)))
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={database_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 2\n"
        "max_client_conn = 500\nquery_wait_timeout = 10\n"
    )
    command = [*_as_postgres(), find_program("pgbouncer"), str(settings)]
    process = Process("pgbouncer", command, env, folder / "pgbouncer.log", signal.SIGINT)
    process.wait_until(accepts(port))
    return process


def query(port: int, statement: str) -> str:
    """Run a statement as administrator; return its first value as a string."""
    command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "pixmill", "-d", "pixmill", "-X", "-q", "-At"]
    run = subprocess.run([*command, "-c", statement], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def _data_folder(folder: Path, name: str) -> Path:
    data = folder / name
    data.mkdir(mode=0o700)
    if os.getuid() == 0:
        shutil.chown(data, "postgres")
    return data


def _as_postgres() -> list[str]:
    # PostgreSQL refuses to run as root.
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.getuid() == 0 else []


def _serve(name: str, data: Path, port: int, env: Mapping[str, str], server_env: Mapping[str, str]) -> Process:
    variables = [f"{variable}={value}" for variable, value in server_env.items()]
    server = ["env", *variables, find_program("postgres", _POSTGRES_PROGRAMS), "-D", str(data), "-p", str(port)]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    if "PYTEST_VERSION" in os.environ:
        # No test cuts the power: the kernel keeps what a killed server has written. Benchmarks measure the disk too.
        options += ["-c", "fsync=off"]
    command = [*_as_postgres(), *server, *options]
    return Process(name, command, env, data.with_suffix(".log"), signal.SIGINT)


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
    """Start a PostgreSQL server for the block and return the URL of an empty database."""
    port = free_port()
    with skip_where_missing():
        server = start_postgres(temporary_folder(name), port, ENVIRONMENT)
    try:
        yield f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill"
    finally:
        server.stop()
