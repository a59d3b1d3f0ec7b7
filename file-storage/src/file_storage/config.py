"""The settings of file-storage; ``config/file-storage/conf.yml`` explains each."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from service_kit.settings import Secret, Section, ServiceSettings, Url


class DatabaseSettings(Section):
    url: Url
    pool_size: int = Field(ge=1, le=1000)


class StorageSettings(Section):
    folder: str = Field(min_length=1)
    url: str = Field(pattern=r"^(s3://[^/]+(/.*)?)?$")
    reserve_bytes: int = Field(ge=0)
    quota_bytes: int = Field(ge=0)


class UploadSettings(Section):
    max_bytes: int = Field(ge=1)
    body_folder: str
    resumable_seconds: float = Field(gt=0)


class DownloadSettings(Section):
    header: Literal["X-Accel-Redirect", "X-Sendfile", "Location"]
    root: str
    all_ranges: bool


class LinkSettings(Section):
    secret: Secret = Field(min_length=8)


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"]


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="FILE_STORAGE_", yaml_file="config/file-storage/conf.yml")

    database: DatabaseSettings
    storage: StorageSettings
    upload: UploadSettings
    download: DownloadSettings
    links: LinkSettings
    log: LogSettings
