"""What a service says about runs: a run at a version, a proposal, a change, each read from JSON and checked."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from client.errors import UnexpectedResponseError
from client.http.responses import parse_object
from scheduler.messages.errors import rule
from scheduler.table_format import Axis
from scheduler.texts import abbreviate

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""One part of a run's name, as a regular expression."""

_FULL_NAME = re.compile(f"({NAME})/({NAME})")
_MOST_PROBLEMS = 3


def _iso(text: str) -> str:
    datetime.fromisoformat(text)
    return text


NamePart = Annotated[str, Field(pattern=f"^{NAME}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Version = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Time = Annotated[str, AfterValidator(_iso)]
"""A time as ISO 8601 writes it, with its offset: `2026-11-30T16:50:04+00:00`."""


@dataclass(frozen=True)
class Run:
    """A run at one of its versions. A version never changes; the fields from `labels` on are those of the run's head.

    Attributes:
        namespace: the part of the name before the slash.
        name: the part behind it.
        version: 1, 2, ...
        action: how the version came about: create, move, amend, rewind, rollback or delete.
        digest: of the version's table.
        total_steps: rows of that table; each counts `stride` units of `axis`.
        spec: the table's spec as JSON data; None where the table was published by its values.
        spec_id: that spec's id.
        parent: the version that this one was made from; None for the first.
        from_step: the first row that may differ from the parent's table, where the version is an amendment.
        amendment: the amendment as JSON data; None for other actions.
        author: the name of the token that made the version.
        reason: why, in the author's words.
        link: where to read more, for instance a dashboard.
        created_at: when, ISO 8601.
        labels: key to value, of the run.
        rules: the guard rails of the run: name to limit.
        locked: whether the run refuses changes.
        deleted: whether the run has been deleted.
        stale: whether the service could not ask its database, and this is the last that it knew.
        age_seconds: for how long it has known it.
        revision: how often labels, rules and lock were set anew at this version; None for what is no head.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    namespace: NamePart
    name: NamePart
    version: Version
    action: Annotated[str, Field(max_length=100)]
    digest: Digest
    total_steps: Annotated[int, Field(ge=1)]
    axis: Axis
    stride: Annotated[int, Field(ge=1)]
    created_at: Time
    author: str = ""
    spec: Mapping[str, Any] | None = field(default=None, hash=False)
    spec_id: Digest | None = None
    parent: Version | None = None
    from_step: Count | None = None
    amendment: Mapping[str, Any] | None = field(default=None, hash=False)
    reason: str | None = None
    link: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    rules: Mapping[str, Any] = field(default_factory=dict, hash=False)
    locked: bool = False
    deleted: bool = False
    stale: bool = False
    age_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    revision: Count | None = None

    @property
    def full_name(self) -> str:
        """Namespace and name, with a slash between them."""
        return f"{self.namespace}/{self.name}"

    @property
    def state(self) -> tuple[int, int]:
        """Version and revision: which of two heads of the run is the newer one."""
        return self.version, self.revision or 0

    @property
    def etag(self) -> str:
        """The version as a condition of HTTP: `"v3"`, whatever was set of the run since."""
        return f'"v{self.version}"'

    @property
    def exact_etag(self) -> str:
        """Version and revision as a condition of HTTP: `"v3.2"`; that of the version alone for what is no head."""
        return self.etag if self.revision is None else f'"v{self.version}.{self.revision}"'

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON data, which `parse_run` takes."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Proposal:
    """A proposed amendment of a run, which someone with the scope `publish` approves or rejects.

    Attributes:
        proposal: 1, 2, ... of its run.
        base_version: the version that it was proposed for.
        amendment: as JSON data.
        state: open, approved, rejected, or another word of the service's.
        author: the name of the token that proposed it.
        reason: why, in the author's words.
        link: where to read more.
        created_at: when, ISO 8601.
        decided_by: the name of the token that decided; None while it is open.
        decided_at: when, ISO 8601.
        version: the version that its approval made.
        refusals: each reason why its approval would be refused at the time it was made: its `code`, and a `detail` in
            words. None where the service does not say it: only the answer to `propose` does.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    proposal: Version
    base_version: Version
    amendment: Mapping[str, Any] = field(hash=False)
    state: Annotated[str, Field(max_length=100)]
    created_at: Time
    author: str = ""
    reason: str | None = None
    link: str | None = None
    decided_by: str | None = None
    decided_at: Time | None = None
    version: Version | None = None
    refusals: tuple[Mapping[str, Any], ...] | None = field(default=None, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """The proposal as JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Change:
    """A change of a run, as the feed tells it. `sequence` counts the changes of all runs from 1, without a gap.

    `details` tell what was set (`labels`, `rules`), the `proposal`, the `version` that was rolled back to, or the
    `worker` whose position was forgotten.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    sequence: Version
    namespace: NamePart
    name: NamePart
    version: Version
    action: Annotated[str, Field(max_length=100)]
    digest: Digest
    created_at: Time
    author: str = ""
    reason: str | None = None
    details: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def full_name(self) -> str:
        """Namespace and name, with a slash between them."""
        return f"{self.namespace}/{self.name}"

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class DryRun:
    """What an amendment would give. Nothing was changed.

    Attributes:
        digest: of the table that there would be.
        spec: that table's spec as JSON data.
        total_steps: its rows.
        from_step: the first row that may differ.
        first_step: the first row that does; None where none does.
        last_steps: column to its value in the last row.
        largest_factor: the largest factor, up or down, between the old and the new rate of a row.
        refusals: each reason why it would be refused now: its `code`, and a `detail` in words.
        picture: the old and the new table, as SVG.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    digest: Digest
    total_steps: Annotated[int, Field(ge=1)]
    from_step: Count
    spec: Mapping[str, Any] | None = field(default=None, hash=False)
    first_step: Count | None = None
    last_steps: Mapping[str, float] = field(default_factory=dict, hash=False)
    largest_factor: float | None = None
    refusals: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    picture: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The dry run as JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class WorkerProgress:
    """The position that a worker reported last, in units of the table's axis, when (ISO 8601), and at which version."""

    __pydantic_config__ = ConfigDict(strict=True)

    step: Count
    reported_at: Time
    version: Version | None = None


@dataclass(frozen=True)
class RunProgress:
    """The workers of a run by name since it was last rewound, and the highest step of any; None without a report."""

    __pydantic_config__ = ConfigDict(strict=True)

    workers: Mapping[str, WorkerProgress] = field(hash=False)
    highest: Count | None = None

    def to_dict(self) -> dict[str, Any]:
        """The progress as JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ProgressReport:
    """The service's answer to a report: the run's version and digest now, and the highest step of any worker.

    A report that is not `counted` came from a worker at a version that was left by a rewind: it is to restart.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    version: Version
    digest: Digest
    highest: Count | None = None
    counted: bool = True


Document = TypeVar("Document", Run, Proposal, Change, DryRun, RunProgress, ProgressReport)
_NAMES: dict[type, str] = {
    Run: "run",
    Proposal: "proposal",
    Change: "change",
    DryRun: "dry run of an amendment",
    RunProgress: "run's progress",
    ProgressReport: "run's version and highest step",
}
_adapters: dict[type, TypeAdapter[Any]] = {}  # made when they are first needed: `import client` should not wait


def run_name(name: object) -> tuple[str, str]:
    """Namespace and name of a run `namespace/name`. Raises `ValueError` for anything else."""
    found = _FULL_NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(
            "a run's name must be like team-a/bert-base: two parts of letters, digits, '.', '_' and '-', at most 100 "
            f"each, that begin with a letter or digit, got {abbreviate(name)}"
        )
    return found[1], found[2]


def moment(time: str) -> str:
    """A time of a document for people: to the second, in UTC."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def parse_run(data: object, source: str = "the service") -> Run:
    """The run in a document. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(Run, data, source)


def parse_proposal(data: object, source: str = "the service") -> Proposal:
    """The proposal in a document. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(Proposal, data, source)


def parse_change(data: object, source: str = "the service") -> Change:
    """The change in a document. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(Change, data, source)


def parse_dry_run(data: object, source: str = "the service") -> DryRun:
    """The dry run in a document. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(DryRun, data, source)


def parse_progress(data: object, source: str = "the service") -> RunProgress:
    """The progress in a document. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(RunProgress, data, source)


def parse_report(data: object, source: str = "the service") -> ProgressReport:
    """The answer to a report. Raises `UnexpectedResponseError`, naming the field, where it is none."""
    return _parsed(ProgressReport, data, source)


def parse_page(body: bytes | bytearray, member: str, source: str) -> tuple[list[Any], Any]:
    """The documents of a page, not checked yet, and its `next`. Raises `UnexpectedResponseError`."""
    data = parse_object(body, source)
    if not isinstance(data.get(member), list):
        raise UnexpectedResponseError(f"{source} did not answer with a list of {member}, but with {bytes(body[:80])!r}")
    return data[member], data.get("next")


def _adapter(kind: type) -> TypeAdapter[Any]:
    """What checks documents of a kind."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _parsed(kind: type[Document], data: object, source: str) -> Document:
    try:
        found: Document = _adapter(kind).validate_json(json.dumps(data))  # of JSON, since strict Python takes no dict
    except (ValidationError, RecursionError) as error:
        what = _NAMES[kind]
        raise UnexpectedResponseError(f"{source} did not answer with a {what}: {_problems(error)}") from None
    return found


def _problems(error: ValidationError | RecursionError) -> str:
    """The first few fields that are wrong, in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found = error.errors(include_url=False)
    texts = [_problem(detail) for detail in found[:_MOST_PROBLEMS]]
    return "; ".join([*texts, f"and {len(found) - _MOST_PROBLEMS} more"] if len(found) > _MOST_PROBLEMS else texts)


def _problem(detail: Any) -> str:
    place = ".".join(map(str, detail["loc"])) or "it"
    return f"{place} is missing" if detail["type"] == "missing" else f"{place} {_rule(detail)}"


def _rule(detail: Any) -> str:
    text = rule(detail)
    return f"{text if text.startswith('should') else f'is refused ({text})'}, got {abbreviate(detail['input'])}"
