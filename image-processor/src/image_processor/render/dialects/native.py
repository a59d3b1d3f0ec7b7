"""Reads Pixmill's own URLs: ``/{signature}/exp:1893456000/p:avatar/42.webp``, or with a pipeline in base64url.

``/{signature}/{option:argument}/…/{source}``. The signature covers everything after its slash, including the expiry. A
source is the id of a file, optionally with an extension or a name (``42``, ``42.webp``, ``42/cat.webp``), the SHA-256
of its bytes, or a percent-encoded URL. The extension chooses the format unless an option does.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from service_kit.access.principals import LOCAL_OWNER
from service_kit.texts import sentence

from image_processor.imaging.output import Output
from image_processor.render.dialects.imgproxy.options import decoded, integer
from image_processor.render.dialects.named_sources import FileIds, source_of
from image_processor.render.dialects.thumbor.filters import State
from image_processor.render.plans.deferred import PlannedStep
from image_processor.render.plans.plan import Encoding, OriginSource, PlanSource, RenderPlan, Wishes, step
from image_processor.render.problems import bad_option, bad_url, expired
from image_processor.services.codec.plan import PIPELINE
from image_processor.services.codec.plan import plan_of as pipeline_of

FORMATS: Mapping[str, str] = {
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "png": "png",
    "webp": "webp",
    "avif": "avif",
    "gif": "gif",
    "tif": "tiff",
    "tiff": "tiff",
}
OPTIONS: Mapping[str, State] = {
    "exp": State("yes", "a Unix time in seconds; after it the response is 410"),
    "p": State("yes", "the name of a preset"),
    "o": State("yes", "the owner of a preset that was created with the API; `local` by default"),
    "j": State("yes", 'a pipeline, `{"steps": …, "output": …}`, as JSON in base64url'),
    "w": State("yes", "the maximum width; the image is scaled down to fit and never enlarged"),
    "h": State("yes", "the maximum height"),
    "f": State("yes", "the format: a name, or `auto` for one that the client accepts"),
    "q": State("yes", "the quality, 1 to 100"),
    "fn": State("yes", "the file name of the response, percent-encoded"),
    "att": State("yes", "`1`: browsers save the response to a file"),
    "age": State("yes", "how many seconds caches may keep the response"),
}
"""Every option of Pixmill's own URLs."""

_OF_RESPONSE = ("exp", "fn", "att", "age")
"""Options that change the response, but no pixel."""
MOST_RECIPES = 1000
LONGEST_RECIPE_BYTES = 2048
_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_OPTION = re.compile(r"([a-z]{1,3}):(.*)", re.DOTALL)


@dataclass(frozen=True)
class NativeUrl:
    """A parsed URL."""

    signature: str
    signed: bytes
    source: str
    options: Mapping[str, str] = field(default_factory=dict)


def parse(target: bytes, now: float | None = None) -> NativeUrl:
    """Parse a path as sent, without decoding it.

    :raises DomainError: ``bad-render-url``, ``bad-render-option``, ``expired-render-url``.
    """
    text = target.partition(b"?")[0].decode("utf-8", "surrogateescape").removeprefix("/")
    signature, _, rest = text.partition("/")
    options = dict[str, str]()
    segments = rest.split("/")
    while len(segments) > 1 and (found := _OPTION.fullmatch(segments[0])) and found[1] in OPTIONS:
        if found[1] in options:
            raise bad_option(found[1], sentence("it is given twice"))
        options[found[1]] = unquote(found[2])
        segments.pop(0)
    source = unquote("/".join(segments))
    if not signature or not source:
        raise bad_url(sentence("A URL has a signature, options, and a source."))
    expires = integer(options["exp"], "exp") if "exp" in options else 0
    if 0 < expires <= (time.time() if now is None else now):
        raise expired()
    return NativeUrl(signature, rest.encode("utf-8", "surrogateescape"), source, options)


def path_of(source: str, options: Mapping[str, str]) -> bytes:
    """Return the path to sign, which follows the signature in the URL."""
    named = [f"{name}:{quote(options[name], safe='')}" for name in OPTIONS if name in options]
    return "/".join([*named, quote(source, safe="/" if not source.startswith("http") else "")]).encode()


@dataclass(frozen=True)
class WantedPreset:
    """The preset that a URL names, and its owner, who does not matter for a preset from the settings."""

    name: str
    owner: str


def preset_of(url: NativeUrl) -> WantedPreset | None:
    """Return the preset that the URL names.

    :raises DomainError: ``bad-render-option``: the URL names an owner but no preset, or the owner's name is invalid.
    """
    name, owner = url.options.get("p"), url.options.get("o", LOCAL_OWNER)
    if name is None and "o" in url.options:
        raise bad_option("o", sentence("a URL names the owner of a preset, and no preset"))
    if not _OWNER.fullmatch(owner):
        raise bad_option("o", sentence("an owner's name has 1 to 64 of a-z, 0-9, '.', '_' and '-'"))
    return None if name is None else WantedPreset(name, owner)


