"""The settings of image-processor, its worker and its webhook sender; ``make config`` writes ``conf.yml``."""

import base64
import binascii
import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyNetwork, JsonValue, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict
from service_kit.events.settings import EventSettings
from service_kit.secrets import MIN_BYTES
from service_kit.settings import (
    Bytes,
    LogSettings,
    PoolSize,
    Seconds,
    Secret,
    Section,
    ServiceSettings,
    SigningSecret,
    Unit,
    Url,
)

from image_processor import capacity
from image_processor.durations import seconds_of

WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix, no secret)  # nosec B105

SandboxMode = Literal["auto", "off"]
SandboxPorts = list[Annotated[int, Field(ge=1, le=65_535)]]

GRACE_PERIOD_VARIABLE = "PIXMILL_STOP_GRACE_PERIOD"
"""How long Docker waits before it kills a worker that it stops, as in ``docker-compose.yml``."""


class ApiDatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://image_processor:${PIXMILL_IMAGE_PROCESSOR_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The SQLAlchemy URL of image-processor's database: `postgresql+psycopg://…` or"
        " `sqlite:////absolute/path.db`. The first start generates the password of the database role.",
    )
    pool_size: PoolSize = Field(
        8,
        ge=1,
        le=1000,
        description="The maximum number of connections per uWSGI process. The service does not start if it is less"
        " than `threads` in `wsgi.ini`, because requests would wait for a connection.",
    )


class WorkerDatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://worker:${PIXMILL_WORKER_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The SQLAlchemy URL of image-processor's database: `postgresql+psycopg://…` or"
        " `sqlite:////absolute/path.db`. The database role may read tasks and change their state, with their"
        " events, counts and results, and when chores are due, but neither their parameters nor their webhooks, and"
        " reaches no presets. The first start generates its password.",
    )
    pool_size: Annotated[int, Unit("connections")] = Field(
        4,
        ge=3,
        le=1000,
        description="The maximum number of connections per worker process. A process that runs tasks needs one"
        " connection; the main process needs three: for the relay, the heartbeat and housekeeping.",
    )


class WebhookDatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://webhooks:${PIXMILL_WEBHOOKS_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The SQLAlchemy URL of image-processor's database: `postgresql+psycopg://…` or"
        " `sqlite:////absolute/path.db`. The database role may read and change only undelivered webhooks, the"
        " state of their hosts and when chores are due. The first start generates its password.",
    )
    pool_size: Annotated[int, Unit("connections")] = Field(
        4,
        ge=1,
        le=1000,
        description="The maximum number of connections of the process. Deliveries that end at the same time need one"
        " each.",
    )


class BrokerSettings(Section):
    url: Url = Field(
        "amqp://${RABBITMQ_DEFAULT_USER}:${RABBITMQ_DEFAULT_PASS}@rabbitmq:5672//",
        description="The kombu URL of the broker; the same for image-processor and its workers. The first start"
        " generates the password, unless `config/rabbitmq.env` sets it.",
    )
    queue_type: Literal["quorum", "classic"] = Field(
        "quorum",
        description="The type of the RabbitMQ queue; the same for image-processor and its workers. A `quorum` queue"
        " survives the loss of a RabbitMQ node.",
    )
    transport_options: dict[str, str | int | float | bool] = Field(
        {"confirm_publish": True, "connect_timeout": 0.5, "read_timeout": 0.8, "write_timeout": 0.8, "max_retries": 0},
        description="Options of kombu's transport. `confirm_publish`: a message counts as sent when RabbitMQ has"
        " written it to disk. The timeouts are in seconds: a request waits this long for a broker that does not"
        " answer, then leaves the message to the workers' relay. `max_retries` 0: the request does not try to connect"
        " again.",
    )


class WorkerBrokerSettings(BrokerSettings):
    transport_options: dict[str, str | int | float | bool] = Field(
        {"confirm_publish": True, "connect_timeout": 3, "read_timeout": 10, "write_timeout": 10, "max_retries": 0},
        description="Options of kombu's transport. `confirm_publish`: a message counts as sent when RabbitMQ has"
        " written it to disk. The timeouts are in seconds. They are longer than those of image-processor, because no"
        " client waits. `max_retries` 0: the relay continues its other work and connects again in its next round.",
    )


class FileStorageSettings(Section):
    url: Url = Field(
        "http://file-storage:8000/api/file-server",
        description="The URL of the file server for looking up file ids: its own address, not that of nginx.",
    )
    timeout_seconds: Seconds = Field(
        5, gt=0, le=3600, description="How long a request waits for a response from the file server before it gets 503."
    )
    inner_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_IMAGE_PROCESSOR_INNER_SECRET}"),
        description="The secret that authenticates requests to the file server: its `inner.image_processor_secret`.",
    )


