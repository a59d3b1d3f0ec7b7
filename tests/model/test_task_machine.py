"""The state machine of tasks: a model (hypothesis) compared with the services, on SQLite and PostgreSQL."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from image_processor.config import BrokerSettings, RetrySettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.models import Task, TaskStatus
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.files.client import FileStorage
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Claim, Ended, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.jobs.turns import SUSPECT_LOSSES
from image_processor.services.tasks.bulk import BulkService
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.queue import Hints
from image_processor.services.tasks.tasks import TaskService
from service_kit.access.principals import LOCAL
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from service_kit.migrations import migrate
from sqlalchemy import delete, insert, make_url, select, update

from tests.support.client import CERTIFICATES
from tests.support.databases import postgres_database
from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import free_port
from tests.support.servers import start_pgbouncer

MAX_CRASHES = 3
MAX_LOSSES = 4
COMPARED = (Task.id, Task.status, Task.attempt, Task.crashes, Task.losses)
RETRY = RetrySettings(
    max_seconds=900, base_delay_seconds=60, max_delay_seconds=60, max_crashes=MAX_CRASHES, max_losses=MAX_LOSSES
)
PROCESSES = 2
OWNERS = ["ann", "bob", "local"]
HOLDERS = [Holder("one", 1), Holder("one", 2), Holder("two", 1)]
OUTCOMES: list[Outcome] = [Finished(7), Failed("not an image"), Postponed("no answer")]
EXAMPLES = 10 if settings().max_examples <= 100 else 200
"""How many sequences are tried on each database: each has up to 40 steps."""


@dataclass
class Expected:
    """A task in the model."""

    owner: str
    priority: int
    status: str = "pending"
    attempt: int = 0
    crashes: int = 0
    losses: int = 0
    due: bool = True
    holder: Holder | None = None

    @property
    def suspect(self) -> bool:
        return self.crashes > 0 or self.losses >= SUSPECT_LOSSES


class TaskMachine(RuleBasedStateMachine):
    """Users and workers call every operation, in any order."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        broker = BrokerSettings(url="memory://", queue_type="classic", transport_options={})
        storage = FileStorage(httpx2.Client(verify=CERTIFICATES))
        self.claims = {holder: self._process() for holder in HOLDERS}
        self.leases = LeaseService(self.database, RETRY, lease_seconds=60)
        hints = Hints(CeleryTaskQueue(create_celery(broker)), 1)
        self.tasks = TaskService(self.database, hints, storage, ConfiguredPresets({}))
        self.bulk = BulkService(self.database, hints)
        self.model: dict[int, Expected] = {}
        self.last_owners: dict[Holder, str] = {}
        """Whose task each process claimed last."""
        self.held: list[Claim] = []
        with self.database.write() as session:
            session.execute(delete(Task))

    @rule(owner=st.sampled_from(OWNERS), priority=st.integers(0, 9), count=st.integers(1, 3))
    def create(self, owner: str, priority: int, count: int) -> None:
        row = {"owner": owner, "source_id": 1, "algorithm": "flip", "priority": priority}
        with self.database.write() as session:
            for task_id in session.scalars(insert(Task).returning(Task.id), [row] * count):
                self.model[task_id] = Expected(owner, priority)

    @rule(holder=st.sampled_from(HOLDERS), count=st.integers(1, 4), holds_others=st.booleans())
    def claim(self, holder: Holder, count: int, holds_others: bool) -> None:
        claims = self.claims[holder].claim(holder, count, holds_others)

        # A new process begins with any owner.
        last = self.last_owners.get(holder)
        expected = [self._expected(owner, count, holds_others) for owner in ([last] if last else OWNERS)]
        assert [claim.task_id for claim in claims] in expected
        if claims:
            self.last_owners[holder] = claims[-1].owner
        for claim in claims:
            task = self.model[claim.task_id]
            task.status, task.attempt, task.holder = "processing", task.attempt + 1, holder
            assert claim.attempt == task.attempt
            self.held.append(claim)

    @rule(holder=st.sampled_from(HOLDERS))
    def process_starts(self, holder: Holder) -> None:
        """A new process does not know the previous front of the queue."""
        self.claims[holder] = self._process()
        self.last_owners.pop(holder, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS))
    def end(self, data: st.DataObject, holder: Holder) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.held), min_size=1, max_size=4, unique_by=id))
        ended = [Ended(claim, data.draw(st.sampled_from(OUTCOMES))) for claim in chosen]
        newest = [claim for claim in chosen if self._holds(claim)]

        lost = self.claims[holder].end(ended)

        assert lost == [claim for claim in chosen if claim not in newest]
        for claim, outcome in ended:
            if claim in newest:
                task = self.model[claim.task_id]
                task.status = {Finished: "finished", Failed: "error", Postponed: "pending"}[type(outcome)]
                task.due, task.holder = not isinstance(outcome, Postponed), None

    @precondition(lambda self: self.held)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS))
    def hand_back(self, data: st.DataObject, holder: Holder) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.held), min_size=1, max_size=4, unique_by=id))

        self.claims[holder].hand_back(chosen)

        for claim in chosen:
            if self._holds(claim):
                task = self.model[claim.task_id]
                task.status, task.due, task.holder = "pending", True, None

    @rule(holder=st.sampled_from(HOLDERS))
    def process_dies(self, holder: Holder) -> None:
        self.leases.crashed(holder, "crash")
        self._crash(lambda task: task.holder == holder)

    @rule()
    def all_leases_expire(self) -> None:
        with self.database.write() as session:
            session.execute(update(Task).where(Task.status == "processing").values(lease_until=epoch_now() - 1))
        self.leases.expire_leases(time.time())
        for task in self.model.values():
            if task.status == "processing":
                task.losses += 1
                task.status = "error" if task.losses >= MAX_LOSSES else "pending"
                task.due, task.holder = True, None

    @rule(worker=st.sampled_from(["one", "two"]))
    def worker_stops(self, worker: str) -> None:
        self.leases.release(worker)
        for task in self.model.values():
            if task.status == "processing" and task.holder and task.holder.worker == worker:
                task.status, task.due, task.holder = "pending", True, None

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = self._any_task(data)
        task = self.model[task_id]
        if task.status in ("pending", "processing"):
            assert self.tasks.cancel(LOCAL, task_id).status == "cancelled"
            task.status = "cancelled"
        else:
            with pytest.raises(DomainError, match="only a pending or processing"):
                self.tasks.cancel(LOCAL, task_id)

    @rule(worker=st.sampled_from(["one", "two"]))
    def worker_takes_cancelled(self, worker: str) -> None:
        taken = self.leases.take_cancelled(worker)

        expected = {
            (task_id, task.holder.process)
            for task_id, task in self.model.items()
            if task.status == "cancelled" and task.holder and task.holder.worker == worker
        }
        assert set(taken) == expected
        for task_id, _ in taken:
            self.model[task_id].holder = None

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        task_id = self._any_task(data)
        task = self.model[task_id]
        if task.status in ("error", "cancelled"):
            assert self.tasks.restart(LOCAL, task_id).status == "pending"
            self._restart(task)
        else:
            with pytest.raises(DomainError, match="only a task in error or cancelled"):
                self.tasks.restart(LOCAL, task_id)

    @rule(status=st.sampled_from(["error", "cancelled"]))
    def restart_all(self, status: str) -> None:
        restarted = self.bulk.restart(LOCAL, TaskFilter(statuses=[TaskStatus(status)])).ids

        assert restarted == sorted(task_id for task_id, task in self.model.items() if task.status == status)
        for task_id in restarted:
            self._restart(self.model[task_id])

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete_task(self, data: st.DataObject) -> None:
        task_id = self._any_task(data)
        if self.model[task_id].status in ("finished", "error", "cancelled"):
            self.tasks.delete(LOCAL, task_id)
            del self.model[task_id]
        else:
            with pytest.raises(DomainError, match="cancel it first"):
                self.tasks.delete(LOCAL, task_id)

    @rule()
    def time_passes(self) -> None:
        with self.database.write() as session:
            session.execute(update(Task).values(due_at=epoch_now() - 1))
        for task in self.model.values():
            task.due = True

    @invariant()
    def the_rows_equal_the_model(self) -> None:
        with self.database.read() as session:
            rows = session.execute(select(*COMPARED, Task.error)).all()
        assert {row.id: (row.status, row.attempt, row.crashes, row.losses) for row in rows} == {
            task_id: (task.status, task.attempt, task.crashes, task.losses) for task_id, task in self.model.items()
        }
        assert all((row.error is not None) == (row.status == "error") for row in rows)

    @rule(priority=st.integers(0, 9), holder=st.sampled_from(HOLDERS))
    def look_for_urgent_tasks(self, priority: int, holder: Holder) -> None:
        waiting = self._waiting()

        assert self.claims[holder].is_pending_above(priority) == any(
            self.model[task_id].priority > priority for task_id in waiting
        )
        assert self.claims[holder].claimable(5) == min(5, len(waiting))

    def _waiting(self) -> Sequence[int]:
        """Return the claimable tasks by priority, then by owner, the oldest first."""
        waiting = [
            (-task.priority, task.owner, task_id)
            for task_id, task in self.model.items()
            if task.status == "pending" and task.due
        ]
        return [task_id for *_, task_id in sorted(waiting)]

    def _expected(self, last: str, count: int, holds_others: bool) -> Sequence[int]:
        """Return the tasks that a process gets that claimed a task of ``last`` before."""
        waiting = self._waiting()
        share = min(count, math.ceil(len(waiting) / PROCESSES))
        due = list(takewhile(lambda task_id: not self._is_shared(task_id, waiting), waiting[:share]))
        if share and not due:
            due = self._in_turn(last, self.model[waiting[0]].priority, share)
        if due and self.model[due[0]].suspect:
            return [] if holds_others else due[:1]
        return list(takewhile(lambda task_id: not self.model[task_id].suspect, due))

    def _is_shared(self, task_id: int, waiting: Sequence[int]) -> bool:
        task = self.model[task_id]
        return any(
            self.model[other].owner != task.owner for other in waiting if self.model[other].priority == task.priority
        )

    def _in_turn(self, last: str, priority: int, share: int) -> list[int]:
        tasks: dict[str, list[int]] = {}
        for task_id in self._waiting():
            if self.model[task_id].priority == priority:
                tasks.setdefault(self.model[task_id].owner, []).append(task_id)
        owners = sorted(tasks, key=lambda owner: (owner <= last, owner))[:share]
        each = math.ceil(share / len(owners))
        turns = zip_longest(*(tasks[owner][:each] for owner in owners))
        return [task_id for turn in turns for task_id in turn if task_id is not None][:share]

    def _process(self) -> ClaimService:
        return ClaimService(self.database, RETRY, lease_seconds=60, processes=PROCESSES)

    def _holds(self, claim: Claim) -> bool:
        task = self.model.get(claim.task_id)
        return task is not None and task.status == "processing" and task.attempt == claim.attempt

    def _any_task(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.model)))

    def _crash(self, which: Callable[[Expected], bool]) -> None:
        for task in self.model.values():
            if task.status == "processing" and which(task):
                task.crashes += 1
                task.status = "error" if task.crashes >= MAX_CRASHES else "pending"
                task.due, task.holder = True, None

    def _restart(self, task: Expected) -> None:
        task.status, task.crashes, task.losses, task.due, task.holder = "pending", 0, 0, True, None


@pytest.fixture(scope="module")
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/tasks.db"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgres_database("model") as url:
        yield url


@pytest.fixture(scope="module")
def pooled(postgresql: str) -> Iterator[str]:
    """Return the URL of the database through PgBouncer."""
    direct, port = make_url(postgresql), free_port()
    folder = temporary_folder("pooled-model")
    folder.chmod(0o755)
    pgbouncer = start_pgbouncer(folder, direct.port or 5432, port, ENVIRONMENT)
    yield direct.set(port=port).update_query_dict({"prepared_statements": "off"}).render_as_string()
    pgbouncer.stop()


@pytest.mark.parametrize(
    "name",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("pooled", marks=[pytest.mark.server, pytest.mark.thorough]),
    ],
)
def test_the_services_behave_like_the_model(request: pytest.FixtureRequest, name: str) -> None:
    url: str = request.getfixturevalue(name)
    migrate(url, "image_processor")
    database = Database(url)
    machine = type("Machine", (TaskMachine,), {"database": database})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    limits = settings(max_examples=EXAMPLES, stateful_step_count=40, suppress_health_check=checks)
    run_state_machine_as_test(machine, settings=limits)
    database.engine.dispose()
