"""`lrtables run amend|propose|approve|reject`: a run changed from a step on, or a proposal to do so."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.client import Client
from client.commands import printing
from client.commands.options import REFUSED, UsageError, add_command, add_reasons, add_version, connected
from client.commands.printing import say
from client.commands.run_changing import changed, report
from client.runs.documents import DryRun, Run
from scheduler import Spec, Table
from scheduler.amendments import Amendment, describe_amendment, parse_amendment
from scheduler.commands.numbers import steps_option
from scheduler.commands.operands import typed_table
from scheduler.commands.typed import one_word, typed_schedules
from scheduler.compose.literal import MAX_VALUES, Literal
from scheduler.views.chart import BEHIND
from scheduler.views.svg import picture

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_TEMPLATES = ("cooldown", "extend", "hold", "scale", "tail")
_NEEDED = "one of --cooldown, --extend, --hold, --scale and --tail is needed"

_EXAMPLES = """
examples:
  lrtables run amend team-a/bert --from-step 60000 --cooldown 10000 --rate 0 --shape 1-sqrt --reason "deadline moved"
  lrtables run amend team-a/bert --from-step 60000 --extend 120000 --dry-run
  lrtables run amend team-a/bert --from-step 30000 --rewind --tail "Ramp previous 0 40000" --reason "spike at 31k"
"""


def add_parsers(commands: Subparsers) -> None:
    """Add the commands."""
    amend = add_command(commands, "amend", _amend, "change a run from a step on; every step before stays as it is")
    propose = add_command(commands, "propose", _propose, "propose such a change, for someone else to approve")
    for parser in (amend, propose):
        _add_amendment(parser)
        parser.add_argument("--dry-run", action="store_true", help="change nothing; show old and new, and what forbids")
        parser.add_argument("--picture", type=Path, metavar="FILE", help="save a picture of old and new, .svg")
    approve = add_command(commands, "approve", _approve, "approve a proposal: the run is amended")
    reject = add_command(commands, "reject", _reject, "reject a proposal")
    for parser in (approve, reject):
        parser.add_argument("name", metavar="NAME", help="namespace/name")
        parser.add_argument("proposal", type=int, metavar="N", help="its number, from 'lrtables run proposals'")
    reject.add_argument("--reason", metavar="TEXT", help="why, for the log book")


def _add_amendment(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EXAMPLES
    parser.add_argument("name", metavar="NAME", help="namespace/name")
    parser.add_argument(
        "--from-step", type=steps_option, required=True, metavar="K", help="first row that changes, from 0"
    )
    parser.add_argument(
        "--cooldown", type=steps_option, metavar="N", help="go to --rate over N steps, the last of the run"
    )
    parser.add_argument("--rate", type=float, metavar="R", help="of --cooldown (default: 0)")
    parser.add_argument("--shape", metavar="SHAPE", help="of --cooldown, as in Ramp (default: linear)")
    parser.add_argument(
        "--extend", type=steps_option, metavar="N", help="N steps in all: hold the rate of K for the difference"
    )
    parser.add_argument("--hold", action="store_true", help="hold the rate of K to the end")
    parser.add_argument("--scale", type=float, metavar="C", help="multiply every rate from K on by C")
    parser.add_argument("--tail", metavar="SCHEDULE", help="other values: a kind with its parameters, JSON, or a file")
    parser.add_argument(
        "--total-steps",
        type=steps_option,
        metavar="N",
        help="of --tail: rows in all (default: what it is made for)",
    )
    parser.add_argument("--rewind", action="store_true", help="of --tail: workers go back to their checkpoint of K")
    add_reasons(parser)
    add_version(parser)


def _amendment(parsed: argparse.Namespace) -> Amendment:
    """The amendment that was typed. Raises `UsageError`, and `ScheduleError` for one that cannot be."""
    if parsed.picture and parsed.picture.suffix.lower() != ".svg":
        raise UsageError(f"--picture must end in .svg, got {str(parsed.picture)!r}")
    given = [name for name in _TEMPLATES if _is_given(parsed, name)]
    if len(given) != 1:
        raise UsageError(f"{_NEEDED}, got {' and '.join(f'--{name}' for name in given) or 'none'}")
    (template,) = given
    for option, owner in (("rate", "cooldown"), ("shape", "cooldown"), ("total_steps", "tail"), ("rewind", "tail")):
        if _is_given(parsed, option) and template != owner:
            raise UsageError(f"--{option.replace('_', '-')} makes no sense without --{owner}")
    own: dict[str, Any] = {
        "cooldown": {"length": parsed.cooldown, "rate": parsed.rate, "shape": parsed.shape},
        "extend": {"total_steps": parsed.extend},
        "hold": {},
        "scale": {"factor": parsed.scale},
        "tail": {
            "tail": None if parsed.tail is None else _tail(parsed.tail),
            "total_steps": parsed.total_steps,
        },
    }[template]
    given_own = {name: value for name, value in own.items() if value is not None}
    name = "rewind" if parsed.rewind else template
    return parse_amendment({"template": name, "from_step": parsed.from_step, **given_own})


def _tail(text: str) -> Any:
    """The JSON data of the schedules that --tail was given, or of the rates in a table's file."""
    if (table := typed_table(one_word(text))) is None:
        return typed_schedules(text)
    if table.total_steps > MAX_VALUES:
        raise UsageError(
            f"--tail takes a file of at most {MAX_VALUES:,} rows, got {table.total_steps:,}: "
            f"'lrtables publish {text}', then --tail 'Literal digest={table.digest}'"
        )
    others = [name for name in table.columns if name.partition(".")[0] != "lr"]
    if others:
        raise UsageError(f"--tail takes a table of rates alone, and {text} has {', '.join(others)}")
    groups = sorted(table.columns, key=lambda name: int(name.partition(".")[2] or 0))
    parts = [{"kind": Literal.kind, "given": table.columns[name].tolist()} for name in groups]
    return parts if "lr" not in table.columns else parts[0]


