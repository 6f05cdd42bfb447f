"""Every way a call of the client can fail.

ClientError
├── ServiceUnreachableError (ConnectionError)   no connection could be made, or kept, before the deadline
├── OfflineError (ConnectionError)              the client is offline, and has no other way to the table
├── DeadlineExceededError (TimeoutError)        the service did not respond before the deadline
├── RequestRefusedError                         the service answered with an error: `status`, `code`, `errors`
│   ├── NotAllowedError                         it asks for a token (401), or for one that allows more (403)
│   ├── RunNotFoundError (LookupError)          there is no such run, version or proposal (404), or not any more (410)
│   ├── RunChangedError                         the run is not at the version that the change was made for (412)
│   ├── RunLockedError                          the run is locked (423)
│   └── AmendmentRefusedError                   the change breaks a rule of the run: `refusals` (409, 422)
├── OutcomeUnknownError                         the answer to a change was lost: read before you repeat it
├── UnexpectedResponseError (ValueError)        the response is not one of this service
├── BundleError (ValueError)                    a file that is no bundle of runs, or a damaged one
├── DigestMismatchError (ValueError)            a table that is not the requested one
├── RanksDisagreeError (ValueError)             processes of one job differ in table, parameter groups or position
├── RankFailedError                             a process of the job could not do its part; the others stop, too
└── RankTimeoutError (TimeoutError)             processes of the job did not come in time; it names them
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scheduler.texts import encodable, json_object

_LONGEST_TEXT = 2000  # characters of one text of a response that a message repeats
_HTML = re.compile(rb"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)
_DEEPEST_JSON = 20  # levels of a problem document: those of the service have 3


class ClientError(Exception):
    """The base of every error of the client. Its text is printable, whatever the response held.

    Each class says in `advice` what to do next. A traceback shows it below the message.
    """

    advice: ClassVar[str] = ""
    """What to do next, in one or two sentences."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self.advice:
            self.add_note(self.advice)

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """The text with its lone surrogates and control characters escaped, line ends and tabs aside."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in encodable(text))


class ServiceUnreachableError(ClientError, ConnectionError):
    """No connection could be made, or kept, before the deadline."""

    advice = (
        "See whether the service runs and its address is right: Client.status() tells. A portable schedule "
        "needs no service: fetch(..., on_unreachable='compute')."
    )


class OfflineError(ClientError, ConnectionError):
    """The client is offline, and what was asked for is neither in its cache nor to be computed here."""

    advice = "Fetch it once where there is a network, import a bundle (lrtables import), or unset LRTABLES_OFFLINE."


class DeadlineExceededError(ClientError, TimeoutError):
    """The service was reached, but did not respond before the deadline."""

    advice = "Give the call more time, Client(deadline=...), or see why the service or the network is slow."


class OutcomeUnknownError(ClientError):
    """The answer to a request that must not be repeated was lost, so it may or may not have taken effect.

    Read what it would have changed, and repeat it only where it has not.
    """

    advice = "Read what the request would have changed, and repeat it only where it has not."


class UnexpectedResponseError(ClientError, ValueError):
    """The response is not one of this service: is the URL right?"""

    advice = "See whether the URL is right, and what stands between: a proxy, a gateway, another version of lrtables."


class BundleError(ClientError, ValueError):
    """A file is no bundle of runs, or a damaged one: export it again."""

    advice = "Export the bundle again, and compare the sizes of the two files."


class DigestMismatchError(ClientError, ValueError):
    """A table is not the requested one."""

    advice = (
        "Do not train with this table. `lrtables cache verify` checks the files here, `lrtables verify` those "
        "of the service."
    )


class RanksDisagreeError(ClientError, ValueError):
    """Processes of one job differ in their table, parameter groups or position: the message names them."""

    advice = "Start every rank with the same code, run and checkpoint: the message names the ranks that differ."


class RankFailedError(ClientError):
    """A process of the job could not do its part, such as fetching the table. Every rank raises the same message."""

    advice = "Read the log of the rank that the message names: its error came first."


class RankTimeoutError(ClientError, TimeoutError):
    """Processes of the job did not come to the exchange in time: the message names them where they are known."""

    advice = "See whether the ranks that the message names still run."


@dataclass(frozen=True)
class FieldError:
    """One refused field: a JSON pointer into the request, what is wrong with it, and the value it had."""

    pointer: str
    detail: str
    value: Any = None

    def __str__(self) -> str:
        return printable(f"{self.pointer or '/'}: {self.detail}")


class RequestRefusedError(ClientError):
    """The service answered with an error status and, as a rule, a problem document (RFC 9457) that says why.

    Args:
        url: the URL of the request.
        status: the HTTP status, 300 to 599.
        body: the body of the response, or as much of it as could be read.
        retry_after: seconds after which the service asks to be tried again, where it says so.
    """

    advice = "Correct the request as the message says. The service's log has more, under the request's id."

    def __init__(self, url: str, status: int, body: bytes, retry_after: float | None = None) -> None:
        super().__init__(url, status, body, retry_after)  # the arguments, so that the error can be pickled
        self.url = url
        self.status = status
        self.retry_after = retry_after
        self.problem = _problem(body)
        self._reason = _PAGE if is_page(body) else "no reason given"

    @property
    def code(self) -> str:
        """The problem's stable name, for programs; empty where the response has none."""
        return _text(self.problem.get("code"))

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The refused fields, in the order the service lists them."""
        fields = self.problem.get("errors")
        return tuple(map(_field_error, fields)) if isinstance(fields, list) else ()

    @property
    def request_id(self) -> str:
        """The id of this request in the service's log."""
        return _text(self.problem.get("request_id"))

    def __str__(self) -> str:
        reason = _text(self.problem.get("detail")) or _text(self.problem.get("title")) or self._reason
        lines = [f"{self.url} answered {self.status}: {reason}"]
        lines += [f"  {error}" for error in self.errors]
        return printable("\n".join([*lines, f"  request {self.request_id}"] if self.request_id else lines))


