"""`lrtables token`: creates, lists and revokes the tokens of a server."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scheduler.messages.errors import Owner, line, translate
from service.commands.options import CommandError, add_data_options, metadata_for, new_database

if TYPE_CHECKING:
    from service.commands.options import Subparsers
    from service.database.tokens import TokenRow
    from service.security.tokens import Limits

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([1-9]\d{0,4})([mhdw])")
_COLUMNS = ("token_id", "name", "state", "scopes", "namespaces", "limits", "expires_at")

_DESCRIPTION = "Create, list and revoke the tokens of a server."
_CREATE = """Create a token and print it. It is shown only once, and only its hash is stored. The scopes are read (fetch
tables and runs), compute (have tables computed), propose (propose changes of runs), publish (put tables by value, and
change runs) and admin (everything). Clients send the token in LRTABLES_TOKEN."""
_LIMITS = "requests_per_second, bytes_per_second or max_steps; each server process counts separately; repeat for more"


def add_parser(subparsers: Subparsers) -> None:
    """Add `token` to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser("token", help="create, list and revoke tokens", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    create = _add(commands, "create", _create, "create a token and print it", _CREATE)
    create.add_argument("name", metavar="NAME", help="a label shown in `token list`")
    create.add_argument(
        "--scope", action="append", required=True, metavar="SCOPE", help="as above, such as read,compute"
    )
    create.add_argument("--namespace", action="append", metavar="PATTERN", help="such as team-a/* (default: *, all)")
    create.add_argument(
        "--expires", default="90d", metavar="IN", help="like 30m, 12h, 90d, 52w, or never (default: 90d)"
    )
    create.add_argument("--limit", action="append", default=[], metavar="LIMIT=N", help=_LIMITS)
    _add(commands, "list", _list, "list all tokens, without their secrets")
    revoke = _add(commands, "revoke", _revoke, "revoke a token; servers refuse it within 10 seconds")
    revoke.add_argument("token_id", metavar="ID", help="token_id from `token list`; not the token itself")


def _add(
    commands: Subparsers, name: str, run: Callable[[argparse.Namespace], int], short: str, long: str | None = None
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=short, description=long or f"{short[0].upper()}{short[1:]}.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_data_options(parser)
    parser.set_defaults(run=run)
    return parser


def _create(parsed: argparse.Namespace) -> int:
    """Print the new token to standard output, and its ID and expiry to standard error."""
    from service.security.tokens import new_token  # noqa: PLC0415  # only the server needs the service extra

    scopes = [scope.strip() for text in parsed.scope for scope in text.split(",")]
    expires_in, limits = _expires_in(parsed.expires), _limits(parsed.limit)
    try:
        token, row = new_token(parsed.name, scopes, parsed.namespace or ["*"], limits, expires_in=expires_in)
    except ValueError as error:
        raise CommandError(str(error)) from error
    with metadata_for(parsed, make=True) as metadata:
        if metadata.is_new:
            print(new_database(metadata), file=sys.stderr)
        metadata.tokens.add(row)
    if parsed.json:
        print(json.dumps({"token": token, **_description(row)}))
    else:
        print(token)
        print(f"token {row.token_id} expires: {_cell(_date(row.expires_at))}; it is not shown again", file=sys.stderr)
    return 0


def _list(parsed: argparse.Namespace) -> int:
    """Print all tokens, the newest last."""
    with metadata_for(parsed) as metadata:
        found = [_description(row) for row in metadata.tokens.every_token()]
    if parsed.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(_table([_COLUMNS, *(tuple(map(_cell, map(item.get, _COLUMNS))) for item in found)])))
    return 0


def _revoke(parsed: argparse.Namespace) -> int:
    """Revoke a token. Revoking it again changes nothing."""
    with metadata_for(parsed) as metadata:
        rows = {row.token_id: row for row in metadata.tokens.every_token()}
        if parsed.token_id not in rows:
            raise CommandError(
                f"there is no token with the ID {parsed.token_id[:20]!r}: 'lrtables token list' shows all IDs"
            )
        metadata.tokens.revoke(parsed.token_id, time.time())
        found = next(_description(row) for row in metadata.tokens.every_token() if row.token_id == parsed.token_id)
    print(json.dumps(found) if parsed.json else f"token {parsed.token_id} is revoked: servers refuse it in 10 seconds")
    return 0


def _expires_in(text: str) -> float | None:
    """Return an expiry in seconds, or None for never."""
    if text == "never":
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise CommandError(f"--expires must be like 30m, 12h, 90d, 52w, or never, got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def _limits(texts: Sequence[str]) -> Limits:
    from pydantic import ValidationError  # noqa: PLC0415  # beside what needs the service extra

    from service.security.tokens import Limits  # noqa: PLC0415  # only the server needs the service extra

    given = dict(text.partition("=")[::2] for text in texts)
    if len(given) < len(texts):
        raise CommandError(f"--limit must name each limit only once, got {' '.join(texts)}")
    for name in given:
        if name not in Limits.model_fields:
            raise CommandError(f"--limit must be one of {', '.join(Limits.model_fields)}, got {name!r}")
    try:
        return Limits.model_validate(given)
    except ValidationError as error:
        first = translate(error, given, Owner("--limit"))[0]
        raise CommandError(f"--limit {line(first)}") from error


def _description(row: TokenRow) -> dict[str, Any]:
    """Return a token as JSON data, without its hash."""
    return {
        "token_id": row.token_id,
        "name": row.name,
        "state": row.state(time.time()),
        "scopes": list(row.scopes),
        "namespaces": list(row.namespaces),
        "limits": dict(row.limits),
        "created_at": _date(row.created_at),
        "expires_at": _date(row.expires_at),
        "revoked_at": _date(row.revoked_at),
    }


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={number:g}" for name, number in value.items()) or "-"
    return ",".join(value) if isinstance(value, list) else str(value or "never")


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
