"""The statistics of files for a page."""

import svcs
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.stats import FileNumbers, FileStats
from file_storage.services.storing import NewFile, StoringService
from file_storage.services.totals import Totals
from file_storage.storage import Staging
from service_kit.access.principals import ALL_SCOPES, WRITER, Limits, Principal
from service_kit.database import Database

ANN, BOB = Principal("ann", WRITER), Principal("bob", WRITER)
ADMIN = Principal("root", ALL_SCOPES)
HUGE = 2**60


def store(services: svcs.Container, principal: Principal, content: bytes) -> int:
    with services.get(Staging).stage() as staged:
        staged.write(content)
        return services.get(StoringService).store(principal, NewFile(staged, FileName("a", ".bin"), "", None)).id


def numbers(services: svcs.Container, principal: Principal, quota_bytes: int = 0) -> FileNumbers:
    return FileStats(services.get(Database), services.get(Staging), quota_bytes).of(principal)


def test_an_owner_gets_the_numbers_of_its_own_files(services: svcs.Container) -> None:
    store(services, ANN, b"12345")
    store(services, ANN, b"123")
    store(services, BOB, b"12345")

    assert numbers(services, ANN).stored == Totals(bytes=8, files=2, reserved=0)
    assert numbers(services, BOB).stored == Totals(bytes=5, files=1, reserved=0)
    # Equal bytes are stored once.
    assert numbers(services, ADMIN).stored == Totals(bytes=8, files=3, reserved=0)


def test_a_deleted_file_does_not_count(services: svcs.Container) -> None:
    file_id = store(services, ANN, b"12345")

    services.get(FileService).delete(ANN, file_id)

    assert numbers(services, ANN).stored == Totals(0, 0, 0)


def test_the_room_is_what_the_smallest_limit_leaves(services: svcs.Container) -> None:
    limited = Principal("ann", WRITER, limits=Limits(bytes=100, files=7))
    store(services, ANN, b"12345")
    store(services, BOB, b"1234567")

    assert numbers(services, limited).room == 95
    assert numbers(services, limited, quota_bytes=50).room == 38
    assert numbers(services, BOB, quota_bytes=50).room == 38
    assert numbers(services, ADMIN, quota_bytes=10).room == 0
    assert 100 < numbers(services, ADMIN).room <= services.get(Staging).room() + HUGE


def test_the_quota_is_the_owner_s_or_for_an_administrator_that_of_all(services: svcs.Container) -> None:
    limited = Principal("ann", WRITER, limits=Limits(bytes=100, files=7))

    own, every, none = numbers(services, limited), numbers(services, ADMIN, 50), numbers(services, ADMIN)

    assert (own.quota_bytes, own.quota_files) == (100, 7)
    assert (every.quota_bytes, every.quota_files) == (50, None)
    assert (none.quota_bytes, none.quota_files) == (None, None)
