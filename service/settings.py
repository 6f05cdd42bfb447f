"""The settings of the server: each is an argument, an environment variable with prefix `LRTABLES_`, or a TOML key."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

VERSION = version("lrtables")
"""The version of this distribution."""
_PREFIX = "LRTABLES_"


def default_data_directory() -> Path:
    """Return this platform's directory for a user's data: `XDG_DATA_HOME`, or its usual default."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "lrtables"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lrtables"


def _path(value: object) -> object:
    """Return a path with `~` replaced by the user's home directory."""
    if value == "":  # as a path it would be the current directory
        raise ValueError("must be a path, got ''")
    return os.path.expanduser(value) if isinstance(value, str | Path) else value


_Path = Annotated[Path, BeforeValidator(_path)]

MOST_WORKERS = 64
"""The largest number of worker processes. It is limited because a thread waits for each."""
ANY_HOST = "*"
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _hosts(value: object) -> object:
    """Return host names from a list, or from the comma-separated text of a variable."""
    names = value.split(",") if isinstance(value, str) else value
    return [_host(name) for name in names] if isinstance(names, list | tuple) else names


def _host(name: object) -> str:
    """Return a host's name or address in lower case, without the brackets of an IPv6 address."""
    text = str(name).strip().lower().strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if text != ANY_HOST and not _HOST_NAME.fullmatch(text):
            raise ValueError(f"must be host names without ports, or {ANY_HOST}, got {name!r}") from None
        return text


ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:[1-9]\d{0,4})?")


def _origins(value: object) -> object:
    """Return origins from a list, or from the comma-separated text of a variable."""
    texts = value.split(",") if isinstance(value, str) else value
    return [_origin(text) for text in texts] if isinstance(texts, list | tuple) else texts


def _origin(value: object) -> str:
    """Return an origin as browsers send it: in lower case, without a path."""
    text = str(value).strip().lower()
    if text != ANY_ORIGIN and not _ORIGIN.fullmatch(text):
        raise ValueError(f"must be origins like https://example.com, without a path, or {ANY_ORIGIN}, got {value!r}")
    return text


_Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
_Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


