"""The cache on disk: it is bounded, evicts the least recently used results, and never contains partial ones."""

from pathlib import Path

import pytest
from image_processor.render.cache import MOST_UNWRITTEN, RenderCache

EVER = 1e9
KEYS = [f"{number:064x}" for number in range(10)]


def keep(cache: RenderCache, key: str, content: bytes, *file_ids: int, sha256: str = "") -> Path:
    made = cache.temporary()
    made.write_bytes(content)
    return cache.keep(key, made, ".webp", [(file_id, sha256) for file_id in file_ids]).path


def keys_of(cache: RenderCache) -> list[str]:
    return [key for key in KEYS if cache.find(key) is not None]


def test_a_kept_result_is_found_with_its_bytes(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)

    keep(cache, KEYS[0], b"pixels", 42)

    found = cache.find(KEYS[0])
    assert found is not None
    assert (found.path.read_bytes(), found.extension, found.size) == (b"pixels", ".webp", 6)


def test_results_survive_a_restart(tmp_path: Path) -> None:
    before = RenderCache(tmp_path, 1000)
    keep(before, KEYS[0], b"pixels", 42)
    before.close()

    after = RenderCache(tmp_path, 1000)

    assert keys_of(after) == [KEYS[0]]
    assert after.bytes == 6


def test_the_least_recently_used_results_go_for_a_new_one(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 300)
    for key in KEYS[:3]:
        keep(cache, key, bytes(100))
    cache.find(KEYS[0])

    keep(cache, KEYS[3], bytes(100))

    assert keys_of(cache) == [KEYS[0], KEYS[2], KEYS[3]]
    assert cache.bytes == 300
    assert cache.evictions == 1


def test_room_is_made_for_the_next_results_too(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 3200)
    for number in range(321):
        keep(cache, f"{number:064x}", bytes(10))
    evicted = cache.evictions

    for number in range(321, 330):
        keep(cache, f"{number:064x}", bytes(10))

    assert evicted == 11
    assert cache.evictions == evicted


def test_evicted_results_leave_the_disk(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 150)
    first = keep(cache, KEYS[0], bytes(100))

    second = keep(cache, KEYS[1], bytes(100))

    assert not first.exists()
    assert second.exists()


def test_the_order_of_use_survives_a_restart(tmp_path: Path) -> None:
    before = RenderCache(tmp_path, 300)
    for key in KEYS[:3]:
        keep(before, key, bytes(100))
    before.find(KEYS[0])
    before.close()

    after = RenderCache(tmp_path, 300)
    keep(after, KEYS[3], bytes(100))

    assert keys_of(after) == [KEYS[0], KEYS[2], KEYS[3]]


def test_a_result_that_is_larger_than_the_cache_stays_for_those_who_wait_for_it(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 100)
    keep(cache, KEYS[0], bytes(50))

    keep(cache, KEYS[1], bytes(500))

    assert keys_of(cache) == [KEYS[1]]


def test_results_that_were_being_written_at_a_crash_are_gone_after_the_start(tmp_path: Path) -> None:
    half = RenderCache(tmp_path, 100).temporary()
    half.write_bytes(b"half of a")

    RenderCache(tmp_path, 100)

    assert not half.exists()


