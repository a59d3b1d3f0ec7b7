"""``python -m tests.fuzz.seeds FOLDER``: writes small files of what the corpus lacks, for the fuzzer to damage."""

import sys
from pathlib import Path

from tests.support.jpegxl import jpeg_xl_files


def write(folder: Path) -> None:
    """Write the files, each under its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(jpeg_xl_files()):
        (folder / f"jpeg-xl-{number}.jxl").write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
