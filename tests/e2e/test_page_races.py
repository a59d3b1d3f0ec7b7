"""The web page in a real browser: answers that come late, and what the user does before they come."""

import base64
import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import (
    RECORD_LANGUAGES,
    Page,
    append,
    await_held,
    blocked,
    drop,
    enter,
    holding,
    languages_of,
    open_page,
    press,
    release,
)
from tests.support.client import FILES, TASKS, Served, ended_task
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.owners import keys_of_owners
from tests.support.runs import copies_of, ended_run, names_stored, run_of_failures
from tests.support.screens import address_of_steps, files_shown, open_gallery, steps_shown
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough

STEPS = [{"algorithm": "sepia", "params": {}}]


def requests(page: Page, end: str) -> int:
    """Return how many answers of addresses with this end the page has received."""
    asked = "(end) => performance.getEntriesByType('resource').filter(({name}) => name.endsWith(end)).length"
    return int(page.tab.evaluate(asked, end))


def title_of_dialog(page: Page) -> str:
    return " ".join(page.tab.locator("dialog[open] h2").all_inner_texts())


def test_a_run_that_starts_late_leaves_the_user_alone(pixmill: Served, page: Page, name: str) -> None:
    first, second = (pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2))
    page.open(address_of_steps(STEPS, first))
    page.run(holding(f"path === '{TASKS}/' && options.method === 'POST'"))

    page.button("Run on 1 file").click()
    await_held(page, "the answer to the run is held")
    page.go(f"/files?q={name}-2")
    expect(files_shown(page)).to_have_count(1)
    press(page.first("[role=listbox]"), "Home", "Space")
    page.says("1 file selected")
    release(page)
    page.says("Run started")

    assert "1 file selected" in page.text()
    assert urlsplit(page.address()).path == "/files"
    pixmill.http.delete(f"{FILES}/{second}").raise_for_status()


def test_a_deletion_that_ends_late_leaves_the_user_alone(pixmill: Served, page: Page, name: str) -> None:
    ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    open_gallery(page, name, 2)
    page.go(f"/files/{ids[0]}")
    page.run(holding("path.endsWith('/delete')"))

    page.button("Delete").click()
    await_held(page, "the answer to the deletion is held")
    page.go("/system")
    page.says("Works")
    release(page)
    page.says("is in the trash")

    assert urlsplit(page.address()).path == "/system"


def test_the_steps_of_a_failed_task_open_with_its_own_file(pixmill: Served, page: Page, name: str) -> None:
    pixmill.files.upload(photo(), name=f"{name}-1.png")
    broken = pixmill.files.upload(b"not an image", name=f"{name}-2.txt").id
    [task_id] = pixmill.run([broken], "flip").task_ids
    wait_until(lambda: pixmill.http.get(f"{TASKS}/{task_id}").json()["status"] == "error", "the task has failed")
    open_gallery(page, name, 2)
    press(page.first("[role=listbox]"), "Home", "Space")
    page.says("1 file selected")

    with blocked(page, "/lookup$"):
        page.go(f"/tasks?file={broken}")
        page.button("Open the steps").click()
        page.tab.wait_for_url(lambda url: "files=" in url)

    assert parse_qs(urlsplit(page.address()).query)["files"] == [str(broken)]


def test_a_second_deletion_by_keyboard_follows_the_first(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2, 3):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 3)
    page.run(holding("path.endsWith('/delete') && !window.release"))
    gallery = page.first("[role=listbox]")

    press(gallery, "Home", "Space", "Delete")
    await_held(page, "the answer to the first deletion is held")
    # The event of the first deletion may remove its file before this key arrives; the last file is the same either way.
    press(gallery, "End", "Space", "Delete")
    release(page)

    wait_until(lambda: names_stored(pixmill, name) == [f"{name}-2"], "both files are deleted")
    expect(files_shown(page)).to_have_count(1)
    assert requests(page, "/delete") == 2


def set_link(pixmill: Served, note: str, file_id: object) -> int:
    """Return the id of a link for a set of files."""
    wanted = {"file_ids": [file_id], "note": note}
    return int(pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()["id"])


def note_of(pixmill: Served, link_id: int) -> str:
    links = pixmill.http.get(f"{FILES}/links", params={"limit": 1000}).json()
    return str(next(link["note"] for link in links if link["id"] == link_id))


