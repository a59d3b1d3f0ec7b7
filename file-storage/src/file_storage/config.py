"""The settings of file-storage; ``config/file-storage/conf.yml`` explains each."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
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
    header: Literal["X-Accel-Redirect", "X-Sendfile"]
    root: str
    redirect: bool


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

    @field_validator("download")
    @classmethod
    def _check_who_sends(cls, download: DownloadSettings, info: ValidationInfo) -> DownloadSettings:
        in_s3 = bool("storage" in info.data and info.data["storage"].url)
        if download.redirect and not in_s3:
            raise ValueError("redirect leads to S3: set storage.url")
        if download.header == "X-Sendfile" and in_s3 and not download.redirect:
            raise ValueError("X-Sendfile names no file in S3: set redirect")
        return download
