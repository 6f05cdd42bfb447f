"""`lrtables doctor`: checks whether a server would work here, and if not, why."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from service.commands.options import CommandError, add_server_options, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.commands.options import Subparsers
    from service.operations.doctor import Check, Source

_DESCRIPTION = """Check everything that a server with these settings needs: the settings and their sources, the data
directory, the store, the database, the tokens, the port, the installed packages. Exits with 1 if the server would not
work. The server may be running."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `doctor` to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser("doctor", help="check what a server needs to work", description=_DESCRIPTION)
    add_server_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_examine)


def _examine(parsed: argparse.Namespace) -> int:
    settings, found = _findings(parsed)
    well = all(check.state != "failed" for check in found)
    if parsed.json:
        print(json.dumps(_document(settings, found, well=well), indent=2))
    else:
        _print(settings, found)
    return 0 if well else 1


def _findings(parsed: argparse.Namespace) -> tuple[Mapping[str, Source], Sequence[Check]]:
    """Return the settings and the results of all checks. If the settings are invalid, return only that error."""
    try:
        settings = settings_of(parsed)
    except CommandError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise
        from service.operations.doctor import Check  # noqa: PLC0415  # only the server needs the service extra

        return {}, [Check("settings", "failed", str(error))]
    from service.operations.doctor import checks, sources  # noqa: PLC0415  # only the server needs the service extra

    return sources(settings, vars(parsed)), list(checks(settings))


def _document(settings: Mapping[str, Source], found: Sequence[Check], *, well: bool) -> dict[str, object]:
    return {
        "well": well,
        "settings": {name: setting._asdict() for name, setting in settings.items()},
        "checks": [check._asdict() for check in found],
    }


def _print(settings: Mapping[str, Source], found: Sequence[Check]) -> None:
    """Print the settings that are not defaults, then a line per check."""
    for name, (value, source) in settings.items():
        if source != "default":
            print(f"{'setting':8} {name} = {value} ({source})")
    for check in found:
        print(f"{check.state:8} {check.name}: {check.detail}")
