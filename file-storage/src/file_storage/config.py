"""The settings of file-storage; ``make config`` writes ``config/file-storage/conf.yml`` from them."""

import os
import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict
from service_kit.access.principals import Process
from service_kit.events.settings import EventSettings
from service_kit.public_url import PublicUrlSettings
from service_kit.settings import (
    THREADS_VARIABLE,
    Bytes,
    LogSettings,
    PoolSize,
    Seconds,
    Section,
    ServiceSettings,
    SigningSecret,
    SigningSecrets,
    Url,
    separate,
)

_FORM_BYTES = 1024 * 1024
"""Room for the form around a file."""
_UNITS_OF_NGINX = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MAX_OF_NGINX = 2**63 - 1


class DatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://file_storage:${PIXMILL_FILE_STORAGE_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The SQLAlchemy URL of the database: `postgresql+psycopg://…` or `sqlite:////absolute/path.db`."
        " The first start generates the password of the database role.",
    )
    pool_size: PoolSize = Field(
        16,
        ge=1,
        le=1000,
        description="The maximum number of connections per uWSGI process. The service does not start if it is less"
        " than `threads` in `wsgi.ini`, because requests would wait for a connection.",
    )


class StorageSettings(Section):
    folder: str = Field(
        "/var/lib/pixmill",
        min_length=1,
        description="The folder of stored files. The service creates `blobs/`, `staging/` and `uploads/` in it. They"
        " must be on a single file system, so that a rename is atomic.",
    )
    url: str = Field(
        "",
        pattern=r"^(s3://[^/]+(/.*)?)?$",
        description="The S3 location of blobs: `s3://bucket/prefix`. Credentials, region and endpoint come from"
        " `config/s3.env`. Uploads still pass through `storage.folder`. Empty: blobs are stored in `storage.folder`.",
    )
    reserve_bytes: Bytes = Field(
        268_435_456,
        ge=0,
        description="How much space uploads leave free on the file system, so that it never fills up. An upload that"
        " does not fit gets 507.",
    )
    quota_bytes: Bytes = Field(
        0,
        ge=0,
        description="The maximum total size of files and unfinished uploads: resumable ones, and others of at least"
        " 10 MB; bytes that files share count once. A request that would exceed it gets 507. 0: no limit except"
        " `reserve_bytes`; if others can upload, set a limit, such as 80% of the disk. `PUT /api/owners/{name}/limits`"
        " sets the limits of an owner.",
    )


class UploadSettings(Section):
    max_bytes: Bytes = Field(
        5_368_709_120,
        ge=1,
        description="The maximum size of a file. A larger file gets 413. `NGINX_MAX_BODY` in `config/limits.env` must"
        " be at least 1 MiB larger, because a form is larger than its file.",
    )
    body_folder: str = Field(
        "/var/lib/pixmill/incoming",
        description="The folder where nginx writes a raw body (`client_body_temp_path`). If it is on the file system"
        " of `storage.folder`, the body becomes the stored file without a copy, and the service reads a large body"
        " while it arrives. Empty: there is no nginx in front of the service.",
    )
    resumable_seconds: Seconds = Field(
        86_400,
        gt=0,
        description="How long an unfinished resumable upload is kept after its client last sent bytes. A client on a"
        " bad connection may need hours; an abandoned upload takes space.",
    )
    max_unfinished: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="The maximum number of unfinished resumable uploads of an owner; a further one gets 429. Quotas do"
        " not limit their number, because an upload without bytes takes none, but each has a row and a file. Parts"
        " count until they are deleted or expire, also after they were put together. Each new upload counts the others,"
        " which takes a few milliseconds for ten thousand.",
    )


class TrashSettings(Section):
    seconds: Seconds = Field(
        86_400,
        ge=0,
        le=315_360_000,
        description="How long a deleted file can be restored. Until then its bytes take space and count towards quotas."
        " A day is enough to notice a mistake, and the space is free again the next day; `POST /trash/empty` frees it"
        " immediately. 0: no trash; deletions are permanent.",
    )


class DownloadSettings(Section):
    header: Literal["X-Accel-Redirect", "X-Sendfile"] = Field(
        "X-Accel-Redirect",
        description="The response header that makes the web server send a stored file: `X-Accel-Redirect` for nginx,"
        " `X-Sendfile` for the front of `make run`.",
    )
    root: str = Field(
        "/blobs/",
        description="The prefix of a blob's path in that header: the internal location of nginx, or the folder of blobs"
        " for `X-Sendfile`. Blobs in S3 have another location in `config/nginx.conf`, `/s3/`.",
    )
    redirect: bool = Field(
        default=False,
        description="Whether downloads are redirected to S3, with a signed URL that is valid for an hour. nginx then"
        " transfers less, but clients see the bucket's response headers, which lack the file's name. nginx still"
        " answers requests that S3 would answer differently, such as `If-Match` with Pixmill's ETag. Requires"
        " `storage.url`.",
    )


