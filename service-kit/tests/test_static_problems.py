"""nginx's own problems: static files in English and Russian, with the services' choice of language."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from service_kit.languages import language_of, translated

PROJECT = Path(__file__).parents[2]
PROBLEMS = PROJECT / "web/problems"
NGINX = (PROJECT / "config/nginx.conf").read_text("utf-8")
NAMES = sorted(path.name for path in PROBLEMS.glob("*.json"))


def read(path: Path) -> dict[str, object]:
    """Return a problem."""
    document = json.loads(path.read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def without_texts(problem: Mapping[str, object]) -> Mapping[str, object]:
    """Return the parts of a problem that are meant for programs."""
    return {name: value for name, value in problem.items() if name not in ("title", "detail")}


def chosen_by_nginx(accepted: str) -> str:
    """Return the language that nginx's map chooses for an Accept-Language header."""
    [rules] = re.findall(r"map \$http_accept_language \$problem_language \{\n(.*?)\n    \}", NGINX, re.DOTALL)
    for expression, folder in re.findall(r'"~\*(.*)" (\S+);', rules):
        if re.search(expression, accepted, re.IGNORECASE):
            return "ru" if folder == "/ru" else "en"
    return "en"


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_says_the_same_to_programs_in_both_languages(name: str) -> None:
    assert without_texts(read(PROBLEMS / "ru" / name)) == without_texts(read(PROBLEMS / name))


@pytest.mark.parametrize("name", NAMES)
def test_a_russian_problem_has_the_title_of_the_services_and_a_russian_sentence(name: str) -> None:
    russian = read(PROBLEMS / "ru" / name)

    assert russian["title"] == translated(str(read(PROBLEMS / name)["title"]), "ru")
    assert re.search("[а-яё]", str(russian["detail"]))


def test_nginx_answers_every_problem_in_the_language_of_the_client() -> None:
    answered = re.findall(r"error_page [^;]* (/problems\S*/)([\w-]+\.json);", NGINX)

    # Those of large uploads are the same files, and end the promise of room.
    folders = {folder.replace("/of-large-uploads", "") for folder, _ in answered}
    assert folders == {"/problems$problem_language/"}
    assert {name for _, name in answered} == set(NAMES)


@pytest.mark.parametrize(
    "accepted",
    [
        "",
        "*",
        "en",
        "ru",
        "RU",
        "de",
        "ru-RU",
        "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7",
        "en-US,en;q=0.9,ru;q=0.8",
        "de, ru;q=0.5",
        "de;q=0.9, ru;q=0.5, en;q=0.1",
        "en, ru",
        "ru, en",
        "ru;q=0.1, en",
        "en;q=0.1, ru",
        "ru;q=0",
        "rue",
        "de-RU",
    ],
)
def test_nginx_chooses_the_language_that_the_services_choose(accepted: str) -> None:
    assert chosen_by_nginx(accepted) == language_of(accepted)