class BlobSourceSettings(FileStorageSettings):
    url: Url = Field(
        "http://nginx:8081/api/file-server",
        description="The URL of the file server for fetching sources and storing results, through nginx, which sends"
        " the bytes. The inner port of nginx has no rate limits.",
    )
    timeout_seconds: Seconds = Field(
        30,
        gt=0,
        le=3600,
        description="The maximum pause between bytes of a transfer. After a longer pause the transfer fails, and the"
        " task is retried.",
    )
    inner_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_WORKER_INNER_SECRET}"),
        description="The secret that authenticates requests to the file server: its `inner.worker_secret`.",
    )
    blobs_folder: str = Field(
        "/var/lib/pixmill/blobs",
        description="The folder of the file server's blobs, if this machine has access to it; read-only access is"
        " enough. Sources are read from it instead of transferred; a source that is not in it is fetched. Empty: all"
        " sources are fetched.",
    )
    blobs_url: str = Field(
        "http://nginx:8081/blobs-by-sha256/",
        pattern=r"^(https?://.+/)?$",
        description="The URL at which nginx sends sources by the SHA-256 of their bytes, without a request to the file"
        " server. A source that is not found there, such as one in S3, comes from `file_storage.url`. Empty: all"
        " sources do.",
    )


class LimitSettings(Section):
    max_file_bytes: Bytes = Field(
        536_870_912, ge=1, description="The maximum size of a source. A task with a larger source ends in `error`."
    )
    max_task_bytes: Bytes = Field(
        2_147_483_648,
        ge=1,
        description="The maximum total size of all files of a task, such as those of a montage; at least"
        " `limits.max_file_bytes`.",
    )
    max_pixels: Annotated[int, Unit("pixels")] = Field(
        100_000_000,
        ge=1,
        description="The maximum size of an image, before and after processing, all frames together. A small file can"
        " decode into a very large image.",
    )
    max_decoded_bytes: Bytes = Field(
        2_147_483_648,
        ge=1,
        description="The maximum size of the decoded pixels of an image, before processing and after each step: width"
        " x height x frames x bands x bytes per sample. An image has at most 5 bands.",
    )
    max_frames: Annotated[int, Unit("frames")] = Field(
        1000, ge=1, description="The maximum number of frames of an animation or pages of a TIFF."
    )
    max_seconds: Annotated[int, Unit("seconds")] = Field(
        60,
        ge=1,
        le=86_400,
        description="The maximum processing time of a task. After that, its process is killed and the task ends in"
        " `error`; this stops a decoder that hangs.",
    )
    max_memory_bytes: Bytes = Field(
        2_147_483_648,
        ge=256 * 1024 * 1024,
        description="The maximum memory of each process (RLIMIT_DATA). A task that needs more ends in `error`.",
    )
    max_written_bytes: Bytes = Field(
        4_294_967_296,
        ge=1024 * 1024,
        description="The maximum size of a file that a process writes (RLIMIT_FSIZE): a result, or a temporary file of"
        " libvips for an image too large for memory. A task that needs a larger file ends in `error`. The limit also"
        " applies to an SQLite database that the worker uses.",
    )

    @model_validator(mode="after")
    def _check_bytes(self) -> Self:
        if self.max_task_bytes < self.max_file_bytes:
            raise ValueError(
                f"limits.max_task_bytes ({self.max_task_bytes}) is less than"
                f" limits.max_file_bytes ({self.max_file_bytes})"
            )
        return self


class LeaseSettings(Section):
    seconds: Seconds = Field(
        15,
        ge=2,
        le=3600,
        description="How long a worker may go without a heartbeat. After that it counts as dead, and other workers run"
        " its tasks.",
    )
    heartbeat_seconds: Seconds = Field(
        3,
        gt=0,
        le=60,
        description="The interval between heartbeats, which renew the lease; at most a third of `lease.seconds`, so"
        " that a worker that misses one or two heartbeats keeps its tasks.",
    )

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat_seconds * 3 > self.seconds:
            raise ValueError(
                f"lease.heartbeat_seconds ({self.heartbeat_seconds:g}) is more than a third of"
                f" lease.seconds ({self.seconds:g})"
            )
        return self


