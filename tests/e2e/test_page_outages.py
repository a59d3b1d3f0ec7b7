"""The web page in a real browser: one service hangs, an answer stands still, and guests of a link wait."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Page, blocked, open_page
from tests.support.client import FILES, Served
from tests.support.images import photo
from tests.support.runs import names_stored
from tests.support.screens import address_of_steps
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

PROCESSING_IS_SILENT = "Files work; processing does not answer. Trying again by itself"
FILES_ARE_SILENT = "Processing works; the files do not answer. Trying again by itself"

SHORT_TIMES = """const start = window.setInterval, limit = AbortSignal.timeout;
// Less than a user waits, so that the test does not.
window.setInterval = (work, ms, ...rest) => start(work, {8000: 100, 30000: 1000}[ms] ?? ms, ...rest);
AbortSignal.timeout = (ms) => limit.call(AbortSignal, ms === 5000 || ms === 10000 ? 1000 : ms);
const answered = window.fetch;
window.isFaulty = true;
"""

HANGS = """window.fetch = (path, options) => {
    if (!window.isFaulty || !(CONDITION)) return answered(path, options);
    const {signal} = options ?? {};
    return new Promise((_, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
};"""

STANDS_STILL = """window.fetch = async (path, options) => {
    const answer = await answered(path, options);
    if (!window.isFaulty || !(CONDITION)) return answer;
    const start = (await answer.arrayBuffer()).slice(0, 1);
    // No second part follows.
    const body = new ReadableStream({start: (controller) => controller.enqueue(new Uint8Array(start))});
    return new Response(body, answer);
};"""

TRICKLES = """window.fetch = async (path, options) => {
    const answer = await answered(path, options);
    if (!(CONDITION)) return answer;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const size = Math.ceil(bytes.length / 12);
    let place = 0;
    const pull = async (controller) => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        controller.enqueue(bytes.slice(place, place += size));
        if (place >= bytes.length) {
            window.isWhole = true;
            controller.close();
        }
    };
    return new Response(new ReadableStream({pull}), answer);
};"""


def faulty(fault: str, condition: str) -> str:
    """Return the script that gives the answers to matching requests a fault while ``isFaulty`` is true."""
    return SHORT_TIMES + fault.replace("CONDITION", condition)


def mend(page: Page) -> None:
    page.run("window.isFaulty = false")


def await_retry(page: Page) -> None:
    """Press what tries again, which the page may also do by itself, until no error is shown."""
    press = """const alerts = document.querySelectorAll('main [role=alert]');
        for (const alert of alerts) alert.querySelector('button')?.click();
        return alerts.length === 0;"""
    wait_until(lambda: page.tab.evaluate(f"() => {{ {press} }}"), "no error is shown")


def shared_token(pixmill: Served, name: str, **more: object) -> str:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id], "note": name, **more}
    return str(pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()["token"])


@pytest.mark.parametrize(
    ("service", "path", "sentence"),
    [
        pytest.param("path.includes('/api/image-processing')", "/runs", PROCESSING_IS_SILENT, id="processing"),
        pytest.param(
            "/file-server|session/.test(path)", "/files", FILES_ARE_SILENT, id="files", marks=pytest.mark.thorough
        ),
        pytest.param(
            "path.startsWith('/api/')",
            "/files",
            "The server does not answer. Trying again by itself",
            id="both",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_the_page_names_the_service_that_hangs_until_it_answers(
    page: Page, service: str, path: str, sentence: str
) -> None:
    with page.tab.add_init_script(faulty(HANGS, service)):
        page.open(path)
        page.says(sentence)

        mend(page)

        wait_until(lambda: "Trying again" not in page.text(), "the sentence is gone")
        expect(page.tab.locator("main [role=alert]")).to_have_count(0)


@pytest.mark.thorough
def test_the_page_names_the_service_for_which_nginx_answers(strict: FullStack, chromium: Browser) -> None:
    with open_page(chromium, strict.url) as page:
        page.open("/files")
        page.button("Upload")
        strict.file_storage.kill()
        try:
            page.button("Runs").click()
            page.button("Files").click()
            page.says(FILES_ARE_SILENT)
        finally:
            strict.file_storage.start()
            strict.await_ready()

        wait_until(lambda: "Trying again" not in page.text(), "the sentence is gone")


@pytest.mark.thorough
def test_the_sentence_is_that_of_the_page_s_language(page: Page) -> None:
    with page.tab.add_init_script(faulty(HANGS, "path.includes('/api/image-processing')")):
        page.open("/runs")
        page.says(PROCESSING_IS_SILENT)
        page.button("Русский").click()
        try:
            page.says("Файлы доступны, обработка не отвечает. Страница сама пробует снова")
        finally:
            page.button("English").click()


@pytest.mark.thorough
def test_files_are_uploaded_while_processing_hangs(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.txt").write_bytes(b"text")
    with page.tab.add_init_script(faulty(HANGS, "path.includes('/api/image-processing')")):
        page.open("/files")
        page.says(PROCESSING_IS_SILENT)

        page.choose_files(tmp_path / f"{name}.txt")
        wait_until(lambda: names_stored(pixmill, name) == [name], "the file is stored")

        assert PROCESSING_IS_SILENT in page.text()


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/runs", "/shared", "/trash", "/tasks"])
def test_an_answer_that_stands_still_is_given_up_and_asked_for_again(page: Page, path: str) -> None:
    with page.tab.add_init_script(faulty(STANDS_STILL, "!/healthz|session/.test(path) && path.startsWith('/api/')")):
        page.open(path)
        page.says("does not answer.")
        page.button("Try again", "main")

        mend(page)

        await_retry(page)


@pytest.mark.thorough
def test_a_preview_that_stands_still_is_given_up(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    with page.tab.add_init_script(faulty(STANDS_STILL, "path.endsWith('/preview')")):
        page.open(address_of_steps([{"algorithm": "invert", "params": {}}], file_id))
        page.button("Try again", ".preview")

        mend(page)
        page.button("Try again", ".preview").click()

        expect(page.tab.locator(".compare input[type=range]")).to_be_attached()


@pytest.mark.thorough
def test_a_long_answer_is_not_cut_while_it_arrives(page: Page) -> None:
    with page.tab.add_init_script(faulty(TRICKLES, "path.includes('/batches?limit=')")):
        page.open("/runs")
        wait_until(lambda: page.tab.evaluate("window.isWhole"), "the answer has arrived")
        page.first("main li.card, main .notice")

        expect(page.tab.locator("main [role=alert]")).to_have_count(0)


@pytest.mark.thorough
@pytest.mark.parametrize("fault", [HANGS, STANDS_STILL], ids=["no answer", "standing still"])
def test_a_guest_reads_that_the_link_does_not_answer(pixmill: Served, page: Page, name: str, fault: str) -> None:
    token = shared_token(pixmill, name)
    condition = "/shared/.test(path)" if fault == STANDS_STILL else "path.startsWith('/api/file-server')"
    with page.tab.add_init_script(faulty(fault, condition)):
        page.open(f"/s/{token}")
        page.button("Try again", "main")

        mend(page)
        await_retry(page)

        page.says(f"{name}.txt")


@pytest.mark.thorough
def test_a_guest_reads_that_the_password_gets_no_answer(pixmill: Served, page: Page, name: str) -> None:
    token = shared_token(pixmill, name, password="a password")
    with page.tab.add_init_script(faulty(HANGS, "/unlock|file-server.healthz/.test(path)")):
        page.open(f"/s/{token}")
        page.field("Password").fill("a password")
        page.button("Open").click()
        page.says("answer.")
        expect(page.tab.locator("#password-problem")).not_to_be_empty()

        mend(page)
        wait_until(lambda: "Trying again" not in page.text(), "the service answers again")
        page.button("Open").click()

        page.says(f"{name}.txt")


@pytest.mark.thorough
def test_a_dialog_opens_while_the_server_is_away(page: Page) -> None:
    page.open("/files")
    names = "performance.getEntriesByType('resource').map(({name}) => name).join()"

    def are_fetched() -> bool:
        return all(dialog in page.tab.evaluate(names) for dialog in ("HelpDialog", "DeleteDialog"))

    wait_until(are_fetched, "the dialogs are fetched")

    with blocked(page, "/assets/", "/api/"):
        page.button("Keyboard shortcuts").click()

        page.first("dialog[open] kbd")


@pytest.mark.thorough
def test_a_dialog_that_cannot_be_fetched_opens_later(page: Page) -> None:
    with blocked(page, "HelpDialog"):
        page.open("/files")
        page.button("Keyboard shortcuts").click()
        page.first(".toast")
        expect(page.tab.locator("dialog[open]")).to_have_count(0)

    page.button("Keyboard shortcuts").click()

    page.first("dialog[open] kbd")
