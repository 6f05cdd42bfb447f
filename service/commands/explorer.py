"""`lrtables explorer`: writes the explorer as a page that needs no server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from service.commands.options import CommandError

if TYPE_CHECKING:
    from service.commands.options import Subparsers

_DESCRIPTION = """Write the explorer, the page that a server has at /, as one file, index.html. It works without a
server: from any static host, or opened from a disk."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `explorer` to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser(
        "explorer", help="write the page of schedules for use without a server", description=_DESCRIPTION
    )
    parser.add_argument("--static", required=True, type=Path, metavar="FOLDER", help="folder for index.html")
    parser.set_defaults(run=_write)


def _write(parsed: argparse.Namespace) -> int:
    from service.explorer.static import write_static  # noqa: PLC0415  # other commands need no kind of schedule

    try:
        path = write_static(parsed.static)
    except OSError as error:
        raise CommandError(f"--static {parsed.static}: {error.strerror}") from error
    print(f"wrote {path} ({path.stat().st_size:,} bytes)")
    return 0
