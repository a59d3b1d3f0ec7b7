"""``python docs/build.py [FOLDER]``: write ``algorithms.md`` and its pictures from the code of the algorithms.

Each picture is the result of the algorithm, with the examples of its parameters, on a photograph.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from image_processor.algorithms.registry import Algorithm, all_algorithms
from image_processor.imaging.css_colors import PATTERN
from image_processor.imaging.output import Output
from image_processor.imaging.source import Source
from image_processor.services.codec.decoding import ImageLimits
from image_processor.services.codec.plan import PIPELINE, Pipeline, plan_of
from image_processor.services.codec.process import process_image
from pydantic import BaseModel
from skimage import data

LIMITS = ImageLimits(max_pixels=10_000_000, max_frames=100)
PHOTOS = Path(data.__file__).parent
PICTURE: dict[str, object] = {"format": "webp", "quality": 80, "metadata": "strip"}
LUT = "LUT_3D_SIZE 2\n" + "\n".join(
    f"{0.1 + 0.9 * red} {0.05 + 0.85 * green} {0.25 + 0.6 * blue}"
    for blue in (0, 1)
    for green in (0, 1)
    for red in (0, 1)
)

SECTIONS = {
    "Geometry": "resize thumbnail crop flip rotate auto_orient pad extend trim round_corners border perspective tile",
    "Color": "grayscale brightness contrast saturation hue gamma levels curves equalize white_balance tint duotone "
    "monochrome colorize channels "
    "sepia invert threshold posterize lut to_colorspace",
    "Detail": "blur progressive_blur blur_areas sharpen denoise pixelate edges emboss convolve vignette noise upscale",
    "Composing": "watermark overlay stamp flatten gradient montage animate",
    "Faces": "blur_faces crop_faces",
    "Encoding": "convert optimize strip_metadata",
    "Analysis": "info histogram dominant_colors blurhash phash compare exif",
}


def sections() -> dict[str, list[str]]:
    """Return the algorithms by section; those that no section names come last."""
    found = {section: names.split() for section, names in SECTIONS.items()}
    others = sorted(set(all_algorithms()) - {name for names in found.values() for name in names})
    return found | ({"Others": others} if others else {})


# Algorithms that another photograph shows better: its file, and the steps that prepare it.
SUBJECTS: Mapping[str, tuple[str, list[dict[str, object]]]] = {
    "blur_faces": ("astronaut.png", []),
    "crop_faces": ("astronaut.png", []),
    "trim": ("coffee.png", [{"algorithm": "border", "params": {"width": 40, "color": "#dddddd"}}]),
    "denoise": ("coffee.png", [{"algorithm": "noise", "params": {"amount": 8}}]),
    "white_balance": (
        "coffee.png",
        [{"algorithm": "levels", "params": {"white": 200}}, {"algorithm": "lut", "params": {"file_id": 2}}],
    ),
    "upscale": ("coffee.png", [{"algorithm": "resize", "params": {"width": 120}}]),
}
COMMON: tuple[str, list[dict[str, object]]] = ("coffee.png", [])


class Workshop:
    """Makes the pictures: one for each algorithm and one for each subject."""

    def __init__(self, pictures: Path, scratch: Path) -> None:
        self._pictures = pictures
        self._scratch = scratch
        self._lut = scratch / "film.cube"
        self._lut.write_text(LUT)
        self._files = {2: self._photo("rocket.jpg", 160), 3: self._photo("chelsea.png", 160)}
        self._subjects: dict[str, Path] = {}

    def before(self, name: str) -> str:
        """Return the name of the picture to which the algorithm is applied."""
        photo, steps = SUBJECTS.get(name, COMMON)
        before = f"before-{name if steps else Path(photo).stem}.webp"
        if before not in self._subjects:
            self._subjects[before] = self._photo(photo, 240, steps)
            self._run(self._subjects[before], "convert", PICTURE, self._pictures / before)
        return before

    def after(self, algorithm: Algorithm) -> str:
        """Return the name of the resulting picture, or the text of the report."""
        source = self._subjects[self.before(algorithm.name)]
        if algorithm.result != "image":
            result = self._scratch / "result"
            self._run(source, algorithm.name, self._example(algorithm), result)
            return result.read_text("utf-8") if algorithm.result == "json" else ""
        after = f"{algorithm.name}.webp"
        params = self._example(algorithm)
        if algorithm.changes_image:
            params |= {"output": PICTURE}
        self._run(source, algorithm.name, params, self._pictures / after)
        return after

    def _example(self, algorithm: Algorithm) -> dict[str, object]:
        example = dict(algorithm.example)
        if algorithm.name in ("convert", "optimize"):
            example = {"format": "webp", "min_ssim": 0.95}
        return example

    def _photo(self, name: str, width: int, steps: list[dict[str, object]] | None = None) -> Path:
        made = self._scratch / f"{Path(name).stem}-{width}-{len(steps or [])}-{id(steps)}.png"
        smaller = {"algorithm": "resize", "params": {"width": width}}
        params: dict[str, object] = {"steps": [smaller, *(steps or [])], "output": {"format": "png"}}
        process_image(PHOTOS / name, {2: self._lut}, made, plan_of(PIPELINE, params), LIMITS)
        return made

    def _run(self, source: Path, name: str, params: dict[str, object], result: Path) -> None:
        files = {2: self._lut} if name == "lut" else self._files
        if name == "compare":
            other = self._scratch / "other.png"
            process_image(source, {}, other, plan_of("blur", {"radius": 1}), LIMITS)
            files = {2: other}
        process_image(source, files, result, plan_of(name, params), LIMITS)


def page(workshop: Workshop) -> Iterator[str]:
    """Generate the text of ``algorithms.md``."""
    yield HEAD
    yield from parameters(Output)
    yield SOURCE
    yield from parameters(Source)
    yield PIPELINES
    yield from parameters(Pipeline)
    yield from overview()
    for section, names in sections().items():
        yield f"\n## {section}"
        for name in names:
            yield from chapter(all_algorithms()[name], workshop)


HEAD = """# The algorithms