def _is_given(parsed: argparse.Namespace, option: str) -> bool:
    value = getattr(parsed, option)
    return value is not None and value is not False


def _amend(parsed: argparse.Namespace) -> int:
    amendment = _amendment(parsed)
    with connected(parsed) as client:
        if parsed.dry_run:
            return _dry_run(client, amendment, parsed)
        new = client.amend(changed(client, parsed), amendment, reason=parsed.reason, link=parsed.link)
        if parsed.picture:
            _save_picture(parsed.picture, client, client.run(parsed.name, new.version - 1), new)
    if not parsed.json:
        say(describe_amendment(amendment))
    return report(new, parsed)


def _dry_run(client: Client, amendment: Amendment, parsed: argparse.Namespace, *, proposing: bool = False) -> int:
    """Print what would come of an amendment. Returns 1 where it would be refused."""
    old = client.run(parsed.name, parsed.if_version)
    found = (client.propose if proposing else client.amend)(old, amendment, dry_run=True)
    if parsed.picture:
        parsed.picture.write_text(found.picture, encoding="utf-8")
    data = {name: value for name, value in found.to_dict().items() if name != "picture"}
    printing.show_result(data, _dry_run_lines(client, old, amendment, found), as_json=parsed.json)
    return REFUSED if found.refusals else 0


def _dry_run_lines(client: Client, old: Run, amendment: Amendment, found: DryRun) -> Iterator[str]:
    yield f"{old.full_name} version {old.version}: nothing was changed"
    yield describe_amendment(amendment)
    yield f"digest {found.digest}"
    yield f"{found.total_steps:,} rows, {old.total_steps:,} before"
    yield "no row would differ" if found.first_step is None else f"first row that differs: {found.first_step:,}"
    if found.largest_factor is not None:
        yield f"largest factor of the rate: {found.largest_factor:.6g}"
    yield from (f"refused: {refusal.get('detail', refusal)}" for refusal in found.refusals)
    if (table := _table_of(client, found)) is not None:
        yield ""
        yield from printing.table_charts(table, before=client.get(old))
        yield f"{BEHIND} the rates now, where they would differ"


def _table_of(client: Client, found: DryRun) -> Table | None:
    """The table of a dry run; None where this version of lrtables does not know its spec."""
    if found.spec is None:
        return None
    try:
        return client.fetch(Spec.model_validate_json(json.dumps(found.spec)), digest=found.digest)
    except ValueError:
        return None


def _save_picture(path: Path, client: Client, old: Run, new: Run) -> None:
    tables = {f"version {run.version}": client.get(run) for run in (old, new)}
    marks = {} if new.from_step is None else {new.from_step: f"version {new.version}"}
    path.write_text(picture(tables, title=new.full_name, marks=marks), encoding="utf-8")


def _propose(parsed: argparse.Namespace) -> int:
    amendment = _amendment(parsed)
    with connected(parsed) as client:
        if parsed.dry_run:
            return _dry_run(client, amendment, parsed, proposing=True)
        if parsed.picture:
            raise UsageError("--picture of a proposal needs --dry-run")
        found = client.propose(changed(client, parsed), amendment, reason=parsed.reason, link=parsed.link)
    broken = [f"    would be refused now: {refusal.get('detail', refusal)}" for refusal in found.refusals or ()]
    printing.show_result(found.to_dict(), [*printing.proposal_lines(found), *broken], as_json=parsed.json)
    return 0


def _approve(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        return report(client.approve(parsed.name, parsed.proposal), parsed)


def _reject(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        found = client.reject(parsed.name, parsed.proposal, reason=parsed.reason)
    printing.show_result(found.to_dict(), printing.proposal_lines(found), as_json=parsed.json)
    return 0
