"""Prepares the built page for uWSGI, which can send compressed files but cannot compress them."""

import gzip
import os
import shutil
from pathlib import Path

TEXTS = {".css", ".html", ".js", ".svg"}
"""Suffixes of files that become smaller."""


def copy_page(built: Path, folder: Path) -> None:
    """Replace ``folder`` with a copy of the built page that also has the gzip form of each text, as ``NAME.gz``.

    uWSGI sends the form that a client accepts (RFC 9110, 12.5.3). Both have the modification time of the original.
    """
    shutil.rmtree(folder, ignore_errors=True)
    # Not shutil.copytree, which would copy the modes: everything in the data folder is private.
    for path in [built, *sorted(built.rglob("*"))]:
        copy = folder / path.relative_to(built)
        if path.is_dir():
            copy.mkdir()
            continue
        content = path.read_bytes()
        forms = {copy: content}
        if path.suffix in TEXTS:
            forms[copy.with_name(f"{copy.name}.gz")] = gzip.compress(content, mtime=0)
        for form, data in forms.items():
            form.write_bytes(data)
            os.utime(form, (path.stat().st_atime, path.stat().st_mtime))
