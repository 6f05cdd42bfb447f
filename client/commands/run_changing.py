"""`lrtables run create|move|rollback|lock|unlock|set|delete`: runs made and changed as a whole."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from client.client import Client
from client.commands import printing
from client.commands.options import (
    Command,
    UsageError,
    add_command,
    add_reasons,
    add_service_options,
    add_version,
    connected,
    labels_of,
    rules_of,
)
from client.commands.tables import asked_spec
from client.errors import RunChangedError
from client.runs.documents import Run
from client.runs.methods import Target
from scheduler.commands.operands import typed_digest, typed_table
from scheduler.commands.typed import CommandWords

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_OPTIONS = {"--steps", "--reason", "--link", "--label", "--rule", "--url", "--if-version"}
_FLAGS = {"--json", "--or-use"}

_WHAT = """
SCHEDULE is a kind with its parameters, a recipe, the JSON of a schedule or spec or a file of it, as for
'lrtables show'; a table's file (.safetensors); or the digest of a table that the service has.
"""


def add_parsers(commands: Subparsers) -> None:
    """Add the commands."""
    for name, run, short in (
        ("create", _create, "create a run; one that has this schedule already is a success"),
        ("move", _move, "give a run another schedule, as a new version"),
    ):
        usage = f"lrtables run {name} NAME SCHEDULE... [--steps N] [--reason TEXT] [--label KEY=VALUE] [--rule NAME=N]"
        parser = add_command(commands, name, run, short, long=f"{short.capitalize()}.\n{_WHAT}", usage=usage)
        parser.add_argument("name", metavar="NAME", help="namespace/name")
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="SCHEDULE", help="as above")
        _add_change_options(parser)
    rollback = _add(commands, "rollback", _rollback, "give a run the table of an earlier version, as a new version")
    rollback.add_argument("version", type=int, metavar="VERSION", help="the earlier version")
    rollback.add_argument("--rewind", action="store_true", help="workers restart from a checkpoint: allow passed steps")
    add_reasons(rollback)
    add_version(rollback)
    for name, run, short in (
        ("lock", _lock, "let a run refuse every change"),
        ("unlock", _unlock, "let a locked run be changed again"),
        ("delete", _delete, "delete a run; its versions can still be read"),
    ):
        parser = _add(commands, name, run, short)
        parser.add_argument("--reason", metavar="TEXT", help="why, for the log book")
        add_version(parser)
    setting = _add(commands, "set", _set, "set guard rails of a run one by one, or replace its labels")
    setting.add_argument("--reason", metavar="TEXT", help="why, for the log book")
    setting.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="all of its labels: repeat for more"
    )
    setting.add_argument("--rule", action="append", default=[], metavar="NAME=N", help=f"{_RULES}; others stay")
    setting.add_argument("--no-rule", action="append", default=[], metavar="NAME", help="remove a guard rail")
    setting.add_argument("--clear-rules", action="store_true", help="remove every guard rail that is not given")
    add_version(setting)


RULES = ("min_lr", "max_lr", "max_factor", "cooloff_seconds", "margin_steps")
"""The guard rails that there are."""
_RULES = "min_lr, max_lr, max_factor, cooloff_seconds or margin_steps; repeat for more"


def changed(client: Client, parsed: argparse.Namespace) -> Run | str:
    """What a change is made for: the name of the run, or the version that was typed."""
    return parsed.name if parsed.if_version is None else client.run(parsed.name, parsed.if_version)


def report(run: Run, parsed: argparse.Namespace) -> int:
    """Print a run as it is after a change."""
    line = f"{run.full_name} version {run.version} ({run.action}) digest {run.digest}"
    printing.show_result(run.to_dict(), [line], as_json=parsed.json)
    return 0


def _add(commands: Subparsers, name: str, run: Command, short: str) -> argparse.ArgumentParser:
    parser = add_command(commands, name, run, short)
    parser.add_argument("name", metavar="NAME", help="namespace/name")
    return parser


def _add_change_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--or-use", action="store_true", help="of create: take the run as it is now, if it was created with this"
    )
    parser.add_argument("--steps", metavar="N", help="rows of the table (default: where the schedule ends)")
    add_reasons(parser)
    add_version(parser)
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="repeat for more")
    parser.add_argument("--rule", action="append", default=[], metavar="NAME=N", help=_RULES)


def _create(parsed: argparse.Namespace) -> int:
    target, parsed = _typed(parsed)
    if parsed.if_version is not None:
        raise UsageError(f"--if-version makes no sense for a run that is to be new, got {parsed.if_version}")
    with connected(parsed) as client:
        labels, rules = labels_of(parsed.label), rules_of(parsed.rule)
        try:
            run = client.create_run(
                parsed.name,
                target,
                reason=parsed.reason,
                link=parsed.link,
                labels=labels,
                rules=rules,
                if_exists="use" if parsed.or_use else "error",
            )
        except RunChangedError as error:
            if not parsed.or_use:
                error.hint = "--or-use takes the run as it is now, if it was created with this"
            raise
    return report(run, parsed)


def _move(parsed: argparse.Namespace) -> int:
    target, parsed = _typed(parsed)
    if parsed.or_use:
        raise UsageError("--or-use makes no sense for a move")
    with connected(parsed) as client:
        labels, rules = labels_of(parsed.label), rules_of(parsed.rule)
        run = client.move_run(
            changed(client, parsed), target, reason=parsed.reason, link=parsed.link, labels=labels, rules=rules
        )
    return report(run, parsed)


def _rollback(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        run = client.rollback(
            changed(client, parsed), parsed.version, rewind=parsed.rewind, reason=parsed.reason, link=parsed.link
        )
    return report(run, parsed)


def _lock(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        return report(client.set_run(changed(client, parsed), locked=True, reason=parsed.reason), parsed)


def _unlock(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        return report(client.set_run(changed(client, parsed), locked=False, reason=parsed.reason), parsed)


def _set(parsed: argparse.Namespace) -> int:
    labels, rules = labels_of(parsed.label), rules_of(parsed.rule) or {}
    if both := rules.keys() & set(parsed.no_rule):
        raise UsageError(f"--rule and --no-rule contradict each other: {', '.join(sorted(both))}")
    if unknown := sorted({*rules, *parsed.no_rule} - set(RULES)):
        raise UsageError(f"a rule must be one of {', '.join(RULES)}, got {unknown[0]}")
    changes = {**rules, **dict.fromkeys(parsed.no_rule)}
    if labels is None and not changes and not parsed.clear_rules:
        raise UsageError("nothing is to be set: give --label, --rule, --no-rule or --clear-rules")
    with connected(parsed) as client:
        run = changed(client, parsed)
        if changes or parsed.clear_rules:
            run = client.change_rules(run, changes, clear=parsed.clear_rules, reason=parsed.reason)
        if labels is not None:
            run = client.set_run(run, labels=labels, reason=parsed.reason)
    assert isinstance(run, Run)  # something was set
    printing.show_result(run.to_dict(), printing.summary_lines(run), as_json=parsed.json)
    return 0


def _delete(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        return report(client.delete_run(changed(client, parsed), reason=parsed.reason), parsed)


def _typed(parsed: argparse.Namespace) -> tuple[Target, argparse.Namespace]:
    """What a run is to use, and the arguments with the options that were typed behind it."""
    words = CommandWords.sort(parsed.words, flags=_FLAGS, options=_OPTIONS)
    options = argparse.ArgumentParser("lrtables run", add_help=False, allow_abbrev=False)
    add_service_options(options)
    _add_change_options(options)
    parsed = options.parse_args(words.options, namespace=parsed)
    if not words.positional:
        raise UsageError("a schedule is needed behind the name: a kind with its parameters, JSON, a file or a digest")
    if (digest := typed_digest(words, parsed.steps)) is not None:
        return digest, parsed
    if (table := typed_table(words, parsed.steps)) is not None:
        return table, parsed
    return asked_spec(words, parsed.steps), parsed
