"""The settings of the render service; ``make config`` writes ``conf.yml``."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from service_kit.public_url import PublicUrlSettings
from service_kit.secrets import MIN_BYTES
from service_kit.settings import (
    Bytes,
    LogSettings,
    Seconds,
    Secret,
    Section,
    ServiceSettings,
    SigningSecret,
    Unit,
    Url,
)

from image_processor import capacity
from image_processor.config import PRESETS, BlobSourceSettings, PipelinesByName, SandboxMode, SandboxPorts
from image_processor.render.signing import LEAST_KEY_BYTES, LEAST_SIGNATURE_BYTES, check_key

OwnPath = Annotated[str, Field(pattern=r"^(/[\w.-]+)+/$")]
Path = Annotated[str, Field(pattern=r"^(/[\w.-]+)+/$|^$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]*$")]
_ABOUT_KEYS = (
    "Empty: such URLs get 404. All keys are accepted, the first one signs: to replace a key, put the new one before"
    " it. A key has at least {bytes} bytes; the service does not start with a key from the documentation of thumbor,"
    " imagor or imgproxy. `${{NAME}}` is replaced by that environment variable, or by the file of that name in the"
    " folder `PIXMILL_SECRETS`."
)
_KEYS = _ABOUT_KEYS.format(bytes=LEAST_KEY_BYTES)


class DialectSettings(Section):
    """The settings that all URL dialects share.

    :ivar keys: each key's bytes are its text in UTF-8.
    """

    least_key_bytes: ClassVar[int] = LEAST_KEY_BYTES

    keys: list[Secret] = Field([], description=f"The keys that sign URLs. {_KEYS}")

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            check_key(key.get_secret_value().encode(), cls.least_key_bytes)
        return keys

    @property
    def secrets(self) -> Sequence[bytes]:
        """Return the keys as bytes."""
        return [key.get_secret_value().encode() for key in self.keys]


class NativeUrlSettings(DialectSettings):
    least_key_bytes: ClassVar[int] = MIN_BYTES

    keys: list[Secret] = Field(
        [SecretStr("${PIXMILL_RENDER_SECRET}")],
        description=f"The keys that sign URLs. The first start generates one. {_ABOUT_KEYS.format(bytes=MIN_BYTES)}",
    )
    path: OwnPath = Field(
        "/img/", description="The path prefix of Pixmill's own URLs: `/img/{signature}/p:avatar/42.webp`."
    )
    negotiate: bool = Field(
        default=True,
        description="Whether a client that accepts AVIF or WebP gets that format if the URL names none.",
    )


class PeerUrlSettings(DialectSettings):
    path: Path = Field(
        "",
        description="The path prefix of the URLs of this form, with a slash at both ends; empty:"
        " only `host` selects this form.",
    )
    host: Host = Field(
        "",
        description="A host name whose URLs all have this form, without a path prefix, as on the server that"
        " Pixmill replaces. `NGINX_IMAGE_HOSTS` in `config/nginx.env` must contain it too.",
    )
    unsafe: bool = Field(
        default=False,
        description="Whether URLs without a signature are served, to everyone and in any size. Only for a network that"
        " you trust.",
    )
    negotiate: bool = Field(
        default=False,
        description="Whether a client that accepts AVIF or WebP gets that format if the URL names none.",
    )

    @property
    def enabled(self) -> bool:
        return bool(self.keys) or self.unsafe


class ThumborSettings(PeerUrlSettings):
    path: Path = Field(
        "/img/thumbor/",
        description="The path prefix of thumbor's URLs, with a slash at both ends; empty: only at `thumbor.host`.",
    )
    quality: int = Field(80, ge=1, le=100, description="The quality of JPEG, WebP and AVIF if the URL specifies none.")
    respect_orientation: bool = Field(
        default=False,
        description="Whether images are rotated by their EXIF orientation; thumbor's default is not to rotate them.",
    )


class ImagorSettings(PeerUrlSettings):
    path: Path = Field(
        "/img/imagor/",
        description="The path prefix of imagor's URLs, with a slash at both ends; empty: only at `imagor.host`.",
    )
    algorithm: Literal["sha1", "sha256", "sha512"] = Field("sha1", description="The hash algorithm of the signature.")
    truncate: int = Field(
        0,
        ge=0,
        le=88,
        description="The number of characters to which the signature is truncated, at least 17; 0: no truncation.",
    )
    quality: int = Field(75, ge=1, le=100, description="The quality of JPEG, WebP and AVIF if the URL specifies none.")
    strip_metadata: bool = Field(
        default=False, description="Whether EXIF, XMP, IPTC and color profiles are removed from results."
    )

    @model_validator(mode="after")
    def _check_truncation(self) -> Self:
        if 0 < self.truncate < 17:
            raise ValueError(f"imagor.truncate ({self.truncate}) is less than 17: such a signature could be guessed")
        return self


class ImgproxySettings(PeerUrlSettings):
    path: Path = Field(
        "/img/imgproxy/",
        description="The path prefix of imgproxy's URLs, with a slash at both ends; empty: only at `imgproxy.host`.",
    )
    keys: list[Secret] = Field([], description=f"The keys that sign URLs, in hexadecimal. {_KEYS}")
    salts: list[Secret] = Field([], description="The salts of the keys, in the same order, in hexadecimal.")
    signature_size: Annotated[int, Unit("bytes")] = Field(
        32, ge=LEAST_SIGNATURE_BYTES, le=32, description="The length to which the signature is truncated."
    )
    trusted_signatures: list[str] = Field([], description="Strings that are accepted instead of a signature.")
    presets: list[str] = Field(
        [],
        description="Named options, as in imgproxy: `name=resizing_type:fill/quality:70`. The preset `default` is"
        " applied before all other options.",
    )
    only_presets: bool = Field(
        default=False, description="Whether URLs contain the names of presets instead of options."
    )
    base_url: str = Field("", description="The prefix that is added to each source that does not begin with it.")
    url_replacements: list[tuple[str, str]] = Field(
        [], description="Regular expressions and the replacements of their matches in sources, as `[[old, new]]`."
    )
    arguments_separator: str = Field(
        ":", min_length=1, max_length=3, description="The separator between an option and its arguments."
    )
    base64_url_includes_filename: bool = Field(
        default=False, description="Whether a file name follows a source in base64."
    )
    allow_security_options: bool = Field(
        default=False, description="Whether URLs may change limits: `msr`, `msfs`, `maf`, `mafr` and `mrd`."
    )
    allowed_processing_options: list[str] = Field(
        [], description="The options that URLs may have; empty: all options. Presets may have other options."
    )
    pro: bool = Field(
        default=True, description="Whether options of imgproxy Pro are supported if Pixmill has the operation."
    )
    watermark: str = Field(
        "",
        description="The id of the file that the option `watermark` uses. Empty: the option has no effect, as in"
        " imgproxy.",
    )

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            check_key(_bytes_of(key))
        return keys

    @model_validator(mode="after")
    def _check_salts(self) -> Self:
        if len(self.keys) != len(self.salts):
            raise ValueError(f"imgproxy has {len(self.keys)} keys and {len(self.salts)} salts; each key needs one")
        for salt in self.salts:
            _bytes_of(salt)
        return self

    @property
    def pairs(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the keys with their salts."""
        return [(_bytes_of(key), _bytes_of(salt)) for key, salt in zip(self.keys, self.salts, strict=True)]