class RetrySettings(Section):
    max_seconds: Seconds = Field(
        900,
        ge=0,
        description="How long a task is retried after transient failures (network, file server) before it ends in"
        " `error`.",
    )
    base_delay_seconds: Seconds = Field(
        1, gt=0, description="The maximum delay before the first retry; it doubles with each retry. Jitter shortens it."
    )
    max_delay_seconds: Seconds = Field(
        60, gt=0, description="The maximum delay between retries; at least `retry.base_delay_seconds`."
    )
    max_crashes: Annotated[int, Unit("crashes")] = Field(
        3,
        ge=1,
        le=100,
        description="The number of crashes of its process (out of memory, segmentation fault) after which a task ends"
        " in `error`. A task that exceeds `limits.max_seconds` ends immediately, because it would exceed the limit"
        " again.",
    )
    max_losses: Annotated[int, Unit("workers")] = Field(
        10,
        ge=1,
        le=1000,
        description="The number of workers lost while they ran a task, such as on a failed machine, after which the"
        " task ends in `error`. The limit exists because the task may be the cause.",
    )

    @model_validator(mode="after")
    def _check_delays(self) -> Self:
        if self.base_delay_seconds > self.max_delay_seconds:
            raise ValueError(
                f"retry.base_delay_seconds ({self.base_delay_seconds:g}) is more than"
                f" retry.max_delay_seconds ({self.max_delay_seconds:g})"
            )
        return self


class RelaySettings(Section):
    interval_seconds: Seconds = Field(
        1,
        gt=0,
        le=3600,
        description="The interval between rounds of the relay, which sends lost messages again and frees tasks of"
        " dead workers, and between deletions of results that no task needs.",
    )
    hints: Annotated[int, Unit("messages")] = Field(
        32,
        ge=1,
        le=10_000,
        description="The maximum number of messages that a round sends if tasks are pending and no message is queued.",
    )
    keep_events_seconds: Seconds = Field(
        86_400,
        ge=60,
        description="How long events are kept. A listener that reconnects within this time misses no events.",
    )
    keep_cache_seconds: Seconds = Field(
        2_592_000,
        ge=0,
        description="How long a result is reused for the same source and parameters.",
    )
    keep_tasks_seconds: Seconds = Field(
        0,
        ge=0,
        description="How long tasks are kept after they have ended; 0: forever. Their result files stay.",
    )


def signing_secrets(text: str) -> list[bytes]:
    """Return the secrets in a comma-separated list; the rest of a secret after the prefix ``whsec_`` is base64.

    :raises ValueError: a secret is too short or not base64.
    """
    secrets = [_signing_secret(part.strip()) for part in text.split(",")]
    if any(len(secret) < MIN_BYTES for secret in secrets):
        raise ValueError(f"each secret must have at least {MIN_BYTES} bytes; `openssl rand -hex 32` prints one")
    return secrets


