"""The two ways to run Pixmill, started from the project's own configuration."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from tests.support.client import http, is_ready
from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.processes import (
    Process,
    accepts,
    find_program,
    free_port,
    kill_all,
    processes_of,
    skip_where_missing,
)
from tests.support.servers import create_roles, query, start_pgbouncer, start_postgres, start_standby
from tests.support.waiting import STATE_SECONDS, wait_until


class Stack(Protocol):
    """A running Pixmill."""

    name: str
    url: str
    folder: Path
    """The folder for everything that the stack writes; its path is in the command or environment of each process.
    """
    files: Path
    """The data folder of file-storage: ``blobs/`` and ``staging/``."""
    scratch: Path
    """The worker's folder for sources and results while a task runs."""
    worker_log: Path
    """The log of the worker, or of the process that runs it."""
    render_log: Path
    """The log of the render service, or of the process that runs it."""

    def stop(self) -> None: ...


class EmbeddedStack:
    """The stack of ``make run``."""

    name = "embedded"

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.data = folder / "data"
        self.files = self.data / "files"
        self.scratch = self.data / "scratch"
        self.worker_log = self.render_log = folder / "embedded.log"
        command = [str(SCRIPTS / "pixmill"), "serve", "--port", str(self.port), "--data", str(self.data)]
        command += ["--project", str(PROJECT)]
        self.process = Process("pixmill serve", command, ENVIRONMENT | dict(environment or {}), folder / "embedded.log")
        self.process.wait_until(lambda: is_ready(self.url))

    def stop(self) -> None:
        """Stop the stack; check that no process remains."""
        if self.process.popen.poll() is None:
            try:
                self.process.popen.terminate()
                code = self.process.popen.wait(STATE_SECONDS)
                left = processes_of(self.data)
            finally:
                self.process.kill()
            assert (code, left) == (0, {})


