"""What commands that work on the server's data share: its settings as options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_OPTIONS = ("config", "host", "port", "data_dir", "database_url", "store_url", "insecure_no_auth")


class CommandError(Exception):
    """Why a command cannot do what it was asked to: one line for the terminal, exit status 2."""


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where the server's data is; each option is also a variable, LRTABLES_DATA_DIR, ..."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="where tables and metadata are kept")
    parser.add_argument(
        "--database-url", metavar="URL", help="PostgreSQL for the metadata; better LRTABLES_DATABASE_URL"
    )
    parser.add_argument("--store-url", metavar="URL", help="s3://bucket/prefix for the tables")


def settings_of(parsed: argparse.Namespace) -> Settings:
    """The settings that the options give, then the environment, then the file. Raises `CommandError`."""
    try:
        from service.settings import Settings  # noqa: PLC0415  # only the server needs the service extra
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: pip install 'lrtables[service]'") from error
    given = {name: getattr(parsed, name, None) for name in _OPTIONS}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise CommandError(str(error)) from error