def _bytes_of(secret: SecretStr) -> bytes:
    try:
        return bytes.fromhex(secret.get_secret_value())
    except ValueError as error:
        raise ValueError("a key or salt of imgproxy has hexadecimal digits only") from error


class RenderFileSettings(BlobSourceSettings):
    url: Url = Field(
        "http://nginx:8081/api/file-server",
        description="The URL of the file server for looking up and fetching files, through the inner port of nginx.",
    )
    inner_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_RENDER_INNER_SECRET}"),
        description="The secret that authenticates requests to the file server and to image-processor: their"
        " `inner.render_secret`.",
    )


class RenderPresetSettings(Section):
    url: Url = Field(
        "http://nginx:8081/api/image-processing",
        description="The URL of the API that has the presets of owners, through the inner port of nginx. Requests"
        " contain `file_storage.inner_secret`.",
    )
    timeout_seconds: Seconds = Field(
        5, gt=0, le=3600, description="How long a request that needs a preset waits for the API before it gets 503."
    )


class FrontCacheSettings(Section):
    url: str = Field(
        "http://nginx:8081",
        pattern=r"^(https?://.+)?$",
        description="The inner port of the nginx that may cache images, for as long as the existence of their files is"
        " cached (`http.lookup_seconds`); `DELETE …/renders/{file_id}` removes them. Empty: nginx caches none.",
    )
    timeout_seconds: Seconds = Field(
        5, gt=0, le=3600, description="How long nginx may take to remove an image from its cache."
    )


