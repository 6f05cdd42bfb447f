"""Command line options for the server's settings, shared by the commands that work on the server's data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from scheduler.messages.errors import ABSENT, Owner, Problem, line, translate
from service.errors import StorageError

if TYPE_CHECKING:
    from service.database.metadata import Metadata
    from service.settings import Settings

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_OPTIONS = ("config", "host", "port", "data_dir", "database_url", "store_url", "insecure_no_auth")


class CommandError(Exception):
    """A command cannot be carried out. The message is one line for the terminal; the exit status is 2."""


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add options for where the server's data is. Each is also an environment variable, such as LRTABLES_DATA_DIR."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    parser.add_argument("--data-dir", metavar="FOLDER", help="directory of the tables and metadata")
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help="PostgreSQL database of the metadata; LRTABLES_DATABASE_URL hides its password from other users",
    )
    parser.add_argument("--store-url", metavar="URL", help="S3 bucket of the tables, s3://bucket/prefix")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a server."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (8000)")
    add_data_options(parser)
    parser.add_argument(
        "--insecure-no-auth", action="store_true", default=None, help="disable authentication on every address"
    )


@contextmanager
def metadata_for(
    parsed: argparse.Namespace, *, make: bool = False, of_any_revision: bool = False
) -> Iterator[Metadata]:
    """Open the metadata that the options name, for a `with` block. Raises `CommandError` if they fail or do not exist.

    With `make` they are created if they do not exist. With `of_any_revision` they need not
    exist, and may be those of another version.
    """
    settings = settings_of(parsed)
    from service.database.metadata import metadata_of, open_metadata  # noqa: PLC0415  # only the server needs the service extra

    try:
        with closing((open_metadata if make else metadata_of)(settings)) as metadata:
            if not (make or of_any_revision) and metadata.usable_revision() is None:
                raise CommandError(f"there is no metadata in {metadata.url}: check --data-dir or --database-url")
            yield metadata
    except StorageError as error:
        raise CommandError(str(error)) from error


def new_database(metadata: Metadata) -> str:
    """Return the line that tells of a database that was just created: a misspelt address is noticed."""
    return f"created a new, empty database: {metadata.url}"


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Return the settings from the options, the environment and the file. Raises `CommandError`."""
    try:
        from service.settings import Settings  # noqa: PLC0415  # only the server needs the service extra
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: pip install 'lrtables[service]'") from error
    given = {name: getattr(parsed, name, None) for name in _OPTIONS}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = translate(error, ABSENT, Owner("the server", Settings))
        raise CommandError("; ".join(map(_wrong, problems))) from error
    except ValueError as error:
        raise CommandError(str(error)) from error


def _wrong(problem: Problem) -> str:
    """Return what is wrong with one setting. A value with an `@` may be a URL with a password: it is not shown."""
    if "@" in str(problem.value):
        hidden = line(problem._replace(value=ABSENT))
        return f"{hidden}; the value is not shown: it has an '@', perhaps after a password"
    return line(problem)
