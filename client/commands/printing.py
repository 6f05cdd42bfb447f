"""Runs, proposals and changes as lines in a terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from client.errors import printable
from client.runs.documents import Change, Proposal, Run, RunProgress, moment
from client.runs.log_book import amendment_in_words
from scheduler import Spec, Table
from scheduler.commands import show
from scheduler.views.chart import chart
from scheduler.views.summary import call, length_in_words

_DIGITS = 12  # of a digest, where it is one column among others
_HEIGHT = 10  # lines of a chart


def say(text: str = "") -> None:
    """Print a text, at once: somebody may read it through a pipe. What would control the terminal is escaped."""
    print(show.printable(printable(text)), flush=True)


def show_result(data: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print the result of a command: its data as JSON, or its lines if there are any."""
    if as_json:
        say_json(data)
    elif text := "\n".join(lines):
        say(text)


def say_json(data: Any, *, indent: int | None = 2) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=indent), flush=True)


def summary_lines(run: Run, *, offline: bool = False) -> Iterator[str]:
    """A run at a version, without its values; `offline` where it came from the cache of this machine."""
    yield f"{run.full_name}  version {run.version}  ({run.action})"
    yield f"digest {run.digest}"
    yield length_in_words(run)
    yield from (f"schedule {text}" for text in _calls(run))
    yield from what(run)
    yield by(run.author, run.created_at, run.reason, run.link)
    if run.labels:
        yield f"labels {shown(run.labels)}"
    if rules := {name: value for name, value in run.rules.items() if value is not None}:
        yield f"rules {shown(rules)}"
    if run.locked:
        yield "locked: it refuses every change"
    if run.stale and offline:
        yield f"offline: the run as this machine knew it {run.age_seconds:.0f} s ago"
    elif run.stale:
        yield f"stale: the service has not been able to ask its database for {run.age_seconds:.0f} s"


def worker_rows(progress: RunProgress) -> Iterator[str]:
    """The positions of a run's workers, one line each, the furthest first."""
    workers = sorted(progress.workers.items(), key=lambda each: -each[1].step)
    rows = [
        (name, f"{found.step:,}", "" if found.version is None else str(found.version), moment(found.reported_at))
        for name, found in workers
    ]
    yield from columns([("worker", "step", "version", "reported at"), *rows])


def progress_lines(progress: RunProgress, axis: str) -> Iterator[str]:
    """Where the workers of a run are, in one line; nothing where none has reported."""
    if progress.highest is not None:
        yield f"{counted(len(progress.workers), 'worker')}, the furthest at {axis} {progress.highest:,}"


def in_line(text: str) -> str:
    """A text of somebody's in one line: its line ends, tabs and other control characters are escaped."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def counted(number: int, word: str) -> str:
    """A number of things: `1 run`, `2 runs`."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def what(run: Run) -> Iterator[str]:
    """The amendment that made a version, in a sentence; nothing for another action."""
    if run.amendment is not None:
        yield amendment_in_words(run.amendment)


def by(author: str, created_at: str, reason: str | None, link: str | None) -> str:
    """Who, when and why, in one line."""
    why = f": {reason}" if reason else ""
    return in_line(f"by {author or 'anybody'} at {moment(created_at)}{why}{f' ({link})' if link else ''}")


def shown(pairs: Mapping[str, Any]) -> str:
    """Keys and values in one line."""
    return in_line(" ".join(f"{key}={value}" for key, value in pairs.items()))


def change_line(change: Change) -> str:
    """A change in one line."""
    name = f"{change.full_name} version {change.version}"
    action = f"{change.action} by {change.author or 'anybody'}"
    return f"{change.sequence}  {moment(change.created_at)}  {name}  {action}  {change.digest[:_DIGITS]}"


def proposal_lines(proposal: Proposal) -> Iterator[str]:
    """A proposal: its number, state, what and why."""
    decided = f" by {proposal.decided_by or 'anybody'}" if proposal.decided_at else ""
    made = f", version {proposal.version}" if proposal.version else ""
    yield f"proposal {proposal.proposal}  for version {proposal.base_version}  {proposal.state}{decided}{made}"
    yield f"    {amendment_in_words(proposal.amendment)}"
    yield f"    {by(proposal.author, proposal.created_at, proposal.reason, proposal.link)}"


def history_rows(versions: Sequence[Run]) -> Iterator[str]:
    """The versions of a run as a table, one line each."""
    header = ("version", "action", "from", "length", "author", "at", "digest", "reason")
    yield from columns([header, *map(_history_row, versions)])


def list_rows(runs: Sequence[Run]) -> Iterator[str]:
    """Runs as a table, one line each."""
    header = ("run", "version", "action", "length", "digest", "at", "labels")
    yield from columns([header, *map(_list_row, runs)])


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of words as lines, each column as wide as its longest word."""
    rows = [[*map(in_line, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


def table_charts(table: Table, before: Table | None = None) -> Iterator[str]:
    """A chart of each column of a table, with its name where there are several; that of `before` is drawn behind."""
    width = max(min(shutil.get_terminal_size((80, 24)).columns, 100), 24)
    for name, column in table.columns.items():
        if len(table.columns) > 1:
            yield name
        behind = None if before is None else before.columns.get(name)
        yield chart(column, width, _HEIGHT, axis=table.axis, stride=table.stride, before=behind)


def _history_row(run: Run) -> tuple[str, ...]:
    begin = "" if run.from_step is None else f"{run.from_step:,}"
    words = (
        str(run.version),
        run.action,
        begin,
        f"{run.total_steps:,}",
        run.author or "anybody",
        moment(run.created_at),
    )
    return (*words, run.digest[:_DIGITS], run.reason or "")


def _list_row(run: Run) -> tuple[str, ...]:
    words = (run.full_name, str(run.version), run.action + (" locked" if run.locked else ""), f"{run.total_steps:,}")
    return (*words, run.digest[:_DIGITS], moment(run.created_at), shown(run.labels))


def _calls(run: Run) -> list[str]:
    """Each schedule of a run as the call that makes it; nothing where this version of lrtables does not know it."""
    if run.spec is None:
        return []
    try:
        spec = Spec.model_validate_json(json.dumps(run.spec))
    except ValueError:
        return []
    return [call(schedule) for schedule in spec.schedules]
