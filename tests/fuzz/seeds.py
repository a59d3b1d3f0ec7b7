"""``python -m tests.fuzz.seeds FOLDER``: write small files of kinds missing from the corpus, as fuzzing seeds."""

import sys
from pathlib import Path

from tests.support.jpegxl import jpeg_xl_files


def write(folder: Path) -> None:
    """Write the files, named by their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(jpeg_xl_files()):
        (folder / f"jpeg-xl-{number}.jxl").write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
