"""Hints for forms: a parameter's widget follows from its model and its schema."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import pytest
from image_processor.services.catalog import catalog, compact_catalog, words
from service_kit.languages import Language

Json = Mapping[str, object]


def hints_of(model: str, name: str) -> Json:
    definitions = cast("Mapping[str, Mapping[str, Mapping[str, Json]]]", compact_catalog("en")["$defs"])
    return cast("Json", definitions[model]["properties"][name]["x-pixmill"])


@pytest.mark.parametrize(
    ("model", "name", "hints"),
    [
        ("BlurTaskParams", "radius", {"widget": "slider", "unit": "px", "step": 0.1}),
        ("BlurTaskParams", "angle", {"widget": "slider", "unit": "°"}),
        ("BrightnessTaskParams", "amount", {"widget": "slider", "unit": "%", "step": 1}),
        ("BorderTaskParams", "color", {"widget": "color"}),
        ("CompareTaskParams", "file_id", {"widget": "file"}),
        ("MontageTaskParams", "others", {"widget": "files"}),
        ("CropTaskParams", "gravity", {"widget": "gravity"}),
        ("CropTaskParams", "focal", {"widget": "point"}),
        ("BlurAreasTaskParams", "areas", {"widget": "rectangles"}),
        ("PerspectiveTaskParams", "corners", {"widget": "corners"}),
        ("CurvesTaskParams", "all", {"widget": "curve"}),
        ("ConvolveTaskParams", "kernel", {"widget": "matrix"}),
        ("ResizeTaskParams", "width", {"widget": "number", "unit": "px", "step": 1}),
        ("ResizeTaskParams", "linear", {"widget": "switch", "advanced": True}),
        ("Output", "quality", {"widget": "slider", "step": 1}),
        ("Output", "effort", {"widget": "slider", "step": 1, "advanced": True}),
        ("Output", "max_bytes", {"widget": "number", "unit": "B", "advanced": True}),
        ("TextMark", "text", {"widget": "text"}),
    ],
)
def test_a_parameter_is_shown_as_it_is_used(model: str, name: str, hints: Json) -> None:
    assert hints_of(model, name).items() >= hints.items()


def test_parameters_keep_the_order_of_the_model() -> None:
    assert [hints_of("ResizeTaskParams", name)["order"] for name in ("width", "height", "fit")] == [0, 1, 2]


def test_choices_have_names() -> None:
    assert hints_of("BlurTaskParams", "method")["labels"] == {"gaussian": "Gaussian", "box": "Box", "motion": "Motion"}


def test_what_most_people_need_is_not_advanced() -> None:
    assert "advanced" not in hints_of("ResizeTaskParams", "width")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("max_bytes", "Max bytes"),
        ("min_ssim", "Min SSIM"),
        ("dpr", "DPR"),
        ("FocalPoint", "Focal point"),
        ("color-dodge", "Color dodge"),
        ("4:2:0", "4:2:0"),
        ("jpeg", "JPEG"),
        ("webp", "WebP"),
    ],
)
def test_a_name_is_words_for_people(name: str, shown: str) -> None:
    assert words(name) == shown


def titles_in(part: object) -> Iterator[str]:
    """Yield the titles of all schemas within a part of a catalog."""
    if isinstance(part, Mapping):
        if isinstance(part.get("title"), str):
            yield part["title"]
        for child in part.values():
            yield from titles_in(child)
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for child in part:
            yield from titles_in(child)


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("document", [catalog, compact_catalog])
def test_no_title_is_the_name_of_a_class(document: Callable[[Language], object], language: Language) -> None:
    titles = set(titles_in(document(language)))

    assert {title for title in titles if re.search("[a-z][A-Z]", title)} <= {"BlurHash"}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_schema_of_the_params_has_the_title_of_the_algorithm(language: Language) -> None:
    definitions = cast("Mapping[str, Json]", compact_catalog(language)["$defs"])
    algorithms = cast("Sequence[Json]", compact_catalog(language)["algorithms"])
    references = [str(cast("Json", algorithm["params"])["$ref"]).removeprefix("#/$defs/") for algorithm in algorithms]

    assert [definitions[name]["title"] for name in references] == [algorithm["title"] for algorithm in algorithms]