def test_a_late_answer_closes_only_its_own_dialog(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    first, second = (set_link(pixmill, f"{name}-{number}", file_id) for number in (1, 2))
    page.open("/shared")
    page.run(holding("options?.method === 'PATCH'"))

    page.button(f"Change: {name}-1").click()
    append(page.field("Note", "dialog"), "-new", "Enter")
    await_held(page, "the answer to the change is held")
    page.button("Close", "dialog").click()
    page.button(f"Change: {name}-2").click()
    append(page.field("Note", "dialog"), "-entered")
    release(page)
    page.says("Saved")

    assert page.field("Note", "dialog").input_value() == f"{name}-2-entered"
    assert [note_of(pixmill, link_id) for link_id in (first, second)] == [f"{name}-1-new", f"{name}-2"]


def test_a_longer_link_keeps_the_note_of_another_tab(pixmill: Served, page: Page, name: str) -> None:
    link_id = set_link(pixmill, name, pixmill.files.upload(photo(), name=f"{name}.png").id)
    page.open("/shared")

    page.button(f"Change: {name}").click()
    pixmill.http.patch(f"{FILES}/links/{link_id}", json={"note": f"{name}-other"}).raise_for_status()
    page.field("It works for", "dialog").press("ArrowDown")
    page.button("Save", "dialog").click()
    page.says("Saved")

    assert note_of(pixmill, link_id) == f"{name}-other"


def make_preset(pixmill: Served, name: str, algorithm: str = "sepia") -> None:
    params = {"steps": [{"algorithm": algorithm, "params": {}}]}
    pixmill.http.put(f"{TASKS}/presets/{name}", json={"params": params}).raise_for_status()


def test_a_late_new_name_closes_only_its_own_dialog(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        make_preset(pixmill, f"{name}-{number}")
    page.open("/pipelines")
    page.run(holding("options?.method === 'PUT'"))

    page.button(f"Rename: {name}-1").click()
    append(page.field("Name", "dialog"), "-new", "Enter")
    await_held(page, "the answer to the new name is held")
    page.button("Close", "dialog").click()
    page.button(f"Rename: {name}-2").click()
    release(page)
    page.says("Renamed")

    assert title_of_dialog(page) == f"Rename {name}-2"


def test_a_renamed_pipeline_keeps_the_steps_of_another_tab(pixmill: Served, page: Page, name: str) -> None:
    make_preset(pixmill, name)
    page.open("/pipelines")

    page.button(f"Rename: {name}").click()
    make_preset(pixmill, name, "flip")
    append(page.field("Name", "dialog"), "-new", "Enter")
    page.says("Renamed")

    steps = pixmill.http.get(f"{TASKS}/presets/{name}-new").json()["params"]["steps"]
    assert [step["algorithm"] for step in steps] == ["flip"]


def test_a_list_of_presets_that_comes_late_keeps_a_saved_one(pixmill: Served, page: Page, name: str) -> None:
    page.open(address_of_steps(STEPS))
    page.button("Presets").click()
    page.run(holding("path.endsWith('/presets') && !window.release"))
    page.button("All pipelines").click()
    await_held(page, "the list is held")
    page.go(address_of_steps(STEPS))

    page.button("Presets").click()
    enter(page.field("Name of the preset"), name)
    page.says("The preset is saved")
    release(page)
    page.button("Presets").click()

    page.button(name)
    wait_until(lambda: requests(page, "/presets") == 4, "the list is fetched again")
    assert name in page.text()


def test_a_row_that_comes_late_does_not_replace_a_newer_one(pixmill: Served, page: Page, name: str) -> None:
    file = pixmill.files.upload(photo(), name=f"{name}.png")
    names = (f"{name}-{number}" for number in count())

    def rename() -> str | None:
        """Return the new name, if the server's time of the change, in whole seconds, is a later one."""
        change = pixmill.http.patch(f"{FILES}/{file.id}", json={"name": next(names)}).json()
        return str(change["name"]) if change["updated_at"] != file.document["updated_at"] else None

    with page.tab.add_init_script(holding("path.endsWith('/lookup') && !window.release")):
        page.open(f"/files?q={name}")
        await_held(page, "the row is held")
        newest = wait_until(rename, "the file is changed in a later second")
        page.says(newest)
        release(page)

    assert newest in page.text()


COUNT_CHANGES = """const {fetch: held} = window;
window.changes = 0;
window.fetch = (path, options) => {
    if (options?.method === 'PATCH') window.changes += 1;
    return held(path, options);
};"""


def test_a_name_and_a_comment_are_stored_in_their_order(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    page.run(holding("options?.method === 'PATCH' && !window.release"))
    page.run(COUNT_CHANGES)

    append(page.field("Name"), "-new", "Tab")
    await_held(page, "the answer to the name is held")
    enter(page.field("Comment"), "A comment", "Tab")
    assert page.tab.evaluate("window.changes") == 1, "two requests at once may arrive in another order"
    release(page)

    def stored() -> list[object]:
        file = pixmill.http.get(f"{FILES}/{file_id}").json()
        return [file["name"], file["comment"]]

    wait_until(lambda: stored() == [f"{name}-new", "A comment"], "both are stored")
    assert page.field("Comment").input_value() == "A comment"


def test_text_that_is_typed_while_an_answer_comes_stays(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    page.run(holding("options?.method === 'PATCH' && !window.release"))
    comment = page.field("Comment")

    enter(comment, "First", "Tab")
    await_held(page, "the answer to the comment is held")
    append(comment, " and more")
    release(page)
    page.says("Saved")
    typed = comment.input_value()
    comment.press("Tab")

    assert typed == "First and more"
    file = f"{FILES}/{file_id}"
    wait_until(lambda: pixmill.http.get(file).json()["comment"] == "First and more", "all of it is stored")


def test_a_refused_text_stays_when_another_field_is_stored(pixmill: Served, page: Page, name: str) -> None:
    page.open(f"/files/{pixmill.files.upload(photo(), name=f'{name}.png').id}")
    page.run(holding("options?.method === 'PATCH' && !window.release"))
    folder = page.field("Folder")

    enter(page.field("Comment"), "A comment", "Tab")
    await_held(page, "the answer to the comment is held")
    enter(folder, "a/../b", "Tab")
    release(page)
    page.says("must consist of names")
    append(page.field("Name"), "-new", "Tab")
    page.says(f"{name}-new")

    assert folder.input_value() == "a/../b"


def test_a_late_retry_does_not_undo_a_newer_text(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    busy = "new Response('{}', {status: 503, headers: {'Content-Type': 'application/problem+json'}})"
    page.run(
        f"const fetched = window.fetch; window.sent = 0; window.fetch = (path, options) =>"
        f" options?.method === 'PATCH' && !window.sent++ ? Promise.resolve({busy}) : fetched(path, options);"
    )
    comment = page.field("Comment")

    enter(comment, "Older", "Tab")
    retry = page.button("Retry")
    enter(comment, "Newer", "Tab")
    page.says("Saved")
    retry.click()

    assert page.tab.evaluate("window.sent") == 2
    assert pixmill.http.get(f"{FILES}/{file_id}").json()["comment"] == "Newer"


def test_a_comment_is_stored_when_the_server_answers_again(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    comment = page.field("Comment")

    with blocked(page, f"{FILES}/"):
        enter(comment, "A comment", "Tab")
        page.says("Trying again by itself")
        page.go("/files")
    page.says("Saved")

    assert pixmill.http.get(f"{FILES}/{file_id}").json()["comment"] == "A comment"


def test_a_second_click_makes_no_second_link(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    page.run(holding("path.endsWith('/links') && !window.release"))

    page.button("Link").click()
    create = page.button("Create a link", "dialog")
    create.click()
    await_held(page, "the link is held")
    # Playwright would wait until the button is enabled.
    create.click(force=True)
    release(page)
    page.field("Link", "dialog")

    links = pixmill.http.get(f"{FILES}/links", params={"limit": 1000}).json()
    assert len([link for link in links if link["file_id"] == file_id]) == 1


@pytest.fixture(scope="module")
def keys_stack() -> Iterator[EmbeddedStack]:
    stack = EmbeddedStack(temporary_folder("page-races"), {"ACCESS_AUTH__MODE": "keys"})
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def owners(keys_stack: EmbeddedStack) -> Mapping[str, str]:
    """Return the keys of owners."""
    return keys_of_owners(keys_stack, {"alice": "writer", "bob": "writer"})


@pytest.fixture
def locked(keys_stack: EmbeddedStack, chromium: Browser) -> Iterator[Page]:
    """Return a page that asks for a key."""
    with open_page(chromium, keys_stack.url) as page:
        yield page


def sign_in(page: Page, key: str, within: str = "main") -> None:
    enter(page.field("Key", within), key)


def test_a_session_that_ends_keeps_the_further_runs(
    keys_stack: EmbeddedStack, owners: Mapping[str, str], locked: Page, name: str
) -> None:
    with Served(keys_stack.url, key=owners["alice"]) as client:
        file_id = client.files.upload(b"text", name=f"{name}.txt").id
        for _ in range(21):
            client.run([file_id], "flip")
    rows = "main ul.stack > li"
    locked.open("/runs")
    sign_in(locked, owners["alice"])
    locked.button("Show more").click()
    expect(locked.tab.locator(rows)).to_have_count(21)

    locked.tab.context.clear_cookies()
    # As if the user came back to this tab: the page asks whose the session is.
    locked.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    sign_in(locked, owners["alice"], "dialog")
    expect(locked.tab.locator("dialog")).to_have_count(0)
    first = f"fetch('{TASKS}/batches?limit=20').then(() => new Promise((done) => setTimeout(done)))"
    locked.tab.evaluate(first)

    assert locked.tab.locator(rows).count() == 21


def steps_of(address: str) -> object:
    """Return the steps in the address of the screen for them."""
    text = address.partition("#s=")[2]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["steps"]


@pytest.mark.parametrize("owner", ["alice", "bob"])
def test_a_link_leads_where_it_pointed_after_signing_in(owners: Mapping[str, str], locked: Page, owner: str) -> None:
    locked.open("/system")
    sign_in(locked, owners["alice"])
    locked.button("Sign out")
    locked.tab.context.clear_cookies()
    link = address_of_steps(STEPS)

    with locked.tab.add_init_script(holding("path === '/api/session' && !options.method")):
        locked.open(link)
        # The page shows the screen before it knows that a key is needed.
        sign_in(locked, owners[owner])
        locked.says("Sepia")

    assert json.loads(locked.tab.evaluate("localStorage['pixmill.session.owner']")) == owner
    assert steps_of(locked.address()) == STEPS


def test_the_names_of_a_session_that_begins_later_are_in_their_own_language(
    owners: Mapping[str, str], locked: Page
) -> None:
    names = "[...document.querySelectorAll('option')].map(({innerText}) => innerText).join()"

    def shown() -> str:
        return str(locked.tab.evaluate(names))

    # Only the requests of the screen say that a key is needed, so that it asks for the names before.
    with locked.tab.add_init_script(
        holding("path === '/api/session' && !options.method || path.includes('/batches?')")
    ):
        locked.open("/tasks")
        wait_until(lambda: requests(locked, "/catalog") == 1, "the names are asked for")
        locked.button("Русский").click()
        enter(locked.field("Ключ", "main"), owners["alice"])
        wait_until(lambda: "Сепия" in shown(), "the names are in Russian")
        locked.button("English").click()
        wait_until(lambda: "All algorithms" in shown(), "the page is in English")

        wait_until(lambda: "Sepia" in shown(), "the names are in English")


@pytest.mark.parametrize(
    ("button", "held"),
    [("Open the steps", "path.includes('&limit=1000')"), ("Forget", "options?.method === 'DELETE'")],
)
def test_a_late_answer_for_a_run_leaves_the_user_where_they_went(
    pixmill: Served, page: Page, name: str, button: str, held: str
) -> None:
    batch_id = ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
    page.says("Sepia")
    page.open(f"/runs/{batch_id}")
    page.says("All done")

    page.run(holding(held))
    page.button(button).click()
    await_held(page, "the answer is held")
    page.button("Process").click()
    page.tab.wait_for_url(lambda url: "#s=" in url)
    address = page.address()
    release(page)

    assert page.address() == address
    assert steps_shown(page) == ["Sepia"]


def test_the_steps_of_a_run_open_with_its_files_or_not_at_all(pixmill: Served, page: Page, name: str) -> None:
    source, _ = (pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2))
    batch_id = ended_run(pixmill, source)
    [other] = open_gallery(page, f"{name}-2", 1)
    other.locator("[data-check]").click()
    page.says("1 file selected")
    page.go(f"/runs/{batch_id}")

    with blocked(page, "limit=1000"):
        page.button("Open the steps").click()
        expect(page.tab.locator(".toast").first).to_contain_text("does not answer")
    with blocked(page, "/file-server/lookup$"):
        page.button("Open the steps").click()
        page.tab.wait_for_url(lambda url: "/process?files=" in url)

    assert f"/process?files={source}#" in f"{page.address()}#"


def test_a_zip_of_many_results_is_offered_while_the_run_goes_on(pixmill: Served, page: Page, name: str) -> None:
    file_ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    file_ids.append(pixmill.files.upload(b"not an image", name=f"{name}.txt").id)
    batch_id = ended_run(pixmill, *file_ids)
    found = pixmill.http.get(f"{TASKS}/", params={"batch_id": batch_id}).json()
    tasks: dict[str, int] = {task["status"]: task["id"] for task in found}
    page.open(f"/runs/{batch_id}")
    page.says("2 finished")
    # Processing more files than a ZIP contains would take a minute.
    repeat = """const some = window.fetch;
        window.fetch = async (path, options) => {
            const answer = await some(path, options);
            if (!path.includes('status=finished&limit=1000')) return answer;
            const json = async () => { const [row] = await answer.json(); return Array(1001).fill(row); };
            return {ok: true, headers: answer.headers, json};
        };"""
    page.run(holding("path.includes('status=finished&limit=1000')") + repeat)

    page.button("Download ZIP").click()
    await_held(page, "the list of results is held")
    pixmill.http.post(f"{TASKS}/forget", json={"ids": [tasks["finished"]]}).raise_for_status()
    # Only changes of a state are events.
    pixmill.http.post(f"{TASKS}/restart", json={"ids": [tasks["error"]]}).raise_for_status()
    page.says("1 finished")
    release(page)

    page.button("ZIP 1 of 2")
    page.button("ZIP 2 of 2")
    page.button("Download ZIP")


def test_a_refresh_before_the_answer_mixes_no_tasks_of_two_filters(pixmill: Served, page: Page, name: str) -> None:
    [finished] = pixmill.run([pixmill.files.upload(photo(), name=f"{name}.png").id], "flip").task_ids
    ended_task(pixmill, finished)
    run_of_failures(pixmill, name)
    page.open("/tasks")
    page.button("Show more").click()
    page.field(f"Task {finished}")

    # The stream of events, which starts again with each filter, refreshes the first page.
    page.run(holding("path.includes('status=error') && !window.release"))
    page.button("failed").click()
    await_held(page, "the first answer is held")
    page.field("Select all 100 shown")
    release(page)

    page.button("Show more")
    assert page.fields(f"Task {finished}").count() == 0


def test_a_change_of_a_task_keeps_the_language_and_the_ticks(pixmill: Served, page: Page, name: str) -> None:
    batch_id = run_of_failures(pixmill, name)
    found = pixmill.http.get(f"{TASKS}/", params={"batch_id": batch_id}, headers={"Accept-Language": "ru"}).json()
    page.open(f"/tasks?run={batch_id}")
    page.button("Show more").click()
    page.field("Select all 101 shown")
    page.field(f"Task {found[1]['id']}").click()

    page.run(holding("path.includes('after=')"))
    page.button("Русский").click()
    await_held(page, "the second page in Russian is held")
    page.button("Повторить", "main li").click()
    page.says("Запущено снова: 1 задача")
    page.says("Выбрана 1 задача")
    release(page)

    wait_until(lambda: page.text().count(found[0]["problem"]["detail"]) == 101, "all reasons are in Russian")
    page.button("English").click()


def test_a_removed_link_does_not_come_back_with_an_older_answer(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    for note in (f"{name}-1", f"{name}-2"):
        pixmill.http.post(f"{FILES}/{file_id}/links", json={"note": note}).raise_for_status()
    page.open("/shared")
    page.button(f"Change: {name}-1").click()

    page.run(holding("path.includes('/links?')"))
    page.button("Save", "dialog").click()
    await_held(page, "the list that contains both links is held")
    page.button(f"Revoke: {name}-2").click()
    page.button("Revoke", "dialog").click()
    page.says("The link is revoked")
    release(page)

    assert f"{name}-1" in page.text()
    assert f"{name}-2" not in page.text()


@pytest.mark.parametrize(("held", "moved"), [("lookup", []), ("first", ["first", "second"])])
def test_a_closed_dialog_moves_no_further_file_and_keeps_the_selection(
    pixmill: Served, page: Page, name: str, held: str, moved: list[str]
) -> None:
    ids = {
        number: pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in ("first", "second", "third")
    }
    first, second, third = open_gallery(page, name, 3)
    page.button("Select").click()
    first.click()
    second.click()
    page.button("Move to a folder", "[role=toolbar]").click()

    page.run(holding(f"path.endsWith('/{ids.get(held, held)}')"))
    page.run(RECORD_LANGUAGES)
    enter(page.field("Folder", "dialog"), name)
    await_held(page, "an answer is held")
    if moved:
        done = "document.querySelector('dialog progress').value"
        wait_until(lambda: page.tab.evaluate(done) == 1, "the second file is moved")
    page.button("Cancel", "dialog").click()
    third.click()
    page.says("3 files selected")
    release(page)

    assert "3 files selected" in page.text()
    assert [number for number in ids if languages_of(page, f"{FILES}/{ids[number]}")] == moved


def test_a_restored_file_takes_no_ticks_from_the_others_in_the_trash(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    # One more than a page shows.
    ids = [file_id, *copies_of(pixmill, file_id, name, 100), *copies_of(pixmill, file_id, name, 100)]
    pixmill.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()
    count = len(pixmill.http.get(f"{FILES}/trash", params={"limit": 1000}).json())
    rows = "main li"
    page.open("/trash")
    page.button("Show more").click()
    expect(page.tab.locator(rows)).to_have_count(count)
    page.tab.evaluate("document.querySelectorAll('main li input')[1].click()")
    page.says("1 file selected")

    page.tab.evaluate("document.querySelector('main li button').click()")
    page.says("1 file is back")
    expect(page.tab.locator(rows)).to_have_count(count - 1)

    assert "1 file selected" in page.text()


def failing_once(condition: str) -> str:
    """Return the script that lets the first request of this kind fail in the server."""
    return f"""const working = window.fetch;
        window.failed = 0;
        window.fetch = (path, options) => ({condition}) && window.failed++ === 0
            ? Promise.resolve(new Response('{{}}', {{status: 500, headers: {{'Content-Type': 'application/json'}}}}))
            : working(path, options);"""


COUNT_SENT = """const counted = window.fetch;
window.sent = {};
window.fetch = (path, options) => {
    const method = options?.method ?? 'GET';
    window.sent[method] = (window.sent[method] ?? 0) + 1;
    return counted(path, options);
};"""


def sent(page: Page, method: str) -> int:
    """Return how many requests the page has sent with a method since the script :data:`COUNT_SENT`."""
    return int(page.tab.evaluate("(method) => window.sent[method] ?? 0", method))


@pytest.mark.parametrize(
    ("shown", "failing", "then"),
    [
        pytest.param(101, "path.includes('after=')", "Повторить", id="refresh"),
        pytest.param(100, "path.includes('batch_id=')", "Показать ещё", id="next page"),
    ],
)
def test_after_a_failed_reload_no_page_stays_in_the_other_language(
    pixmill: Served, page: Page, name: str, shown: int, failing: str, then: str
) -> None:
    batch_id = run_of_failures(pixmill, name)
    found = pixmill.http.get(f"{TASKS}/", params={"batch_id": batch_id}, headers={"Accept-Language": "ru"}).json()
    page.open(f"/tasks?run={batch_id}")
    if shown > 100:
        page.button("Show more").click()
    page.field(f"Select all {shown} shown")

    # Not the refresh that the stream of events causes when it starts.
    page.run(failing_once(f"{failing} && options.headers['Accept-Language'] === 'ru'"))
    page.button("Русский").click()
    page.says("Не получилось")
    page.button(then).click()

    wait_until(lambda: page.text().count(found[0]["problem"]["detail"]) == 101, "all reasons are in Russian")
    assert page.tab.locator("main [role=alert]").count() == 0
    page.button("English").click()


def open_steps(page: Page, algorithm: str, title: str) -> None:
    """Open the screen for a step, after another one: it reads the address once."""
    page.go("/system")
    page.says("Works")
    page.go(address_of_steps([{"algorithm": algorithm, "params": {}}]))
    wait_until(lambda: steps_shown(page) == [title], "the step is shown")
    page.button("Presets").click()


def test_two_saves_of_a_preset_are_stored_and_shown_in_their_order(pixmill: Served, page: Page, name: str) -> None:
    page.open("/system")
    page.run(holding("options?.method === 'PUT' && !window.release"))
    page.run(COUNT_SENT)

    open_steps(page, "sepia", "Sepia")
    enter(page.field("Name of the preset"), name)
    await_held(page, "the answer to the first save is held")
    open_steps(page, "invert", "Invert")
    enter(page.field("Name of the preset"), name)
    assert sent(page, "PUT") == 1, "two requests at once may arrive in another order"
    release(page)

    wait_until(lambda: requests(page, f"/presets/{name}") == 2, "both are saved")
    open_steps(page, "sepia", "Sepia")
    page.button(name).click()
    wait_until(lambda: steps_shown(page) == ["Invert"], "the steps of the second save are loaded")
    steps = pixmill.http.get(f"{TASKS}/presets/{name}").json()["params"]["steps"]
    assert [step["algorithm"] for step in steps] == ["invert"]


def test_the_name_of_another_preset_stays_when_one_is_saved_late(page: Page, name: str) -> None:
    # An address that differs only after `#`, or not at all, may load no page.
    page.tab.goto("about:blank")
    page.open(address_of_steps(STEPS))
    page.run(holding("options?.method === 'PUT' && !window.release"))

    page.button("Presets").click()
    field = page.field("Name of the preset")
    enter(field, name)
    await_held(page, "the answer to the save is held")
    append(field, "-other")
    release(page)
    page.says("The preset is saved")

    assert field.input_value() == f"{name}-other"
    assert field.is_visible()


@pytest.mark.parametrize("path", ["/shared", "/pipelines", "/tasks", "/s/"])
def test_what_could_not_be_shown_is_shown_when_the_server_answers_again(
    pixmill: Served, page: Page, name: str, path: str
) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    link = {"file_ids": [file_id], "note": name}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    make_preset(pixmill, name)
    ended_run(pixmill, file_id)

    with blocked(page, "/api/"):
        page.open(f"{path}{token}" if path == "/s/" else path)
        page.says("This did not work")

    page.says(name)
    expect(page.tab.locator("main [role=alert]")).to_have_count(0)


def test_a_file_counts_as_deleted_only_when_the_server_has_said_so(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    batch_id = ended_run(pixmill, file_id)
    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()

    with page.tab.add_init_script(holding("path.endsWith('/lookup')")):
        page.open(f"/tasks?run={batch_id}")
        await_held(page, "the rows of the files are held")
        page.says(name)
        early = page.text().count("deleted")
        release(page)
    page.says("deleted")

    assert (early, page.text().count("deleted")) == (0, 1)


def test_a_second_click_restarts_no_task_twice(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    batch_id = ended_run(pixmill, file_id)
    page.open(f"/tasks?run={batch_id}")
    retry = page.button("Retry", "main li")
    page.run(holding("path.endsWith('/restart') && !window.release"))
    page.run(COUNT_SENT)

    retry.click()
    await_held(page, "the answer to the restart is held")
    retry.click()
    count = sent(page, "POST")
    release(page)
    page.says("1 task runs again")

    assert count == 1


def test_a_link_is_changed_and_revoked_once(pixmill: Served, page: Page, name: str) -> None:
    set_link(pixmill, name, pixmill.files.upload(photo(), name=f"{name}.png").id)
    page.open("/shared")
    page.button(f"Change: {name}").click()
    page.run(holding("options?.method === 'PATCH'"))
    page.run(COUNT_SENT)

    note = page.field("Note", "dialog")
    append(note, "-new", "Enter")
    await_held(page, "the answer to the change is held")
    note.press("Enter")
    changes = sent(page, "PATCH")
    release(page)
    page.says("Saved")
    page.run("delete window.release; delete window.late")
    page.run(holding("options?.method === 'DELETE'"))
    for _ in range(2):
        page.button(f"Revoke: {name}-new").click()
        page.button("Revoke", "dialog").click()
        await_held(page, "the answer to the revocation is held")
    revocations = sent(page, "DELETE")
    page.tab.evaluate("window.release()")
    page.says("The link is revoked")

    assert (changes, revocations) == (1, 1)


def test_the_trash_shows_what_a_failed_deletion_has_left(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()
    page.open("/trash")
    page.says(name)
    # The server does so only with more files than a test makes.
    in_part = """const all = window.fetch;
        window.fetch = async (path, options) => {
            const answer = await all(path, options);
            if (!path.endsWith('/trash/empty') || !answer.ok) return answer;
            const json = async () => ({...(await answer.json()), more: true});
            return {ok: true, headers: answer.headers, json};
        };"""
    second = failing_once("path.endsWith('/trash/empty') && window.empties++ > 0")
    page.run(f"window.empties = 0; {second}")
    page.run(in_part)

    page.button("Empty the trash").click()
    page.button("Empty the trash", "dialog").click()
    page.first(".toast.error")

    wait_until(lambda: name not in page.text(), "the file is gone")


def test_signing_out_says_that_the_server_is_away(owners: Mapping[str, str], locked: Page) -> None:
    locked.open("/system")
    sign_in(locked, owners["alice"])
    leave = locked.button("Sign out")

    with blocked(locked, "/api/session$"):
        leave.click()
        expect(locked.tab.locator(".toast").first).to_contain_text("does not answer")
    locked.button("Sign out").click()

    locked.field("Key", "main")


def test_a_refusal_follows_the_language(pixmill: Served, page: Page, locked: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    link = {"file_ids": [file_id], "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]

    for shown, path, field, english, russian in (
        (page, f"/s/{token}", "Password", "This is not the password.", "Это не тот пароль."),
        (locked, "/files", "Key", "This key does not exist", "Такого ключа нет"),
    ):
        shown.open(path)
        enter(shown.field(field, "main"), "wrong")
        shown.says(english)
        shown.button("Русский").click()
        shown.says(russian)
        shown.button("English").click()


def test_a_link_whose_files_fail_to_come_after_its_password_says_so(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    link = {"file_ids": [file_id], "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    page.open(f"/s/{token}")
    page.field("Password").fill("right")
    page.run(failing_once(f"path.endsWith('/{token}')"))

    page.field("Password").press("Enter")
    page.says("This did not work")
    page.button("Try again").click()

    # A link that the keyboard reaches too, unlike the one around the picture.
    address = page.button(f"{name}.png").get_attribute("href")
    assert address is not None
    assert address.endswith("disposition=inline")


def test_the_system_names_what_does_not_work(page: Page) -> None:
    unavailable = """const well = window.fetch;
        window.fetch = (path, options) => {
            const health = {status: 'unavailable', dependencies: {database: 'unavailable'}};
            if (path.endsWith('/readyz')) return Promise.resolve(new Response(JSON.stringify(health), {status: 503}));
            if (path.endsWith('/stats')) return Promise.resolve(new Response('{"title": "None"}', {status: 500}));
            return well(path, options);
        };"""
    with page.tab.add_init_script(unavailable):
        page.open("/system")
        page.says("None")
        page.button("Русский").click()
        page.says("Не работает")
        text = page.text()
        page.button("English").click()

    assert text.count("Не работает") == 4
    assert "unavailable" not in text


AWAY = """const fetched = window.fetch;
    window.away = true;
    window.sent = 0;
    window.fetch = (path, options) => {
        const isOfList = path.split('?')[0] === LIST;
        if (window.away && (isOfList || path.endsWith('/healthz'))) return Promise.reject(new TypeError('no answer'));
        window.sent += isOfList;
        return fetched(path, options);
    };"""
"""Lets the requests for a list fail while ``away`` is true, and counts those that are sent afterwards."""


@pytest.mark.parametrize(("screen", "address"), [("/trash", f"{FILES}/trash"), ("/runs", f"{TASKS}/batches")])
def test_a_list_is_fetched_once_when_the_server_answers_again(page: Page, screen: str, address: str) -> None:
    with page.tab.add_init_script(AWAY.replace("LIST", json.dumps(address))):
        page.open(screen)
        page.says("The server does not answer.")
        page.tab.evaluate("window.away = false")
        expect(page.tab.locator("main [role=alert]")).to_have_count(0)
        sent = page.tab.evaluate("window.sent")

    assert sent == 1


KEEP_SOURCES = """const Source = window.EventSource;
window.sources = [];
window.EventSource = class extends Source {
    constructor(address) {
        super(address);
        window.sources.push(this);
    }
};"""


def test_a_run_is_fetched_once_when_the_server_answers_again(pixmill: Served, page: Page, name: str) -> None:
    batch_id = ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)
    away = AWAY.replace("LIST", json.dumps(f"{TASKS}/batches/{batch_id}"))
    opened = f"sources.some(({{url, readyState}}) => url.endsWith('{TASKS}/events') && readyState === 1)"

    with page.tab.add_init_script(f"{away}{KEEP_SOURCES}"):
        with blocked(page, f"{TASKS}/events"):
            page.open(f"/runs/{batch_id}")
            page.says("The server does not answer.")
        page.tab.evaluate("window.away = false")
        page.says("All done")
        wait_until(lambda: page.tab.evaluate(opened), "the stream of events has begun again")
        # The page asks in a task of its own after the stream has begun.
        later = "new Promise((done) => setTimeout(() => setTimeout(() => done(window.sent))))"
        sent = page.tab.evaluate(later)

    assert sent == 1


HASTEN = """const begin = window.setTimeout;
window.setTimeout = (work, ms, ...rest) => begin(work, ms === 1000 ? 0 : ms, ...rest);"""
"""Lets the page answer events at once, instead of together."""


@pytest.mark.parametrize(
    ("screen", "service", "address"),
    [("/files", FILES, f"{FILES}/index"), ("/runs", TASKS, f"{TASKS}/batches"), ("/tasks", TASKS, f"{TASKS}/")],
)
def test_a_list_is_fetched_once_when_its_events_begin_again(
    page: Page, screen: str, service: str, address: str
) -> None:
    away = AWAY.replace("LIST", json.dumps(address))
    opened = f"sources.some(({{url, readyState}}) => url.endsWith('{service}/events') && readyState === 1)"

    with page.tab.add_init_script(f"{away}{KEEP_SOURCES}{HASTEN}"):
        with blocked(page, f"{service}/events"):
            page.open(screen)
            page.says("The server does not answer.")
        page.tab.evaluate("window.away = false")
        expect(page.tab.locator("main [role=alert]")).to_have_count(0)
        wait_until(lambda: page.tab.evaluate(opened), "the stream of events has begun again")
        # The page asks in a task of its own after the stream has begun.
        later = "new Promise((done) => setTimeout(() => setTimeout(() => done(window.sent))))"
        sent = page.tab.evaluate(later)

    assert sent == 1


HANG = """const answered = window.fetch;
AbortSignal.timeout = () => {
    const limit = new AbortController();
    window.expire = () => limit.abort(new DOMException('timed out', 'TimeoutError'));
    return limit.signal;
};
window.fetch = (path, options) => {
    if (window.hangs || !path.endsWith(ADDRESS)) return answered(path, options);
    window.hangs = true;
    const {signal} = options;
    const expired = new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)));
    const body = new ReadableStream({start: (controller) => { expired.catch((reason) => controller.error(reason)); }});
    return AT;
};"""
"""Lets the first request for an address hang, before its answer or within it, until ``expire()``, its timeout."""


@pytest.mark.parametrize("at", ["expired", "Promise.resolve(new Response(body))"])
def test_a_run_is_fetched_again_after_a_request_that_hangs(pixmill: Served, page: Page, name: str, at: str) -> None:
    batch_id = ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)
    hang = HANG.replace("ADDRESS", json.dumps(f"/batches/{batch_id}")).replace("AT;", f"{at};")

    with page.tab.add_init_script(hang):
        page.open(f"/runs/{batch_id}")
        wait_until(lambda: page.tab.evaluate("window.hangs"), "the request hangs")
        page.tab.evaluate("window.expire()")
        page.says("All done")


BREAK_OFF = """const whole = window.fetch;
window.broken = 0;
window.fetch = async (path, options) => {
    const answer = await whole(path, options);
    if (!path.includes('/batches?limit=20') || window.broken++ > 1) return answer;
    const body = new ReadableStream({start: (controller) => controller.error(new TypeError('network error'))});
    return new Response(body, {headers: answer.headers});
};"""
"""Lets the connections of the first two answers of this kind break off, as browsers report it."""


def test_an_answer_that_breaks_off_is_fetched_again(pixmill: Served, page: Page, name: str) -> None:
    ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)

    # The header asks for the same list.
    with page.tab.add_init_script(BREAK_OFF):
        # Otherwise the message would disappear at once.
        with blocked(page, "/healthz$"):
            page.open("/runs")
            page.says("The server does not answer.")
        page.first("main li.card")
    expect(page.tab.locator("main [role=alert]")).to_have_count(0)


HOLD_POLLS = """const {setTimeout: start, clearTimeout: end, fetch: ask} = window;
window.polls = new Set();
window.asked = 0;
window.setTimeout = (work, ms, ...rest) => {
    if (ms !== 4000) return start(work, ms, ...rest);
    const timer = start(work, 2 ** 31 - 1);
    window.polls.add(timer);
    return timer;
};
window.clearTimeout = (timer) => { window.polls.delete(timer); end(timer); };
window.fetch = (path, options) => ask(path, options).finally(() => {
    if (path.endsWith('/healthz')) start(() => { window.asked += 1; });
});"""
"""Keeps the page from asking by itself whether the server is there, and counts how often it has asked."""


def test_trying_again_adds_no_further_polling(page: Page) -> None:
    with page.tab.add_init_script(HOLD_POLLS), blocked(page, "/api/"):
        page.open("/runs")
        again = page.button("Try again", "[role=status]")
        for _ in range(3):
            again.click()
        wait_until(lambda: page.tab.evaluate("asked >= 7"), "the page has asked both services three times")
        polls = page.tab.evaluate("polls.size")

    assert polls == 1


def test_a_deletion_is_undone_once(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 2)
    gallery = page.first("[role=listbox]")

    press(gallery, "Home", "Delete")
    undo = page.button("Undo")
    press(gallery, "Control+z")
    page.says("1 file is back")
    page.run(holding("path.endsWith('/restore')"))
    undo.click()
    expect(page.buttons("Undo", ".toasts")).to_have_count(0)
    # A second request would be answered, and held, before this one is answered.
    page.tab.evaluate(f"fetch('{FILES}/stats').then(() => null)")

    assert not page.tab.evaluate("'release' in window")


def test_a_file_that_was_deleted_unnoticed_is_not_selected(pixmill: Served, page: Page, name: str) -> None:
    deleted, _ = (pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2))

    with blocked(page, "/events"):
        with blocked(page, "/lookup"):
            page.open(f"/files?q={name}")
            press(page.first("[role=listbox]"), "Control+a")
            page.says("2 files selected")
            pixmill.http.delete(f"{FILES}/{deleted}").raise_for_status()
        # The page tries again by itself.
        expect(files_shown(page)).to_have_count(1)

    assert "1 file selected" in page.text()


def test_what_failed_on_a_screen_is_tried_again(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    batch_id = ended_run(pixmill, file_id)

    for path, failing, result in (
        (f"/files/{file_id}", "path.includes('source_id=')", "aside li a[href^='/files/']"),
        (address_of_steps(STEPS, file_id), "path.endsWith('/preview')", ".after[src^='blob:']"),
    ):
        with page.tab.add_init_script(failing_once(failing)):
            page.open(path)
            page.button("Try again", "[role=alert]").click()
            page.first(result)
        expect(page.tab.locator("[role=alert]")).to_have_count(0)
    with page.tab.add_init_script(failing_once("path.endsWith('/lookup')")):
        page.open(f"/runs/{batch_id}")
        page.first("main li a[href^='/files/'] img")

    assert page.tab.evaluate("window.failed") > 1


def test_the_choice_of_a_file_says_what_it_knows(page: Page) -> None:
    files = "path.includes('/file-server/?')"
    page.open(address_of_steps([{"algorithm": "montage", "params": {}}]))
    page.button("Choose files", "aside li")
    page.run(holding(files))
    page.button("Choose files", "aside li").click()
    await_held(page, "the answer is held")
    early = page.first("dialog").inner_text()
    page.tab.reload()
    page.button("Choose files", "aside li")
    page.run(failing_once(files))
    page.button("Choose files", "aside li").click()
    page.button("Try again", "dialog").click()
    expect(page.tab.locator("dialog [role=alert]")).to_have_count(0)

    assert "Nothing matches" not in early


COUNT_SHOWN = """const begin = window.setTimeout;
window.shown = 0;
window.setTimeout = (work, ms, ...rest) => begin(() => { work(); window.shown += ms === 200; }, ms, ...rest);"""
"""Counts how often the page has shown the latest changes of files."""


def test_a_file_is_not_asked_about_the_results_of_others(pixmill: Served, page: Page, name: str) -> None:
    other, file_id = (pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2))
    asked = f"""performance.getEntriesByType('resource')
        .filter(({{name}}) => name.includes('source_id={file_id}') && name.includes('file-server')).length"""
    with page.tab.add_init_script(f"{COUNT_SHOWN}{KEEP_SOURCES}"):
        page.open(f"/files/{file_id}")
        opened = f"sources.some(({{url, readyState}}) => url.endsWith('{FILES}/events') && readyState === 1)"
        wait_until(lambda: page.tab.evaluate(opened), "the page listens")
        wait_until(lambda: page.tab.evaluate(asked) == 1, "the results are fetched")

        ended_run(pixmill, other)
        wait_until(lambda: page.tab.evaluate("shown"), "the other result is known")
        ended_run(pixmill, file_id)
        page.first("aside li a[href^='/files/']")

    assert page.tab.evaluate(asked) == 2


HOLD_END = """const {webkitGetAsEntry} = DataTransferItem.prototype;
DataTransferItem.prototype.webkitGetAsEntry = function () {
    const folder = webkitGetAsEntry.call(this);
    const reader = folder.createReader();
    const readEntries = reader.readEntries.bind(reader);
    reader.readEntries = (found, failed) => readEntries((entries) => {
        if (entries.length > 0) found(entries);
        else window.release = () => { found(entries); setTimeout(() => { window.late = true; }); };
    }, failed);
    folder.createReader = () => reader;
    return folder;
};"""
"""Holds the end of the list of a dropped folder."""


def drop_held(page: Page, folder: Path) -> None:
    """Drop a folder, and wait until the end of its list is held."""
    drop(page, folder)
    await_held(page, "the end of the folder is held")


def test_no_file_of_a_dropped_folder_is_added_after_the_user_has_stopped(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    # More than the page adds at once.
    for number in range(510):
        (folder / f"{name}-{number}.txt").write_bytes(b"")
    with page.tab.add_init_script(HOLD_END):
        page.open(f"/files?q={name}")
        page.says("Nothing matches")

    drop_held(page, folder)
    page.first("section.panel header button:last-of-type").click()
    expect(page.tab.locator("section.panel")).to_have_count(0)
    release(page)

    assert page.tab.locator("section.panel").count() == 0


def test_a_dropped_folder_is_uploaded_after_the_list_of_earlier_uploads_is_closed(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}-2.txt").write_bytes(b"")
    earlier = tmp_path / f"{name}-1.txt"
    earlier.write_bytes(b"")
    with page.tab.add_init_script(HOLD_END):
        page.open(f"/files?q={name}")
        page.says("Nothing matches")
    page.choose_files(earlier)
    page.button("Close", "section.panel")

    drop_held(page, folder)
    page.button("Close", "section.panel").click()
    expect(page.tab.locator("section.panel")).to_have_count(0)
    release(page)

    wait_until(lambda: names_stored(pixmill, name) == [f"{name}-1", f"{name}-2"], "the file in the folder is stored")