def test_files_that_the_index_lacks_are_deleted_and_others_stay(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    kept = keep(cache, KEYS[0], b"pixels")
    stray = kept.with_name(f"{KEYS[1]}.webp")
    stray.write_bytes(b"of a crash before the index was written")

    deleted = cache.delete_strays()

    assert deleted == 1
    assert kept.exists()
    assert not stray.exists()


def test_a_crash_loses_only_results_that_the_index_lacks(tmp_path: Path) -> None:
    keys = [f"{number:064x}" for number in range(MOST_UNWRITTEN + 1)]
    crashed = RenderCache(tmp_path, 1000, write_seconds=EVER)
    lost = [keep(crashed, key, b"a", 42) for key in keys][-1]

    cache = RenderCache(tmp_path, 1000)
    deleted = cache.delete_strays()

    assert [key for key in keys if cache.find(key) is None] == keys[-1:]
    assert deleted == 1
    assert not lost.exists()
    assert cache.bytes == MOST_UNWRITTEN


def test_a_crash_loses_no_result_that_no_other_follows(tmp_path: Path) -> None:
    crashed = RenderCache(tmp_path, 1000, write_seconds=EVER)
    keep(crashed, KEYS[0], b"pixels")
    lacked = crashed.lacks
    crashed.write()

    cache = RenderCache(tmp_path, 1000)

    assert keys_of(cache) == KEYS[:1]
    assert lacked
    assert not crashed.lacks


def test_forgetting_a_file_removes_all_results_that_it_is_part_of(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    of_both = keep(cache, KEYS[0], b"a", 1, 2)
    keep(cache, KEYS[1], b"b", 2)
    keep(cache, KEYS[2], b"c", 3)

    removed = cache.forget_files([2])

    assert removed == 2
    assert keys_of(cache) == [KEYS[2]]
    assert not of_both.exists()
    assert cache.bytes == 1


def test_forgetting_bytes_removes_the_results_of_all_files_that_have_them(tmp_path: Path) -> None:
    before = RenderCache(tmp_path, 1000)
    gone = [keep(before, key, b"a", file_id, sha256="a" * 64) for key, file_id in zip(KEYS[:2], (1, 2), strict=True)]
    keep(before, KEYS[2], b"b", 3, sha256="b" * 64)
    before.close()
    cache = RenderCache(tmp_path, 1000)

    removed = [cache.forget_bytes("a" * 64), cache.forget_bytes("a" * 64)]

    assert removed == [2, 0]
    assert keys_of(cache) == [KEYS[2]]
    assert not any(path.exists() for path in gone)


def test_a_result_that_is_made_again_replaces_the_old_one(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    keep(cache, KEYS[0], b"old bytes", 1)

    keep(cache, KEYS[0], b"new", 1)

    found = cache.find(KEYS[0])
    assert found is not None
    assert found.path.read_bytes() == b"new"
    assert cache.bytes == 3


def test_the_files_of_results_are_listed_in_pages(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    for key, file_id in zip(KEYS, (5, 3, 9), strict=False):
        keep(cache, key, b"a", file_id)

    pages = [cache.file_ids(0, 2), cache.file_ids(5, 2)]

    assert pages == [[3, 5], [9]]


def test_a_result_is_whole_while_its_file_has_all_bytes(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    path = keep(cache, KEYS[0], b"pixels")
    found = cache.find(KEYS[0])
    assert found is not None
    assert found.is_whole

    path.write_bytes(b"")

    assert not found.is_whole

    path.unlink()

    assert not found.is_whole


def break_index(cache: RenderCache) -> None:
    """Make SQLite refuse each change of the index, as on a read-only disk."""
    cache._index.execute("PRAGMA query_only = ON")


def mend_index(cache: RenderCache) -> None:
    cache._index.execute("PRAGMA query_only = OFF")


def test_an_index_that_cannot_be_written_loses_no_result(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000, write_seconds=0)
    keep(cache, KEYS[0], b"a", 1)
    break_index(cache)

    keep(cache, KEYS[1], b"b", 2)
    found = keys_of(cache)
    mend_index(cache)
    cache.close()

    assert found == KEYS[:2]
    assert keys_of(RenderCache(tmp_path, 1000)) == KEYS[:2]


def test_a_use_that_cannot_be_written_fails_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_processor.render.cache.USE_SECONDS", -1)
    cache = RenderCache(tmp_path, 1000)
    keep(cache, KEYS[0], b"a")
    break_index(cache)

    assert keys_of(cache) == KEYS[:1]
    assert keys_of(cache) == KEYS[:1]


def test_a_full_database_loses_no_result(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 10**6, write_seconds=0)
    cache._index.execute("PRAGMA max_page_count = 1")
    keys = [f"{number:064x}" for number in range(500)]

    for number, key in enumerate(keys):
        keep(cache, key, b"a", number, sha256=key)

    assert [key for key in keys if cache.find(key) is None] == []


def test_without_an_index_the_cache_is_bounded_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_processor.render.cache.MOST_WITHOUT_INDEX", 3)
    cache = RenderCache(tmp_path, 10**6, write_seconds=0)
    break_index(cache)

    paths = [keep(cache, key, b"a") for key in KEYS[:5]]

    assert [path.exists() for path in paths] == [False, False, True, True, True]
    assert cache.bytes == 3


@pytest.mark.parametrize("is_written", [False, True])
def test_a_file_is_forgotten_although_the_index_cannot_be_written(tmp_path: Path, is_written: bool) -> None:
    cache = RenderCache(tmp_path, 1000, write_seconds=EVER)
    path = keep(cache, KEYS[0], b"a", 1, sha256="a" * 64)
    if is_written:
        cache.write()
    break_index(cache)

    removed = cache.forget_files([1])

    assert removed == 1
    assert not path.exists()
    found = cache.find(KEYS[0])
    assert found is None or not found.is_whole


def test_results_are_evicted_although_the_index_cannot_be_written(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 150, write_seconds=0)
    first = keep(cache, KEYS[0], bytes(100))
    break_index(cache)
    keep(cache, KEYS[1], bytes(100))

    mend_index(cache)
    third = keep(cache, KEYS[2], bytes(20))

    assert not first.exists()
    assert third.exists()
    assert cache.bytes == 120


def test_a_result_that_cannot_be_moved_stays_where_it_was_made(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000)
    made = cache.temporary()
    made.write_bytes(b"pixels")
    # No folder can be created in place of this file; the rights of a read-only folder do not bind root.
    (tmp_path / "results" / KEYS[0][:2]).write_bytes(b"")

    with pytest.raises(OSError):
        cache.keep(KEYS[0], made, ".webp", [])

    assert made.read_bytes() == b"pixels"
    assert keys_of(cache) == []


@pytest.mark.parametrize("is_written", [False, True])
def test_a_result_that_cannot_be_deleted_is_not_found(tmp_path: Path, is_written: bool) -> None:
    cache = RenderCache(tmp_path, 1000, write_seconds=EVER)
    path = keep(cache, KEYS[0], b"a", 1)
    if is_written:
        cache.write()
    path.unlink()
    # No file, so it cannot be unlinked; the rights of a read-only folder do not bind root.
    path.mkdir()

    cache.forget_files([1])

    assert cache.find(KEYS[0]) is None


def test_a_result_that_cannot_be_removed_is_known(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 1000, write_seconds=0)
    keep(cache, KEYS[0], b"a", 1)
    removable = keep(cache, KEYS[1], b"b", 2)
    break_index(cache)

    cache.forget_files([2])

    assert not removable.exists()
    assert [cache.has_results_of(file_id) for file_id in (1, 2)] == [True, False]


def test_the_bytes_are_bounded_while_the_index_cannot_be_written(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, 320, write_seconds=0)
    indexed = [keep(cache, f"{number:064x}", bytes(4)) for number in range(80)]
    break_index(cache)

    sizes = []
    for number in range(80, 200):
        indexed.append(keep(cache, f"{number:064x}", bytes(4)))
        sizes.append(sum(path.stat().st_size for path in indexed if path.exists()))

    assert max(sizes) <= 320
    assert min(sizes) > 280
    assert cache.bytes == sizes[-1]
    mend_index(cache)
    keep(cache, KEYS[0], bytes(4))
    found = [path for path in indexed if (stored := cache.find(path.stem)) is not None and stored.is_whole]
    assert sum(path.stat().st_size for path in found) <= cache.bytes <= 320
