"""The embedded stack: one uWSGI runs both services, the web page and a worker on a machine with only Python."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import httpx2
from service_kit import secrets
from service_kit.settings import THREADS_VARIABLE

from pixmill.page_copy import copy_page
from pixmill.start_log import start_log
from pixmill.supervision import Child, supervised

START_SECONDS = 300
"""Start timeout, long enough for the smallest machines. A failed start ends earlier, because its process exits."""
READY_SECONDS = 30
"""Timeout of a readiness request: the front accepts it while uWSGI loads, and uWSGI answers once it has loaded."""
STOP_SECONDS = 9
WSGI_INI = "config/embedded/wsgi.ini"
START_LOG = "start.log"
"""uWSGI's start log, in the data folder."""
PRIVATE = 0o077
"""The umask of all processes: other users of the machine cannot read the data."""


class StartError(Exception):
    """The server cannot start; the message is one line for the operator."""


@dataclass(frozen=True)
class Embedded:
    """Runs the embedded stack.

    :param project: the folder that contains ``config/`` and ``web/``.
    """

    host: str
    port: int
    data: Path
    project: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def _page(self) -> Path:
        return self.data / "page"

    def run(self) -> int:
        """Serve until SIGINT or SIGTERM, and return the exit code.

        A wrong setting, or a migration that fails, is printed by the process that finds it.

        :raises StartError: ``project`` is the wrong folder, the port is in use, the data folder is not writable, or the
        server did not start.
        """
        _check_project(self.project)
        self._check_port()
        os.umask(PRIVATE)
        self._open_data_folder()
        environment = self._environment()
        # The path of a Unix socket has at most 107 bytes, and the data folder's path may be longer.
        with TemporaryDirectory(prefix="pixmill-", ignore_cleanup_errors=True) as run:
            sockets = {"PIXMILL_SOCKET": f"{run}/uwsgi", "PIXMILL_RENDER_SOCKET": f"{run}/render"}
            return self._serve({**environment, **sockets})

    def _serve(self, environment: Mapping[str, str]) -> int:
        self._prepare_folders()
        with start_log(self.data / START_LOG) as (log, output):
            command = [sys.executable, "-m", "pixmill.preparation"]
            threads = {THREADS_VARIABLE: _threads(self.project)}
            with supervised(command, self.project, {**environment, **threads}, STOP_SECONDS, output) as preparation:
                code = preparation.process.wait()
            if code < 0 and not preparation.stop_requested:
                raise StartError(f"the preparation of the start ended (signal {-code}); start it again")
            if preparation.stop_requested or code != 0:
                return 0 if preparation.stop_requested else 1
            command = ["uwsgi", "--ini", WSGI_INI]
            with supervised(command, self.project, environment, STOP_SECONDS, output) as server:
                self._wait_until_ready(server)
                log.ready()
                if not server.stop_requested:
                    print(self._banner(), flush=True)
                code = server.process.wait()
        # A process that is stopped while it loads exits with another code.
        return 0 if server.stop_requested else code

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise StartError(
                    f"cannot listen on {self.host}:{self.port} ({error.strerror});"
                    " choose another with --port, or PORT= of make"
                ) from error

    def _open_data_folder(self) -> None:
        with self._writing():
            self.data.mkdir(parents=True, exist_ok=True)
            # This fails if the file system has no modes or the folder belongs to another user.
            with suppress(PermissionError):
                self.data.chmod(0o700)
            probe = self.data / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()

    def _prepare_folders(self) -> None:
        with self._writing():
            # What a killed server left.
            shutil.rmtree(self.data / "temporary", ignore_errors=True)
            for name in ("files", "queue", "queue-control", "scratch", "temporary", "renders"):
                (self.data / name).mkdir(parents=True, exist_ok=True)
            copy_page(self.project / "web/dist", self._page)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StartError(
                f"cannot write to the data folder {self.data} ({error.strerror});"
                " choose another with --data, or DATA= of make"
            ) from error

    def _environment(self) -> dict[str, str]:
        places = {
            "PIXMILL_HOST": self.host,
            "PIXMILL_PORT": str(self.port),
            "PIXMILL_PAGE": str(self._page),
        }
        return environment_of(self.data, self.project, places)

    def _wait_until_ready(self, server: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        # Use requests with a long timeout: polling would take CPU time from the starting server.
        with httpx2.Client(base_url=self.url, timeout=READY_SECONDS, trust_env=False) as client:
            while time.monotonic() < deadline:
                code = server.process.poll()
                # Check this after the process: a server that was stopped has not failed to start.
                if server.stop_requested:
                    return
                if code is not None:
                    raise StartError(f"the server ended while starting (exit code {code}); see the lines above")
                with suppress(httpx2.HTTPError):
                    if client.get("/readyz").status_code == 200:
                        return
                time.sleep(0.05)
        raise StartError(f"the server did not become ready within {START_SECONDS} seconds")

    def _banner(self) -> str:
        return (
            f"\nPixmill serves on {self.url}   (Ctrl-C stops it)\n"
            f"Data: {self.data}\n"
            f"Try: curl -F file=@photo.jpg {self.url}/api/file-server/\n"
        )


def run_tool(module: str, data: Path, project: Path, options: Sequence[str]) -> int:
    """Run an operator's tool, such as ``file_storage.fsck``, on an embedded stack's data; return its exit code.

    :raises StartError: the folder has no data of an embedded stack, or ``project`` is the wrong folder.
    """
    _check_project(project)
    if not (data / "file-storage.db").exists():
        raise StartError(f"there are no files of a Pixmill in {data}; name its data folder with --data")
    env = environment_of(data, project, {"PIXMILL_HOST": "127.0.0.1", "PIXMILL_PORT": ""})
    os.umask(PRIVATE)
    command = [sys.executable, "-m", module, *options]
    # No shell is used, and the module is one of ours.
    return subprocess.run(command, cwd=project, env=env, check=False).returncode  # nosec B603


def _check_project(project: Path) -> None:
    if not all((project / name).is_file() for name in ("config/embedded/settings.env", "web/dist/index.html")):
        raise StartError(f"{project} is not a clone of Pixmill, with its config/ and web/: name one with --project")


def _threads(project: Path) -> str:
    """Return the number of threads of a process that ``wsgi.ini`` sets."""
    settings = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    settings.read(project / WSGI_INI)
    return settings["uwsgi"]["threads"]


def environment_of(data: Path, project: Path, places: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the embedded stack; generate its secrets at the first start.

    A variable that is already set overrides ``settings.env``.

    :param places: further variables for ``settings.env`` and ``wsgi.ini``, in addition to the data folder.
    """
    places = {**places, "PIXMILL_DATA": str(data), secrets.FOLDER_VARIABLE: str(_secrets(data))}
    lines = (project / "config/embedded/settings.env").read_text().splitlines()
    settings = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return (
        {name: Template(value).substitute(places) for name, _, value in settings}
        | os.environ
        | places
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    )


def _secrets(data: Path) -> Path:
    """Return the folder of secrets; generate those that the embedded stack needs."""
    folder = data / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for earlier, name in (("link.secret", secrets.LINK), ("callback.secret", secrets.CALLBACK)):
        # Reuse secrets from the place of earlier builds: new secrets would invalidate all links.
        if (data / earlier).is_file() and not (folder / name).exists():
            (data / earlier).rename(folder / name)
    for name in secrets.SIGNING:
        secrets.keep(folder, name)
    return folder