class FullStack:
    """nginx, both services under uWSGI, PostgreSQL, RabbitMQ, a worker and a webhook sender, as real processes."""

    name = "full"

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        database_environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        self.scratch = folder / "scratch-worker"
        self.worker_log = folder / "worker.log"
        self.render_log = folder / "render.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._storage_port, self._processor_port, self._events_port = free_port(), free_port(), free_port()
        self._large_port, self._epmd_port, self._inner_port = free_port(), free_port(), free_port()
        self._render_port, self._file_events_port = free_port(), free_port()
        self.inner_url = f"http://127.0.0.1:{self._inner_port}"
        """URL of nginx's second port, which is not published."""
        self.postgres_port, self._rabbitmq_port = free_port(), free_port()
        with ThreadPoolExecutor() as executor:
            rabbitmq = executor.submit(self._start_rabbitmq)
            self.postgres = start_postgres(folder, self.postgres_port, ENVIRONMENT, database_environment)
            self.rabbitmq = rabbitmq.result()
        self._databases = self._prepare_databases()
        self.environment = ENVIRONMENT | self._settings(self._databases) | dict(environment or {})
        """Environment variables of the services and of an operator's commands."""
        with ThreadPoolExecutor() as executor:
            image_processor = executor.submit(
                self._start_service, "image-processor", self._processor_port, self._events_port
            )
            self.file_storage = self._start_service("file-storage", self._storage_port, self._file_events_port)
            self.image_processor = image_processor.result()
        self.nginx = self.start_nginx("nginx", self.port, self._inner_port)
        self.render = self.start_render()
        self.worker = self.start_worker("worker")
        self.webhooks = self.start_webhooks("webhooks")
        self.await_ready()

    def stop(self) -> None:
        with ThreadPoolExecutor() as executor:
            stops = [
                executor.submit(process.stop)
                for process in (self.webhooks, self.worker, self.render, self.image_processor, self.file_storage)
            ]
            self.nginx.stop(5)
            for stop in stops:
                stop.result()
            rabbitmq = executor.submit(self.rabbitmq.stop)
            self.postgres.stop()
            rabbitmq.result()
        epmd = find_program("epmd", "/usr/lib/erlang/erts-*/bin")
        env = ENVIRONMENT | {"ERL_EPMD_PORT": str(self._epmd_port)}
        subprocess.run([epmd, "-kill"], env=env, capture_output=True, check=False)

    def start_worker(self, name: str) -> Process:
        """Start another worker with its own scratch folder."""
        scratch = self.folder / f"scratch-{name}"
        celery = [str(SCRIPTS / "celery"), "--quiet", "--workdir", str(PROJECT), "--app", "image_processor.worker"]
        worker = ["worker", "--without-gossip", "--without-mingle"]
        # As in worker.Dockerfile.
        env = self.environment | {"WORKER_SCRATCH_FOLDER": str(scratch), "MALLOC_ARENA_MAX": "2"}
        return Process(name, [*celery, *worker], env, self.folder / f"{name}.log")

    def start_webhooks(self, name: str) -> Process:
        """Start another process that sends webhooks."""
        command = ["env", f"--chdir={PROJECT}", str(SCRIPTS / "python"), "-m", "image_processor.webhooks"]
        return Process(name, command, self.environment, self.folder / f"{name}.log")

    def start_render(self) -> Process:
        """Start the render service."""
        command = [str(SCRIPTS / "uvicorn"), "--factory", "image_processor.render.app:create_app"]
        command += ["--app-dir", str(PROJECT), "--port", str(self._render_port)]
        command += ["--no-access-log", "--no-date-header", "--no-server-header", "--log-level", "warning"]
        os.chdir(PROJECT)
        # As in docker-compose.yml.
        env = self.environment | {"ACCESS_DATABASE__URL": self._databases["render"]}
        process = Process("render", command, env, self.folder / "render.log")
        process.wait_until(accepts(self._render_port))
        return process

    def await_ready(self) -> None:
        """Wait until both services, all their dependencies and their event streams are ready."""
        self.nginx.wait_until(lambda: is_ready(f"{self.url}/api/file-server") and is_ready(self.url))

    def await_saved_queue(self) -> None:
        """Wait until RabbitMQ has persisted a newly declared queue.

        It saves the queue's name a few seconds later; if it is killed before, it restarts with a queue that has no
        leader.
        """
        saved = self.folder / "rabbitmq" / "mnesia"
        wait_until(
            lambda: all(time.time() - path.stat().st_mtime > 10 for path in saved.rglob("quorum/**/*.dets")),
            "the queue is saved",
        )

    def requests(self, *parts: str) -> list[str]:
        """Return the lines of nginx's log that contain all of these parts."""
        lines = (self.folder / "nginx-access.log").read_text().splitlines()
        return [line for line in lines if all(part in line for part in parts)]

    def maintain(self, name: str, older_than: float = 0) -> "subprocess.CompletedProcess[str]":
        """Run file-storage's ``fsck`` or ``gc`` as an operator does, but for unreferenced bytes of any age."""
        command = [str(SCRIPTS / "python"), "-m", f"file_storage.{name}", "--older-than", str(older_than)]
        return subprocess.run(command, env=self.environment, cwd=PROJECT, check=False, capture_output=True, text=True)

    def check_files(self) -> None:
        """Check every file and remove unreferenced bytes."""
        run = self.maintain("fsck")
        assert run.returncode == 0, run.stdout + run.stderr
        assert '"miscounted": 0' in run.stdout + run.stderr, run.stdout + run.stderr

    def stored_blobs(self) -> set[str]:
        """Return the names of all blobs on disk."""
        return {path.name for path in (self.files / "blobs").glob("??/??/*")}

    def named_blobs(self) -> set[str]:
        """Return the names of the blobs that files use."""
        listed = http.get(f"{self.url}/api/file-server/").raise_for_status().json()
        return {file["sha256"] for file in listed}

    def queues(self) -> list[str]:
        """Return the names of RabbitMQ's queues."""
        program = find_program("rabbitmqctl", "/usr/lib/rabbitmq/bin")
        command = [program, "--quiet", "list_queues", "--no-table-headers", "name"]
        run = subprocess.run(command, env=self._rabbitmq_environment, check=True, capture_output=True, text=True)
        return run.stdout.split()

    def _prepare_databases(self) -> Mapping[str, str]:
        """Return the URL of the database for each role."""
        return create_roles(self.folder, self.postgres_port)

    def _settings(self, databases: Mapping[str, str]) -> dict[str, str]:
        broker = f"amqp://pixmill:test@127.0.0.1:{self._rabbitmq_port}//"
        return {
            "ACCESS_DATABASE__URL": databases["access"],
            "FILE_STORAGE_DATABASE__URL": databases["file_storage"],
            "FILE_STORAGE_STORAGE__FOLDER": str(self.files),
            "FILE_STORAGE_UPLOAD__BODY_FOLDER": str(self.files / "incoming"),
            "IMAGE_PROCESSOR_DATABASE__URL": databases["image_processor"],
            "IMAGE_PROCESSOR_BROKER__URL": broker,
            "IMAGE_PROCESSOR_FILE_STORAGE__URL": f"http://127.0.0.1:{self._storage_port}/api/file-server",
            "WORKER_DATABASE__URL": databases["worker"],
            "WORKER_BROKER__URL": broker,
            "WORKER_FILE_STORAGE__URL": f"{self.inner_url}/api/file-server",
            "WORKER_FILE_STORAGE__BLOBS_FOLDER": str(self.files / "blobs"),
            "WORKER_FILE_STORAGE__BLOBS_URL": f"{self.inner_url}/blobs-by-sha256/",
            "WEBHOOKS_DATABASE__URL": databases["webhooks"],
            "RENDER_FILE_STORAGE__URL": f"{self.inner_url}/api/file-server",
            "RENDER_FILE_STORAGE__BLOBS_FOLDER": str(self.files / "blobs"),
            "RENDER_FILE_STORAGE__BLOBS_URL": f"{self.inner_url}/blobs-by-sha256/",
            "RENDER_IMAGE_PROCESSOR__URL": f"{self.inner_url}/api/image-processing",
            "RENDER_FRONT__URL": self.inner_url,
            "RENDER_CACHE__FOLDER": str(self.folder / "renders"),
            "EVENTS_HOST": "127.0.0.1",
            "EVENTS_PORT": str(self._events_port),
        }

    def _start_rabbitmq(self) -> Process:
        home = self.folder / "rabbitmq"
        home.mkdir()
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._rabbitmq_port}\ndefault_user = pixmill\ndefault_pass = test\n"
            "disk_free_limit.absolute = 50MB\n"
        )
        (home / "enabled_plugins").write_text("[].\n")
        self._rabbitmq_environment = ENVIRONMENT | {
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"pixmill{self._rabbitmq_port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            # Use one scheduler: with one per core, the start takes one more second of CPU time.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1",
        }
        server = find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin")
        # RabbitMQ writes a crash dump into its working directory when its own folder is gone.
        command = ["env", f"--chdir={home}", server]
        process = Process("rabbitmq", command, self._rabbitmq_environment, self.folder / "rabbitmq.log")
        process.wait_until(accepts(self._rabbitmq_port))
        return process

    def _start_service(self, name: str, port: int, events_port: int) -> Process:
        env = self.environment | {"LISTEN": f"127.0.0.1:{port}", "LISTEN_LARGE": f"127.0.0.1:{self._large_port}"}
        env["EVENTS_PORT"] = str(events_port)
        command = [str(SCRIPTS / "uwsgi"), "--ini", f"config/{name}/wsgi.ini", "--chdir", str(PROJECT)]
        os.chdir(PROJECT)
        process = Process(name, command, env, self.folder / f"{name}.log")
        process.wait_until(accepts(port))
        return process

    def start_nginx(
        self, name: str, port: int, inner_port: int, values: Mapping[str, str] | None = None, http_lines: str = ""
    ) -> Process:
        """Start nginx on ``port`` with the shipped configuration and an operator's changes.

        :param inner_port: the port without limits.
        :param values: changed variables of ``config/nginx.env`` and ``config/limits.env``.
        :param http_lines: lines that the operator adds to ``http { … }``.
        """
        here = {
            "NGINX_ADDRESS": "127.0.0.1",
            "NGINX_PORT": str(port),
            "NGINX_INNER_PORT": str(inner_port),
            "NGINX_OWN_PORT": str(free_port()),
            "FILE_STORAGE": f"127.0.0.1:{self._storage_port}",
            "FILE_STORAGE_LARGE": f"127.0.0.1:{self._large_port}",
            "IMAGE_PROCESSOR": f"127.0.0.1:{self._processor_port}",
            "EVENTS": f"127.0.0.1:{self._events_port}",
            "FILE_EVENTS": f"127.0.0.1:{self._file_events_port}",
            "RENDER": f"127.0.0.1:{self._render_port}",
            "WEB_FOLDER": str(PROJECT / "web"),
            "FILES_FOLDER": str(self.files),
            "NGINX_CACHE_FOLDER": str(self.folder),
            "NGINX_PID_FILE": str(self.folder / f"{name}.pid"),
            "NGINX_ACCESS_LOG": str(self.folder / f"{name}-access.log"),
        }
        config = substituted(PROJECT / "config/nginx.conf", {**here, **(values or {})})
        path = self.folder / f"{name}.conf"
        path.write_text(config.replace("http {", f"http {{\n{http_lines}", 1))
        user = "user root; " if os.getuid() == 0 else ""
        command = [find_program("nginx"), "-c", str(path), "-g", f"{user}daemon off;", "-e", "stderr"]
        return Process(name, command, ENVIRONMENT, self.folder / f"{name}.log", signal.SIGQUIT)


