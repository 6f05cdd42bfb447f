"""The log book of a run: who changed what from which step on, when and why, as Markdown, with its picture.

Beside it stand a spec and a digest that reproduce the run without a service: each amendment keeps the rows before its
step bit for bit, and a rewind goes back to a step, so the newest table holds every rate of the branch that was trained,
since the run was created or, after a deletion, created again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.errors import printable
from client.runs.documents import Run, moment
from scheduler import Spec, Table
from scheduler.amendments import describe_amendment, parse_amendment
from scheduler.views.svg import picture

_MOST_DRAWN = 6  # tables in the picture: the first, and the newest; more would hide one another
_ACTIONS = {
    "create": "created",
    "move": "moved to another schedule",
    "rollback": "rolled back",
    "delete": "deleted",
}
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])|^(?=[#+-])|(?<=^\d)(?=[.)])")  # also what begins a list or a heading


@dataclass(frozen=True)
class LogBook:
    """The log book of a run.

    Args:
        versions: every version, the oldest first.
        tables: the tables of the versions, by digest.
        spec: computes the newest table without a service; None where nothing but its values is known.
    """

    versions: Sequence[Run]
    tables: Mapping[str, Table]
    spec: Spec | None

    @property
    def final(self) -> Run:
        """The newest version that has a table: a deletion has that of the version before it."""
        return self.versions[-1]

    def svg(self) -> str:
        """The picture: the newest table over earlier ones, with a mark where each change begins."""
        digests = list(dict.fromkeys(run.digest for run in reversed(self.versions)))
        kept = digests if len(digests) <= _MOST_DRAWN else [*digests[: _MOST_DRAWN - 1], digests[-1]]
        first_versions = {run.digest: run.version for run in reversed(self.versions)}
        drawn = {f"version {first_versions[digest]}": self.tables[digest] for digest in reversed(kept)}
        return picture(drawn, title=self.final.full_name, marks=_marks(self.versions))

    def markdown(self, picture_name: str, spec_name: str | None) -> str:
        """The log book as Markdown.

        Args:
            picture_name: the path of the picture, relative to the text.
            spec_name: the path of the spec; None where there is none.
        """
        return "\n".join([*self._head(picture_name), *self._reproducing(spec_name), *self._entries()]) + "\n"

    def _head(self, picture_name: str) -> Iterator[str]:
        name, final = self.final.full_name, self.final
        yield f"# Log book of {_escaped(name)}"
        yield ""
        yield f"![The rates of {_escaped(name)}, with each change]({picture_name})"
        yield ""
        yield "| version | from step | change | by | at (UTC) | reason |"
        yield "| ---: | ---: | --- | --- | --- | --- |"
        for index, run in enumerate(self.versions):
            begin = "" if run.from_step is None else f"{run.from_step * run.stride:,}"
            made = (run.author or "anybody", moment(run.created_at), run.reason or "")
            cells = (str(run.version), begin, what(run, self.versions[:index]), *made)
            yield f"| {' | '.join(map(_escaped, cells))} |"
        yield ""
        if final.deleted or final.action == "delete":
            yield f"The run was deleted with version {final.version}."
            yield ""

    def _reproducing(self, spec_name: str | None) -> Iterator[str]:
        final = self.final
        yield "## The whole run in one table"
        yield ""
        created = [run.version for run in self.versions if run.action == "create"]
        since = f" since it was created again with version {created[-1]}" if len(created) > 1 else ""
        yield f"Every rate of this run{since} is in the table with this digest (SHA-256 of the values):"
        yield ""
        yield f"    {final.digest}"
        yield ""
        rows = length_in_words(final)
        if spec_name is None:
            yield f"It has {rows}. Its values are all that is known of it: its file stands beside this one."
        else:
            yield f"It has {rows}, and is computed from `{spec_name}` without a service:"
            yield ""
            yield f"    lrtables show {spec_name}"
        yield ""

    def _entries(self) -> Iterator[str]:
        for index, run in enumerate(self.versions):
            yield f"## Version {run.version}: {_escaped(what(run, self.versions[:index]))}"
            yield ""
            yield f"By {_escaped(run.author or 'anybody')} at {moment(run.created_at)} UTC."
            if run.reason:
                yield ""
                yield f"> {_escaped(run.reason)}"
            if run.link:
                yield ""
                yield f"<{run.link}>" if _is_url(run.link) else _escaped(run.link)
            yield ""
            yield from self._rates(run, self.versions[:index])
            yield f"Table `{run.digest}`"
            yield ""
            if run.amendment is not None:
                yield from ("```json", json.dumps(run.amendment), "```", "")

    def _rates(self, run: Run, earlier: Sequence[Run]) -> Iterator[str]:
        """The rates in the row where a version begins to differ: before, and now."""
        before = next((other for other in reversed(earlier) if other.version == run.parent), None)
        if before is None or run.from_step is None or run.digest == before.digest:
            return
        old, new = self.tables[before.digest], self.tables[run.digest]
        row = run.from_step
        for name in (name for name in new.columns if name.partition(".")[0] == "lr" and name in old.columns):
            was = f"{float(old.columns[name][row])!r}" if row < old.total_steps else "past the end"
            now = f"{float(new.columns[name][row])!r}" if row < new.total_steps else "past the end"
            change = f"is {now}, as before" if was == now else f"was {was}, and is {now}"
            yield f"At {run.axis} {row * run.stride:,} {name} {change}."
            yield ""


def length_in_words(run: Run) -> str:
    """The rows of a run's table, and what they count."""
    if run.stride == 1:
        return f"{run.total_steps:,} {run.axis}s"
    return f"{run.total_steps:,} rows of {run.stride:,} {run.axis}s"


def amendment_in_words(data: Mapping[str, Any]) -> str:
    """An amendment in a sentence; its JSON, where this version of lrtables does not know it."""
    try:
        return describe_amendment(parse_amendment(dict(data)))
    except ValueError:
        return json.dumps(data)


def what(run: Run, earlier: Sequence[Run] = ()) -> str:
    """What a version changed, in a sentence."""
    if run.amendment is not None:
        return amendment_in_words(run.amendment)
    if run.action == "rollback":
        same = next((other.version for other in reversed(earlier) if other.digest == run.digest), None)
        return "rolled back" if same is None else f"rolled back to version {same}"
    return _ACTIONS.get(run.action, run.action)


def _marks(versions: Sequence[Run]) -> dict[int, str]:
    """Row to the versions that begin to differ there."""
    marks: dict[int, list[str]] = {}
    for run in versions:
        if run.from_step is not None:
            marks.setdefault(run.from_step, []).append(f"v{run.version}")
    return {row: " ".join(labels) for row, labels in marks.items()}


def _escaped(text: str) -> str:
    """A text of somebody's as Markdown that shows it as it is, its control characters escaped."""
    return _SPECIAL.sub(lambda found: f"\\{found[1] or ''}", printable(" ".join(text.split())))


def _is_url(text: str) -> bool:
    return text.isprintable() and re.fullmatch(r"https?://[^\s<>]+", text) is not None
