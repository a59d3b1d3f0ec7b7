"""Parses a request's target into a plan: finds the dialect, checks the signature and reads the options."""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from service_kit.errors import DomainError
from service_kit.settings import SettingsError
from service_kit.texts import sentence

from image_processor.render.config import (
    ImagorSettings,
    ImgproxySettings,
    NativeUrlSettings,
    RenderSettings,
    ThumborSettings,
)
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of as plan_of_imgproxy
from image_processor.render.dialects.named_sources import source_of
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.plans.plan import PlanSource, RenderPlan
from image_processor.render.problems import NO_SUCH_ROUTE, STATUSES, unsupported, wrong_signature
from image_processor.render.signing import ImagorSigner, ImgproxySigner, NativeSigner, ThumborSigner
from image_processor.render.urls.presets import RenderPresets

UNSAFE = "unsafe"
_INFO = "info"
"""The first segment of imgproxy Pro's info URLs, in place of the signature."""
MOST_REMEMBERED = 2000
"""The most plans of each dialect that stay in memory, with a few kilobytes each."""
LONGEST_REMEMBERED_BYTES = 2048
MAX_TARGET_BYTES = 16 * 1024
"""The most bytes of the path and query of a request for an image by URL."""


class Dialect(Protocol):
    """A URL dialect."""

    @property
    def name(self) -> str: ...

    async def plan(self, target: bytes) -> RenderPlan:
        """Return the plan of a path and query that begin with the signature.

        :raises DomainError: the URL is wrong, not signed, expired, or asks for something that cannot be done.
        """


@dataclass(frozen=True)
class NativeDialect:
    settings: NativeUrlSettings
    presets: RenderPresets
    recipes: native.Recipes
    name: str = "native"

    async def plan(self, target: bytes) -> RenderPlan:
        signature, _, path = target.removeprefix(b"/").partition(b"?")[0].partition(b"/")
        # Check this before parsing, so that clients without a key learn nothing about options and presets.
        if not NativeSigner(self.settings.secrets).accepts(signature.decode("utf-8", "surrogateescape"), path):
            raise wrong_signature()
        url = native.parse(target)
        wanted = native.preset_of(url)
        if wanted is None:
            return self.recipes.plan(url)
        found = await self.presets.find(wanted.name, wanted.owner)
        presets = {} if found is None else {wanted.name: found.params}
        plan = native.plan_of(url, presets, negotiated=self.settings.negotiate)
        return plan if found is None else replace(plan, wishes=replace(plan.wishes, preset_until=found.until))


@dataclass(frozen=True)
class ThumborDialect:
    settings: ThumborSettings
    name: str = "thumbor"

    async def plan(self, target: bytes) -> RenderPlan:
        signer = ThumborSigner(self.settings.secrets)
        url = thumbor_url.parse(target)
        # libthumbor signs the query of an image as it is. thumbor ignores any query that is not percent-encoded.
        if not signer.accepts(url.signature, url.signed):
            url = thumbor_url.parse(target.partition(b"?")[0])
        _check(self.settings.unsafe, url.signature, url.signed, signer)
        settings = self.settings
        defaults = thumbor_plan.ThumborDefaults(settings.quality, settings.respect_orientation, settings.negotiate)
        return thumbor_plan.plan_of(url, defaults)


@dataclass(frozen=True)
class ImagorDialect:
    settings: ImagorSettings
    name: str = "imagor"

    async def plan(self, target: bytes) -> RenderPlan:
        url, settings = imagor_url.parse(target), self.settings
        signer = ImagorSigner(settings.secrets, settings.algorithm, settings.truncate)
        _check(settings.unsafe, url.signature, url.signed, signer)
        return imagor_plan.plan_of(
            url, imagor_plan.ImagorDefaults(settings.quality, settings.strip_metadata, settings.negotiate)
        )


@dataclass(frozen=True)
class ImgproxyDialect:
    settings: ImgproxySettings
    grammar: imgproxy_url.Grammar
    mark: PlanSource | None
    name: str = "imgproxy"

    async def plan(self, target: bytes) -> RenderPlan:
        settings = self.settings
        signature, path = imgproxy_url.signature_and_path(target)
        if signature == _INFO and signature not in settings.trusted_signatures:
            raise unsupported(
                _INFO, sentence("what is known about a file is at /api/image-processing/metadata/, with a key")
            )
        signer = ImgproxySigner(settings.pairs, settings.signature_size, frozenset(settings.trusted_signatures))
        if not settings.unsafe and not signer.accepts(signature, path):
            raise wrong_signature()
        url = imgproxy_url.parse(target, self.grammar)
        return plan_of_imgproxy(url.source, url.options, mark=self.mark, negotiated=settings.negotiate)


