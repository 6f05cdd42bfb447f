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
from client.runs.documents import Change, Proposal, Run, moment
from scheduler import Spec, Table
from scheduler.amendments import describe_amendment, parse_amendment
from scheduler.views.summary import length_in_words
from scheduler.views.svg import picture

_MOST_DRAWN = 6  # tables in the picture: the first, and the newest; more would hide one another
_ACTIONS = {
    "create": "created",
    "move": "moved to another schedule",
    "rollback": "rolled back",
    "delete": "deleted",
}
_SETTINGS = {
    "lock": "locked",
    "unlock": "unlocked",
    "propose": "proposal",
    "reject": "rejected proposal",
    "forget": "forgot the position",
}
_MOST_NAMED = 4  # versions that one line of the legend names
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])|^(?=[#+-])|(?<=^\d)(?=[.)])")  # also what begins a list or a heading


@dataclass(frozen=True)
class LogBook:
    """The log book of a run.

    Args:
        versions: every version, the oldest first.
        tables: the tables of the versions, by digest.
        spec: computes the newest table without a service; None where nothing but its values is known.
        changes: every change of the run as the feed tells it, the oldest first; empty where that is not known.
        proposals: every proposal for the run; empty where they are not known.
    """

    versions: Sequence[Run]
    tables: Mapping[str, Table]
    spec: Spec | None
    changes: Sequence[Change] = ()
    proposals: Sequence[Proposal] = ()

    @property
    def final(self) -> Run:
        """The newest version that has a table: a deletion has that of the version before it."""
        return self.versions[-1]

    def svg(self) -> str:
        """The picture: the newest table over earlier ones, with a mark where each change begins."""
        digests = list(dict.fromkeys(run.digest for run in reversed(self.versions)))
        kept = digests if len(digests) <= _MOST_DRAWN else [*digests[: _MOST_DRAWN - 1], digests[-1]]
        drawn = {self._legend(digest): self.tables[digest] for digest in reversed(kept)}
        return picture(drawn, title=self.final.full_name, marks=_marks(self.versions))

    def _legend(self, digest: str) -> str:
        """The versions that have a table, the newest last: after a rollback there are several."""
        numbers = [run.version for run in self.versions if run.digest == digest and run.action != "delete"]
        text = ", ".join(map(str, numbers if len(numbers) <= _MOST_NAMED else [numbers[0], "...", numbers[-1]]))
        return f"version{'' if len(numbers) == 1 else 's'} {text}"

    def markdown(self, picture_name: str, spec_name: str | None) -> str:
        """The log book as Markdown.

        Args:
            picture_name: the path of the picture, relative to the text.
            spec_name: the path of the spec; None where there is none.
        """
        parts = (self._head(picture_name), self._reproducing(spec_name), self._entries(), self._settings())
        return "\n".join(line for part in parts for line in part) + "\n"

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
            made = (self._authors(run), moment(run.created_at), run.reason or "")
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
            yield f"{self._origin(run)} at {moment(run.created_at)} UTC."
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

    def _proposal_of(self, run: Run) -> Proposal | None:
        """The proposal whose approval made a version; None where none did."""
        return next((each for each in self.proposals if each.version == run.version), None)

    def _origin(self, run: Run) -> str:
        """By whom a version is, as the beginning of a sentence."""
        proposal, author = self._proposal_of(run), _escaped(run.author or "anybody")
        if proposal is None:
            return f"By {author}"
        made = f"Proposed by {_escaped(proposal.author or 'anybody')} at {moment(proposal.created_at)} UTC"
        return f"{made} (proposal {proposal.proposal}), approved by {author}"

    def _authors(self, run: Run) -> str:
        proposal, author = self._proposal_of(run), run.author or "anybody"
        return author if proposal is None else f"{author}, proposed by {proposal.author or 'anybody'}"

    def _settings(self) -> Iterator[str]:
        """Locks, labels, guard rails and proposals: what changed beside the table, and who did it."""
        rows = [(change, words) for change in self.changes if (words := setting_in_words(change, self.changes))]
        if not rows:
            return
        yield "## Settings and proposals"
        yield ""
        yield "| at (UTC) | at version | change | by | reason |"
        yield "| --- | ---: | --- | --- | --- |"
        for change, words in rows:
            made = (words, change.author or "anybody", change.reason or "")
            cells = (moment(change.created_at), str(change.version), *made)
            yield f"| {' | '.join(map(_escaped, cells))} |"
        yield ""

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


def setting_in_words(change: Change, changes: Sequence[Change] = ()) -> str:
    """What a change has set beside the table of its run, in words; empty where it has set nothing.

    Args:
        change: the change.
        changes: those of the run, from which the guard rails before it are known.
    """
    details = change.details or {}
    words = _SETTINGS.get(change.action, "")
    if change.action in ("propose", "reject"):
        words = f"{words} {details.get('proposal', '')}".rstrip()
    if change.action == "forget":
        words += f" of {details['worker']}" if "worker" in details else f"s of {details.get('workers', 'all')} workers"
    parts = [words] if words else []
    if isinstance(rules := details.get("rules"), Mapping):
        parts.append(_rules_in_words(rules, _rules_before(change, changes)))
    if isinstance(labels := details.get("labels"), Mapping):
        parts.append(f"labels: {' '.join(f'{name}={value}' for name, value in labels.items()) or 'none'}")
    return "; ".join(parts)


def _rules_before(change: Change, changes: Sequence[Change]) -> Mapping[str, Any]:
    """The guard rails that held before a change, as far as the changes tell."""
    rules: Mapping[str, Any] = {}
    for each in changes:
        if each.sequence >= change.sequence:
            break
        rules = {} if each.action == "delete" else (each.details or {}).get("rules", rules)
    return rules


def _rules_in_words(rules: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Guard rails, each with what it was before where that is another limit, and those that were removed."""
    names = sorted(name for name in rules if rules[name] is not None)
    shown = [
        f"{name}={rules[name]}" + (f" (was {before[name]})" if before.get(name, rules[name]) != rules[name] else "")
        for name in names
    ]
    gone = sorted(name for name in before if name not in names)
    return f"rules: {' '.join(shown) or 'none'}" + (f" (without {', '.join(gone)})" if gone else "")


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
