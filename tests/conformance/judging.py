"""Checks entries by calling the dialects and running the plans in this process, as a render process does."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pyvips
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.dialects.thumbor.sizes import filled, fitted
from image_processor.render.dialects.thumbor.url import ThumborUrl
from image_processor.render.problems import STATUSES
from image_processor.render.signing import Hash, ImagorSigner, ImgproxySigner, ThumborSigner
from image_processor.services.codec.decoding import ImageLimits
from image_processor.services.codec.process import process_image
from pydantic import JsonValue, TypeAdapter
from service_kit.errors import DomainError

from tests.conformance.entries import Entry, Fact, Pixels
from tests.conformance.pixel_cases import pixel_case

LIMITS = ImageLimits(max_pixels=100_000_000, max_frames=100)
_FLAGS = ("debug", "meta", "stretch", "smart", "flip_horizontal", "flip_vertical")
_TEXTS = ("signature", "fit_in", "halign", "valign", "image", "width", "height")
_PARSERS: Mapping[str, Callable[[bytes], ThumborUrl]] = {"thumbor": thumbor_url.parse, "imagor": imagor_url.parse}


class Renderer(Protocol):
    """Renders a picture by an imgproxy URL, in this process or through a server."""

    def __call__(self, options: str, picture: Path) -> pyvips.Image:
        """Return the PNG for ``/{signature}/{options}/plain/{picture}@png``."""


def in_process(options: str, picture: Path) -> pyvips.Image:
    """Render in this process."""
    url = imgproxy_url.parse(f"/_/{options}/plain/1@png".encode(), imgproxy_url.Grammar(allow_security_options=True))
    plan = plan_of(url.source, url.options)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.png"
        process_image(picture, {}, result, plan.for_codec("png"), LIMITS)
        return pyvips.Image.new_from_file(str(result)).copy_memory()


def judged(entry: Entry, renderer: Renderer = in_process) -> str | None:
    """Return the difference from the entry; ``None`` if the entry holds."""
    if isinstance(entry, Pixels):
        return _pixels(entry, renderer)
    if entry.peer in _PARSERS:
        return _of_thumbor(entry)
    return _of_imgproxy(entry, renderer)


def _pixels(entry: Pixels, renderer: Renderer) -> str | None:
    case = pixel_case(entry.case)
    made = renderer(case.options, entry.images / case.picture).colourspace("srgb")
    rgba = made if made.hasalpha() else made.bandjoin(255)
    digest = hashlib.sha256(rgba.write_to_memory()).hexdigest()
    return None if digest == entry.sha256 else f"other pixels, in {made.width} × {made.height}"


def _of_thumbor(fact: Fact) -> str | None:
    url = _PARSERS[fact.peer](fact.url.encode())
    if fact.kind == "geometry":
        return _thumbor_geometry(fact, url)
    expected = dict(fact.expected)
    if fact.kind == "signature":
        accepted = _signer(fact).accepts(url.signature, url.signed)
        if accepted != expected.pop("signature_valid"):
            return f"the signature is {'accepted' if accepted else 'refused'}"
        expected.pop("status", None)
        if expected.keys() <= {"signature"}:
            return None
    return _difference(expected, thumbor_facts(url))


def _signer(fact: Fact) -> ThumborSigner | ImagorSigner:
    keys = [str(fact.config["key"]).encode()]
    if fact.peer == "thumbor":
        return ThumborSigner(keys)
    letters = fact.config.get("truncate", 0)
    algorithm = TypeAdapter(Hash).validate_python(fact.config.get("algorithm", "sha1"))
    return ImagorSigner(keys, algorithm, letters if isinstance(letters, int) else 0)


def thumbor_facts(url: ThumborUrl) -> dict[str, JsonValue]:
    """Return the URL in the form of the facts: values equal to their defaults are omitted."""
    facts: dict[str, JsonValue] = {name: True for name in _FLAGS if getattr(url, name)}
    facts |= {name: getattr(url, name) for name in _TEXTS if getattr(url, name)}
    if url.trim is not None:
        facts["trim"] = {"from": url.trim.corner, "tolerance": url.trim.tolerance}
    if url.crop is not None:
        facts["crop"] = list(url.crop)
    if url.padding is not None:
        facts["padding"] = list(url.padding)
    if url.filters:
        facts["filters"] = [{"name": each.name, "args": each.args} for each in url.filters]
    return facts


def _thumbor_geometry(fact: Fact, url: ThumborUrl) -> str | None:
    width, height = fact.source_size or (1, 1)
    if url.fit_in:
        sizes = fitted(width, height, (url.width, url.height), adaptive=url.adaptive, full=url.full)
    else:
        sizes = filled(width, height, (url.width, url.height), (url.halign, url.valign))
    made: dict[str, JsonValue] = {
        "crop_before_resize": list(sizes.cut) if sizes.cut else None,
        "result_size": list(sizes.size or (width, height)),
        "resized": sizes.size is not None,
    }
    return _difference(fact.expected, {name: made[name] for name in fact.expected})


def _of_imgproxy(fact: Fact, renderer: Renderer) -> str | None:
    if fact.kind == "signature":
        return _imgproxy_signature(fact)
    if fact.kind == "geometry":
        return _imgproxy_geometry(fact, renderer)
    try:
        url = imgproxy_url.parse(fact.url.encode(), grammar_of(fact))
    except DomainError as error:
        return _difference(fact.expected, {"error": True, "status": STATUSES["imgproxy"][error.kind]})
    options: dict[str, JsonValue] = {}
    for key, value in url.options.items():
        options[key] = _date(value) if key == "expires" and isinstance(value, int) else _json(value)
    made: dict[str, JsonValue] = {"signature": url.signature, "source": url.source, "options": options}
    wanted = fact.expected.get("options")
    if isinstance(wanted, dict) and "signed_path" in wanted:
        options["signed_path"] = url.signed.decode()
    if "signed_path" in fact.expected:
        made["signed_path"] = url.signed.decode()
    return _difference(fact.expected, made)


def grammar_of(fact: Fact) -> imgproxy_url.Grammar:
    """Return the settings under which the fact holds."""
    config = dict(fact.config)
    separator = str(config.get("arguments_separator", ":"))
    lines = config.pop("presets", [])
    presets = [imgproxy_url.preset_of(str(line), separator) for line in lines] if isinstance(lines, list) else []
    known = {name: value for name, value in config.items() if name in imgproxy_url.Grammar.__dataclass_fields__}
    return imgproxy_url.Grammar(
        presets=dict(preset for preset in presets if preset),
        pro=fact.peer == "imgproxy-pro",
        **known,  # type: ignore[arg-type]  # JSON
    )


def _imgproxy_signature(fact: Fact) -> str | None:
    signature, _, path = fact.url.removeprefix("/").partition("/")
    keys, salts = _hexadecimal(fact.config["key_hex"]), _hexadecimal(fact.config["salt_hex"])
    size = fact.config.get("signature_size", 32)
    trusted = fact.config.get("trusted_signatures", [])
    signer = ImgproxySigner(
        list(zip(keys, salts, strict=True)),
        size if isinstance(size, int) else 32,
        frozenset(map(str, trusted)) if isinstance(trusted, list) else frozenset(),
    )
    accepted = signer.accepts(signature, f"/{path}".encode())
    made: dict[str, JsonValue] = {"signature_valid": accepted}
    if not accepted:
        made["status"] = STATUSES["imgproxy"]["wrong-render-signature"]
    return _difference(fact.expected, {name: made.get(name) for name in fact.expected})


def _hexadecimal(value: JsonValue) -> Sequence[bytes]:
    texts = value if isinstance(value, list) else str(value).split(",")
    return [bytes.fromhex(str(text)) for text in texts]


def _imgproxy_geometry(fact: Fact, renderer: Renderer) -> str | None:
    options = fact.url.removeprefix("/").split("/plain/")[0].partition("/")[2]
    width, height = fact.source_size or (1, 1)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "source.png"
        pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb").write_to_file(str(picture))
        made = renderer(options, picture)
    return _difference(fact.expected, {"result_size": [made.width, made.height]})


def _difference(expected: Mapping[str, JsonValue], made: Mapping[str, JsonValue]) -> str | None:
    names = [name for name in {**expected, **made} if expected.get(name) != made.get(name)]
    if not names:
        return None
    return "; ".join(f"{name} is {made.get(name)!r}, not {expected.get(name)!r}" for name in names)


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: imgproxy_url.Value) -> JsonValue:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bool | int | float | str):
        return value
    return [each if isinstance(each, str) else list(each) for each in value]