`make docs` generates this page from the code; `GET /api/image-processing/algorithms` has the same as JSON Schema.
Lengths are pixels. Colors are written as in CSS, in sRGB: a name (`white`, `transparent`, in any case), `#rgb`,
`#rgba`, `#rrggbb`, `#rrggbbaa`, `rgb(255, 0, 0)`, `rgba(255, 0, 0, 0.5)`, `rgb(255 0 0 / 50%)` or
`hsl(120, 100%, 50%)`. The British names that the API had first (`colour`, `centre`, `grey`) are still accepted.

Every algorithm first turns the image upright (EXIF orientation). Geometry keeps CMYK, 16 bits per band and ICC
profiles; algorithms that compute with colors convert them to sRGB first. Transparent pixels never bleed into visible
ones. If an algorithm cannot be applied, the task ends in `error`, with the reason.

## `output`

Each algorithm whose result is an image has the parameter `output`, for example
`{"width": 800, "output": {"format": "auto", "max_bytes": 100000}}`.
"""

SOURCE = """
## `source`

Each algorithm, and a pipeline, has the parameter `source`: which page to read, and the resolution of a drawing, for
example `{"width": 800, "source": {"page": 3}}`; `info` lists the pages.
"""

PIPELINES = """
## `pipeline`

`{"algorithm": "pipeline", "params": {"steps": [{"algorithm": "resize", "params": {"width": 800}}, {"algorithm":
"sharpen"}], "output": {"format": "webp"}}}`: the image is decoded once and encoded once. All steps are checked before a
task is created. The last step may also be an analysis, `tile`, or an algorithm of the section Encoding. A pipeline with
a name is a *preset*: `config/image-processor/conf.yml` has the presets, and `{"file_ids": [1], "preset": "avatar"}`
uses one.
"""

FRAMES = {"each": "each frame", "all": "all together", "first": "first frame only"}


def overview() -> Iterator[str]:
    """Generate the table of how each algorithm treats memory, animations and colors."""
    yield "\n## Memory, animations and colors\n"
    yield "An algorithm that *streams* processes a large image in strips and never holds it as a whole. `resize` and"
    yield "`thumbnail` also decode JPEG and WebP smaller. The other algorithms hold the decoded image, on disk above"
    yield "100 MB. So do the encoders of WebP, AVIF and GIF, and that of JPEG if it is `progressive` or has an `effort`"
    yield "above 5."
    yield "\n| algorithm | result | streams | animations | colors |\n| --- | --- | --- | --- | --- |"
    for names in sections().values():
        for name in names:
            algorithm = all_algorithms()[name]
            streams = "yes" if algorithm.sequential else ""
            colors = "unchanged" if algorithm.any_color_space else "sRGB"
            yield f"| [`{name}`](#{name}) | {algorithm.result} | {streams} | {FRAMES[algorithm.frames]} | {colors} |"


def chapter(algorithm: Algorithm, workshop: Workshop) -> Iterator[str]:
    """Generate the section of an algorithm."""
    yield f"\n### `{algorithm.name}`\n\n{algorithm.summary}\n"
    yield from parameters(algorithm.params)
    if algorithm.example:
        yield f"\n`{json.dumps(algorithm.example, ensure_ascii=False)}`\n"
    before, after = workshop.before(algorithm.name), workshop.after(algorithm)
    if algorithm.result == "image":
        yield f"![before](algorithms/{before}) ![after](algorithms/{after})"
    elif algorithm.result == "json":
        yield f"```json\n{shortened(after)}\n```"


def shortened(report: str) -> str:
    """Return the report with each value on a line, long ones truncated."""
    lines = []
    for name, value in json.loads(report).items():
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f'  "{name}": {text if len(text) < 300 else text[:100] + " …"}')
    return "{\n" + ",\n".join(lines) + "\n}"


def parameters(model: type[BaseModel]) -> Iterator[str]:
    """Generate the table of the fields of a model."""
    schema = model.model_json_schema()
    if not schema.get("properties"):
        yield "No parameters."
        return
    yield "| parameter | type | default | |\n| --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        default = "" if name in schema.get("required", []) else f"`{json.dumps(field.get('default'))}`"
        required = "**required**" if name in schema.get("required", []) else default
        yield f"| `{name}` | {kind(field, schema.get('$defs', {}))} | {required} | {field.get('description', '')} |"


def kind(field: Mapping[str, object], definitions: Mapping[str, Mapping[str, object]]) -> str:
    """Return a readable type with its range."""
    choices = field.get("anyOf", field.get("oneOf"))
    if isinstance(choices, list):
        kinds = [kind(choice, definitions) for choice in choices if choice != {"type": "null"}]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in field:
        definition = definitions[str(field["$ref"]).rsplit("/", 1)[-1]]
        properties = definition.get("properties")
        if definition.get("title") == "Source":
            return "[source](#source)"
        if definition.get("title") == "Output" or not isinstance(properties, dict):
            return "[output](#output)"
        return "{" + ", ".join(f"`{name}`: {kind(field, definitions)}" for name, field in properties.items()) + "}"
    if "enum" in field and isinstance(field["enum"], list):
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array" and isinstance(field.get("items"), dict):
        items = kind(dict(field["items"]), definitions)  # type: ignore[call-overload]  # checked above
        return f"{field.get('minItems', 0)} to {field.get('maxItems', '∞')} × ({items})"
    if field.get("pattern") == PATTERN:
        return "color"
    return f"{field.get('type', 'any')}{limits(field)}"


def limits(field: Mapping[str, object]) -> str:
    """Return the range of a number."""
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high, below = field.get("maximum"), field.get("exclusiveMaximum")
    parts = [
        f"≥ {low:g}" if isinstance(low, int | float) else "",
        f"> {above:g}" if isinstance(above, int | float) else "",
        f"≤ {high:g}" if isinstance(high, int | float) and high < 2**53 else "",
        f"< {below:g}" if isinstance(below, int | float) else "",
    ]
    found = ", ".join(part for part in parts if part)
    return f", {found}" if found else ""


def build(folder: Path) -> None:
    """Write the page and its pictures into ``folder``."""
    pictures = folder / "algorithms"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.webp"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        text = "\n".join(page(Workshop(pictures, Path(scratch))))
    (folder / "algorithms.md").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
