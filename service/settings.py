"""Every knob of the server: an argument, an environment variable with the prefix `LRTABLES_`, or a line of a file."""

from __future__ import annotations

import ipaddress
import os
import re
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
    """Where this platform keeps a user's data: `XDG_DATA_HOME`, else what stands for it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "lrtables"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lrtables"


def _path(value: object) -> object:
    """A path with the user's folder for a ~, as a shell has it. An empty one would mean the current folder: refused."""
    if value == "":
        raise ValueError("must be a path, got ''")
    return os.path.expanduser(value) if isinstance(value, str | Path) else value


_Path = Annotated[Path, BeforeValidator(_path)]

MOST_WORKERS = 64
"""The most processes that compute: a thread waits for each."""
ANY_HOST = "*"
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _hosts(value: object) -> object:
    """Names with commas between them, as a variable has them, or a list of names."""
    names = value.split(",") if isinstance(value, str) else value
    return [_host(name) for name in names] if isinstance(names, list | tuple) else names


def _host(name: object) -> str:
    """A host's name or address in lower case, without the brackets of an address."""
    text = str(name).strip().lower().strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if text != ANY_HOST and not _HOST_NAME.fullmatch(text):
            raise ValueError(f"must be names of hosts, without ports, or {ANY_HOST}, got {name!r}") from None
        return text


_Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]


class Settings(BaseSettings):
    """What the server is told at start-up: arguments, else `LRTABLES_...` variables, else the file, else defaults.

    Raises `ValueError` naming the setting where a value is not allowed, or the file names one that there is none of.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    config: _Path | None = Field(None, description="TOML file with any of these settings, in lower case without prefix")
    host: str = Field("127.0.0.1", pattern="^[!-~]*$", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: _Path = Field(default_factory=default_data_directory, description="where tables and metadata are kept")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL for the metadata, postgresql://host/name; SQLite in the data directory without it"
    )
    store_url: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[\w./-]*)?$",
        description="s3://bucket/prefix for the tables, with AWS_... variables; the data directory without it",
    )
    require_tokens: bool | None = Field(None, description="ask for tokens; without it, unless host is the loopback")
    insecure_no_auth: bool = Field(False, description="ask for no tokens, though host is not the loopback")
    allowed_hosts: _Hosts | None = Field(
        None,
        description="names by which requests may call it (Host), with commas between, beside localhost and host; "
        "* for any; without it, any where it asks for tokens or host is not the loopback",
    )
    memory_bytes: PositiveInt = Field(256 * 2**20, description="memory for tables that are ready to be sent")
    stream_bytes: PositiveInt = Field(64 * 2**20, description="tables larger than this are sent from disk, not memory")
    max_steps: PositiveInt = Field(20_000_000, description="largest total_steps")
    max_columns: PositiveInt = Field(64, description="most columns of a table, and most tables that a spec names")
    max_table_bytes: PositiveInt = Field(160_000_000, description="largest table: 8 bytes per step and column")
    max_body_bytes: PositiveInt = Field(2**20, description="largest JSON body of a request")
    max_query_bytes: int = Field(60_000, ge=1, le=65_000, description="longest query of an address")
    max_parameters: PositiveInt = Field(64, description="most parameters in the query of an address")
    max_depth: int = Field(48, ge=4, le=100, description="deepest nesting of JSON in a request")
    max_items: PositiveInt = Field(10_000, description="most members and list items in a request's JSON, all together")
    max_points: int = Field(
        10_000, ge=4, description="most values in an answer of /values or /v1/lr, all columns together"
    )
    max_queue: PositiveInt = Field(64, description="computations that may wait for their turn; more are answered 503")
    max_connections: PositiveInt = Field(10_000, description="connections at a time; more are answered 503 and closed")
    compute_workers: int = Field(
        2,
        ge=1,
        le=MOST_WORKERS,
        description="processes that compute: beside the first only while that takes over a second",
    )
    compute_seconds: PositiveFloat = Field(60.0, description="for a computation, its wait for a turn included")
    store_seconds: PositiveFloat = Field(10.0, description="for one answer of the S3-compatible store")
    database_seconds: PositiveFloat = Field(5.0, description="for one answer of the database")
    header_seconds: PositiveFloat = Field(10.0, description="for a request's headers to arrive, from the first byte")
    body_seconds: PositiveFloat = Field(
        30.0, description="for a request's body to arrive, and a second more for each 4 KiB of it"
    )
    idle_seconds: PositiveFloat = Field(75.0, description="a connection may be kept open without a request")
    send_seconds: PositiveFloat = Field(
        30.0, description="a client may take nothing of its answer; each 4 KiB that it takes are worth a second"
    )
    drain_seconds: PositiveFloat = Field(30.0, description="for requests under way, once the server is told to stop")
    log_format: Literal["human", "json"] = Field("human", description="of the log on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="least severe message of the log; info has a line per request"
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
        """The limits on requests, as `/v1/server` announces them."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.startswith("max_")}

    @property
    def asks_for_tokens(self) -> bool:
        """Whether a request needs a token: as `require_tokens` says, else wherever others than this machine may ask."""
        if self.require_tokens is not None:
            return self.require_tokens
        return not (self.insecure_no_auth or is_loopback(self.host))

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine may ask without a token, though nobody said that this is meant."""
        return not (self.asks_for_tokens or self.insecure_no_auth or is_loopback(self.host))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