_PAGE = (
    "no reason given, but an HTML page: something between here and the service answers in its place, such as a proxy "
    "or the log-in page of a network"
)
_ASK = "whoever runs the service makes one: lrtables token create NAME --scope SCOPE"
_ADVICE = {
    (401, False): f"no token was sent: set LRTABLES_TOKEN, or say Client(url, token=...); {_ASK}",
    (401, True): f"the token that was sent is not valid there, or not any more; {_ASK}",
    (403, True): f"the token that was sent does not allow this; {_ASK}",
}


class NotAllowedError(RequestRefusedError):
    """The service asks for a token (401), or for one that allows more (403); the message says what to do.

    Args:
        url: the URL of the request.
        status: the HTTP status, 401 or 403.
        body: the body of the response.
        with_token: whether a token was sent.
    """

    advice = "Set LRTABLES_TOKEN to a token with the scope that is needed: `lrtables token create`."

    def __init__(self, url: str, status: int, body: bytes, with_token: bool) -> None:
        super().__init__(url, status, body)
        self.args = (url, status, body, with_token)  # so that the error can be pickled
        self.with_token = with_token

    def __str__(self) -> str:
        advice = _ADVICE.get((self.status, self.with_token))
        return super().__str__() + (f"\n  {advice}" if advice else "")


class RunNotFoundError(RequestRefusedError, LookupError):
    """There is no such run, version or proposal (404), or the run has been deleted (410)."""

    advice = "List the runs that there are: `lrtables run list`."
    near: tuple[str, ...] = ()
    """Names of runs that are spelt alike, where somebody has looked for them: the commands do."""

    def __str__(self) -> str:
        if self.status == _GONE:
            advice = "it was deleted, and its versions can still be read; creating it again makes a new version"
        else:
            advice = "'lrtables run list' shows the runs that this token may read; check namespace, name and URL"
            if self.code == "run-not-found":
                advice += "; 'lrtables run create' and create_run make a new one"
        near = f"\n  near: {', '.join(self.near)}" if self.near else ""
        return printable(f"{super().__str__()}{near}\n  {advice}")


