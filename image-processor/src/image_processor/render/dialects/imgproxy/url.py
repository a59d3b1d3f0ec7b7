"""Reads imgproxy's URLs: ``/{signature}/rs:fill:300:200/g:sm/plain/{source}@webp``, or the source in base64url."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import unquote

from service_kit.texts import sentence

from image_processor.render.dialects.imgproxy.options import BY_NAME, PRO, RESIZING_TYPES, Value, Values, decoded
from image_processor.render.problems import bad_option, bad_url, expired, forbidden_option, unsupported

__all__ = ["Grammar", "ImgproxyUrl", "Value", "check", "parse", "preset_of", "signature_and_path"]

PLAIN = "plain"
_EATEN_SLASHES = re.compile(r"(^|/)plain/(?:(\S+):/([^/])|\S*)")
"""Its second part skips text that cannot match either, instead of searching it again after each `plain`."""

_UNSUPPORTED: Mapping[str, str] = {
    "enc": sentence("encrypted sources are not decrypted"),
    "-": sentence("a URL has one pipeline; options of several cannot be chained"),
}
"""Segments of imgproxy Pro that begin something else than a source in base64url."""

Parsed = Sequence[tuple[str, Sequence[str]]]
"""Options with their arguments, in order."""


@dataclass(frozen=True)
class Grammar:
    """imgproxy's server settings that change the meaning of URLs, under imgproxy's names.

    :param presets: options by the name of the preset; those of ``default`` are applied first.
    :param pro: whether to accept the options of imgproxy Pro.
    """

    presets: Mapping[str, Parsed] = field(default_factory=dict)
    only_presets: bool = False
    base_url: str = ""
    url_replacements: Sequence[tuple[str, str]] = ()
    arguments_separator: str = ":"
    base64_url_includes_filename: bool = False
    allow_security_options: bool = False
    allowed_processing_options: Sequence[str] = ()
    pro: bool = True

    @cached_property
    def replacements(self) -> Sequence[tuple[re.Pattern[str], str]]:
        """Return the replacements in sources, in Python's form.

        :raises ValueError: an expression or a replacement is wrong.
        """
        return [_replacement(*pair) for pair in self.url_replacements]


@dataclass(frozen=True)
class ImgproxyUrl:
    """A parsed URL.

    :param signed: the signed path, with double slashes restored where a proxy merged them.
    """

    signature: str
    signed: bytes
    source: str
    options: Values


def preset_of(text: str, separator: str = ":") -> tuple[str, Parsed] | None:
    """Return the name and the options of a line ``name=option:argument/…``; ``None`` for a comment.

    :raises ValueError: the line has another form.
    """
    line = text.strip()
    if not line or line.startswith("#"):
        return None
    name, equals, value = (part.strip() for part in line.partition("="))
    options, rest = _split(value.split("/"), separator)
    if not (name and equals and options) or rest or "=" in value:
        raise ValueError(f"'{line}' is not a preset; one is written as name=option:argument/option:argument")
    return name, options


def parse(target: bytes, grammar: Grammar, now: float | None = None) -> ImgproxyUrl:
    """Parse a path as sent, without decoding it.

    :param now: seconds since 1970; by default the current time.
    :raises DomainError: ``bad-render-url``, ``bad-render-option``, ``forbidden-render-option``, ``expired-render-url``.
    """
    signature, path = _signature_and_path(target)
    first, *others = path.split("/")
    if first in RESIZING_TYPES and not grammar.only_presets:
        raise bad_url(sentence("This is the first form of imgproxy's URLs, which imgproxy 3 does not have either."))
    values: Values = {}
    segments: Sequence[str] = others
    if "default" in grammar.presets:
        _apply_presets(values, ["default"], grammar, ())
    if grammar.only_presets:
        _apply_presets(values, first.split(grammar.arguments_separator), grammar, ())
    else:
        options, segments = _split([first, *others], grammar.arguments_separator)
        _apply(values, options, grammar)
    source, extension = _source(segments, grammar)
    if extension and not values.get("raw"):
        _apply_one(values, "format", [extension], grammar)
    expires = values.get("expires", 0)
    if isinstance(expires, int) and 0 < expires < (time.time() if now is None else now):
        raise expired()
    return ImgproxyUrl(signature, f"/{path}".encode("utf-8", "surrogateescape"), source, values)


def check(grammar: Grammar) -> None:
    """Check the replacements in sources, and the options of all presets.

    :raises ValueError: a replacement is wrong.
    :raises DomainError: an option is invalid.
    """
    _ = grammar.replacements
    for name in grammar.presets:
        _apply_presets({}, [name], replace(grammar, allow_security_options=True), ())


def signature_and_path(target: bytes) -> tuple[str, bytes]:
    """Return the signature, and the path that it signs.

    :raises DomainError: ``bad-render-url``.
    """
    signature, path = _signature_and_path(target)
    return signature, f"/{path}".encode("utf-8", "surrogateescape")


def _signature_and_path(target: bytes) -> tuple[str, str]:
    text = target.partition(b"?")[0].decode("utf-8", "surrogateescape").removeprefix("/")
    signature, _, path = text.partition("/")
    if not signature or not path:
        raise bad_url(sentence("A URL of imgproxy has a signature, options, and a source."))
    return signature, _EATEN_SLASHES.sub(_with_slashes, path)


def _with_slashes(found: re.Match[str]) -> str:
    if found[2] is None:
        return found[0]
    root = "/" if found[2] == "local" else ""
    return f"{found[1]}plain/{found[2]}://{root}{found[3]}"


def _split(segments: Sequence[str], separator: str) -> tuple[Parsed, Sequence[str]]:
    """Return the options, and the segments from the first one without a separator."""
    options = list[tuple[str, Sequence[str]]]()
    for place, segment in enumerate(segments):
        name, *args = re.sub("%3a", ":", segment, flags=re.IGNORECASE).split(separator)
        if not args:
            return options, segments[place:]
        options.append((name, args))
    return options, ()


def _apply(values: Values, options: Parsed, grammar: Grammar) -> None:
    for name, args in options:
        if grammar.allowed_processing_options and name not in grammar.allowed_processing_options:
            raise bad_option(name, sentence("the settings do not allow it"))
        _apply_one(values, name, args, grammar)


def _apply_one(values: Values, name: str, args: Sequence[str], grammar: Grammar, used: Sequence[str] = ()) -> None:
    if name in ("preset", "pr"):
        _apply_presets(values, args, grammar, used)
        return
    option = BY_NAME.get(name)
    if option is None or (option.pro and not grammar.pro):
        raise bad_option(name, sentence("there is no such option"))
    if option.secure and not grammar.allow_security_options:
        raise forbidden_option(name, sentence("the setting `allow_security_options` does not allow it"))
    apply = PRO.get(name, option.apply) if grammar.pro else option.apply
    apply(values, name, args)


def _apply_presets(values: Values, names: Sequence[str], grammar: Grammar, used: Sequence[str]) -> None:
    for name in names:
        if name not in grammar.presets:
            raise bad_option("preset", sentence("there is no preset '{name}'", name=name))
        if name in used:
            continue  # as in imgproxy: a preset that contains itself is applied once
        before = values.get("used_presets", [])
        values["used_presets"] = [*(before if isinstance(before, list) else []), name]
        for option, args in grammar.presets[name]:
            _apply_one(values, option, args, grammar, (*used, name))


def _source(segments: Sequence[str], grammar: Grammar) -> tuple[str, str]:
    """Return the source, and the extension that chooses the result's format."""
    if not segments:
        raise bad_url(sentence("The URL has no source."))
    if grammar.pro and len(segments) > 1 and segments[0] in _UNSUPPORTED:
        raise unsupported(segments[0], _UNSUPPORTED[segments[0]])
    if segments[0] == PLAIN and len(segments) > 1:
        encoded, extension = _with_extension("/".join(segments[1:]), "@")
        if re.search(r"%(?![0-9A-Fa-f]{2})", encoded):
            raise bad_url(sentence("The source is not percent-encoded."))
        return _whole(unquote(encoded), grammar), extension
    if grammar.base64_url_includes_filename and len(segments) > 1:
        segments = segments[:-1]
    encoded, extension = _with_extension("".join(segments), ".")
    return _whole(
        decoded(encoded, lambda: bad_url(sentence("The source is not base64url of UTF-8."))), grammar
    ), extension


def _with_extension(encoded: str, mark: str) -> tuple[str, str]:
    source, *extensions = encoded.split(mark)
    if not source:
        raise bad_url(sentence("The URL has no source."))
    if len(extensions) > 1:
        raise bad_url(sentence("The URL names several formats."))
    return source, extensions[0] if extensions else ""


def _whole(source: str, grammar: Grammar) -> str:
    for pattern, replacement in grammar.replacements:
        source = pattern.sub(replacement, source)
    return source if source.startswith(grammar.base_url) else grammar.base_url + source


def _replacement(expression: str, replacement: str) -> tuple[re.Pattern[str], str]:
    # Go writes a group as $1 or ${1}.
    template = re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", replacement)
    try:
        pattern = re.compile(expression)
        # Python reads a replacement only when it is used, even if nothing matches.
        pattern.sub(template, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"url_replacements: [{expression!r}, {replacement!r}] is wrong: {error}") from error
    return pattern, template
