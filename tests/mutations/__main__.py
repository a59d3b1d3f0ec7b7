"""``python -m tests.mutations [WORD…]``: break each rule in a copy of the project and run the tests that must fail.

Words select the mutations whose rule contains one of them. Exits with 1 if a mutation was not caught, or if the tests
fail without a mutation.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.rules import MUTATIONS, Mutation
from tests.support.environment import PROJECT
from tests.support.folders import temporary_folder

PACKAGES = ("service-kit", "file-storage", "image-processor", "pixmill")
CONCURRENT_RUNS = 3
RUNNERS = range(11, 11 + CONCURRENT_RUNS)
"""Each concurrent test run has its own range of ports (tests.support.processes), separate from those of `make test`."""
FAILED, PASSED = 1, 0
"""Exit codes of pytest. Any other code means that no test ran."""


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """Create a folder with the project's files, including new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(dir=temporary_folder("mutation")) as folder:
        place = Path(folder)
        place.chmod(0o755)  # PostgreSQL runs as another user
        for name in filter(None, listed.split("\0")):
            if (PROJECT / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, place / name)
        yield place


def run_tests(project: Path, tests: Sequence[str], runner: int | None) -> "subprocess.CompletedProcess[str]":
    """Run tests of ``make test`` against the sources in ``project``.

    :param runner: the number of a test runner that runs all tests; ``None`` lets several share them.
    """
    sources = os.pathsep.join(str(project / package / "src") for package in PACKAGES)
    environment = os.environ | {"PYTHONPATH": sources, "PIXMILL_TEST_RUNNER": "" if runner is None else str(runner)}
    processes = "logical" if runner is None else "0"
    command = [sys.executable, "-m", "pytest", "-m", "not thorough", "--exitfirst", "--quiet"]
    command += ["--numprocesses", processes, "--basetemp", str(project / "tmp"), *tests]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def is_caught(mutation: Mutation, runner: int) -> bool:
    """Return whether the tests fail on a copy with this mutation; print the outcome."""
    with copy_of_project() as project:
        path = project / mutation.file
        text = path.read_text()
        if text.count(mutation.before) != 1:
            print(f"OUTDATED  {mutation.rule}: the text occurs {text.count(mutation.before)} times in {mutation.file}")
            return False
        path.write_text(text.replace(mutation.before, mutation.after))
        run = run_tests(project, mutation.caught_by.split(), runner)
    # A server that fails to start is an error instead of a test failure, but pytest's exit code is the same.
    caught = run.returncode == FAILED and " failed" in run.stdout.splitlines()[-1]
    print(f"{'caught   ' if caught else 'NOT CAUGHT'} {mutation.rule}", flush=True)
    if not caught and run.returncode != PASSED:
        print(run.stdout[-2000:] + run.stderr[-2000:])
    return caught


def main(words: Sequence[str]) -> int:
    chosen = [mutation for mutation in MUTATIONS if not words or any(word in mutation.rule for word in words)]
    if not chosen:
        print("No rule contains any of these words.")
        return 1
    tests = sorted({name for mutation in chosen for name in mutation.caught_by.split()})
    with copy_of_project() as project:
        control = run_tests(project, tests, None)
    if control.returncode != PASSED:
        print(control.stdout[-5000:] + control.stderr[-2000:])
        print("The tests fail without a mutation; fix that first.")
        return 1
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for runner in RUNNERS:
        free.put(runner)

    def with_a_free_runner(mutation: Mutation) -> bool:
        runner = free.get()
        try:
            return is_caught(mutation, runner)
        finally:
            free.put(runner)

    with ThreadPoolExecutor(len(RUNNERS)) as threads:
        caught = list(threads.map(with_a_free_runner, chosen))
    print(f"{sum(caught)} of {len(chosen)} mutations were caught.")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
