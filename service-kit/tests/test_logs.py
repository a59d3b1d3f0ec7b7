"""Events are lines of JSON, from our code and from libraries."""

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from service_kit import logs


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Restore the logging settings after each test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.captureWarnings(capture=False)
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_an_event_is_a_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    structlog.get_logger().info("file stored", file_id=1, name="a\nb")

    [line] = lines(capfd)
    assert (line["event"], line["level"], line["file_id"], line["name"]) == ("file stored", "info", 1, "a\nb")


def test_events_below_the_level_are_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")

    structlog.get_logger().info("file stored")

    assert lines(capfd) == []


def test_a_warning_of_a_library_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    logging.getLogger("PIL.TiffImagePlugin").error("More samples than %d", 4)
    logging.getLogger("PIL.TiffImagePlugin").info("Tag %d", 256)

    [line] = lines(capfd)
    assert (line["event"], line["level"], line["logger"]) == ("More samples than 4", "error", "PIL.TiffImagePlugin")


def test_the_log_handlers_of_a_library_are_removed(capfd: pytest.CaptureFixture[str]) -> None:
    library = logging.getLogger("library.with.lines")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    library.setLevel(logging.INFO)

    logs.configure("info")
    library.info("It began")
    library.warning("It went wrong")

    [line] = lines(capfd)
    assert (line["event"], line["logger"]) == ("It went wrong", "library.with.lines")


def test_an_error_of_a_library_is_one_line_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("library").exception("It went wrong")

    [line] = lines(capfd)
    assert line["event"] == "It went wrong"
    assert str(line["exception"]).endswith("ValueError: odd")


def test_a_warning_of_python_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    warnings.showwarning("Old", DeprecationWarning, "library.py", 1)

    [line] = lines(capfd)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "DeprecationWarning: Old" in str(line["event"])


@pytest.mark.parametrize(
    ("logged", "written"),
    [
        ("https://receiver.example/hook?token=1", "https://receiver.example/hook"),
        ("HTTPS://receiver.example/hook?token=1", "HTTPS://receiver.example/hook"),
        ("https://name:word@receiver.example/hook?a=1#b", "https://receiver.example/hook"),
        ("Get 'https://s3.example/b/ab?X-Amz-Signature=1' failed", "Get 'https://s3.example/b/ab' failed"),
        ("/api/file-server/links/WzEsMTc4.abc-_", "/api/file-server/links/"),
        ("/api/file-server/shared/WzEsMTc4abc-_/12", "/api/file-server/shared//12"),
        ("Is a/b?c left?", "Is a/b?c left?"),
    ],
)
def test_queries_credentials_and_tokens_of_urls_are_not_written(
    logged: str, written: str, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info")

    structlog.get_logger().info("webhook delivered", url=logged)

    [line] = lines(capfd)
    assert line["url"] == written


def test_uvicorn_makes_no_lines_of_an_access_log() -> None:
    access_log = logging.getLogger("uvicorn.access")

    logs.configure("info")

    assert not access_log.hasHandlers()
