"""The path of an earlier version's installation, and the environment for its services."""

import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.databases import libpq_url

ARCHIVE = Path(__file__).with_name("installation.tar.xz")
_VARIABLES = {
    "access": "ACCESS_DATABASE__URL",
    "file-storage": "FILE_STORAGE_DATABASE__URL",
    "image-processor": "IMAGE_PROCESSOR_DATABASE__URL",
}


def unpack(name: str, folder: Path) -> Path:
    """Unpack the installation on ``sqlite`` or ``postgresql`` into a folder; return its own folder there."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder / name


def load_dump(folder: Path, url: str) -> None:
    """Load the dump of an installation into an empty database of PostgreSQL."""
    psql = [
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        libpq_url(url),
    ]
    subprocess.run([*psql, "--file", folder / "dump.sql"], check=True, capture_output=True)


def databases_in(folder: Path) -> dict[str, str]:
    """Return the URL of each service's SQLite database in a folder."""
    return {service: f"sqlite:///{folder}/{service}.db" for service in _VARIABLES}


def environment_of(folder: Path, databases: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the services use an installation, without a broker or a server."""
    return {_VARIABLES[service]: url for service, url in databases.items()} | {
        "FILE_STORAGE_STORAGE__FOLDER": str(folder / "files"),
        "FILE_STORAGE_STORAGE__RESERVE_BYTES": "0",
        "FILE_STORAGE_UPLOAD__BODY_FOLDER": "",
        "IMAGE_PROCESSOR_BROKER__URL": "memory://",
        "IMAGE_PROCESSOR_FILE_STORAGE__URL": "wsgi://file_storage.app/api/file-server",
    }
