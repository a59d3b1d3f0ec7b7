"""The settings of file-storage; ``make config`` writes ``config/file-storage/conf.yml`` from them."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict
from service_kit.events.settings import EventSettings
from service_kit.public_url import PublicUrlSettings
from service_kit.settings import (
    Bytes,
    LogSettings,
    PoolSize,
    Seconds,
    Section,
    ServiceSettings,
    SigningSecrets,
    Url,
    separate,
)


class DatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://file_storage:${PIXMILL_FILE_STORAGE_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The database, as a URL of SQLAlchemy: `postgresql+psycopg://…` or `sqlite:////absolute/path.db`."
        " The first start generates the password of this role.",
    )
    pool_size: PoolSize = Field(
        16,
        ge=1,
        le=1000,
        description="The most connections of a uWSGI process. With fewer than `threads` in `wsgi.ini`,"
        " requests would wait for a connection; the start is refused.",
    )


class StorageSettings(Section):
    folder: str = Field(
        "/var/lib/pixmill",
        min_length=1,
        description="The folder of stored bytes. The service creates `blobs/`, `staging/` and `uploads/` in it. It must"
        " be a single file system, so that a rename is atomic.",
    )
    url: str = Field(
        "",
        pattern=r"^(s3://[^/]+(/.*)?)?$",
        description="Where blobs are stored instead: `s3://bucket/prefix`. Credentials, region and endpoint come from"
        " `config/s3.env`. Uploads still pass through the folder. Empty: in the folder.",
    )
    reserve_bytes: Bytes = Field(
        268_435_456,
        ge=0,
        description="Free space that uploads leave on the file system, so that it never fills up. An upload"
        " that does not fit gets 507.",
    )
    quota_bytes: Bytes = Field(
        0,
        ge=0,
        description="The most that all files and unfinished resumable uploads may have together; bytes that files share"
        " count once. What goes beyond it gets 507. 0: no limit but `reserve_bytes`; set one where others can upload,"
        " such as 80 % of the disk. Limits of each owner: `PUT /api/owners/{name}/limits`.",
    )


class UploadSettings(Section):
    max_bytes: Bytes = Field(
        5_368_709_120,
        ge=1,
        description="The largest file. A larger one gets 413. `NGINX_MAX_BODY` in `config/nginx.env` must be a little"
        " larger, because a form has more bytes than its file.",
    )
    body_folder: str = Field(
        "/var/lib/pixmill/incoming",
        description="The folder where nginx writes a raw body (`client_body_temp_path`). On the file system of"
        " `storage.folder`, the body becomes the file without a copy, and a large body is read there while it arrives."
        " Empty: no nginx in front of the service.",
    )
    resumable_seconds: Seconds = Field(
        86_400,
        gt=0,
        description="How long an unfinished resumable upload is kept after its client last sent bytes. A client on a"
        " bad connection may need hours; an abandoned upload takes space.",
    )


class TrashSettings(Section):
    seconds: Seconds = Field(
        86_400,
        ge=0,
        le=315_360_000,
        description="How long a deleted file can be restored; until then its bytes take space and count towards quotas."
        " A day is enough to notice a mistake, and what is deleted for room is gone by tomorrow; `POST /trash/empty`"
        " makes room now. 0: no trash, a deletion is for good.",
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
        description="Whether clients get bytes directly from S3, by a signed URL that is valid for an hour. nginx then"
        " transfers less, but clients see the headers of the bucket, which lack the file's name. nginx still sends what"
        " S3 would answer differently, such as `If-Match` with our ETag. Only with `storage.url`.",
    )


class ArchiveSettings(Section):
    max_files: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="The most files in one ZIP archive that filters choose; more of them get 422. The names of all"
        " files are in memory while an archive is sent: some 2 KB each. 10,000 is a whole batch.",
    )


class LinkSettings(Section):
    secret: SigningSecrets = Field(
        SecretStr("${PIXMILL_LINK_SECRET}"),
        description="Signs download links (HMAC-SHA256); at least 32 bytes. Several with commas between them: the first"
        " signs, all verify. To change it without ending links, put the new one in front and remove the old one"
        " when the last link has expired: a week later, or 90 days if there are links for sets of files.",
    )

    @property
    def secrets(self) -> list[str]:
        return separate(self.secret)


class FileEventSettings(EventSettings):
    keep_seconds: Seconds = Field(
        86_400,
        ge=60,
        description="How long events are kept. A listener can reconnect this much later without missing any.",
    )


class HttpSettings(PublicUrlSettings):
    """Where clients are."""


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="FILE_STORAGE_", yaml_file="config/file-storage/conf.yml")

    database: DatabaseSettings
    storage: StorageSettings
    upload: UploadSettings
    trash: TrashSettings
    download: DownloadSettings
    archive: ArchiveSettings
    links: LinkSettings
    http: HttpSettings
    events: FileEventSettings
    log: LogSettings

    @model_validator(mode="after")
    def _check_sender(self) -> Self:
        if self.download.redirect and not self.storage.url:
            raise ValueError("download.redirect leads to S3: set storage.url")
        if self.download.header == "X-Sendfile" and self.storage.url and not self.download.redirect:
            raise ValueError(
                "download.header is X-Sendfile, which cannot name files in storage.url: set download.redirect"
            )
        return self
