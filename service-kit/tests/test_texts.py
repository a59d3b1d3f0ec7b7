"""Translatable sentences, and their form in JSON and in another process."""

import json
import pickle

import pytest
from service_kit.languages import translated
from service_kit.texts import (
    Sentence,
    all_values_of,
    context_of,
    counted,
    placeholders,
    reason_of,
    restored,
    sentence,
    stored,
    text_of,
)

LIMIT = sentence("At most {limit:,} pixels.", limit=16_384)


def test_a_sentence_reads_as_its_template_with_its_values() -> None:
    assert LIMIT == "At most 16,384 pixels."


def test_a_sentence_without_values_may_have_braces() -> None:
    assert sentence('Send {"steps": []}.') == 'Send {"steps": []}.'


def test_the_context_has_the_values() -> None:
    assert context_of(LIMIT) == {"limit": 16_384}


def test_an_ordinary_string_has_no_context() -> None:
    assert context_of("At most 3 pixels.") == {}


def test_the_context_has_a_nested_sentence_as_its_words() -> None:
    outer = sentence("File {file_id}: {reason}", file_id=7, reason=LIMIT)

    assert json.loads(json.dumps(context_of(outer))) == {"file_id": 7, "reason": "At most 16,384 pixels."}


@pytest.mark.parametrize("said", [LIMIT, "plain"])
def test_the_reasons_of_a_code_have_the_same_names(said: str) -> None:
    assert reason_of(said).keys() == {"reason", "values"}


def test_a_reason_is_a_template_and_its_values() -> None:
    assert reason_of(LIMIT) == {"reason": "At most {limit:,} pixels.", "values": {"limit": 16_384}}


@pytest.mark.parametrize("said", [LIMIT, sentence("File {file_id}: {reason}", file_id=7, reason=LIMIT), "plain"])
def test_a_stored_sentence_is_the_same_when_it_is_restored(said: str) -> None:
    found = restored(json.loads(json.dumps(stored(said))))

    assert found == said
    assert context_of(found) == context_of(said)


def test_a_restored_sentence_keeps_the_template_of_a_nested_one() -> None:
    found = restored(stored(sentence("File {file_id}: {reason}", file_id=7, reason=LIMIT)))

    nested = found.values["reason"]
    assert isinstance(nested, Sentence)
    assert nested.template == "At most {limit:,} pixels."


@pytest.mark.parametrize(
    "template",
    [
        "{n.__class__}",
        "{n[0]}",
        "{n!a}",
        "{n:>1000000000}",
        "{n:{m}}",
        "{0}",
        "{}",
        "{n:08d}",
        "{n",
        "{n:.99f}",
        7,
        None,
    ],
)
@pytest.mark.parametrize("place", ["template", "singular"])
def test_a_stored_template_that_does_more_than_insert_values_is_not_restored(place: str, template: object) -> None:
    document = {"text": "2 of 3", "template": "{n} of {m}", "values": {"n": 2, "m": 3}, "singular": "1", "number": "n"}

    found = restored({**document, place: template})

    assert found == "2 of 3"
    assert (found.values == {}) is (place == "template" or isinstance(template, str))


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{b}", {"a": "x"}),
        ("{a:d}", {"a": "x"}),
        ("{a:.2f}", {"a": [1]}),
        ("{a:f}", {"a": 10**400}),
        ("{a:,}", {"a": stored(LIMIT)}),
        ("{a}" * 1000, {"a": "x" * 1000}),
    ],
    ids=["name", "number of a text", "number of a list", "number", "number of a sentence", "length"],
)
@pytest.mark.parametrize("place", ["template", "singular"])
def test_a_stored_template_that_cannot_be_filled_is_not_restored(
    place: str, template: str, values: dict[str, object]
) -> None:
    document = {"text": "said", "template": "plain", "values": values, "singular": "plain", "number": "n"}

    found = restored({**document, place: template})

    assert (found, found.values) == ("said", {})


@pytest.mark.parametrize(("places", "depth"), [(2, 18), (0, 500)], ids=["doubled", "deep"])
def test_nested_stored_sentences_make_no_long_text(places: int, depth: int) -> None:
    document: dict[str, object] = {"text": "x" * 100}
    for _ in range(depth):
        document = {"text": "x", "template": "{a}" * places, "values": {"a": document}}

    found = restored(document)

    assert len(translated(found, "ru")) < 10**6


def test_another_process_gets_the_sentence_with_its_values() -> None:
    copy = pickle.loads(pickle.dumps(LIMIT))

    assert (copy, copy.values) == (LIMIT, {"limit": 16_384})


def test_an_error_keeps_the_sentence_that_it_was_raised_with() -> None:
    assert context_of(text_of(ValueError(LIMIT))) == {"limit": 16_384}


def test_an_error_of_several_arguments_reads_as_itself() -> None:
    assert text_of(OSError(2, "no such file")) == "[Errno 2] no such file"


def test_placeholders_differ_in_their_formats() -> None:
    assert placeholders("{a:,} of {b}") == {("a", ","), ("b", "")}


def test_all_values_are_those_of_the_sentences_within_too() -> None:
    inner = sentence("it took longer than {seconds:g} seconds on {name}", seconds=20, name="inner")

    said = sentence("{name} gave up: {reason}.", name="outer", reason=inner)

    assert all_values_of(said) == {"name": "outer", "reason": str(inner), "seconds": 20}


@pytest.mark.parametrize(
    ("pages", "said"),
    [(0, "0 pages"), (1, "1 page"), (2, "2 pages"), (1.0, "1.0 page"), (1.5, "1.5 pages"), (None, "None pages")],
)
def test_the_words_of_a_counted_sentence_depend_on_its_number(pages: float | None, said: str) -> None:
    assert counted("{pages} page", "{pages} pages", "pages", pages=pages) == said


def test_a_counted_sentence_is_still_counted_after_it_was_stored_or_sent() -> None:
    page = counted("{pages} page", "{pages} pages", "pages", pages=1)

    for copy in (restored(json.loads(json.dumps(stored(page)))), pickle.loads(pickle.dumps(page))):
        assert (copy, copy.counted, copy.template) == ("1 page", page.counted, "{pages} pages")
        assert page.counted is not None