def _signing_secret(text: str) -> bytes:
    if not text.startswith(WEBHOOK_SECRET_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a secret after {WEBHOOK_SECRET_PREFIX} is not base64") from error


def _check_signing_secrets(secret: SecretStr) -> SecretStr:
    signing_secrets(secret.get_secret_value())
    return secret


WebhookSecrets = Annotated[Secret, AfterValidator(_check_signing_secrets)]
"""One or several comma-separated secrets that sign webhooks."""


PipelinesByName = dict[Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")], dict[str, JsonValue]]
PRESETS: PipelinesByName = {
    "avatar": {
        "steps": [
            {
                "algorithm": "resize",
                "params": {
                    "width": 256,
                    "height": 256,
                    "fit": "cover",
                    "gravity": "attention",
                    "enlarge": True,
                },
            }
        ],
        "output": {"format": "webp", "quality": 80, "metadata": "strip", "profile": "strip"},
    },
    "web": {
        "steps": [{"algorithm": "resize", "params": {"width": 1600, "height": 1600, "fit": "inside"}}],
        "output": {"format": "auto", "metadata": "copyright", "profile": "srgb"},
    },
}


class InnerSettings(Section):
    render_secret: SigningSecret = Field(
        SecretStr("${PIXMILL_RENDER_INNER_SECRET}"),
        description="The secret with which the render service authenticates, to read the presets of owners."
        " Generated at the first start.",
    )


class ApiSettings(ServiceSettings):
    """The settings of the HTTP service."""

    model_config = SettingsConfigDict(env_prefix="IMAGE_PROCESSOR_", yaml_file="config/image-processor/conf.yml")

    database: ApiDatabaseSettings
    broker: BrokerSettings
    file_storage: FileStorageSettings
    inner: InnerSettings
    webhook_secret: WebhookSecrets = Field(
        SecretStr("${PIXMILL_CALLBACK_SECRET}"),
        description="The same value as `secret` in `config/webhooks/conf.yml`. Each key has its own secrets, which are"
        " derived from it.",
    )
    hints: Annotated[int, Unit("messages")] = Field(
        32,
        ge=1,
        le=10_000,
        description="The maximum number of messages that are sent for a batch: that many worker processes can start at"
        " once. A message names no task; a process that receives it runs tasks until none is pending.",
    )
    presets: PipelinesByName = Field(
        PRESETS,
        description='Named pipelines: `{"file_ids": [1], "preset": "avatar"}` creates tasks from one. Each has steps'
        " and may have an output, as in `docs/algorithms.md`; the service does not start with an invalid preset. Tasks"
        " keep the steps they were created with. `avatar` is a square around the face or the most salient part, `web`"
        " is as small as a web page needs. Your presets replace both. All owners may use these presets, and the API"
        " cannot change them; with the API, owners can also create presets of their own.",
    )
    events: EventSettings
    log: LogSettings


def _check_grace_period(shutdown_seconds: float) -> float:
    period = os.environ.get(GRACE_PERIOD_VARIABLE, "")
    if not period:
        return shutdown_seconds
    try:
        seconds = seconds_of(period)
    except ValueError as error:
        raise ValueError(f"{GRACE_PERIOD_VARIABLE} ({period}) is not a duration such as 30s or 1m30s") from error
    if shutdown_seconds >= seconds:
        raise ValueError(
            f"{shutdown_seconds:g} seconds are not less than the worker's stop_grace_period, {period}: lengthen it in"
            " docker-compose.yml, or running tasks are killed"
        )
    return shutdown_seconds


class WorkerSettings(ServiceSettings):
    """The settings of a worker."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", yaml_file="config/worker/conf.yml")

    database: WorkerDatabaseSettings
    broker: WorkerBrokerSettings
    file_storage: BlobSourceSettings
    concurrency: Annotated[int, Unit("processes")] = Field(
        0,
        ge=0,
        le=256,
        description="The number of processes that run tasks at the same time. 0: one for each core of the machine or"
        " the container, as far as its memory allows (256 MiB each), and at least two. A process fetches its next"
        " source and stores its last results while it processes an image; choose more processes if transfers take"
        " longer than processing.",
    )
    shutdown_seconds: Annotated[Seconds, AfterValidator(_check_grace_period)] = Field(
        5,
        ge=0,
        le=3600,
        description="How long running tasks may continue when the worker is stopped; after that they return to the"
        " queue. Must be less than `stop_grace_period` in `docker-compose.yml`.",
    )
    scratch_folder: str = Field(
        "/var/lib/pixmill-scratch",
        min_length=1,
        description="The folder for the sources and results of running tasks; on disk, not in memory. A task that"
        " fails while less than 32 MiB are free there is retried.",
    )
    sandbox: SandboxMode = Field(
        "auto",
        description="Whether the processes that decode images run in a sandbox: they can open only code, fonts, blobs,"
        " their database and the scratch folder, cannot start programs, and can connect only to the ports of the"
        " database and the file server. `auto`: as far as the kernel supports Landlock and seccomp; the start logs the"
        " result. `off`: no sandbox.",
    )
    sandbox_ports: SandboxPorts = Field(
        [],
        description="Additional TCP ports that the sandbox allows: the port of S3, usually 443, if `download.redirect`"
        " redirects downloads.",
    )
    limits: LimitSettings
    retry: RetrySettings
    lease: LeaseSettings
    relay: RelaySettings
    log: LogSettings

    @property
    def processes(self) -> int:
        """Return the number of processes that run tasks at the same time."""
        return self.concurrency or capacity.processes()


class WebhookSettings(ServiceSettings):
    """The settings of the process that sends webhooks."""

    model_config = SettingsConfigDict(env_prefix="WEBHOOKS_", yaml_file="config/webhooks/conf.yml")

    database: WebhookDatabaseSettings
    secret: WebhookSecrets = Field(
        SecretStr("${PIXMILL_CALLBACK_SECRET}"),
        description="The secret that signs webhooks (Standard Webhooks, HMAC-SHA256); receivers need it too. At least"
        " 32 bytes; base64 after `whsec_` is decoded. Several secrets are separated by commas, and each signs: to"
        " change the secret, put the new one first, give it to the receivers, then remove the old one. It comes from"
        " `config/callbacks.env`.",
    )
    allow_networks: list[IPvAnyNetwork] = Field(
        [],
        description="Non-public networks that a `callback_url` may reach, such as `[10.1.0.0/16]`. Other non-public"
        " networks are blocked, because clients could make Pixmill send requests inside your network.",
    )
    timeout_seconds: Seconds = Field(
        10, gt=0, le=300, description="How long a delivery may take, from the connection to the response headers."
    )
    max_seconds: Seconds = Field(
        86_400, ge=0, description="How long a webhook is retried; a receiver may be down for a night."
    )
    max_silent_seconds: Seconds = Field(
        3600,
        ge=0,
        description="How long webhooks to a host that has never answered are retried. After that, all webhooks to this"
        " host are dropped, and each later one is tried once.",
    )
    alive_file: str = Field(
        "", description="A file that is touched while the database answers, for a health check. Empty: none."
    )
    log: LogSettings
