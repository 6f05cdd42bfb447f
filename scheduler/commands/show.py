"""`lrtables show`: a schedule before the training: in the terminal, as a picture, as exact values or as JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scheduler import Spec, Table
from scheduler.commands.catalogue import catalogue, explanation, recipe_description, recipe_explanation, recipe_lines
from scheduler.commands.numbers import step_count, step_list
from scheduler.commands.operands import typed_table
from scheduler.commands.overlaid import operands, overlaid
from scheduler.commands.typed import CommandWords, TypingError, typed_kind, typed_recipe, typed_spec
from scheduler.named_tables import UnresolvedError
from scheduler.recipes import Recipe
from scheduler.texts import abbreviate
from scheduler.views.chart import boundary_lines, chart, value_lines
from scheduler.views.plot import plot
from scheduler.views.summary import call, landmarks, length_in_words, progress_in_words

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_OPTIONS = {"--steps", "--output", "--at"}
_FLAGS = {"--json", "--log", "--help", "-h"}

_USAGE = """
examples:
  lrtables show                                            all kinds of schedules
  lrtables show WarmupWithDecay --help                     what one kind does
  lrtables show bert-base                                  a recipe
  lrtables show bert-base base_lr=3e-4 total_steps=50_000  with other numbers; 'show bert-base --help' lists them
  lrtables show WarmupWithDecay 5e-4 10000 100000 min_lr=1e-6
  lrtables show custom.CyclicLR --base-lr 1e-4 --max-lr=0.1 --step-size 2000 --steps 20000
  lrtables show LinearWarmup 1e-3 1000 --output warmup.png
  lrtables show "LinearWarmup 1e-3 1000" "CosineWarmup 1e-3 1000"  several over one another, each in one word
  lrtables show spec.json --at 0,100,999                   or spec.yaml; '-' reads standard input; JSON itself works
  lrtables show table.safetensors                          a table that was saved

Parameters come in the kind's order or by name, as name=value, --name=value or --name value, with - or _ in names.
A list is written with commas (milestones=30,60 or milestones=30,) or as JSON.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `show` to a command's subparsers; `run` of the parsed arguments is a function that returns the exit code."""
    parser = subparsers.add_parser(
        "show",
        help="show a schedule: chart, picture, exact values",
        usage="%(prog)s [KIND [PARAMETER ...] | RECIPE | SPEC | TABLE ...] [OPTION ...]",
        description="Show a schedule before the training.",
        epilog=_USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_option_parser()],
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="KIND | RECIPE | SPEC | TABLE",
        help="a kind or a recipe with its parameters, the JSON of a schedule or spec, a file of it, or a table's file",
    )
    parser.set_defaults(run=run)


def _option_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("lrtables show", add_help=False, allow_abbrev=False)
    parser.add_argument("--steps", metavar="N", help="length (default: where the schedule ends)")
    parser.add_argument("--output", metavar="FILE", help="save a picture, .png or .svg (needs the extra 'plot')")
    parser.add_argument("--log", action="store_true", help="draw values on a log scale")
    parser.add_argument("--at", metavar="STEP,...", help="print only the exact values of these steps")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Show the schedule. Returns 0, or 2 for bad input, after one line on stderr with the field and the value."""
    try:
        text = _output(arguments)
    except (ValueError, OSError, ImportError, RecursionError, UnresolvedError) as error:
        print(f"lrtables show: {reason(error)}", file=sys.stderr)
        return 2
    print(printable(text))
    return 0


def _output(arguments: argparse.Namespace) -> str:
    words = CommandWords.sort(arguments.words, flags=_FLAGS, options=_OPTIONS)
    if words.positional and {"--help", "-h"}.intersection(words.options):
        recipe = typed_recipe(words)
        return explanation(typed_kind(words.positional[0])) if recipe is None else recipe_explanation(recipe)
    options = _option_parser().parse_args(words.options, namespace=arguments)
    if not words.positional:
        words.refuse_parameters("without a kind")
        return catalogue(as_json=options.json)
    several = operands(words)
    if len(several) > 1:
        return overlaid(several, options)
    (words,) = several
    if (table := typed_table(words, options.steps)) is not None:
        return _shown(table, table.spec, "as the file has", options, None)
    spec, why = typed_spec(words, None if options.steps is None else step_count(options.steps))
    return _shown(Table.compute(spec), spec, why, options, typed_recipe(words))


def _shown(table: Table, spec: Spec | None, why: str, options: argparse.Namespace, recipe: Recipe | None) -> str:
    for warning in spec.warnings() if spec is not None else ():
        print(f"lrtables show: warning: {warning}", file=sys.stderr)
    rows = None if options.at is None else _rows(table, step_list(options.at))
    if options.output:
        plot(table, options.output, title=None if recipe is None else recipe.title, log=options.log or None)
    if options.json:
        about = {} if recipe is None else {"recipe": recipe_description(recipe)}
        return json.dumps(about | _description(table, spec, rows), indent=2)
    if rows is not None:
        return "\n".join(value_lines(table, rows))
    title = [] if recipe is None else [*recipe_lines(recipe), ""]
    saved = [f"picture: {options.output}"] if options.output else []
    return "\n".join(
        [*title, *_heading(table, spec, why), "", *_charts(table, log=options.log), *boundary_lines(table), *saved]
    )


def _rows(table: Table, steps: list[int]) -> list[int]:
    end = table.total_steps * table.stride
    for step in steps:
        if step >= end:
            raise TypingError(f"--at: {table.axis} {step} is past the last one, {end - 1}")
    return [step // table.stride for step in steps]


def _heading(table: Table, spec: Spec | None, why: str) -> list[str]:
    length = progress_in_words(table)
    if table.stride > 1:
        length += f" in {length_in_words(table)}"
    calls = ["a table of values, without a schedule"] if spec is None else map(call, spec.schedules)
    return [*calls, f"{length} ({why})", f"digest {table.digest}"]


def _charts(table: Table, *, log: bool) -> Iterator[str]:
    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    for name, column in table.columns.items():
        if len(table.columns) > 1:
            yield name
        yield chart(column, max(width, 24), axis=table.axis, stride=table.stride, log=log)
        yield ""


def _description(table: Table, spec: Spec | None, rows: list[int] | None) -> dict[str, Any]:
    names = landmarks(table) if rows is None else dict.fromkeys(rows, "")
    columns = table.columns.items()
    return {
        "spec": None if spec is None else spec.model_dump(mode="json"),
        "spec_id": None if spec is None else spec.id,
        "digest": table.digest,
        "warnings": [] if spec is None else spec.warnings(),
        "columns": {name: {"min": float(column.min()), "max": float(column.max())} for name, column in columns},
        "values": [
            {table.axis: row * table.stride}
            | ({"name": name} if name else {})
            | {column_name: float(column[row]) for column_name, column in columns}
            for row, name in names.items()
        ],
    }


def reason(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, RecursionError):
        return "this JSON is nested too deeply"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {abbreviate(str(error.filename))}"
    if isinstance(error, UnresolvedError):
        return f"{error}: fetch it from its service by its digest ('lrtables fetch'), and give that file"
    return "; ".join(str(error).splitlines())


def printable(text: str) -> str:
    """The text as this terminal's encoding can show it: a '?' for a dot that it cannot."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # it may be closed
    return text.encode(encoding, errors="replace").decode(encoding)
