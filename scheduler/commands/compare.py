"""`lrtables compare`: two schedules or tables, step by step: equal, or where and how they differ, and a verdict."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from scheduler import Table
from scheduler.commands.numbers import step_count
from scheduler.commands.operands import typed_table
from scheduler.commands.show import printable, reason
from scheduler.commands.typed import ENDLESS, one_word, typed_spec
from scheduler.named_tables import UnresolvedError
from scheduler.views.compare import Comparison, Operand, compare

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_STATED = "as the spec says"  # why a typed spec has its length, where that is part of what was typed

_EXAMPLES = """
A and B are each one argument: a kind with its parameters in quotes, JSON or a file of it, or a table's file.

examples:
  lrtables compare "LinearWarmup 1e-3 1000" "CosineWarmup 1e-3 1000"
  lrtables compare "torch.CosineAnnealingLR 0.1 T_max=90" captured.safetensors --output difference.png
  lrtables compare old.json new.json --steps 100000 --json

The exit code is 0 where they are equal bit for bit, 1 where they differ, 2 for bad input.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `compare` to a command's subparsers; `run` of the parsed arguments is what returns the exit code."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two schedules or tables step by step",
        description="Compare two schedules or tables step by step, bit for bit.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="a kind with its parameters, JSON, or a file")
    parser.add_argument("b", metavar="B", help="the same, for what to compare it with")
    parser.add_argument(
        "--steps", metavar="N", help="steps to compare (default: those of a table, else where both end)"
    )
    parser.add_argument("--output", metavar="FILE", help="save a picture, .png or .svg (needs the extra 'plot')")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the comparison. Returns 0 where both are equal, 1 where not, 2 for bad input, after a line on stderr."""
    try:
        steps = None if arguments.steps is None else step_count(arguments.steps)
        comparison = _compared(arguments.a, arguments.b, steps)
        if arguments.output:
            comparison.plot(arguments.output)
    except (ValueError, OSError, ImportError, RecursionError, UnresolvedError) as error:
        print(f"lrtables compare: {reason(error)}", file=sys.stderr)
        return 2
    print(printable(json.dumps(_description(comparison), indent=2) if arguments.json else str(comparison)))
    return 0 if comparison.equal else 1


def _compared(a: str, b: str, steps: int | None) -> Comparison:
    sides = [_side(text, steps) for text in (a, b)]
    if steps is None and not any(isinstance(side.operand, Table) for side in sides):
        stated = [side.steps for side in sides if not side.is_endless]
        steps = max(stated or [side.steps for side in sides])
    left, right = (side.operand for side in sides)
    return compare(left, right, steps)


class _Side(NamedTuple):
    """What was typed for one side, the steps to show it over, and whether nothing in it states so many."""

    operand: Operand
    steps: int
    is_endless: bool = False


def _side(text: str, steps: int | None) -> _Side:
    words = one_word(text)
    if (table := typed_table(words)) is not None:
        return _Side(table, table.total_steps)
    spec, why = typed_spec(words, None)
    if why != _STATED:
        return _Side(spec.schedule, spec.total_steps, why.startswith(ENDLESS))
    table = Table.compute(spec if steps is None else typed_spec(words, steps)[0])
    return _Side(table, table.total_steps)


def _description(comparison: Comparison) -> dict[str, Any]:
    return {
        "equal": comparison.equal,
        "a": comparison.names[0],
        "b": comparison.names[1],
        "steps": comparison.steps,
        "first": comparison.first,
        "prefix": comparison.prefix,
        "columns": {name: dataclasses.asdict(found) for name, found in comparison.columns.items()},
        "others": comparison.others,
        "verdict": comparison.verdict_lines,
        "verdicts": {name: found.to_dict() for name, found in comparison.verdicts.items()},
    }
