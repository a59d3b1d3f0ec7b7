"""The built page as uWSGI serves it: it sends files as they are, and compresses none."""

import gzip
import shutil
from pathlib import Path

TEXTS = {".css", ".html", ".js", ".svg"}
"""Suffixes of files that become smaller."""


def copy_page(built: Path, folder: Path) -> None:
    """Replace ``folder`` with a copy of the built page that also has the gzip form of each text, as ``NAME.gz``.

    A client gets the form that it accepts (RFC 9110, 12.5.3); both have the time of the original.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(built, folder)
    for path in [path for path in folder.rglob("*") if path.suffix in TEXTS]:
        compressed = path.with_name(f"{path.name}.gz")
        compressed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        shutil.copystat(path, compressed)