class ArchiveSettings(Section):
    max_files: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="The maximum number of files in a ZIP archive that is requested by ids or filters; a request for"
        " more gets 422. One request names at most 10,000 ids. The names of all files are in memory while an archive is"
        " sent: about 2 KB each. 10,000 is the size of the largest batch.",
    )


class LinkSettings(Section):
    secret: SigningSecrets = Field(
        SecretStr("${PIXMILL_LINK_SECRET}"),
        description="The secret that signs download links (HMAC-SHA256); at least 32 bytes. Several secrets are"
        " separated by commas: the first signs, all verify. To change the secret without invalidating links, put the"
        " new secret first and remove the old one when the last link has expired: after a week, or after 90 days if"
        " there are links for sets of files.",
    )

    @property
    def secrets(self) -> list[str]:
        return separate(self.secret)


class FileEventSettings(EventSettings):
    keep_seconds: Seconds = Field(
        86_400,
        ge=60,
        description="How long events are kept. A listener that reconnects within this time misses no events.",
    )


class HttpSettings(PublicUrlSettings):
    """How clients reach the service."""


class InnerSettings(Section):
    worker_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_WORKER_INNER_SECRET}"),
        description="The secret with which workers authenticate. With it they look up, read and copy files, store"
        " results, and delete results by their idempotency keys, for any owner; nothing else. Generated at the first"
        " start, like the others.",
    )
    render_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_RENDER_INNER_SECRET}"),
        description="The secret with which the render service authenticates, to look up and read files.",
    )
    image_processor_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_IMAGE_PROCESSOR_INNER_SECRET}"),
        description="The secret with which image-processor authenticates, to look up files.",
    )

    @model_validator(mode="after")
    def _check_difference(self) -> Self:
        if len(set(self.by_process.values())) < len(self.by_process):
            raise ValueError("two processes have the same secret: one of them would have the access of the other")
        return self

    @property
    def by_process(self) -> Mapping[Process, str]:
        """Return the secret of each process that may send requests."""
        return {
            Process.WORKER: self.worker_secret.get_secret_value(),
            Process.RENDER: self.render_secret.get_secret_value(),
            Process.IMAGE_PROCESSOR: self.image_processor_secret.get_secret_value(),
        }


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="FILE_STORAGE_", yaml_file="config/file-storage/conf.yml")

    database: DatabaseSettings
    storage: StorageSettings
    upload: UploadSettings
    trash: TrashSettings
    download: DownloadSettings
    archive: ArchiveSettings
    links: LinkSettings
    inner: InnerSettings
    http: HttpSettings
    events: FileEventSettings
    log: LogSettings

    @model_validator(mode="after")
    def _check_bodies_of_nginx(self) -> Self:
        most = os.environ.get("NGINX_MAX_BODY", "0")
        size = re.fullmatch(r"([0-9]+)([kKmMgG]?)", most)
        accepted = int(size[1]) * _UNITS_OF_NGINX[size[2].lower()] if size else -1
        if not 0 <= accepted <= _MAX_OF_NGINX:
            raise ValueError(f"NGINX_MAX_BODY ({most}) is not a size such as 5130m")
        if 0 < accepted < self.upload.max_bytes + _FORM_BYTES:
            raise ValueError(
                f"upload.max_bytes ({self.upload.max_bytes}) is too large for NGINX_MAX_BODY ({most}), which must be at"
                " least 1 MiB larger: change config/limits.env"
            )
        return self

    @model_validator(mode="after")
    def _check_streams_of_nginx(self) -> Self:
        streams = int(os.environ.get("NGINX_STREAMS", "0"))
        # One of the processes takes only large uploads.
        threads = (int(os.environ.get("PIXMILL_PROCESSES", "0")) - 1) * int(os.environ.get(THREADS_VARIABLE, "0"))
        if streams >= threads > 0:
            raise ValueError(
                f"NGINX_STREAMS ({streams}) leaves no thread to other requests: it must be less than {threads},"
                " threads × (processes - 1) in wsgi.ini"
            )
        return self

    @model_validator(mode="after")
    def _check_sender(self) -> Self:
        if self.download.redirect and not self.storage.url:
            raise ValueError("download.redirect redirects to S3: set storage.url")
        if self.download.header == "X-Sendfile" and self.storage.url and not self.download.redirect:
            raise ValueError(
                "download.header is X-Sendfile, which cannot send files from storage.url: set download.redirect"
            )
        return self
