"""The settings of image-processor and of its worker; their ``conf.yml`` files explain each."""

from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, JsonValue
from pydantic_settings import SettingsConfigDict
from service_kit.settings import Secret, Section, ServiceSettings, Url

from image_processor import capacity


class DatabaseSettings(Section):
    url: Url
    pool_size: int = Field(ge=1, le=1000)


class BrokerSettings(Section):
    url: Url
    queue_type: Literal["quorum", "classic"]
    transport_options: dict[str, str | int | float | bool]


class FileStorageSettings(Section):
    url: Url
    timeout_seconds: float = Field(gt=0, le=3600)


class BlobSourceSettings(FileStorageSettings):
    blobs_folder: str
    blobs_url: str = Field(pattern=r"^(https?://.+/)?$")


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"]


class LimitSettings(Section):
    max_file_bytes: int = Field(ge=1)
    max_task_bytes: int = Field(ge=1)
    max_pixels: int = Field(ge=1)
    max_frames: int = Field(ge=1)
    max_seconds: int = Field(ge=1, le=86_400)
    max_memory_bytes: int = Field(ge=256 * 1024 * 1024)


class LeaseSettings(Section):
    seconds: float = Field(ge=2, le=3600)
    heartbeat_seconds: float = Field(gt=0, le=60)


class CallbackSettings(Section):
    secret: Secret
    allow_networks: list[IPvAnyNetwork]
    timeout_seconds: float = Field(gt=0, le=300)
    max_seconds: float = Field(ge=0)


class EventSettings(Section):
    poll_seconds: float = Field(gt=0, le=10)
    backlog: int = Field(ge=10, le=1_000_000)


class RetrySettings(Section):
    max_seconds: float = Field(ge=0)
    base_delay_seconds: float = Field(gt=0)
    max_delay_seconds: float = Field(gt=0)
    max_crashes: int = Field(ge=1, le=100)
    max_losses: int = Field(ge=1, le=1000)


class RelaySettings(Section):
    interval_seconds: float = Field(gt=0, le=3600)
    hints: int = Field(ge=1, le=10_000)
    keep_events_seconds: float = Field(ge=60)
    keep_cache_seconds: float = Field(ge=0)


class ApiSettings(ServiceSettings):
    """What the HTTP service needs."""

    model_config = SettingsConfigDict(env_prefix="IMAGE_PROCESSOR_", yaml_file="config/image-processor/conf.yml")

    database: DatabaseSettings
    broker: BrokerSettings
    file_storage: FileStorageSettings
    hints: int = Field(ge=1, le=10_000)
    presets: dict[Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")], dict[str, JsonValue]]
    events: EventSettings
    log: LogSettings


class WorkerSettings(ServiceSettings):
    """What a worker needs."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", yaml_file="config/worker/conf.yml")

    database: DatabaseSettings
    broker: BrokerSettings
    file_storage: BlobSourceSettings
    concurrency: int = Field(ge=0, le=256)
    shutdown_seconds: float = Field(ge=0, le=3600)
    scratch_folder: str = Field(min_length=1)
    limits: LimitSettings
    lease: LeaseSettings
    retry: RetrySettings
    callbacks: CallbackSettings
    relay: RelaySettings
    log: LogSettings

    @property
    def processes(self) -> int:
        """How many work on tasks at the same time."""
        return self.concurrency or capacity.processes()
