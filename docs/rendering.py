"""``python docs/rendering.py [FOLDER]``: write the tables of options in ``rendering.md``, in both languages.

Only the lines between the marks of a table are generated; the rest of the pages is written by hand.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import filters as imagor_filters
from image_processor.render.dialects.imgproxy.options import OPTIONS
from image_processor.render.dialects.imgproxy.plan import OPTION_STATES
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor.filters import State
from service_kit.languages import Language, translated

STATES: Mapping[str, Mapping[str, State]] = {
    "native": native.OPTIONS,
    "thumbor": thumbor_plan.FILTERS,
    "imagor": imagor_filters.FILTERS,
    "imgproxy": OPTION_STATES,
}
LANGUAGES: Mapping[str, Language] = {"rendering.md": "en", "ru/rendering.md": "ru"}
HEADS = {
    "rendering.md": ("option", "supported", "how, or why not"),
    "ru/rendering.md": ("опция", "поддержка", "как или почему нет"),
}
WORDS = {
    "rendering.md": {"yes": "yes", "part": "partly", "no": "no"},
    "ru/rendering.md": {"yes": "да", "part": "отчасти", "no": "нет"},
}
END = "<!-- end -->"
SHORT = {option.names[0]: option.names[1:] for option in OPTIONS} | {"preset": ("pr",)}
PRO = {option.names[0] for option in OPTIONS if option.pro}


def table(page: str, dialect: str) -> Iterator[str]:
    """Generate the lines of a table."""
    yield f"| {' | '.join(HEADS[page])} |"
    yield "| --- | --- | --- |"
    for name, state in STATES[dialect].items():
        short = "".join(f", `{other}`" for other in SHORT.get(name, ())) if dialect == "imgproxy" else ""
        pro = " (Pro)" if dialect == "imgproxy" and name in PRO else ""
        note = translated(state.note, LANGUAGES[page]).replace("|", "\\|")
        yield f"| `{name}`{short}{pro} | {WORDS[page][state.done]} | {note} |"


def filled(page: str, text: str) -> str:
    """Return the text of a page with its tables."""
    for dialect in STATES:
        begin = f"<!-- table: {dialect} -->\n"
        before, _, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"{page} has no table of {dialect}")
        lines = "\n".join(table(page, dialect))
        text = f"{before}{begin}\n{lines}\n\n{end}{after}"
    return text


def build(folder: Path) -> None:
    """Write the tables of the pages in the folder ``docs``."""
    for page in HEADS:
        path = folder / page
        path.write_text(filled(page, path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
