"""The web page in a real browser: what the server refuses, delays or has changed, and what others do meanwhile."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Page, drop, enter, open_page, press
from tests.support.client import FILES, TASKS, Served
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.owners import keys_of_owners
from tests.support.runs import copies_of, ended_run, names_stored
from tests.support.screens import address_of_steps, files_shown, steps_shown, uploads_say
from tests.support.stacks import EmbeddedStack, FullStack
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "refused",
    ["C:old", *(pytest.param(folder, marks=pytest.mark.thorough) for folder in ("...", f"{'d' * 250}/{'e' * 250}"))],
)
def test_a_refused_folder_fails_only_its_own_file(
    pixmill: Served, page: Page, name: str, tmp_path: Path, refused: str
) -> None:
    paths = [tmp_path / f"{name}-{number}.txt" for number in (1, 3)]
    for path in paths:
        path.write_bytes(b"text")
    (tmp_path / refused).mkdir(parents=True)
    (tmp_path / refused / f"{name}-2.txt").write_bytes(b"refused")
    page.open(f"/files?q={name}")
    page.says("Nothing matches")

    drop(page, paths[0], tmp_path / refused.partition("/")[0], paths[1])
    uploads_say(page, "1 file failed")

    assert names_stored(pixmill, name) == [f"{name}-1", f"{name}-3"]
    assert page.tab.locator("section.panel li .clip").all_inner_texts() == [f"{refused}/{name}-2.txt"]
    assert page.first("section.panel li .why").inner_text()
    page.first("section.panel header button:last-of-type").click()


@pytest.mark.thorough
def test_files_that_have_room_are_stored_next_to_one_that_has_not(
    strict: FullStack, chromium: Browser, name: str, tmp_path: Path
) -> None:
    with open_page(chromium, strict.url) as page, Served(strict.url) as client:
        room = 3_000_000
        free = int(client.http.get(f"{FILES}/stats").json()["room_bytes"])
        filling = client.files.upload(secrets.token_bytes(free - room), name=f"{name}.filling").id
        for number, size in ((1, 1_000_000), (2, room + 1_000_000), (3, 1_000_000)):
            (tmp_path / f"{name}-{number}.bin").write_bytes(secrets.token_bytes(size))
        try:
            page.open("/files")
            page.choose_files(*sorted(tmp_path.glob("*.bin")))
            uploads_say(page, "1 file failed")
            stored = names_stored(client, f"{name}-")
            reason = page.first("section.panel li .why").inner_text()
        finally:
            found = client.http.get(f"{FILES}/", params={"name": name}).json()
            ids = [filling, *(file["id"] for file in found)]
            client.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()
            client.http.post(f"{FILES}/trash/empty", json={"ids": ids}).raise_for_status()

    assert len(stored) == 2
    assert "All files together may have at most" in reason


def test_the_folders_of_all_pages_are_shown(pixmill: Served, page: Page, name: str) -> None:
    for folder in ("first", "second", "third"):
        pixmill.files.upload(b"text", name=f"{folder}.txt", folder=f"{name}/{folder}")
    one_a_page = """const fetched = window.fetch;
        window.fetch = (path, options) => fetched(path.endsWith('/folders') ? `${path}?limit=1` : path, options);"""

    # No file of these folders is listed, so that the page knows them from their list only.
    with page.tab.add_init_script(one_a_page):
        page.open(f"/files?folder={name}&q={name}-nothing")
        inside = "[...document.querySelectorAll('ul.inside a')].map((link) => link.innerText)"
        wait_until(lambda: page.tab.evaluate(inside), "the folders are shown")
        shown = page.tab.evaluate(inside)

    assert shown == ["first", "second", "third"]


def test_a_zip_is_made_of_the_results_that_still_exist(pixmill: Served, page: Page, name: str) -> None:
    batch_id = ended_run(pixmill, *(pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)))
    tasks = pixmill.http.get(f"{TASKS}/", params={"batch_id": batch_id}).json()
    pixmill.http.delete(f"{FILES}/{tasks[0]['result_id']}").raise_for_status()
    record = "HTMLAnchorElement.prototype.click = function () { window.downloaded = [this.href, this.download]; };"
    page.open(f"/runs/{batch_id}")
    page.run(record)

    page.button("Download ZIP").click()
    page.says("1 file no longer exists and is left out")

    wait_until(lambda: page.tab.evaluate("window.downloaded"), "the ZIP is downloaded")
    address, how = page.tab.evaluate("window.downloaded")
    assert parse_qs(urlsplit(address).query)["id"] == [str(tasks[1]["result_id"])]
    assert how == ""
    assert pixmill.http.get(address).headers["Content-Type"] == "application/zip"


@pytest.mark.thorough
def test_a_zip_that_fails_leaves_the_page_where_it_is(pixmill: Served, page: Page, name: str) -> None:
    batch_id = ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)
    page.open(f"/runs/{batch_id}")
    # A result may be deleted after the page has looked: the server refuses such a ZIP.
    refused = f"{FILES}/archive?id=999999999"
    refuse = """(refused) => {
        const {click} = HTMLAnchorElement.prototype;
        HTMLAnchorElement.prototype.click = function () {
            window.wanted = this.href;
            this.href = refused;
            click.call(this);
        };
    }"""
    page.tab.evaluate(refuse, refused)

    page.button("Download ZIP").click()
    wanted = wait_until(lambda: page.tab.evaluate("window.wanted"), "the ZIP is asked for")
    # The ZIP was asked for before this answer.
    page.tab.evaluate(f"fetch('{FILES}/stats').then(() => new Promise((done) => setTimeout(done, 500)))")

    assert (pixmill.http.get(wanted).status_code, pixmill.http.get(refused).status_code) == (200, 404)
    assert urlsplit(page.address()).path == f"/runs/{batch_id}"
    assert "All done" in page.text()


def test_the_steps_of_a_run_open_with_all_its_files(pixmill: Served, page: Page, name: str) -> None:
    first = pixmill.files.upload(photo(), name=f"{name}.png").id
    broken = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    batch_id = ended_run(pixmill, first, broken)
    page.open(f"/runs/{batch_id}")
    page.button("Open the steps").click()
    page.tab.wait_for_url(lambda url: "/process?files=" in url)

    assert parse_qs(urlsplit(page.address()).query)["files"] == [f"{broken},{first}"]


@pytest.mark.thorough
def test_the_steps_of_a_long_run_open_with_more_than_a_page_of_files(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    file_ids = [file_id]
    for _ in range(11):
        file_ids += copies_of(pixmill, file_id, name, 100)
    wanted = {"file_ids": file_ids, "algorithm": "flip"}
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    pixmill.http.delete(f"{FILES}/{file_ids[-1]}").raise_for_status()
    page.open(f"/runs/{batch_id}")

    page.button("Open the steps", "section.card").click()

    page.says("Run on 1,100 files")
    page.says("1 file no longer exists and is left out")


def steps_link(text: str) -> str:
    return "/process#s=" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "work",
    [
        '{"steps": [{"algorithm": "resize", "params": null}], "output": {}}',
        *(
            pytest.param(text, marks=pytest.mark.thorough)
            for text in ("null", "7", "{}", '{"steps": {}}', '{"steps": [null]}', '{"steps": [{"algorithm": 7}]}')
        ),
    ],
)
def test_a_link_of_another_shape_is_named_and_not_stored(page: Page, work: str) -> None:
    page.tab.goto("about:blank")
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
    page.says("Sepia")
    page.tab.goto("about:blank")
    page.open(steps_link(work))

    page.says("This address contains no steps that can be read.")

    assert steps_shown(page) == ["Sepia"]
    stored = json.loads(page.tab.evaluate("localStorage['pixmill.draft']"))
    assert [step["algorithm"] for step in stored["steps"]] == ["sepia"]


@pytest.mark.thorough
def test_a_link_without_what_has_defaults_is_read(page: Page) -> None:
    page.tab.goto("about:blank")
    page.open(steps_link('{"steps": [{"algorithm": "flip"}]}'))
    page.says("Flip")

    page.button("Add a step")
    assert steps_shown(page) == ["Flip"]


@pytest.mark.thorough
@pytest.mark.parametrize("params", [{"corners": "text"}, {"corners": 7}])
def test_params_of_another_shape_break_no_screen(page: Page, params: Mapping[str, object]) -> None:
    page.tab.goto("about:blank")
    page.errors()
    page.open(address_of_steps([{"algorithm": "perspective", "params": params}]))

    page.button("Add a step")
    page.says("Corners")
    assert page.errors() == []


@pytest.mark.thorough
def test_a_screen_that_fails_offers_a_way_on(pixmill: Served, page: Page, name: str) -> None:
    ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}.png").id)
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
    page.says("Sepia")
    # Nothing of the page may fail in this way; so a function of the browser does that only this screen uses.
    with page.tab.add_init_script("Intl.RelativeTimeFormat = class { constructor() { throw new Error('a fault'); } };"):
        page.open("/runs")
        page.says("a fault")
    page.button("Back to the files").click()

    page.field("Search names and comments")
    page.open("/process")
    page.says("Sepia")


def corners(page: Page) -> list[Mapping[str, object]]:
    text = page.address().partition("#s=")[2]
    work = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    found: list[Mapping[str, object]] = work["steps"][0]["params"]["corners"]
    return found


def test_negative_numbers_are_typed_into_a_list(pixmill: Served, page: Page, name: str) -> None:
    given = [{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    page.open(address_of_steps([{"algorithm": "perspective", "params": {"corners": given}}], file_id))
    page.says("Run on 1 file")
    field = page.first("aside .list input")

    press(field, "Control+a", "Backspace")
    page.says("Needed")
    assert field.input_value() == ""
    assert page.tab.locator("footer button:enabled").count() == 0
    field.press_sequentially("-0.25")
    wait_until(lambda: corners(page)[0] == {"x": -0.25, "y": 0.1}, "the number is in the address")

    assert "Needed" not in page.text()
    assert page.tab.locator("footer button:enabled").count() > 0


@pytest.mark.thorough
def test_the_files_of_one_cause_are_shown_alone(pixmill: Served, page: Page, name: str) -> None:
    text, gone = (pixmill.files.upload(kind.encode(), name=f"{name}-{kind}.txt").id for kind in ("text", "gone"))
    small = pixmill.files.upload(photo(10, 10), name=f"{name}-small.png").id
    wanted = {
        "file_ids": [text, small, gone],
        "algorithm": "crop",
        "params": {"left": 100, "top": 100, "width": 5, "height": 5},
    }
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    wait_until(
        lambda: pixmill.http.get(f"{TASKS}/batches/{batch_id}").json()["counts"]["error"] == 3, "all tasks have failed"
    )
    page.open(f"/runs/{batch_id}")
    page.says("What went wrong")
    reason = page.tab.locator(".reason").filter(has_text="outside")

    reason.locator("a[href*='/tasks']").click()
    page.says("One cause")
    page.says(f"{name}-small.png")
    assert f"{name}-text" not in page.text()
    page.button("Русский").click()
    page.says("Одна причина")
    expect(page.tab.locator("li.task")).to_have_count(1)
    page.button("English").click()
    page.button("One cause").click()

    expect(page.tab.locator("li.task")).to_have_count(3)


@pytest.mark.thorough
def test_a_cause_whose_example_was_forgotten_lists_the_others(pixmill: Served, page: Page, name: str) -> None:
    file_ids = [pixmill.files.upload(b"text", name=f"{name}-{number}.txt").id for number in (1, 2)]
    batch_id = ended_run(pixmill, *file_ids)
    [cause] = pixmill.batches.get(batch_id).errors
    pixmill.tasks.delete(cause.task_id)

    page.open(f"/tasks?run={batch_id}&cause={cause.key}")
    page.says(f"{name}-2.txt")

    assert page.tab.locator("main [role=alert]").count() == 0


@pytest.mark.thorough
def test_a_run_that_another_program_starts_appears(pixmill: Served, page: Page, name: str) -> None:
    ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}-1.png").id)
    page.open("/runs")
    page.first("main li.card")
    opened = f"performance.getEntriesByType('resource').some(({{name}}) => name.includes('{TASKS}/batches'))"
    wait_until(lambda: page.tab.evaluate(opened), "the list is fetched")

    batch_id = ended_run(pixmill, pixmill.files.upload(photo(), name=f"{name}-2.png").id)

    page.first(f"main a[href='/runs/{batch_id}']")


REFUSING = """const answering = window.fetch;
window.fetch = (path, options) => {
    if (!path.includes('/batches?')) return answering(path, options);
    const headers = {'Content-Type': 'application/problem+json'};
    return Promise.resolve(new Response(JSON.stringify(PROBLEM), {status: 503, headers}));
};"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        ({"type": "urn:pixmill:problem:queue-full", "detail": "The queue is full."}, "The queue is full."),
        ({}, "The service is not available right now."),
    ],
)
def test_the_reason_of_a_refusal_is_shown(page: Page, problem: Mapping[str, str], shown: str) -> None:
    with page.tab.add_init_script(REFUSING.replace("PROBLEM", json.dumps(problem))):
        page.open("/runs")
        page.says(shown)