class RunChangedError(RequestRefusedError):
    """The run is not at the version that the change was made for, or exists already with another table (412)."""

    advice = "Read the run again, and decide on its new version."
    hint = ""
    """What else the caller may do, where somebody knows it: the command that creates runs does."""

    @property
    def current(self) -> Mapping[str, Any]:
        """The document of the run as it is now; empty where the response has none."""
        return _mapping(self.problem.get("current"))

    @property
    def difference(self) -> Mapping[str, Any]:
        """The current table compared with yours: `first_step`, `columns` (current value, yours), `text`; or empty."""
        return _mapping(self.problem.get("difference"))

    def __str__(self) -> str:
        version, text = self.current.get("version"), _text(self.difference.get("text"))
        lines = [super().__str__()]
        if isinstance(version, int):
            action, author = (_text(self.current.get(name)) for name in ("action", "author"))
            lines.append(f"  it is at version {version} ({action}{f' by {author}' if author else ''})")
        lines += [f"  {text}"] if text and text not in lines[0] else []
        lines.append("  read the run as it is now, and decide whether your change still holds")
        lines += [f"  {self.hint}"] if self.hint else []
        return printable("\n".join(lines))


class RunLockedError(RequestRefusedError):
    """The run is locked: it refuses every change until it is unlocked (423)."""

    advice = "See who locked it and why, `lrtables run history`, before you unlock it."

    def __str__(self) -> str:
        return f"{super().__str__()}\n  whoever may publish unlocks it: lrtables run unlock NAME"


class AmendmentRefusedError(RequestRefusedError):
    """The change breaks a rule of the run: workers have passed its step, or a guard rail forbids it (409, 422)."""

    advice = "Choose a later step or a smaller change; a dry run shows what would be allowed."

    @property
    def refusals(self) -> tuple[str, ...]:
        """Each rule that it breaks, in a sentence with the rule's limit and the value."""
        found = self.problem.get("refusals")
        texts = [_text(_mapping(each).get("detail", each)) for each in found] if isinstance(found, list) else []
        return tuple(text for text in texts if text) or (_text(self.problem.get("detail")),)

    def __str__(self) -> str:
        said = super().__str__()
        others = [text for text in self.refusals if text not in said]
        advice = _REFUSED.get(self.code, "dry_run=True (--dry-run) shows every rule that a change breaks")
        if "worker" in self.problem:
            advice += "; 'lrtables run workers NAME' shows where they are, and --forget forgets one that is gone"
        return printable("\n".join([said, *(f"  {text}" for text in others), f"  {advice}"]))


_GONE = 410
_REFUSED = {"proposal-outdated": "the run has changed since the proposal was made: look again, and propose it anew"}
_RUN_ERRORS: Mapping[tuple[int, str], type[RequestRefusedError]] = {
    (404, "run-not-found"): RunNotFoundError,
    (404, "version-not-found"): RunNotFoundError,
    (404, "proposal-not-found"): RunNotFoundError,
    (410, "run-deleted"): RunNotFoundError,
    (412, "precondition-failed"): RunChangedError,
    (423, "run-locked"): RunLockedError,
    (409, "amendment-refused"): AmendmentRefusedError,
    (409, "proposal-outdated"): AmendmentRefusedError,
    (409, "proposal-decided"): AmendmentRefusedError,
    (422, "guard-rail"): AmendmentRefusedError,
}


def run_error(url: str, status: int, body: bytes, retry_after: float | None = None) -> RequestRefusedError:
    """The error for a refused request about a run, by its status and the code of its problem document."""
    code = _text(_problem(body).get("code"))
    return _RUN_ERRORS.get((status, code), RequestRefusedError)(url, status, body, retry_after)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def is_page(start: bytes) -> bool:
    """Return whether a body begins like a web page, which the service never sends to a client."""
    return bool(_HTML.match(start))


def _problem(body: bytes) -> dict[str, Any]:
    """The problem document in a body; empty where there is none, or where it is nested too deep to print."""
    problem = json_object(body)
    return problem if problem is not None and _is_shallow(problem, _DEEPEST_JSON) else {}


def _is_shallow(data: Any, levels: int) -> bool:
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)


def _text(value: Any) -> str:
    """A text of a problem document, shortened where it is long; empty where it is no text."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _field_error(field: Any) -> FieldError:
    if not isinstance(field, dict):
        return FieldError("", _text(field))
    return FieldError(_text(field.get("pointer")), _text(field.get("detail")), field.get("value"))