class RememberedPlans:
    """Caches a dialect's plans: most requests are for few URLs, and parsing costs as much as the rest of a cache hit.

    Only accepted URLs are cached, with their signatures, and only until they expire.

    :param changing: URLs that contain this text are not cached, because their meaning may change, as with a preset.
    """

    def __init__(self, dialect: Dialect, changing: bytes | None = None) -> None:
        self._dialect = dialect
        self._changing = changing
        self._plans: OrderedDict[bytes, RenderPlan] = OrderedDict()

    @property
    def name(self) -> str:
        return self._dialect.name

    async def plan(self, target: bytes) -> RenderPlan:
        known = self._plans.get(target)
        if known is not None and not 0 < known.wishes.expires <= time.time():
            self._plans.move_to_end(target)
            return known
        plan = await self._dialect.plan(target)
        lasts = self._changing is None or self._changing not in target
        if lasts and len(target) <= LONGEST_REMEMBERED_BYTES:
            self._plans[target] = plan
            if len(self._plans) > MOST_REMEMBERED:
                self._plans.popitem(last=False)
        return plan


class _Signer(Protocol):
    def accepts(self, signature: str, path: bytes) -> bool: ...


def _check(unsafe: bool, signature: str, path: bytes, signer: _Signer) -> None:
    if signature == UNSAFE:
        if not unsafe:
            raise wrong_signature()
    elif not signer.accepts(signature, path):
        raise wrong_signature()


class Reader:
    """Finds the dialect of a request and reads its plan.

    :raises SettingsError: a preset of imgproxy is invalid.
    """

    def __init__(self, settings: RenderSettings, presets: RenderPresets) -> None:
        self._by_path = dict[str, Dialect]()
        self._by_host = dict[str, Dialect]()
        if settings.native.keys:
            self._by_path[settings.native.path] = RememberedPlans(
                NativeDialect(settings.native, presets, native.Recipes(negotiated=settings.native.negotiate)),
                changing=b"/p:",
            )
        peers: tuple[tuple[ThumborSettings | ImagorSettings | ImgproxySettings, Dialect], ...] = (
            (settings.thumbor, ThumborDialect(settings.thumbor)),
            (settings.imagor, ImagorDialect(settings.imagor)),
            (settings.imgproxy, _imgproxy(settings.imgproxy)),
        )
        for peer, found in peers:
            dialect = RememberedPlans(found)
            if peer.enabled and peer.path:
                self._by_path[peer.path] = dialect
            if peer.enabled and peer.host:
                self._by_host[peer.host] = dialect

    def dialect_of(self, target: bytes, host: str = "") -> tuple[Dialect, bytes]:
        """Return the dialect, and the target from the signature on.

        :raises DomainError: ``no-render-route``: no dialect with a key has this path or host.
        """
        name = host.partition(":")[0].lower()
        if name in self._by_host:
            return self._by_host[name], target
        text = target.decode("utf-8", "surrogateescape")
        # The longest path comes first, because `/img/` is a prefix of the others.
        for path in sorted(self._by_path, key=len, reverse=True):
            if text.startswith(path):
                return self._by_path[path], b"/" + target[len(path.encode()) :]
        raise DomainError(NO_SUCH_ROUTE, sentence("There are no images by URL under this path."))

    async def plan(self, target: bytes, host: str = "") -> RenderPlan:
        """Return the plan of a request.

        :param target: the path and query as sent.
        """
        dialect, rest = self.dialect_of(target, host)
        return await dialect.plan(rest)


def status_of(dialect: str, error: DomainError) -> int:
    """Return the status that the dialect's peer returns; 400 for params that an algorithm refuses."""
    return STATUSES[dialect].get(error.kind, 400)


def _imgproxy(settings: ImgproxySettings) -> ImgproxyDialect:
    try:
        found = [imgproxy_url.preset_of(line, settings.arguments_separator) for line in settings.presets]
        grammar = imgproxy_url.Grammar(
            presets=dict(preset for preset in found if preset is not None),
            only_presets=settings.only_presets,
            base_url=settings.base_url,
            url_replacements=settings.url_replacements,
            arguments_separator=settings.arguments_separator,
            base64_url_includes_filename=settings.base64_url_includes_filename,
            allow_security_options=settings.allow_security_options,
            allowed_processing_options=settings.allowed_processing_options,
            pro=settings.pro,
        )
        imgproxy_url.check(grammar)
        mark = source_of(settings.watermark) if settings.watermark else None
    except (ValueError, DomainError) as error:
        raise SettingsError(f"settings of imgproxy: {error}") from error
    return ImgproxyDialect(settings, grammar, mark)
