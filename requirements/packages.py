"""What is locked, and under which license each package comes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "pixmill" / "requirements.txt"
"""The packages that all our images and the embedded server consist of; each image has a part of them."""
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)(?:.*\\\n)?((?:^ +--hash=.*\n)*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

# Licenses of packages whose metadata has no SPDX expression, or omits the libraries in the wheel: from license files of
# the package or its classifiers.
READ = {
    "amqp": "BSD-3-Clause",
    "atheris": "Apache-2.0",
    "billiard": "BSD-3-Clause",
    "blinker": "MIT",
    "click-didyoumean": "MIT",
    "click-plugins": "BSD-3-Clause",
    "deflate": "MIT",
    "font-roboto": "Apache-2.0",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "multipart": "MIT",
    "obstore": "MIT",
    "opencv-python-headless": "Apache-2.0",
    "prompt-toolkit": "BSD-3-Clause",
    "pillow-heif": "BSD-3-Clause AND LGPL-3.0-or-later AND GPL-2.0-or-later",
    "pypdfium2": "BSD-3-Clause AND Apache-2.0",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "pyuwsgi": "GPL-2.0-only WITH GCC-exception-2.0",
    "resvg-py": "MIT",
    "shellingham": "ISC",
    "vine": "BSD-3-Clause",
    "wcwidth": "MIT",
}


class UnknownLicenseError(Exception):
    """No license is known of a package that is locked."""


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    hashes: tuple[str, ...]
    license: str
    summary: str


def packages_of(requirements: Path) -> Iterator[Package]:
    """Yield the locked packages that are installed here; a few are locked for other systems only."""
    for match in LOCKED.finditer(requirements.read_text("utf-8")):
        name, version, hashes = match.groups()
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        yield Package(
            name, version, tuple(HASH.findall(hashes)), _license(name, installed), installed.metadata["Summary"]
        )


def _license(name: str, installed: Distribution) -> str:
    if name in READ:
        return READ[name]
    for field in ("License-Expression", "License"):
        for stated in installed.metadata.get_all(field) or []:
            if stated and "\n" not in stated:
                return str(stated)
    topics = installed.metadata.get_all("Classifier") or []
    named = [topic.rpartition(" :: ")[2] for topic in topics if topic.startswith("License :: ")]
    if not named:
        raise UnknownLicenseError(f"{name}: read its license and name it in {Path(__file__).name}")
    return " or ".join(named)
