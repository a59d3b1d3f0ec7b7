"""The examples of the specification, as requests and responses."""

import re
from collections.abc import Mapping

import pytest

from tests.support.client import FILES, TASKS, Served, ended_task
from tests.support.images import opened, photo

pytestmark = pytest.mark.both_stacks

HTTP_DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 955 + b"x" * 152


def uploaded(pixmill: Served, name: str, content: bytes, **fields: str) -> dict[str, object]:
    response = pixmill.http.post(f"{FILES}/", files={"file": (name, content)}, data=fields)
    assert response.status_code == 201, response.text
    file: dict[str, object] = response.json()
    return file


def downloaded(pixmill: Served, file_id: object) -> bytes:
    response = pixmill.http.get(f"{FILES}/{file_id}/download")
    assert response.status_code == 200, response.text
    return response.content


def flip_of(pixmill: Served, file: Mapping[str, object]) -> int:
    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [file["id"]], "algorithm": "flip", "params": None})
    assert response.status_code == 201, response.text
    return int(response.json()["task_ids"][0])


def test_a_pdf_is_stored_with_the_keys_of_the_specification(pixmill: Served) -> None:
    file = uploaded(pixmill, "subka.pdf", PDF, comment="doc")

    assert {key: file[key] for key in ("name", "extension", "comment", "size")} == {
        "name": "subka",
        "extension": ".pdf",
        "comment": "doc",
        "size": len(PDF),
    }
    assert re.fullmatch(HTTP_DATE, str(file["created_at"]))
    assert re.fullmatch(HTTP_DATE, str(file["updated_at"]))


@pytest.mark.parametrize("content", [PDF, b"", b"\r\n--x\r\n", bytes(3_000_000)], ids=["pdf", "empty", "crlf", "zeros"])
def test_any_file_is_downloaded_unchanged(pixmill: Served, content: bytes) -> None:
    file = uploaded(pixmill, "any.bin", content)

    assert downloaded(pixmill, file["id"]) == content


def test_the_list_has_every_file_newest_last(pixmill: Served) -> None:
    first, second = uploaded(pixmill, "a.txt", b"a"), uploaded(pixmill, "b.txt", b"b")

    listed = pixmill.http.get(f"{FILES}/").json()

    assert listed[-2:] == [first, second]
    assert pixmill.http.get(FILES).json() == listed


def test_a_file_is_found_by_its_id(pixmill: Served) -> None:
    file = uploaded(pixmill, "a.txt", b"a")

    assert pixmill.http.get(f"{FILES}/{file['id']}").json() == file
    assert pixmill.http.get(f"{FILES}/{file['id']}/").json() == file


def test_patch_changes_name_and_comment(pixmill: Served) -> None:
    file = uploaded(pixmill, "a.txt", b"a")

    response = pixmill.http.patch(f"{FILES}/{file['id']}", json={"name": "имя файла", "comment": "комментарий"})

    assert response.status_code == 200
    changed = response.json()
    assert (changed["name"], changed["extension"], changed["comment"]) == ("имя файла", ".txt", "комментарий")
    assert pixmill.http.get(f"{FILES}/{file['id']}").json() == changed


def test_patch_of_one_key_leaves_the_other(pixmill: Served) -> None:
    file = uploaded(pixmill, "a.txt", b"a", comment="kept")

    changed = pixmill.http.patch(f"{FILES}/{file['id']}", json={"name": "b"}).json()

    assert (changed["name"], changed["comment"]) == ("b", "kept")


def test_name_and_comment_may_be_in_a_json_part(pixmill: Served) -> None:
    json_part = (None, b'{"name": "subka", "comment": "doc"}', "application/json")

    file = pixmill.http.post(f"{FILES}/", files={"file": ("x.pdf", b"%PDF"), "json": json_part}).json()

    assert (file["name"], file["extension"], file["comment"]) == ("subka", ".pdf", "doc")


def test_a_deleted_file_is_gone(pixmill: Served) -> None:
    file = uploaded(pixmill, "a.txt", b"a")

    response = pixmill.http.delete(f"{FILES}/{file['id']}")

    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    assert pixmill.http.get(f"{FILES}/{file['id']}").status_code == 404
    assert pixmill.http.get(f"{FILES}/{file['id']}/download").status_code == 404


def test_equal_files_survive_the_deletion_of_one(pixmill: Served) -> None:
    first, second = uploaded(pixmill, "a.txt", b"the same"), uploaded(pixmill, "b.txt", b"the same")

    pixmill.http.delete(f"{FILES}/{first['id']}")

    assert downloaded(pixmill, second["id"]) == b"the same"


def test_a_batch_is_resized_and_each_result_is_a_file(pixmill: Served) -> None:
    sources = [uploaded(pixmill, f"p{n}.png", photo(60 + n, 40)) for n in range(3)]

    batch = {"file_ids": [s["id"] for s in sources], "algorithm": "resize", "params": {"width": 128, "height": 128}}
    response = pixmill.http.post(f"{TASKS}/", json=batch)

    assert response.status_code == 201
    assert next(iter(response.json())) == "task_ids"
    for source, task_id in zip(sources, response.json()["task_ids"], strict=True):
        task = ended_task(pixmill, task_id).document
        specified = {
            "id": task_id,
            "source_id": source["id"],
            "result_id": task["result_id"],
            "status": "finished",
            "algorithm": "resize",
            "params": {"width": 128, "height": 128},
        }
        assert list(task)[: len(specified)] == list(specified)
        assert task == dict(task) | specified
        assert opened(downloaded(pixmill, task["result_id"])).size == (128, 128)
        result = pixmill.http.get(f"{FILES}/{task['result_id']}").json()
        assert (result["name"], result["extension"]) == (source["name"], ".png")


def test_params_stay_null_where_none_were_given(pixmill: Served) -> None:
    source = uploaded(pixmill, "p.png", photo())

    task_id = flip_of(pixmill, source)

    assert pixmill.http.get(f"{TASKS}/{task_id}").json()["params"] is None


def test_the_task_list_has_every_task_newest_last(pixmill: Served) -> None:
    task_id = flip_of(pixmill, uploaded(pixmill, "p.png", photo()))
    task = ended_task(pixmill, task_id).document

    assert pixmill.http.get(f"{TASKS}/").json()[-1] == task


def test_a_failed_task_says_why_and_can_be_restarted(pixmill: Served) -> None:
    source = uploaded(pixmill, "not-an-image.jpg", b"just text")
    task_id = flip_of(pixmill, source)

    failed = ended_task(pixmill, task_id).document
    response = pixmill.http.post(f"{TASKS}/{task_id}/restart")

    assert failed["status"] == "error"
    assert "not an image" in str(failed["error"])
    assert failed["result_id"] is None
    assert response.status_code == 200
    pending = {"status": "pending", "started_at": None, "ended_at": None}
    kept = failed.keys() - {"error", "problem"}
    assert response.json() == {key: failed[key] for key in kept} | pending
    assert ended_task(pixmill, task_id).document["status"] == "error"


def test_pages_follow_the_link_header(pixmill: Served) -> None:
    ids = [uploaded(pixmill, f"{n}.txt", b"x")["id"] for n in range(3)]
    after = int(str(ids[0])) - 1

    first = pixmill.http.get(f"{FILES}/", params={"limit": 2, "after": after})
    link = re.fullmatch(r"<(.+)>; rel=\"next\"", first.headers["Link"])
    assert link
    second = pixmill.http.get(link[1])

    assert [file["id"] for file in first.json() + second.json()] == ids
    assert "Link" not in second.headers