@pytest.mark.thorough
def test_a_date_that_is_typed_is_one_entry_of_the_history(page: Page) -> None:
    page.open("/files?taken_from=2020-01-31")
    field = page.field("Taken from")
    addresses = """const push = history.pushState, replace = history.replaceState;
        window.addresses = [], window.pushed = 0;
        history.pushState = function (...args) { pushed++; addresses.push(args[2]); return push.apply(this, args); };
        history.replaceState = function (...args) { addresses.push(args[2]); return replace.apply(this, args); };"""
    page.run(addresses)

    # Real keys: Playwright would set the value of such a field at once.
    field.focus()
    page.tab.keyboard.type("01302021")
    page.tab.wait_for_url(lambda url: url.endswith("taken_from=2021-01-30"))

    assert page.tab.evaluate("pushed") == 1
    assert not any("taken_from=0" in address for address in page.tab.evaluate("addresses"))


SILENT = """const answered = window.fetch;
const start = window.setInterval, limit = AbortSignal.timeout;
window.isSilent = true;
// Less than a user waits, so that the test does not.
window.setInterval = (work, ms, ...rest) => start(work, ms === 8000 ? 100 : ms, ...rest);
AbortSignal.timeout = (ms) => limit.call(AbortSignal, ms === 5000 ? 100 : ms);
window.fetch = (path, options) => {
    if (!window.isSilent || !path.startsWith('/api/')) return answered(path, options);
    const {signal} = options ?? {};
    return new Promise((_, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
};"""
"""Lets no request to the API be answered while ``isSilent`` is true, as if the server accepted connections only."""


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/files", "/runs", "/shared", "/trash", "/system"])
def test_a_server_that_never_answers_is_named_and_asked_again(page: Page, path: str) -> None:
    with page.tab.add_init_script(SILENT):
        page.open(path)
        page.says("The server does not answer. Trying again by itself")
        page.tab.evaluate("window.isSilent = false")
        wait_until(lambda: "does not answer" not in page.text(), "the server answers again")

    expect(page.tab.locator("main [role=alert]")).to_have_count(0)


