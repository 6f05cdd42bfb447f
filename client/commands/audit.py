"""`lrtables audit`: the rates that a run logged, beside those that were planned."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.commands.options import UsageError, connected, reporting
from client.commands.printing import say, say_json
from client.commands.tables import named_table
from client.http.offline import is_offline
from scheduler import Table
from scheduler.audit import Audit, audit, identify
from scheduler.audit.auditing import opened
from scheduler.audit.drawing import drawn_tables
from scheduler.audit.logs.logged import RateLog
from scheduler.commands.operands import typed_table
from scheduler.commands.typed import CommandWords, typed_spec
from scheduler.views.overlay import overlay
from scheduler.views.svg import picture

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_FLAGS = {"--json", "--help", "-h"}
_OPTIONS = {"--column", "--group", "--offset", "--per-step", "--version", "--url", "--svg", "--plot"}
_STATED = "as the spec says"  # why a typed spec has its length, where that is part of what was typed

_USAGE = "%(prog)s LOG [KIND [PARAMETER ...] | RECIPE | SPEC | TABLE | RUN | DIGEST] [OPTION ...]"
_DESCRIPTION = """
Compare the rates that a run logged with its table, and say where they part, and which known disease it looks like.
Without a table: name the schedule that the run followed.

LOG is a file, or the folder that holds it: TensorBoard's events, trainer_state.json, Lightning's metrics.csv, an
export of Weights & Biases (CSV, JSON), any CSV with a step and a rate, or our file of applied rates.
"""
_EXAMPLES = """
examples:
  lrtables audit checkpoint-500/trainer_state.json transformers.cosine 3e-4 100 1000
  lrtables audit metrics.csv table.safetensors --svg rates.svg
  lrtables audit runs/Jul07 team-a/bert --url http://127.0.0.1:8000
  lrtables audit applied.csv                               which schedule was it?

The exit code is 0 where all logged rates agree with the table, 1 where they differ, 2 for bad input.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    options = _option_parser()
    parser = subparsers.add_parser(
        "audit",
        help="compare the rates that a run logged with its table",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[options],
        allow_abbrev=False,
    )
    parser.add_argument("log", metavar="LOG", help="the log")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="TABLE", help="what the run should have applied")
    parser.set_defaults(run=reporting(_run, parser.prog))


def _option_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("lrtables audit", add_help=False, allow_abbrev=False)
    parser.add_argument("--column", metavar="NAME", help="the rate's column, tag or key in the log")
    parser.add_argument("--group", metavar="N", type=int, help="the parameter group, of a table with one for each")
    parser.add_argument("--offset", metavar="N", type=int, help="step s has the rate of update s + N (default: found)")
    parser.add_argument("--per-step", metavar="N", type=int, help="samples or tokens an update makes, on those axes")
    parser.add_argument("--version", metavar="N", type=int, help="an earlier version of the run")
    parser.add_argument("--url", metavar="URL", help="address of the service (default: LRTABLES_URL)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw planned and logged rates as SVG")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="the same, .png or .svg (needs the extra 'plot')")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _run(parsed: argparse.Namespace) -> int:
    words = CommandWords.sort(parsed.words, flags=_FLAGS, options=_OPTIONS)
    parsed = _option_parser().parse_args(words.options, namespace=parsed)
    try:
        return _compared(words, opened(parsed.log), parsed)
    except ImportError as error:
        raise UsageError(str(error)) from error


def _compared(words: CommandWords, log: RateLog, parsed: argparse.Namespace) -> int:
    """Compare the log with its table, or name its schedule, and print what was found."""
    table = _planned(words, log, parsed)
    if table is None:
        for option, value in (
            ("--group", parsed.group),
            ("--per-step", parsed.per_step),
            ("--version", parsed.version),
        ):
            if value is not None:
                raise UsageError(f"{option} {value} needs a table to compare with")
        if parsed.svg or parsed.plot:
            raise UsageError("a picture needs a table to compare with")
        identified = identify(log, column=parsed.column, offset=parsed.offset)
        _show(identified.to_dict(), identified.text, parsed)
        return 0
    per_step = 1 if parsed.per_step is None else parsed.per_step
    found = audit(log, table, column=parsed.column, group=parsed.group, offset=parsed.offset, per_step=per_step)
    _draw(found, parsed)
    _show(found.to_dict(), found.text, parsed)
    return 1 if found.verdict == "differs" else 0


def _show(data: dict[str, Any], text: str, parsed: argparse.Namespace) -> None:
    if parsed.json:
        say_json(data)
    else:
        say(text)


def _draw(found: Audit, parsed: argparse.Namespace) -> None:
    if parsed.svg is None and parsed.plot is None:
        return
    planned, logged = drawn_tables(found)
    first = found.first_wrong_step
    if parsed.svg is not None:
        marks = {} if first is None else {first: f"first wrong step {first:,}"}
        drawing = picture({"planned": planned, "logged": logged}, title=str(parsed.log), marks=marks)
        parsed.svg.write_text(drawing, encoding="utf-8")
    if parsed.plot is not None:
        overlay(parsed.plot, {"lr": (planned.lr, logged.lr)}, names=("planned", f"logged in {parsed.log}"))


# -- what was planned -------------------------------------------------------------------------------------------------


def _planned(words: CommandWords, log: RateLog, parsed: argparse.Namespace) -> Table | None:
    """The table that was typed: a file, a digest, a run's name or URL, or a spec as `lrtables show` takes it.

    None for nothing, unless the log names its table and a service can be asked for it.
    """
    if not words.positional:
        words.refuse_parameters("without a kind")
        return _named(log, parsed)
    if (find := named_table(words, parsed)) is not None:
        with connected(parsed) as client:
            return find(client)
    table = typed_table(words)
    return _computed(words, log) if table is None else table


def _named(log: RateLog, parsed: argparse.Namespace) -> Table | None:
    """The table that our file of applied rates names last, where there is a service or an offline cache to ask."""
    digest = log.origins[-1][1].digest if log.origins else None
    if digest is None or not (parsed.url or os.environ.get("LRTABLES_URL") or is_offline(None)):
        return None
    with connected(parsed) as client:
        return client.get(digest)


def _computed(words: CommandWords, log: RateLog) -> Table:
    """The table of a typed spec; a schedule without an end gets as many rows as the log speaks of."""
    spec, why = typed_spec(words, None)
    if why != _STATED and all(schedule.end is None for schedule in spec.schedules):
        spec = typed_spec(words, _last_step(log) + 2)[0]
    return Table.compute(spec)


def _last_step(log: RateLog) -> int:
    return max((step for cells in log.columns.values() for step in cells.steps), default=0)
