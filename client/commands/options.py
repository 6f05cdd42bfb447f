"""What the commands of runs share: the service's address, errors in one line, and how parsers are made."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any

from client.client import Client
from client.errors import ClientError, RunNotFoundError, printable
from client.http.offline import is_offline
from scheduler.commands.show import reason
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

REFUSED, MISUSED = 1, 2
"""Exit statuses: the service refused or could not be asked; the command was typed wrongly."""

_URL = "LRTABLES_URL"
_NO_URL = f"the service's address is needed: --url http://127.0.0.1:8000, or the environment variable {_URL}"

_PATIENCE = 3.0  # seconds for which a refused connection is tried again
_MOST_NAMES = 500  # that are looked through for one spelt alike
_ALIKE = 0.75
_RUN_IN_URL = re.compile(r"/v1/runs/([^/?]+)/([^/?]+)")

Command = Callable[[argparse.Namespace], int]


class UsageError(ValueError):
    """The command was typed wrongly. The message is one line for the person who typed it."""


def add_command(
    subparsers: Subparsers, name: str, run: Command, short: str, *, long: str | None = None, usage: str | None = None
) -> argparse.ArgumentParser:
    """Add a command of one service. `run` of the parsed arguments returns the exit status, and may raise errors."""
    parser = subparsers.add_parser(
        name,
        help=short,
        usage=usage,
        description=long or f"{short[0].upper()}{short[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_service_options(parser)
    parser.set_defaults(run=reporting(run, parser.prog))
    return parser


def add_service_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command of a service."""
    parser.add_argument("--url", metavar="URL", help=f"address of the service (default: {_URL})")
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_reasons(parser: argparse.ArgumentParser) -> None:
    """Add the options that say why a change is made."""
    parser.add_argument("--reason", metavar="TEXT", help="why, for the log book")
    parser.add_argument("--link", metavar="URL", help="where to read more, such as a dashboard")


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the version which a change is made for."""
    parser.add_argument(
        "--if-version", metavar="N", type=int, help="change it only if this is still its version (default: any)"
    )


@contextmanager
def connected(parsed: argparse.Namespace) -> Iterator[Client]:
    """A client of the service that the options or the environment name, or an offline one (`LRTABLES_OFFLINE`).

    Nobody who types a command waits long for a service that is not there. The error for a run that there is not has
    the names that are spelt alike. Raises `UsageError` where nothing names a service.
    """
    url = parsed.url or os.environ.get(_URL)
    if not url and not is_offline(None):
        raise UsageError(_NO_URL)
    with Client(url, refused_patience=_PATIENCE) as client:
        try:
            yield client
        except RunNotFoundError as error:
            if error.code == "run-not-found":
                error.near = _near(client, error.url)
            raise


def _near(client: Client, url: str) -> tuple[str, ...]:
    """The names of runs that are spelt like the one in a URL: in its namespace, else in any."""
    found = _RUN_IN_URL.search(url)
    if found is None:
        return ()
    name = f"{found[1]}/{found[2]}"
    for prefix in (f"{found[1]}/", None):
        with suppress(ClientError):
            names = [run.full_name for run in islice(client.runs(prefix=prefix), _MOST_NAMES)]
            if near := get_close_matches(name, names, cutoff=_ALIKE):
                return tuple(near)
    return ()


def pairs(texts: Sequence[str], option: str, separator: str = "=") -> dict[str, str]:
    """The pairs that an option was given, as `key=value` each. Raises `UsageError`."""
    found: dict[str, str] = {}
    for text in texts:
        key, given, value = text.partition(separator)
        if not given or not key or key in found:
            raise UsageError(f"{option} must be like key{separator}value, each key once, got {abbreviate(text)}")
        found[key] = value
    return found


def rules_of(texts: Sequence[str]) -> dict[str, Any] | None:
    """The guard rails that --rule was given: name to number; None for none."""
    return {name: _number(name, text) for name, text in pairs(texts, "--rule").items()} or None


def labels_of(texts: Sequence[str]) -> Mapping[str, str] | None:
    """The labels that --label was given; None for none."""
    return pairs(texts, "--label") or None


def _number(name: str, text: str) -> float | int:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    raise UsageError(f"--rule {name} must be a number, got {abbreviate(text)}")


def reporting(run: Command, program: str) -> Command:
    """The command with its errors as one line on standard error."""

    def report(parsed: argparse.Namespace) -> int:
        try:
            with _plain_warnings(program):
                return run(parsed)
        except BrokenPipeError:  # whoever read the output has gone, such as `| head`: it is dealt with for all commands
            raise
        except ClientError as error:
            print(f"{program}: {_line(error)}", file=sys.stderr)
            return REFUSED
        except (ValueError, LookupError, OSError, RecursionError) as error:
            print(f"{program}: {_line(error)}", file=sys.stderr)
            return MISUSED

    return report


@contextmanager
def _plain_warnings(program: str) -> Iterator[None]:
    """Show warnings as sentences, without the line of the source that gave them."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"{program}: warning: {printable(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _line(error: Exception) -> str:
    """An error in one line."""
    return "; ".join(part.strip() for part in reason(error).split(";") if part.strip())
