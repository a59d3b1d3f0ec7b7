"""Settings of access control, which both services read; ``make config`` writes ``config/access/conf.yml`` from them."""

import os
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from service_kit.access.guard import LOOPBACK_HOSTS
from service_kit.settings import LogSettings, Seconds, Section, ServiceSettings, Url


class AccessDatabaseSettings(Section):
    url: Url = Field(
        "postgresql+psycopg://access:${PIXMILL_ACCESS_DB_PASSWORD}@postgres:5432/${POSTGRES_DB}",
        description="The SQLAlchemy URL of the database of owners, keys, sessions and the audit trail. For the service"
        " render, `docker-compose.yml` replaces it by one whose role can read keys but not make any.",
    )
    pool_size: int = Field(
        4,
        ge=1,
        le=1000,
        description="The maximum number of connections per process. Keys are cached for a few seconds, so few requests"
        " need a connection.",
    )


class AuthSettings(Section):
    mode: Literal["local", "keys", "open"] = Field(
        "local",
        description="Who may send requests. `local`: anyone who can reach the port on this machine, without a key;"
        " requires `http.bind` to be a loopback address. `keys`: only requests with a key. `open`: anyone who can"
        " reach the port has full access, without a key; each start logs a warning.",
    )
    session_seconds: Seconds = Field(
        7 * 86_400, gt=0, description="How long a browser stays signed in with a key, unless the key ends earlier."
    )


class AccessHttpSettings(Section):
    bind: str = Field(
        "127.0.0.1",
        description="The address at which the port is published. The launcher and docker-compose set it"
        " (`PIXMILL_BIND`); here it only decides whether `auth.mode: local` is safe.",
    )
    hosts: list[str] = Field(
        [],
        description="Names under which clients reach the server, such as `pictures.example.org`, in addition to"
        " `localhost`. A request for another host gets 421.",
    )
    cors_origins: list[str] = Field(
        [],
        description="Origins of other sites, such as `https://app.example.org`, whose pages may send requests with a"
        " key. Empty: none. `NGINX_CORS_ORIGINS` in `config/limits.env` must name the same.",
    )


class AuditSettings(Section):
    keep_seconds: Seconds = Field(
        365 * 86_400,
        gt=0,
        description="How long an entry of the audit trail is kept. The database refuses to delete younger ones.",
    )


class AccessSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ACCESS_", yaml_file="config/access/conf.yml")

    database: AccessDatabaseSettings
    auth: AuthSettings
    http: AccessHttpSettings
    audit: AuditSettings
    log: LogSettings

    @property
    def is_open_to_others(self) -> bool:
        """Whether people on other machines can do everything without a key.

        If the port is published on this machine only, names in ``http.hosts`` mean that a proxy forwards to it.
        """
        return self.auth.mode == "open" and (not self._is_local or bool(self.http.hosts))

    @property
    def _is_local(self) -> bool:
        return self.http.bind.strip("[]") in LOOPBACK_HOSTS

    @model_validator(mode="after")
    def _check_origins_of_nginx(self) -> Self:
        named = os.environ.get("NGINX_CORS_ORIGINS")
        # Without nginx (`make run`), there is no such variable.
        if named is not None and set(named.split()) != set(self.http.cors_origins):
            raise ValueError(
                f"http.cors_origins ({' '.join(self.http.cors_origins)}) and NGINX_CORS_ORIGINS ({named}) must name the"
                " same origins: change config/limits.env, and run docker-compose up --detach nginx file-storage"
            )
        return self

    @model_validator(mode="after")
    def _check_bind(self) -> Self:
        if self.auth.mode == "local" and not self._is_local:
            raise ValueError(
                f"http.bind is {self.http.bind}, which others can reach: set auth.mode to 'keys' (requests need a key)"
                " or to 'open' (anyone has full access)"
            )
        return self
