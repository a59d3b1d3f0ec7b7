"""The web page in a real browser: params that are chosen on the picture."""

import base64
import json

import pytest
from playwright.sync_api import Browser, expect

from tests.support.accessibility import violations
from tests.support.browser import Page, box_of, open_page
from tests.support.client import Served
from tests.support.images import photo
from tests.support.screens import address_of_steps
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

WATERMARK = {"algorithm": "watermark", "params": {"mark": {"text": "Pixmill"}}}
ON_THE_PICTURE = ".preview [role=radiogroup]"
IN_THE_FORM = "aside [role=radiogroup][aria-label=Gravity]"


def open_places(page: Page, address: str, title: str = "Gravity") -> None:
    page.open(address)
    page.button(title).click()
    page.first(f"{ON_THE_PICTURE} img")


def choose(page: Page, group: str, place: str) -> None:
    """Press a place where a finger or a mouse would."""
    page.first(f"{group} label:has([value={place}])").click()


def chosen_in(page: Page, group: str) -> list[object]:
    return [place.input_value() for place in page.tab.locator(f"{group} input:checked").all()]


def await_gravity(page: Page, place: str) -> None:
    """Wait until the address has this place, which is what a run takes."""

    def given() -> object:
        text = page.address().partition("#s=")[2]
        return json.loads(base64.urlsafe_b64decode(f"{text}=="))["steps"][0]["params"].get("gravity")

    wait_until(lambda: given() == place, f"the place is {place}")


def test_a_place_that_is_pressed_on_the_picture_is_that_of_the_form(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    open_places(page, address_of_steps([WATERMARK], file_id))
    groups = (ON_THE_PICTURE, IN_THE_FORM)
    assert [chosen_in(page, group) for group in groups] == [["southeast"], ["southeast"]], "the default is shown"

    choose(page, ON_THE_PICTURE, "north")
    await_gravity(page, "north")
    assert [chosen_in(page, group) for group in groups] == [["north"], ["north"]]
    choose(page, IN_THE_FORM, "west")
    await_gravity(page, "west")

    assert [chosen_in(page, group) for group in groups] == [["west"], ["west"]]


@pytest.mark.thorough
@pytest.mark.parametrize("group", [ON_THE_PICTURE, IN_THE_FORM])
def test_an_arrow_key_chooses_the_place_in_its_direction(pixmill: Served, page: Page, name: str, group: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    step = {"algorithm": "thumbnail", "params": {"crop": True, "gravity": "northwest"}}
    open_places(page, address_of_steps([step], file_id))
    keys = {"ArrowDown": "west", "ArrowRight": "center", "ArrowUp": "north", "ArrowLeft": "northwest"}

    for key, place in keys.items():
        page.tab.locator(f"{group} input:checked").press(key)
        await_gravity(page, place)
        expect(page.tab.locator(f"{group} input:checked")).to_be_focused()
    page.tab.locator(f"{group} input:checked").press("ArrowUp")
    page.tab.locator(f"{group} input:checked").press("Alt+ArrowDown")

    assert chosen_in(page, group) == ["northwest"], "nothing lies beyond the edge, and other keys are the browser's"


BELOW = {"ArrowDown": "entropy", "ArrowLeft": "attention", "ArrowRight": "entropy", "ArrowUp": "south"}
AT_THE_RIGHT = {"ArrowRight": "entropy", "ArrowUp": "attention", "ArrowDown": "entropy", "ArrowLeft": "east"}


@pytest.mark.thorough
@pytest.mark.parametrize(("language", "title"), [("en", "Gravity"), ("ru", "Положение")])
@pytest.mark.parametrize(("place", "keys"), [(".preview", BELOW), ("aside", AT_THE_RIGHT)])
def test_the_choices_next_to_the_places_are_reached_as_they_lie(
    pixmill: Served,
    chromium: Browser,
    stack: Stack,
    name: str,
    language: str,
    title: str,
    place: str,
    keys: dict[str, str],
) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    step = {"algorithm": "crop", "params": {"width": 20, "height": 20, "gravity": "southeast"}}
    group = f"{place} [role=radiogroup]:has([value=entropy])"

    with open_page(chromium, stack.url, language=language) as page:
        open_places(page, address_of_steps([step], file_id), title)
        chosen = []
        for key in keys:
            page.tab.locator(f"{group} input:checked").press(key)
            chosen += chosen_in(page, group)

    assert chosen == list(keys.values())


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(1000, 4), (4, 1000), (60, 40)])
def test_places_are_large_enough_for_a_finger(pixmill: Served, page: Page, name: str, size: tuple[int, int]) -> None:
    file_id = pixmill.files.upload(photo(*size), name=f"{name}.png").id
    open_places(page, address_of_steps([WATERMARK], file_id))

    boxes = [box_of(place) for place in page.tab.locator(f"{ON_THE_PICTURE} input").all()]

    assert len(boxes) == 9
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24


@pytest.mark.thorough
@pytest.mark.parametrize("dark", [False, True])
def test_places_on_a_picture_are_accessible(pixmill: Served, page: Page, name: str, dark: bool) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    step = {"algorithm": "resize", "params": {"width": 30, "height": 30, "fit": "cover", "gravity": "attention"}}
    page.tab.emulate_media(color_scheme="dark" if dark else "light")
    try:
        open_places(page, address_of_steps([step], file_id))

        assert violations(page) == []
        assert violations(page, of_colors=True) == []
    finally:
        page.tab.emulate_media(color_scheme="light")


@pytest.mark.thorough
def test_places_have_names_in_both_languages(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    open_places(page, address_of_steps([WATERMARK], file_id))

    north, southwest = (page.tab.locator(f"{ON_THE_PICTURE} [value={place}]") for place in ("north", "southwest"))
    expect(north).to_have_accessible_name("North")
    expect(southwest).to_have_accessible_name("Southwest")
    page.button("Русский").click()
    try:
        expect(page.tab.locator(ON_THE_PICTURE)).to_have_accessible_name("Положение")
        expect(north).to_have_accessible_name("Сверху")
        expect(southwest).to_have_accessible_name("Слева снизу")
    finally:
        page.button("English").click()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"gravity": "north"}, "25%, 0%, 50%, 50%"),
        ({"gravity": "southwest"}, "0%, 50%, 50%, 50%"),
        ({"gravity": "southwest", "left": 10}, "10%, 50%, 50%, 50%"),
        ({"gravity": "southwest", "focal": {"x": 0.6, "y": 0.1}}, "35%, 0%, 50%, 50%"),
    ],
)
def test_a_part_without_a_position_is_drawn_where_the_crop_takes_it(
    pixmill: Served, page: Page, name: str, params: dict[str, object], part: str
) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    step = {"algorithm": "crop", "params": {"width": 50, "height": 50, "unit": "percent", **params}}
    page.open(address_of_steps([step], file_id))

    page.button("The part").click()

    page.button(f"Part 1: {part}")
