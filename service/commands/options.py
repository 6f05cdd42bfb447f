"""What commands that work on the server's data share: its settings as options."""

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
    """Why a command cannot do what it was asked to: one line for the terminal, exit status 2."""


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where the server's data is; each option is also a variable, LRTABLES_DATA_DIR, ..."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where tables and metadata are kept")
    parser.add_argument(
        "--database-url", metavar="URL", help="PostgreSQL for the metadata; better LRTABLES_DATABASE_URL"
    )
    parser.add_argument("--store-url", metavar="URL", help="s3://bucket/prefix for the tables")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told what a server is told."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (8000)")
    add_data_options(parser)
    parser.add_argument("--insecure-no-auth", action="store_true", default=None, help="ask for no tokens, anywhere")


@contextmanager
def metadata_for(
    parsed: argparse.Namespace, *, make: bool = False, of_any_revision: bool = False
) -> Iterator[Metadata]:
    """The metadata that the options name, for a `with` block. What fails is a `CommandError`: that there are none too.

    With `make` they are made where there are none; with `of_any_revision` they may be none, or another version's.
    """
    settings = settings_of(parsed)
    from service.database.metadata import metadata_of, open_metadata  # noqa: PLC0415  # only the server needs the service extra

    try:
        with closing((open_metadata if make else metadata_of)(settings)) as metadata:
            if not (make or of_any_revision) and metadata.usable_revision() is None:
                raise CommandError(f"there is no metadata in {metadata.url}")
            yield metadata
    except StorageError as error:
        raise CommandError(str(error)) from error


def settings_of(parsed: argparse.Namespace) -> Settings:
    """The settings that the options give, then the environment, then the file. Raises `CommandError`."""
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
    """What is wrong with one setting. A value with an `@` may be an address with a password: it is not repeated."""
    if "@" in str(problem.value):
        hidden = line(problem._replace(value=ABSENT))
        return f"{hidden}; what was given has an '@', perhaps behind a password, and is not shown"
    return line(problem)