def plan_of(url: NativeUrl, presets: Mapping[str, Mapping[str, object]], *, negotiated: bool = True) -> RenderPlan:
    """Return the plan of a URL.

    :param presets: pipelines by name, including the preset that :func:`preset_of` returns.
    :param negotiated: whether the client may choose the format if the URL names none.
    :raises DomainError: ``bad-render-url``, ``bad-render-option``, ``invalid-fields``, ``unknown-algorithm``.
    """
    pipeline = _pipeline(url, presets)
    source, extension = _source(url.source)
    steps, output, reading, files = list[PlannedStep](), Output(), None, FileIds()
    if pipeline is not None:
        planned = pipeline_of(PIPELINE, pipeline)
        steps = [PlannedStep(algorithm.name, params) for algorithm, params in planned.steps]
        if any(not algorithm.changes_image for algorithm, _ in planned.steps) or not isinstance(
            planned.encoding, Output
        ):
            raise bad_option(
                "j" if "j" in url.options else "p", sentence("a URL gives an image, and no analysis or tiles")
            )
        output, reading = planned.encoding, planned.source
        for file_id in planned.file_ids():
            files.add(source_of(str(file_id)))
    steps += _fitted(url.options)
    output = _with_options(output, url.options, extension)
    plan = RenderPlan(
        source=source,
        steps=tuple(steps),
        encoding=Encoding.by_url(output, chosen_by_client=negotiated),
        files=files.all(),
        wishes=_wishes(url.options),
    )
    return plan if reading is None else replace(plan, reading=reading)


class Recipes:
    """Caches plans without presets by the image options of their URLs, which many sources share.

    For a small image, parsing a pipeline takes longer than all other work before the render.
    """

    def __init__(self, *, negotiated: bool) -> None:
        self._negotiated = negotiated
        self._plans: OrderedDict[tuple[object, ...], RenderPlan] = OrderedDict()

    def plan(self, url: NativeUrl) -> RenderPlan:
        """Return the same plan as :func:`plan_of`.

        :raises DomainError: as :func:`plan_of`.
        """
        source, extension = _source(url.source)
        said = (extension, *(option for option in url.options.items() if option[0] not in _OF_RESPONSE))
        known = self._plans.get(said)
        if known is not None:
            self._plans.move_to_end(said)
            return known.of(source, _wishes(url.options))
        plan = plan_of(url, {}, negotiated=self._negotiated)
        if len(url.signed) <= LONGEST_RECIPE_BYTES:
            self._plans[said] = plan
            if len(self._plans) > MOST_RECIPES:
                self._plans.popitem(last=False)
        return plan


def _wishes(options: Mapping[str, str]) -> Wishes:
    return Wishes(
        file_name=options.get("fn", ""),
        attachment=options.get("att") == "1",
        max_age=_count(options, "age"),
        expires=_count(options, "exp") or 0,
    )


def _pipeline(url: NativeUrl, presets: Mapping[str, Mapping[str, object]]) -> Mapping[str, object] | None:
    if "p" in url.options and "j" in url.options:
        raise bad_option("j", sentence("a URL has a preset or a pipeline, not both"))
    if (name := url.options.get("p")) is not None:
        if name not in presets:
            raise bad_option("p", sentence("there is no preset '{name}'", name=name[:64]))
        return presets[name]
    if (text := url.options.get("j")) is None:
        return None
    try:
        pipeline = json.loads(decoded(text, lambda: bad_option("j", sentence("it is not base64url of UTF-8"))))
    except (ValueError, RecursionError) as error:
        raise bad_option("j", sentence("it is not JSON")) from error
    if not isinstance(pipeline, dict):
        raise bad_option("j", sentence("it is not a JSON object"))
    return pipeline


def _source(text: str) -> tuple[PlanSource, str]:
    """Return the source, and the format that its extension chooses."""
    source = source_of(text)
    if isinstance(source, OriginSource):
        return source, ""
    extension = text.rpartition(".")[2].lower() if "." in text else ""
    return source, FORMATS.get(extension, "")


def _fitted(options: Mapping[str, str]) -> Sequence[PlannedStep]:
    sides = {name: _count(options, key) for name, key in (("width", "w"), ("height", "h")) if key in options}
    if not sides:
        return ()
    try:
        return (step("resize", {**sides, "fit": "inside"}),)
    except ValueError as error:
        raise bad_option("w" if "w" in options else "h", sentence("a side is 1 to 16384 pixels")) from error


def _with_options(output: Output, options: Mapping[str, str], extension: str) -> Output:
    update = dict[str, object]()
    name = options.get("f", "")
    if name and name != "auto" and name not in FORMATS:
        raise bad_option(
            "f",
            sentence(
                "'{name}' is not a format; there are: auto, {names}",
                name=name,
                names=", ".join(sorted(set(FORMATS.values()))),
            ),
        )
    if name:
        update["format"] = FORMATS.get(name, name)
    elif extension and "format" not in output.model_fields_set:
        update["format"] = extension
    if (quality := _count(options, "q")) is not None:
        if not 1 <= quality <= 100:
            raise bad_option("q", sentence("{number} is not from 1 to 100", number=quality))
        update["quality"] = quality
    return output.model_copy(update=update)


def _count(options: Mapping[str, str], name: str) -> int | None:
    if name not in options:
        return None
    value = integer(options[name], name)
    if value < 0:
        raise bad_option(name, sentence("{number} is less than 0", number=value))
    return value
