"""Crashes of worker processes are reported with their reason; the worker's consumer declares no queues for delays."""

import signal
from collections.abc import Iterator

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from billiard.pool import Pool
from celery import Celery
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from image_processor.config import BrokerSettings
from image_processor.handler.celery_app import QUEUE, WORK, create_celery
from image_processor.handler.consumer import WorkConsumer
from image_processor.handler.crash import crash_reason, crash_reporting_request, overran
from image_processor.handler.pool_messages import FailedProcessError
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.handler.time_limit import time_limit

from tests.support.waiting import STATE_SECONDS

PROCESS = 4711

Reports = list[tuple[int, BaseException]]


@pytest.fixture
def celery() -> Celery:
    celery = create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={}))
    celery.task(name=WORK, shared=False)(exceed_the_time_limit)
    return celery


@pytest.fixture
def reports() -> Reports:
    return []


@pytest.fixture
def request_of_a_hint(celery: Celery, reports: Reports) -> Request:
    """A worker's request for a message; crashes are appended to ``reports``."""
    CeleryTaskQueue(celery).publish(1)
    with celery.connection_for_read() as connection, connection.channel() as channel:
        message = celery.amqp.queues[QUEUE](channel).get(no_ack=True)
    request_class = crash_reporting_request(lambda process, error: reports.append((process, error)))
    return request_class(message, app=celery, task=celery.tasks[WORK])


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(1, lost_worker_timeout=0.1)
    yield pool
    pool.terminate()
    pool.join()


def info_of(error: Exception) -> ExceptionInfo:
    """Return the error in the form that a process sends to the worker."""
    try:
        raise error
    except Exception:  # noqa: BLE001 (billiard reads the exception that is being handled)
        return ExceptionInfo()


def exceed_the_time_limit() -> None:
    with time_limit(0.01):
        signal.pause()


def test_the_death_of_a_process_is_reported_with_its_id(request_of_a_hint: Request, reports: Reports) -> None:
    error = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 1.")
    request_of_a_hint.on_accepted(PROCESS, 0)  # type: ignore[arg-type]  # the stubs say str

    request_of_a_hint.on_failure(info_of(error))

    assert reports == [(PROCESS, error)]


def test_an_unexpected_error_is_reported_without_billiards_wrapper(
    request_of_a_hint: Request, reports: Reports
) -> None:
    error = ZeroDivisionError("unexpected")
    request_of_a_hint.on_accepted(PROCESS, 0)  # type: ignore[arg-type]  # the stubs say str

    request_of_a_hint.on_failure(info_of(error))

    assert reports == [(PROCESS, error)]


def test_a_memory_error_is_reported_before_celery_raises_it_again(request_of_a_hint: Request, reports: Reports) -> None:
    error = MemoryError()
    request_of_a_hint.on_accepted(PROCESS, 0)  # type: ignore[arg-type]  # the stubs say str

    with pytest.raises(MemoryError):
        request_of_a_hint.on_failure(info_of(error))

    assert reports == [(PROCESS, error)]


def test_a_message_that_no_process_accepted_is_not_reported(request_of_a_hint: Request, reports: Reports) -> None:
    request_of_a_hint.on_failure(info_of(WorkerLostError("Worker exited prematurely")))

    assert reports == []


@pytest.mark.slow
def test_a_process_over_the_time_limit_is_recognized(pool: Pool) -> None:
    with pytest.raises(Exception) as died:
        pool.apply_async(exceed_the_time_limit).get(STATE_SECONDS)

    error = getattr(died.value, "exc", died.value)
    assert overran(error)
    assert crash_reason(error, 20) == "it took longer than 20 seconds"


def test_a_killed_process_counts_as_crashed() -> None:
    error = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 1.")

    assert not overran(error)
    assert crash_reason(error, 20) == "the task crashed its process, perhaps because memory ran out"


def test_an_unexpected_error_is_named() -> None:
    assert crash_reason(ZeroDivisionError("secret"), 20) == "an unexpected error (ZeroDivisionError)"


def test_an_unexpected_error_that_a_process_reported_is_named() -> None:
    assert crash_reason(FailedProcessError("ZeroDivisionError"), 20) == "an unexpected error (ZeroDivisionError)"


def test_the_consumer_omits_only_the_queues_for_delayed_messages() -> None:
    own, of_celery = (set(consumer.Blueprint.default_steps) for consumer in (WorkConsumer, Consumer))

    assert of_celery - own == {"celery.worker.consumer.delayed_delivery:DelayedDelivery"}
    assert own < of_celery
