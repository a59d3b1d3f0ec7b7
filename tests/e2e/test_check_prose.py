"""``scripts/check-prose`` checks comments, docstrings, texts, names, scripts and settings, and ignores other code."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import PROJECT


def found(path: Path) -> list[str]:
    """Return the lines with a fault."""
    command = [sys.executable, str(PROJECT / "scripts/check-prose"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.removeprefix(f"{path}:") for line in run.stdout.splitlines()]
    assert run.returncode == bool(lines), run.stderr
    return lines


def output_of(command: list[str]) -> str:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("page.md", "A client is to" + "ld.\n", ["1"]),
        ("page.md", "Fine.\n\n```sh\nwhat" + "ever --be" + "side\n```\n\nDone an" + "ew.\n", ["7"]),
        ("page.md", "The parameter `col" + "our`, and [a link](col" + "our.md).\n", []),
        ("module.py", '"""Return all.\n\nWho' + 'ever asks.\n"""\n', ["3"]),
        ("module.py", "x = 1  # be" + "side it\n", ["1"]),
        ("module.py", "x = 'Per " + "cent of the width'\n# They analy" + "se it,\n# label" + "led.\n", ["1", "2", "3"]),
        ("module.py", "# Percent-encoded analyses, labeled.\n", []),
        ("module.py", "besides = 'col" + "our'\n", []),
        ("module.py", "before_to" + "ld = None\n\n\nclass ToldApart:\n    pass\n", ["1", "4"]),
        ("module.py", "# It te" + "lls nginx,\n# which te" + "lls a client.\n", ["1", "2"]),
        ("module.py", '"""A name tells the two apart.\n\nIt te' + 'lls a file\nfrom a folder."""\n', []),
        ("module.py", "x = file.tell()\n# It calls seek and tell (RFC 1).\n", []),
        ("module.py", "# There is no file.\n# A name is" + " no id.\nx = 'it is" + "\\\n no id'\n", ["2"]),
        (
            "module.py",
            '"""Return nothing if there\nis no file, or it is\nno' + ' file, or is no longer one."""\n',
            ["2"],
        ),
        ("tool", "#!/bin/sh\necho 'Who" + "ever asks'  # be" + "side it\n", ["2", "2"]),
        ("tool", "#!/usr/bin/env python3\nx = 'col" + "our'  # be" + "side it\n", ["2"]),
        ("roles.sh", "x=1\nto" + "ld=1\n", ["2"]),
        ("conf.yml", "# The folder,\n# who" + "ever asks, of\n#   https://example.org/col" + "our\n", ["2"]),
        ("nginx.conf", "# As so\n# m" + "any others: there\n# i" + "s no other.\n", ["1"]),
        ("wsgi.ini", "; Be" + "side it\n", ["1"]),
        ("s3.env", "# Be" + "side it\n", ["1"]),
        ("Makefile", "x:\n\t@echo be" + "side it\n", ["2"]),
        ("a.Dockerfile", "FROM x\n# Be" + "side it\n", ["2"]),
        ("en.ts", "const x = 'Who" + "ever has the link';\nconst y = `A ${c} be" + "side it`;\n", ["1", "2"]),
        (
            "en.ts",
            "// Be" + "side it\n/** Fine,\n * be" + "side it. */\nconst isTo" + "ld = 'col" + "our';\n",
            ["1", "3", "4"],
        ),
        ("en.ts", "files({ one: '# file' });\nlist.map((one) => one.id);\n", ["2", "2"]),
        ("en.ts", "const x = 'https://example.org/' + 'not//a comment' /* be" + "side it */;\n", ["1"]),
        ("A.svelte", "<p>Who" + "ever asks</p>\n<!-- be" + "side it -->\n<p class='gr" + "eyer'>{x}</p>\n", ["1", "2"]),
        ("module.py", "for on" + "e in (1, 2):\n    pass\n", ["1"]),
    ],
)
def test_faults_are_found_by_line(tmp_path: Path, name: str, text: str, lines: list[str]) -> None:
    (tmp_path / name).write_text(text)

    assert [fault.split(":")[0] for fault in found(tmp_path / name)] == lines


def test_of_a_folder_all_kinds_are_read_except_what_nobody_wrote(tmp_path: Path) -> None:
    names = [
        "a.md",
        "b.py",
        "c.ts",
        "d.svelte",
        "e.yml",
        "f.conf",
        "g.ini",
        "h.env",
        "i.sh",
        "j.toml",
        "Makefile",
        "run",
    ]
    for name in names:
        (tmp_path / name).write_text("#!/bin/sh\n" * (name == "run") + "# Be" + "side it\n")
    for name in ("data.bin", "LICENSE", "lock.json"):
        (tmp_path / name).write_bytes(b"\xff be" + b"side it\n")

    assert sorted(Path(fault.split(":")[0]).name for fault in found(tmp_path)) == sorted(names)


def test_the_makefile_names_each_place_with_words() -> None:
    """What of the project is not read is licenses, data, locks and what is built."""
    show = ["make", "--silent", "--eval", "show: ; @echo $(PROSE)", "show"]
    places = output_of(show).split()
    tracked = [PROJECT / name for name in output_of(["git", "ls-files"]).split()]

    unread = {
        str(path.relative_to(PROJECT))
        for path in tracked
        if not any(path.is_relative_to(PROJECT / place) for place in places)
    }
    assert {name for name in unread if not name.startswith("web/dist/")} == {
        *(".dockerignore", ".editorconfig", ".gitignore", "web/.gitignore"),
        *("LICENSE", "NOTICE"),
        *("renovate.json", "web/package.json", "web/package-lock.json", "web/tsconfig.json"),
    }
