"""The command line of the server: `python -m service`. `lrtables` has these commands and the client's."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

from service.commands import COMMANDS, Command
from service.commands.options import CommandError

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None, commands: Sequence[Command] = COMMANDS) -> int:
    """Run the command line with these commands, and return the exit status."""
    _print_anything()
    try:
        return _run(arguments, commands)
    except CommandError as error:
        print(f"lrtables: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output has exited, such as `| head`
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        _drop_output()
        print(f"lrtables: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Write no more: the interpreter flushes the output again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str] | None, commands: Sequence[Command]) -> int:
    """Run a command, and write all of its output: a reader that has exited is noticed here, not when Python ends."""
    try:
        parsed = _parser(commands).parse_args(arguments)
        return int(parsed.run(parsed) or 0)
    finally:
        if sys.stdout is not None:  # which may be closed from the start, as by `>&-`
            sys.stdout.flush()


def _print_anything() -> None:
    """Escape what the terminal's encoding lacks: file names and quoted values may contain any characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lrtables", description="Learning-rate schedules as served tables.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        command.add_parser(subparsers)
    parser.set_defaults(root=parser)  # for the command that prints the completion of all
    for each in (parser, *subparsers.choices.values()):
        _add_version(each)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    """Let a command say the version of lrtables, unless its `--version` is something else, as a run's."""
    with suppress(argparse.ArgumentError):
        parser.add_argument(
            "--version",
            action="version",
            version=f"lrtables {version('lrtables')}",
            help="print the version of lrtables",
        )


if __name__ == "__main__":
    sys.exit(main())