class RenderCacheSettings(Section):
    folder: str = Field(
        "/var/lib/pixmill-renders",
        min_length=1,
        description="The folder of cached results; it must contain nothing else.",
    )
    max_bytes: Bytes = Field(
        10 * 1024**3,
        ge=1024 * 1024,
        description="The maximum total size of cached results. Beyond it, the least recently requested results are"
        " removed.",
    )
    keep_free_bytes: Bytes = Field(
        1024**3, ge=0, description="How much space must stay free on the disk; if less is free, results are removed."
    )


class RenderPoolSettings(Section):
    processes: Annotated[int, Unit("processes")] = Field(
        0,
        ge=0,
        le=256,
        description="The number of processes that render. 0: one for each core of the machine or the container, as far"
        " as its memory allows, and at least two.",
    )
    queue: Annotated[int, Unit("renders")] = Field(
        768,
        ge=1,
        le=100_000,
        description="The maximum number of renders that wait for a process, at most a third of them for the keys of an"
        " owner, and another third for images of its files by URL. Images of other servers get at most a third,"
        " and all images by URL two thirds. A page of thumbnails requests many at once. Further requests get 503.",
    )
    queue_seconds: Seconds = Field(
        10, gt=0, le=300, description="How long a render waits for a process before the request gets 503."
    )
    max_renders: Annotated[int, Unit("renders")] = Field(
        1000, ge=1, description="The number of renders after which a process is replaced by a new one."
    )
    max_resident_bytes: Bytes = Field(
        384 * 1024**2,
        ge=64 * 1024**2,
        description="The maximum resident memory of a process after a render. A process with more is replaced by a new"
        " one.",
    )

    @property
    def count(self) -> int:
        """Return the number of render processes."""
        return self.processes or capacity.processes()


class RenderLimitSettings(Section):
    max_file_bytes: Bytes = Field(
        134_217_728, ge=1, description="The maximum size of a source. A request for a larger source gets 413."
    )
    max_pixels: Annotated[int, Unit("pixels")] = Field(
        100_000_000, ge=1, description="The maximum size of an image, before and after processing, all frames together."
    )
    max_frames: Annotated[int, Unit("frames")] = Field(
        200, ge=1, description="The maximum number of frames of an animation."
    )
    max_decoded_bytes: Bytes = Field(
        2_147_483_648,
        ge=1,
        description="The maximum size of the decoded pixels of an image, as in `config/worker/conf.yml`.",
    )
    max_seconds: Seconds = Field(
        20,
        gt=0,
        le=3600,
        description="The maximum duration of a render. After that, its process is killed, and the URL is refused for a"
        " minute.",
    )
    max_memory_bytes: Bytes = Field(
        1024**3, ge=256 * 1024 * 1024, description="The maximum memory of each process (RLIMIT_DATA)."
    )
    max_written_bytes: Bytes = Field(
        4_294_967_296,
        ge=1024 * 1024,
        description="The maximum size of a file that a process writes (RLIMIT_FSIZE): a picture, a fetched source, or a"
        " temporary file of libvips for an image too large for memory. The URL of an image that needs a larger file is"
        " refused.",
    )


class RenderHttpSettings(PublicUrlSettings):
    max_age_seconds: Annotated[int, Unit("seconds")] = Field(
        2_592_000, ge=0, description="How long caches may keep an image, at most until its URL expires."
    )
    lookup_seconds: Seconds = Field(
        20,
        ge=0,
        le=50,
        description="How long the existence of a file is cached. A deleted file may still be served for this long.",
    )
    avif_pixels: Annotated[int, Unit("pixels")] = Field(
        2_000_000,
        ge=0,
        description="The maximum size of a result that is encoded as AVIF if the client chooses the format; larger"
        " results take seconds.",
    )
    fallback_file_id: int = Field(
        0,
        ge=0,
        description="The id of the file that is processed instead if the source is missing or is not an"
        " image. 0: none.",
    )
    client_hints: bool = Field(
        default=False,
        description="Whether `Save-Data` reduces the quality and `Sec-CH-Width` the width of the image. Caches then"
        " keep a variant for each value.",
    )


