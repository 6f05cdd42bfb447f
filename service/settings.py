"""Every knob of the server, each an environment variable with the prefix `LRTABLES_`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_data_directory() -> Path:
    """Where this platform keeps a user's data: `XDG_DATA_HOME`, else what stands for it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "lrtables"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lrtables"


class Settings(BaseSettings):
    """What the server is told at start-up: arguments first, then `LRTABLES_...` variables, then these defaults."""

    model_config = SettingsConfigDict(env_prefix="LRTABLES_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: Path = Field(default_factory=default_data_directory, description="where tables are kept")
    insecure_no_auth: bool = Field(False, description="listen on other than the loopback, though anyone may then ask")
    memory_bytes: PositiveInt = Field(256 * 2**20, description="memory for tables that are ready to be sent")
    max_steps: PositiveInt = Field(20_000_000, description="largest total_steps")
    max_columns: PositiveInt = Field(64, description="most columns of a table")
    max_table_bytes: PositiveInt = Field(160_000_000, description="largest table: 8 bytes per step and column")
    max_body_bytes: PositiveInt = Field(2**20, description="largest request body")
    max_depth: int = Field(32, ge=4, le=100, description="deepest nesting of JSON in a request")
    max_items: PositiveInt = Field(10_000, description="most members and list items in a request's JSON, all together")
    max_points: int = Field(10_000, ge=4, description="most values per column that /values answers with")

    @property
    def limits(self) -> dict[str, int]:
        """The limits on requests, as `/v1/server` announces them."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.startswith("max_")}