@pytest.mark.thorough
def test_files_come_into_view_after_the_server_was_silent(pixmill: Served, page: Page, name: str) -> None:
    pixmill.files.upload(photo(), name=f"{name}.png")
    with page.tab.add_init_script(SILENT):
        page.open(f"/files?q={name}")
        page.says("Trying again by itself")
        page.tab.evaluate("window.isSilent = false")

        expect(files_shown(page)).to_have_count(1)


@pytest.mark.thorough
def test_what_is_entered_stays_while_the_server_is_silent(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    with page.tab.add_init_script(SILENT.replace("window.isSilent = true", "window.isSilent = false")):
        page.open(f"/files/{file_id}")
        comment = page.field("Comment")
        page.tab.evaluate("window.isSilent = true")
        enter(comment, "A comment", "Tab")
        page.says("Trying again by itself")

        assert comment.input_value() == "A comment"
        asks = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
        assert page.tab.evaluate(asks) is False, "the browser would leave the page without a question"
        page.tab.evaluate("window.isSilent = false")


@pytest.mark.thorough
def test_a_slow_answer_of_a_server_that_is_there_is_awaited(page: Page) -> None:
    slow = SILENT.replace("!path.startsWith('/api/')", "!path.includes('/batches?')")
    slow = slow.replace("ms === 5000 ? 100 : ms", "ms").replace("new Promise((_, fail)", "new Promise((done, fail)")
    slow = slow.replace("=> signal?.add", "=> { window.answer = () => done(answered(path)); signal?.add")
    slow = slow.replace("fail(signal.reason)));", "fail(signal.reason)); });")
    asked = "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/healthz')).length"
    with page.tab.add_init_script(slow):
        page.open("/runs")
        wait_until(lambda: page.tab.evaluate(asked) > 2, "the page has asked whether the server is there")
        assert "does not answer" not in page.text()
        page.tab.evaluate("window.isSilent = false; window.answer()")

        page.first("main li.card, main a[href='/files']")


@pytest.mark.thorough
def test_an_update_is_named_when_the_server_answers_again(page: Page) -> None:
    renewed = """const known = window.fetch;
        window.isAway = false;
        window.fetch = async (path, options) => {
            if (window.isAway && path.startsWith('/api/')) throw new TypeError('away');
            const answer = await known(path, options);
            if (path !== '/') return answer;
            return new Response((await answer.text()).replaceAll('/assets/index-', '/assets/index-other-'));
        };"""
    with page.tab.add_init_script(renewed):
        page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
        page.says("Sepia")
        page.tab.evaluate("window.isAway = true")
        page.go("/shared")
        page.says("Trying again by itself")
        page.tab.evaluate("window.isAway = false")
        page.says("The server was updated. Reload the page to use the new version.")
        page.go("/process")
        page.says("Sepia")

    page.button("Reload the page").click()
    page.says("Sepia")
    assert "was updated" not in page.text()


@pytest.mark.thorough
def test_the_same_page_does_not_ask_to_be_reloaded(page: Page) -> None:
    away = """const known = window.fetch;
        window.isAway = false;
        window.pages = 0;
        window.fetch = (path, options) => {
            if (window.isAway && path.startsWith('/api/')) return Promise.reject(new TypeError('away'));
            return known(path, options).finally(() => setTimeout(() => { window.pages += path === '/'; }));
        };"""
    with page.tab.add_init_script(away):
        page.open("/shared")
        page.button("Copy this as a command")
        page.tab.evaluate("window.isAway = true")
        page.go("/trash")
        page.says("Trying again by itself")
        page.tab.evaluate("window.isAway = false")
        wait_until(lambda: page.tab.evaluate("pages"), "the page has compared itself")

        assert "was updated" not in page.text()


@pytest.fixture(scope="module")
def keys_stack() -> Iterator[EmbeddedStack]:
    stack = EmbeddedStack(temporary_folder("page-answers"), {"ACCESS_AUTH__MODE": "keys"})
    yield stack
    stack.stop()


@pytest.mark.thorough
def test_a_zip_after_the_session_has_ended_asks_for_the_key(
    keys_stack: EmbeddedStack, chromium: Browser, name: str
) -> None:
    key = keys_of_owners(keys_stack, {"alice": "writer"})["alice"]
    with open_page(chromium, keys_stack.url) as page, Served(keys_stack.url, key=key) as client:
        batch_id = ended_run(client, client.files.upload(photo(), name=f"{name}.png").id)
        page.open(f"/runs/{batch_id}")
        enter(page.field("Key"), key)
        page.says("All done")
        page.tab.context.clear_cookies()

        # Another request of the page may have asked for the key already; its dialog covers the button.
        page.button("Download ZIP").dispatch_event("click")
        page.field("Key", "dialog")

        assert urlsplit(page.address()).path == f"/runs/{batch_id}"
        assert "All done" in page.text()
