"""`lrtables run show|list|history|diff|proposals|watch`: what a service knows of runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from client.commands import printing
from client.commands.options import UsageError, add_command, connected
from client.commands.printing import say, say_json
from client.http.offline import is_offline
from client.runs.documents import Run
from scheduler import KINDS, Table
from scheduler.amendments import largest_factor
from scheduler.views.compare import Comparison, compare

if TYPE_CHECKING:
    from client.commands.options import Subparsers


def add_parsers(commands: Subparsers) -> None:
    """Add the commands."""
    show = add_command(commands, "show", _show, "show a run: who made it, why, and its chart")
    show.add_argument("name", metavar="NAME", help="namespace/name")
    show.add_argument("--version", type=int, metavar="N", help="an earlier version")
    listing = add_command(commands, "list", _list, "list and search runs")
    listing.add_argument("prefix", nargs="?", metavar="PREFIX", help="begin of the name, such as team-a/")
    listing.add_argument("--contains", metavar="TEXT", help="only those with this in their name")
    listing.add_argument("--label", metavar="KEY:VALUE", help="only those with this label")
    listing.add_argument("--kind", metavar="KIND", help="only those of this kind of schedule")
    listing.add_argument("--digest", metavar="DIGEST", help="only those of this table; its begin is enough")
    listing.add_argument("--newest", action="store_true", help="the last created first (default: by name)")
    listing.add_argument("--limit", type=int, metavar="N", help="print at most so many")
    history = add_command(commands, "history", _history, "list the versions of a run")
    history.add_argument("name", metavar="NAME", help="namespace/name")
    diff = add_command(commands, "diff", _diff, "compare two versions of a run, step by step")
    diff.add_argument("name", metavar="NAME", help="namespace/name")
    diff.add_argument("old", nargs="?", type=int, metavar="OLD", help="a version (default: the one before NEW)")
    diff.add_argument("new", nargs="?", type=int, metavar="NEW", help="another (default: the newest)")
    proposals = add_command(commands, "proposals", _proposals, "list the proposals for a run")
    proposals.add_argument("name", metavar="NAME", help="namespace/name")
    workers = add_command(commands, "workers", _workers, "show where the workers of a run are, or forget one")
    workers.add_argument("name", metavar="NAME", help="namespace/name")
    forgetting = workers.add_mutually_exclusive_group()
    forgetting.add_argument("--forget", metavar="WORKER", help="forget the position of one that is gone")
    forgetting.add_argument("--forget-all", action="store_true", help="forget every position")
    watch = add_command(commands, "watch", _watch, "print the changes of a run as they come")
    watch.add_argument("name", metavar="NAME", help="namespace/name")
    watch.add_argument("--since", type=int, metavar="N", help="begin after this number of the feed (default: now)")
    watch.add_argument("--count", type=int, metavar="N", help="end after so many changes (default: never)")


def _show(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        run = client.run(parsed.name, parsed.version)
        if parsed.json:
            say_json(run.to_dict())
            return 0
        lines = [*printing.summary_lines(run, offline=is_offline(None))]
        if parsed.version is None and not run.stale:
            lines += printing.progress_lines(client.run_progress(parsed.name), run.axis)
        lines += ["", *printing.table_charts(client.get(run))]
    say("\n".join(lines))
    return 0


def _list(parsed: argparse.Namespace) -> int:
    query = {name: getattr(parsed, name) for name in ("prefix", "contains", "label", "digest", "newest")}
    query["kind"] = None if parsed.kind is None else KINDS.named(parsed.kind).kind
    with connected(parsed) as client:
        found = list(islice(client.runs(**query), parsed.limit))
    rows = [*_known_offline(), *(printing.list_rows(found) if found else ())]
    printing.show_result([run.to_dict() for run in found], rows, as_json=parsed.json)
    return 0


def _history(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        found = client.run_versions(parsed.name)
    rows = [*_known_offline(), *printing.history_rows(found)]
    printing.show_result([run.to_dict() for run in found], rows, as_json=parsed.json)
    return 0


def _known_offline() -> Iterator[str]:
    """The line above what comes from the cache of this machine."""
    if is_offline(None):
        yield "offline: what this machine has read or imported; there may be newer versions"


def _diff(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        new = client.run(parsed.name, parsed.new)
        old = client.run(parsed.name, parsed.old or _before(new))
        tables = client.get(old), client.get(new)
    comparison = compare(*tables)
    if parsed.json:
        say_json(_description(old, new, tables, comparison))
    else:
        say("\n".join(_difference(old, new, tables, comparison)))
    return 0


def _proposals(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        found = client.proposals(parsed.name)
    if parsed.json:
        say_json([proposal.to_dict() for proposal in found])
    else:
        lines = [line for proposal in found for line in printing.proposal_lines(proposal)]
        say("\n".join(lines or [f"{parsed.name} has no proposal"]))
    return 0


def _workers(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        if parsed.forget or parsed.forget_all:
            forgotten = client.forget_progress(parsed.name, parsed.forget)
            if parsed.forget and not forgotten:
                known = ", ".join(client.run_progress(parsed.name).workers) or "none"
                raise UsageError(f"{parsed.name} has no worker {parsed.forget}; it has {known}")
            printing.show_result(forgotten, [f"forgotten: {', '.join(forgotten) or 'nobody'}"], as_json=parsed.json)
            return 0
        found = client.run_progress(parsed.name)
    rows = printing.worker_rows(found) if found.workers else ["no worker has reported"]
    printing.show_result(found.to_dict(), rows, as_json=parsed.json)
    return 0


def _watch(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        client.run_versions(parsed.name)  # a run that there is not would be watched for ever
        for change in islice(client.watch(parsed.name, parsed.since), parsed.count):
            if parsed.json:
                say_json(change.to_dict(), indent=None)
            else:
                say(printing.change_line(change))
    return 0


def _before(run: Run) -> int:
    if run.version == 1:
        raise UsageError(f"{run.full_name} has one version only: there is nothing to compare it with")
    return run.version - 1


def _difference(old: Run, new: Run, tables: tuple[Table, Table], comparison: Comparison) -> Iterator[str]:
    """The difference as lines to read."""
    for side, run in zip("AB", (old, new), strict=True):
        yield f"{side}  version {run.version}  {run.action}  digest {run.digest}"
    yield from str(comparison).splitlines()[2:]
    first = comparison.first
    if first is not None:
        for name, (left, right) in comparison.pairs.items():
            step = f"step {first * tables[0].stride:,}"
            yield f"{step}: {name} is {float(left[first])!r} in A, {float(right[first])!r} in B"
        yield f"largest factor of the rate: {largest_factor(*tables, first):.6g}"
    for side, table in zip("AB", tables, strict=True):
        yield ""
        yield side
        yield from printing.table_charts(table)


def _description(old: Run, new: Run, tables: tuple[Table, Table], comparison: Comparison) -> dict[str, Any]:
    first = comparison.first
    return {
        "old": old.to_dict(),
        "new": new.to_dict(),
        "equal": comparison.equal,
        "first_step": first,
        "values": {}
        if first is None
        else {name: [float(left[first]), float(right[first])] for name, (left, right) in comparison.pairs.items()},
        "largest_factor": 1.0 if first is None else largest_factor(*tables, first),
        "others": comparison.others,
        "verdict": comparison.verdict_lines,
    }
