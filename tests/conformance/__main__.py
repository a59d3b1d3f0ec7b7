"""``python -m tests.conformance [FILE…]``: print each entry that does not hold, and the number of those that do."""

import sys
from pathlib import Path

from tests.conformance.entries import Entry, entries
from tests.conformance.exceptions import reason
from tests.conformance.folder import MISSING, files
from tests.conformance.judging import judged


def main(paths: list[str]) -> int:
    chosen = [Path(path) for path in paths] or list(files())
    if not chosen:
        print(MISSING)
        return 0
    held = total = excused = 0
    for path in chosen:
        for entry in entries(path):
            total += 1
            wrong = _judged(entry)
            if wrong is None:
                held += 1
                continue
            excuse = reason(entry)
            excused += excuse is not None
            print(f"{entry.title}: {wrong}{f' (exception: {excuse})' if excuse else ''}")
    print(f"{held} of {total} hold" + (f", and {excused} are exceptions" if excused else ""))
    return 0 if held + excused == total else 1


def _judged(entry: Entry) -> str | None:
    try:
        return judged(entry)
    except Exception as error:  # noqa: BLE001 (an entry that breaks the judge does not hold; the others are judged)
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