class Settings(BaseSettings):
    """The server's settings. Arguments override `LRTABLES_...` variables, variables the file, the file the defaults.

    Raises `ValueError` with the setting's name if a value is invalid, or if the file has an unknown setting.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    config: _Path | None = Field(None, description="TOML file with any of these settings, in lower case without prefix")
    host: str = Field("127.0.0.1", pattern="^[!-~]*$", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: _Path = Field(default_factory=default_data_directory, description="directory of the tables and metadata")
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL database of the metadata, postgresql://host/name; default: SQLite in data_dir",
    )
    store_url: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[\w./-]*)?$",
        description="S3 bucket of the tables, s3://bucket/prefix, with AWS_... variables; default: data_dir",
    )
    require_tokens: bool | None = Field(None, description="require tokens; default: only if host is not the loopback")
    insecure_no_auth: bool = Field(False, description="disable authentication on every address")
    allowed_hosts: _Hosts | None = Field(
        None,
        description="accepted names in the Host header, separated by commas, besides localhost and host; "
        "* for any; default: any if tokens are required or host is not the loopback",
    )
    cors_origins: _Origins | None = Field(
        None,
        description="origins of web pages that may read responses, separated by commas, like https://example.com; "
        "* for any; default: none",
    )
    embed_origins: _Origins | None = Field(
        None,
        description="origins of web pages that may show the explorer's embedded view in a frame, separated by commas, "
        "like https://example.com; * for any; default: only this server's own pages",
    )
    memory_bytes: PositiveInt = Field(256 * 2**20, description="size of the memory cache for tables")
    stream_bytes: PositiveInt = Field(64 * 2**20, description="larger tables are streamed from the store, not cached")
    max_steps: PositiveInt = Field(20_000_000, description="largest total_steps")
    max_columns: PositiveInt = Field(64, description="most columns of a table, and most tables that a spec refers to")
    max_table_bytes: PositiveInt = Field(160_000_000, description="largest table: 8 bytes per step and column")
    max_body_bytes: PositiveInt = Field(2**20, description="largest JSON body of a request")
    max_query_bytes: int = Field(60_000, ge=1, le=65_000, description="longest query string of a URL")
    max_parameters: PositiveInt = Field(64, description="most parameters in the query string of a URL")
    max_depth: int = Field(48, ge=4, le=100, description="deepest nesting of JSON in a request")
    max_items: PositiveInt = Field(10_000, description="most object members and list items in a request's JSON")
    max_points: int = Field(
        10_000, ge=4, description="most values in a response of /values or /v1/lr, over all columns"
    )
    max_queue: PositiveInt = Field(
        64, description="most computations that wait in the queue; more are rejected with 503"
    )
    max_waiting: PositiveInt = Field(
        1000, description="most clients that wait for changes of runs; more are rejected with 503"
    )
    max_connections: PositiveInt = Field(10_000, description="most open connections; more are closed with a 503")
    compute_workers: int = Field(
        2,
        ge=1,
        le=MOST_WORKERS,
        description="most worker processes that compute; more than one run only while computations take over a second",
    )
    compute_seconds: PositiveFloat = Field(60.0, description="time limit of a computation, including its wait in queue")
    store_seconds: PositiveFloat = Field(10.0, description="time limit of one request to the S3-compatible store")
    database_seconds: PositiveFloat = Field(5.0, description="time limit of one database operation")
    header_seconds: PositiveFloat = Field(10.0, description="time limit for a request's headers, from the first byte")
    body_seconds: PositiveFloat = Field(
        30.0, description="time limit for a request's body; each 4 KiB received adds one second"
    )
    idle_seconds: PositiveFloat = Field(75.0, description="how long a connection stays open without a request")
    send_seconds: PositiveFloat = Field(
        30.0, description="how long a client may stall while reading; each 4 KiB read adds one second"
    )
    drain_seconds: PositiveFloat = Field(30.0, description="time limit for active requests when the server stops")
    log_format: Literal["human", "json"] = Field("human", description="format of the log on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="lowest level that is logged; info has a line per request"
    )

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(init_settings, InitSettingsSource)
        path = init_settings.init_kwargs.get("config") or os.environ.get(f"{_PREFIX}CONFIG")
        if path is None:
            return init_settings, env_settings
        path = Path(os.path.expanduser(path))
        if not path.is_file():
            raise ValueError(f"config must be a file, got {str(path)!r}")
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)
        except (OSError, ValueError) as error:
            raise ValueError(f"config must be a TOML file: {path}: {error}") from error

    @property
    def limits(self) -> dict[str, int]:
        """The limits on requests, as `GET /v1/server` returns them."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.startswith("max_")}

    @property
    def requires_tokens(self) -> bool:
        """Whether requests need a token: `require_tokens`; by default, whether other machines can reach the server."""
        if self.require_tokens is not None:
            return self.require_tokens
        return not (self.insecure_no_auth or is_loopback(self.host))

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the server without a token, and `insecure_no_auth` does not permit it."""
        return not (self.requires_tokens or self.insecure_no_auth or is_loopback(self.host))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_command(settings: Settings) -> str:
    """Return the command that creates a token for a server with these settings, in this environment.

    A database's address may have a password, so it is not repeated if it was given as an option.
    """
    words = ["lrtables", "token", "create", "admin", "--scope", "admin"]
    if settings.config is not None and f"{_PREFIX}CONFIG" not in os.environ:
        words += ["--config", str(settings.config)]
    if settings.database_url is None:
        words += ["--data-dir", str(settings.data_dir)]
    elif f"{_PREFIX}DATABASE_URL" not in os.environ:
        words += ["--database-url", "URL"]
    return shlex.join(words)
