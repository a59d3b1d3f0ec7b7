"""Ports of servers, and processes that a test suspends."""

import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.processes import MissingProgramError, find_program, free_port, frozen, skip_where_missing
from tests.support.waiting import wait_until


@pytest.fixture
def few_ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let this runner have three ports of a range that no other runner has; return them."""
    lowest = 9_900
    monkeypatch.setattr(processes, "_LOWEST_PORT", lowest)
    monkeypatch.setattr(processes, "_PORTS_OF_A_RUNNER", 3)
    return [lowest, lowest + 1, lowest + 2]


def test_a_port_that_is_taken_is_not_returned(few_ports: list[int]) -> None:
    with socket.create_server(("", few_ports[1])):
        found = {free_port() for _ in range(6)}

    assert found == {few_ports[0], few_ports[2]}


def test_without_a_free_port_the_error_names_the_range(few_ports: list[int]) -> None:
    with ExitStack() as servers:
        for port in few_ports:
            servers.enter_context(socket.create_server(("", port)))

        with pytest.raises(RuntimeError, match="the ports 9900 to 9902 are taken"):
            free_port()


def test_a_missing_server_is_named_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(MissingProgramError, match="no-such-server is not installed"), skip_where_missing():
        find_program("no-such-server")


def test_elsewhere_a_missing_server_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"), skip_where_missing():
        find_program("no-such-server")


def test_suspended_processes_continue_although_one_was_killed() -> None:
    with subprocess.Popen(["sleep", "3600"]) as killed, subprocess.Popen(["sleep", "3600"]) as other:
        with frozen([killed.pid, other.pid]):
            killed.kill()
            killed.wait()
            wait_until(lambda: state_of(other) == "T", "the process is suspended")
        try:
            wait_until(lambda: state_of(other) != "T", "the process continues")
        finally:
            other.kill()


def state_of(process: "subprocess.Popen[bytes]") -> str:
    """Return the letter of the process's state (proc(5))."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
