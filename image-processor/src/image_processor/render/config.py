"""The settings of the render service; ``make config`` writes ``conf.yml``."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from service_kit.public_url import PublicUrlSettings
from service_kit.settings import (
    Bytes,
    LogSettings,
    Seconds,
    Secret,
    Section,
    ServiceSettings,
    Unit,
    Url,
)

from image_processor import capacity
from image_processor.config import PRESETS, BlobSourceSettings, PipelinesByName, SandboxMode, SandboxPorts
from image_processor.render.signing import LEAST_SIGNATURE_BYTES, check_key

Path = Annotated[str, Field(pattern=r"^(/[\w.-]+)+/$|^$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]*$")]
_KEYS = (
    "Empty: such URLs answer 404. All keys are accepted, the first one signs: to replace a key, put the new one"
    " before it. At least 16 bytes; examples of the peers' documentation stop the start. `${NAME}` is replaced by that"
    " environment variable, or by the file of that name in the folder `PIXMILL_SECRETS`."
)


class DialectSettings(Section):
    """The settings that all URL dialects share.

    :ivar keys: each key's bytes are its text in UTF-8.
    """

    keys: list[Secret] = Field([], description=f"The keys that sign. {_KEYS}")

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            check_key(key.get_secret_value().encode())
        return keys

    @property
    def secrets(self) -> Sequence[bytes]:
        """Return the keys as bytes."""
        return [key.get_secret_value().encode() for key in self.keys]


class NativeUrlSettings(DialectSettings):
    keys: list[Secret] = Field(
        [SecretStr("${PIXMILL_RENDER_SECRET}")],
        description=f"The keys that sign. The first start generates one. {_KEYS}",
    )
    path: Path = Field("/img/", description="Before Pixmill's own URLs: `/img/{signature}/p:avatar/42.webp`.")
    negotiate: bool = Field(
        default=True,
        description="Whether a client that accepts AVIF or WebP gets it, where the URL names no format.",
    )


class PeerUrlSettings(DialectSettings):
    path: Path = Field("", description="Before the URLs of this form, with a slash at both ends; empty: no path.")
    host: Host = Field(
        "", description="A host name whose URLs are all of this form, as a peer's were: clients change nothing else."
    )
    unsafe: bool = Field(
        default=False,
        description="Whether URLs without a signature are served, to everybody and in every size. Only for a network"
        " that you trust.",
    )
    negotiate: bool = Field(
        default=False,
        description="Whether a client that accepts AVIF or WebP gets it, where the URL names no format.",
    )

    @property
    def enabled(self) -> bool:
        return bool(self.keys) or self.unsafe


class ThumborSettings(PeerUrlSettings):
    path: Path = Field("/img/thumbor/", description="Before thumbor's URLs, with a slash at both ends; empty: no path.")
    quality: int = Field(80, ge=1, le=100, description="Of JPEG, WebP and AVIF, where the URL names none.")
    respect_orientation: bool = Field(
        default=False,
        description="Whether images are turned as EXIF says, which thumbor does not do by default.",
    )


class ImagorSettings(PeerUrlSettings):
    path: Path = Field("/img/imagor/", description="Before imagor's URLs, with a slash at both ends; empty: no path.")
    algorithm: Literal["sha1", "sha256", "sha512"] = Field("sha1", description="The hash of the signature.")
    truncate: int = Field(
        0, ge=0, le=88, description="Letters of the signature that are kept, at least 17; 0: all of them."
    )
    quality: int = Field(75, ge=1, le=100, description="Of JPEG, WebP and AVIF, where the URL names none.")
    strip_metadata: bool = Field(default=False, description="Whether results lose EXIF, XMP and IPTC.")

    @model_validator(mode="after")
    def _check_truncation(self) -> Self:
        if 0 < self.truncate < 17:
            raise ValueError(f"imagor.truncate ({self.truncate}) is less than 17: such a signature could be guessed")
        return self


class ImgproxySettings(PeerUrlSettings):
    path: Path = Field(
        "/img/imgproxy/", description="Before imgproxy's URLs, with a slash at both ends; empty: no path."
    )
    keys: list[Secret] = Field([], description=f"The keys that sign, in hexadecimal digits. {_KEYS}")
    salts: list[Secret] = Field([], description="The salts of the keys, in the same order, in hexadecimal digits.")
    signature_size: Annotated[int, Unit("bytes")] = Field(
        32, ge=LEAST_SIGNATURE_BYTES, le=32, description="How much of a signature is kept."
    )
    trusted_signatures: list[str] = Field([], description="Words that stand for a signature.")
    presets: list[str] = Field(
        [],
        description="Options with a name, as imgproxy has them: `name=resizing_type:fill/quality:70`. That of `default`"
        " comes before all others.",
    )
    only_presets: bool = Field(default=False, description="Whether URLs name presets instead of options.")
    base_url: str = Field("", description="Put before each source that does not begin with it.")
    url_replacements: list[tuple[str, str]] = Field(
        [], description="Regular expressions and what their matches in sources become, as `[[old, new]]`."
    )
    arguments_separator: str = Field(
        ":", min_length=1, max_length=3, description="What separates an option and its arguments."
    )
    base64_url_includes_filename: bool = Field(
        default=False, description="Whether a file name follows a source in base64."
    )
    allow_security_options: bool = Field(
        default=False, description="Whether URLs may change limits: `msr`, `msfs`, `maf`, `mafr` and `mrd`."
    )
    allowed_processing_options: list[str] = Field(
        [], description="The only options that URLs may have; empty: all of them. Presets may have others."
    )
    pro: bool = Field(
        default=True, description="Whether options of imgproxy Pro are understood, where Pixmill has the operation."
    )
    watermark: str = Field(
        "", description="The picture of `watermark`: the id of a file. Empty: the option has no effect, as in imgproxy."
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
        description="The file server, to look up files and to fetch them: through nginx, by its inner port.",
    )


class RenderPresetSettings(Section):
    url: Url = Field(
        "http://nginx:8081/api/image-processing",
        description="The API that has the presets of owners: through nginx, by its inner port. It is sent"
        " `file_storage.inner_secret`.",
    )
    timeout_seconds: Seconds = Field(
        5, gt=0, le=3600, description="How long a request for a preset waits for an answer; then it gets 503."
    )


class FrontCacheSettings(Section):
    url: str = Field(
        "http://nginx:8081",
        pattern=r"^(https?://.+)?$",
        description="The inner port of the nginx that may keep images, as long as it is remembered that their files"
        " exist; `DELETE …/renders/{file_id}` makes it forget them. Empty: nginx keeps none.",
    )
    timeout_seconds: Seconds = Field(5, gt=0, le=3600, description="How long nginx may take to forget an image.")


class RenderCacheSettings(Section):
    folder: str = Field(
        "/var/lib/pixmill-renders", min_length=1, description="The folder of results; nothing else is in it."
    )
    max_bytes: Bytes = Field(
        10 * 1024**3,
        ge=1024 * 1024,
        description="The most that results may have together. Beyond it, those that nobody asked for the longest go.",
    )
    keep_free_bytes: Bytes = Field(
        1024**3, ge=0, description="What stays free on the disk: with less, results are removed, too."
    )


class RenderPoolSettings(Section):
    processes: Annotated[int, Unit("processes")] = Field(
        0,
        ge=0,
        le=256,
        description="Processes that render. 0: one for each core of the machine or the container, as far as its memory"
        " allows, and at least two.",
    )
    queue: Annotated[int, Unit("renders")] = Field(
        256,
        ge=1,
        le=100_000,
        description="The most renders that wait for a process; a page of thumbnails asks for many at once. Further ones"
        " answer 503.",
    )
    queue_seconds: Seconds = Field(
        10, gt=0, le=300, description="How long a render waits for a process; then it answers 503."
    )
    max_renders: Annotated[int, Unit("renders")] = Field(
        1000, ge=1, description="The renders after which a process is replaced by a new one."
    )
    max_resident_bytes: Bytes = Field(
        384 * 1024**2,
        ge=64 * 1024**2,
        description="A process that still has more memory after a render is replaced by a new one.",
    )

    @property
    def count(self) -> int:
        """Return the number of render processes."""
        return self.processes or capacity.processes()


class RenderLimitSettings(Section):
    max_file_bytes: Bytes = Field(134_217_728, ge=1, description="The largest source; a larger one answers 413.")
    max_pixels: Annotated[int, Unit("pixels")] = Field(
        100_000_000, ge=1, description="The largest image, before and after processing, all frames together."
    )
    max_frames: Annotated[int, Unit("frames")] = Field(200, ge=1, description="The most frames of an animation.")
    max_decoded_bytes: Bytes = Field(
        2_147_483_648,
        ge=1,
        description="The most that the pixels of an image may take once decoded, as in `config/worker/conf.yml`.",
    )
    max_seconds: Seconds = Field(
        20,
        gt=0,
        le=3600,
        description="The longest render. Then its process is killed, and the URL is refused for a minute.",
    )
    max_memory_bytes: Bytes = Field(
        1024**3, ge=256 * 1024 * 1024, description="The memory of each process (RLIMIT_DATA)."
    )


class RenderHttpSettings(PublicUrlSettings):
    max_age_seconds: Annotated[int, Unit("seconds")] = Field(
        2_592_000, ge=0, description="How long caches may keep a picture, at most up to the expiry of its URL."
    )
    lookup_seconds: Seconds = Field(
        20,
        ge=0,
        le=50,
        description="How long it is remembered that a file exists: a deleted file is served this much longer.",
    )
    avif_pixels: Annotated[int, Unit("pixels")] = Field(
        2_000_000,
        ge=0,
        description="The largest result that is AVIF where the client chooses the format; larger ones take seconds.",
    )
    fallback_file_id: int = Field(
        0, ge=0, description="The file that is sent, processed alike, where the source is missing or no image. 0: none."
    )
    client_hints: bool = Field(
        default=False,
        description="Whether `Save-Data` lowers the quality and `Sec-CH-Width` narrows the picture. Caches then keep a"
        " variant for each value.",
    )


class OriginSettings(Section):
    hosts: list[Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9.-]+$")]] = Field(
        [],
        description="Other servers whose pictures are processed, as `cdn.example.org` or `*.example.org`. Empty: none.",
    )
    allow_networks: list[IPvAnyNetwork] = Field(
        [], description="Networks that are not public and that an origin may still be in, such as `[10.1.0.0/16]`."
    )
    max_bytes: Bytes = Field(33_554_432, ge=1, description="The largest file that is fetched.")
    timeout_seconds: Seconds = Field(5, gt=0, le=60, description="How long an origin may take altogether.")
    max_redirects: int = Field(3, ge=0, le=10, description="Redirects that are followed, each judged as the first URL.")
    fresh_seconds: Annotated[int, Unit("seconds")] = Field(
        86_400,
        ge=0,
        description="The longest time that a fetched file is used before the origin is asked whether it has changed;"
        " its own `Cache-Control` shortens it.",
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
        description="Pipelines with a name, for Pixmill's own URLs: `/img/{signature}/p:avatar/42`. As in"
        " `config/image-processor/conf.yml`; a wrong preset stops the start.",
    )
    file_storage: RenderFileSettings
    image_processor: RenderPresetSettings
    front: FrontCacheSettings
    cache: RenderCacheSettings
    pool: RenderPoolSettings
    limits: RenderLimitSettings
    sandbox: SandboxMode = Field(
        "auto",
        description="Whether the processes that render are confined: they open only code, fonts, blobs and their own"
        " files, start no program, and connect only to the ports of the file server. `auto`: as far as the kernel has"
        " Landlock and seccomp. `off`: not at all.",
    )
    sandbox_ports: SandboxPorts = Field(
        [443],
        description="Further TCP ports that the sandbox allows: that of S3, if the file server redirects downloads.",
    )
    http: RenderHttpSettings
    origins: OriginSettings
    log: LogSettings