class OriginSettings(Section):
    hosts: list[Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9.-]+$")]] = Field(
        [],
        description="Other servers whose images may be processed, such as `cdn.example.org` or `*.example.org`. Empty:"
        " none.",
    )
    allow_networks: list[IPvAnyNetwork] = Field(
        [], description="Non-public networks that an origin may be in, such as `[10.1.0.0/16]`."
    )
    max_bytes: Bytes = Field(33_554_432, ge=1, description="The maximum size of a fetched file.")
    timeout_seconds: Seconds = Field(5, gt=0, le=60, description="How long a fetch from an origin may take in total.")
    fetches: Annotated[int, Unit("fetches")] = Field(
        32, ge=1, le=256, description="The maximum number of fetches at the same time."
    )
    fetches_of_a_host: Annotated[int, Unit("fetches")] = Field(
        8,
        ge=1,
        le=256,
        description="The maximum number of fetches from one host at the same time, so that a slow host does not delay"
        " pictures of others.",
    )
    queue: Annotated[int, Unit("fetches")] = Field(
        256,
        ge=2,
        le=100_000,
        description="The maximum number of fetches that wait, at most half of them for one host. Further requests get"
        " 503.",
    )
    queue_seconds: Seconds = Field(
        10, gt=0, le=300, description="How long a fetch waits for its turn before the request gets 503."
    )
    max_redirects: int = Field(
        3,
        ge=0,
        le=10,
        description="The maximum number of redirects that are followed. Each target is checked like the first URL.",
    )
    fresh_seconds: Annotated[int, Unit("seconds")] = Field(
        86_400,
        ge=0,
        description="The maximum time that a fetched file is used before the origin is asked whether it has changed."
        " The origin's `Cache-Control` can shorten it.",
    )


class RenderSettings(ServiceSettings):
    """The settings of the render service, which serves images by URL.

    It is a separate service with its own settings, so that no process of the API waits for an image.
    """

    model_config = SettingsConfigDict(env_prefix="RENDER_", yaml_file="config/render/conf.yml")

    native: NativeUrlSettings
    thumbor: ThumborSettings
    imagor: ImagorSettings
    imgproxy: ImgproxySettings
    presets: PipelinesByName = Field(
        PRESETS,
        description="Named pipelines for Pixmill's own URLs: `/img/{signature}/p:avatar/42`. They have the form of"
        " `presets` in `config/image-processor/conf.yml`; the service does not start with an invalid preset.",
    )
    file_storage: RenderFileSettings
    image_processor: RenderPresetSettings
    front: FrontCacheSettings
    cache: RenderCacheSettings
    pool: RenderPoolSettings
    limits: RenderLimitSettings
    sandbox: SandboxMode = Field(
        "auto",
        description="Whether the processes that render run in a sandbox: they can open only code, fonts, blobs and"
        " their own files, cannot start programs, and can connect only to the ports of the file server. `auto`: as far"
        " as the kernel supports Landlock and seccomp. `off`: no sandbox.",
    )
    sandbox_ports: SandboxPorts = Field(
        [],
        description="Additional TCP ports that the sandbox allows: the port of S3, usually 443, if `download.redirect`"
        " redirects downloads.",
    )
    http: RenderHttpSettings
    origins: OriginSettings
    log: LogSettings

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        """Check that each URL belongs to one dialect, and that no dialect without a key takes those of another one."""
        peers: Mapping[str, PeerUrlSettings] = {
            "thumbor": self.thumbor,
            "imagor": self.imagor,
            "imgproxy": self.imgproxy,
        }
        open_paths = {"native": self.native.path} if self.native.keys else {}
        open_paths |= {name: peer.path for name, peer in peers.items() if peer.enabled and peer.path}
        hosts = {name: peer.host for name, peer in peers.items() if peer.enabled and peer.host}
        for key, places in (("path", open_paths), ("host", hosts)):
            for (name, place), (other, other_place) in combinations(places.items(), 2):
                if place == other_place:
                    raise ValueError(f"{name}.{key} and {other}.{key} are both '{place}': each dialect needs its own")
        for closed, peer in peers.items():
            for name, path in open_paths.items():
                if peer.path and not peer.enabled and path.startswith(peer.path):
                    raise ValueError(
                        f"{name}.path ('{path}') is under {closed}.path ('{peer.path}'), whose URLs get 404, because"
                        f" {closed} has no key: change one of them"
                    )
        return self