class ReplicatedStack(FullStack):
    """A full stack whose PostgreSQL commits only once its standby has the data too."""

    def stop(self) -> None:
        super().stop()
        self.standby.stop()

    def promote_standby(self) -> None:
        """Make the standby the primary, as a cluster manager does when the primary fails."""
        query(self._standby_port, "SELECT pg_promote()")

    def _prepare_databases(self) -> Mapping[str, str]:
        self._standby_port = free_port()
        databases = super()._prepare_databases()
        self.standby = start_standby(self.folder, self.postgres_port, self._standby_port, ENVIRONMENT)
        # List the standby first, to test that it is not taken for the primary.
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in (self._standby_port, self.postgres_port))
        one_host = f"127.0.0.1:{self.postgres_port}/pixmill"
        return {
            role: url.replace(one_host, f"/pixmill?{hosts}&target_session_attrs=read-write")
            for role, url in databases.items()
        }


class PooledStack(FullStack):
    """A full stack whose services share few PostgreSQL connections through PgBouncer, in transaction mode."""

    def stop(self) -> None:
        super().stop()
        self.pgbouncer.stop()

    def _prepare_databases(self) -> Mapping[str, str]:
        databases = super()._prepare_databases()
        port = free_port()
        self.pgbouncer = start_pgbouncer(self.folder, self.postgres_port, port, ENVIRONMENT)
        return {
            role: url.replace(f":{self.postgres_port}/", f":{port}/") + "?prepared_statements=off"
            for role, url in databases.items()
        }


def substituted(template: Path, values: Mapping[str, str]) -> str:
    """Return the text of a template after substituting the variables of two ``.env`` files, as nginx's image does.

    They are the file with the template's name, and ``limits.env``.

    :param values: values that replace those of the files.
    :raises AssertionError: the files lack a variable of ``values``.
    :raises KeyError: the template names a variable that the files lack.
    """
    files = (template.with_suffix(".env"), template.with_name("limits.env"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    shipped = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert values.keys() <= shipped.keys(), values.keys() - shipped.keys()
    variables = shipped | dict(values)
    return re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], template.read_text())


STACKS: Mapping[str, type[EmbeddedStack] | type[FullStack]] = {
    "embedded": EmbeddedStack,
    "full": PooledStack if os.environ.get("PIXMILL_TEST_POOLED") == "true" else FullStack,
}
"""The stacks by name; with the variable, tests of the full stack run through PgBouncer."""


def start(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> EmbeddedStack | FullStack:
    """Start the stack with that name in ``folder``; skip the test if a server is not installed."""
    with skip_where_missing():
        try:
            return STACKS[name](folder, environment)
        except BaseException:
            # No object refers to the servers already started, so kill them by their folder.
            kill_all(folder)
            raise
