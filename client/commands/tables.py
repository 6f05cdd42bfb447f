"""`lrtables fetch` and `lrtables publish`: a service's tables as files; and the tables that other commands name."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.client import Client
from client.commands.options import UsageError, add_service_options, connected, reporting
from client.commands.printing import show_result
from scheduler import Spec, Table
from scheduler.commands.documents import TABLE_SUFFIX
from scheduler.commands.numbers import step_count
from scheduler.commands.operands import typed_digest, typed_table
from scheduler.commands.typed import ENDLESS, CommandWords, typed_spec
from scheduler.views.summary import length_in_words

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_FLAGS = {"--json", "--help", "-h"}
_OPTIONS = {"--steps", "--output", "--version", "--url"}
_DIGITS = 12  # of a digest, in the name of a file
_RUN = re.compile(r"[^/\s]+/[^/\s]+")
_TABLE_URL = re.compile(r"(https?://[^?#]+?)/v1/tables/([0-9a-f]{64})(?:\.[a-z]+|/[a-z.]+)?/?")
_RUN_URL = re.compile(r"(https?://[^?#]+?)/v1/runs/([^/?#]+/[^/?#]+)(?:/versions/(\d+))?/?")
_SOURCES = {
    "cache": "from this machine's cache",
    "computed": "computed here, with the digest that the service names",
    "received": "received from the service",
    "unconfirmed": "computed here; no service has confirmed the digest",
}

_FETCH = """
Bring a table from a service, verify it, and write it to a file. WHAT is the URL of a table or a run, the digest of a
table, the name of a run (namespace/name); or a schedule as for 'lrtables show', which the service then has, too.

examples:
  lrtables fetch http://127.0.0.1:8000/v1/runs/team-a/bert
  lrtables fetch team-a/bert --version 3 --output before.safetensors
  lrtables fetch WarmupWithDecay 5e-4 10000 100000
  lrtables fetch bert-base base_lr=3e-4 total_steps=50_000
"""
_PUBLISH = """
Store a table at a service by its values, such as one that was captured from a live scheduler and saved. It is fetched
by its digest. TABLE is a table's file (.safetensors); or a schedule as for 'lrtables show', which is computed here.

examples:
  lrtables publish captured.safetensors
  lrtables publish captured.safetensors --url https://lrtables.example.com
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the commands. The parsed arguments' `run` is a function that returns the exit status."""
    for name, run, what, short, long in (
        ("fetch", _fetch, "WHAT", "bring a table from a service into a file", _FETCH),
        ("publish", _publish, "TABLE", "store a table's file at a service", _PUBLISH),
    ):
        parser = subparsers.add_parser(
            name,
            help=short,
            usage=f"%(prog)s {what} ... [OPTION ...]",
            description=long,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[_option_parser(name)],
            allow_abbrev=False,
        )
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar=what, help="as above")
        parser.set_defaults(run=reporting(run, parser.prog), parser=parser)


def named_table(words: CommandWords, parsed: argparse.Namespace) -> Callable[[Client], Table] | None:
    """How a client gets the table of the URL, digest or run that was typed; None for anything else.

    The service of a URL becomes that of the parsed arguments. Raises `UsageError` and `TypingError` for what makes no
    sense beside it: parameters, an address, a version of what is no run.
    """
    word, version = words.positional[0], parsed.version
    if version is not None and version < 1:
        raise UsageError(f"--version must be at least 1, got {version}")
    if word.startswith(("http://", "https://")):
        parsed.url, word, version = _parts(word, parsed)
        words.positional[0] = word
    if (digest := typed_digest(words)) is None and (not _RUN.fullmatch(word) or _is_file(word)):
        if version is not None:
            raise UsageError(f"--version {version} is for the name of a run, got {word!r}")
        return None
    if digest is None:
        words.refuse_parameters("beside a run")
        return lambda client: client.get(client.run(word, version))
    if version is not None:
        raise UsageError(f"--version {version} is for the name of a run, got a digest")
    return lambda client: client.get(digest)


def _parts(url: str, parsed: argparse.Namespace) -> tuple[str, str, int | None]:
    """The service of a URL, the digest or the run that it names, and the version of the run."""
    if parsed.url is not None:
        raise UsageError(f"--url {parsed.url} makes no sense beside a URL, got {url}")
    table, run = _TABLE_URL.fullmatch(url), _RUN_URL.fullmatch(url)
    if (found := table or run) is not None:
        _refuse_another_service(found[1], found[2])
    if table is not None:
        return table[1], table[2], parsed.version
    if run is None:
        raise UsageError(f"a URL must be that of a table or a run, .../v1/tables/DIGEST or .../v1/runs/NAME, got {url}")
    if run[3] is not None and parsed.version is not None:
        raise UsageError(f"--version {parsed.version} makes no sense beside the URL of a version, got {url}")
    return run[1], run[2], parsed.version if run[3] is None else int(run[3])


def _refuse_another_service(url: str, name: str) -> None:
    """Raise `UsageError` where a pasted URL would get the token that the environment has for another service."""
    known = os.environ.get("LRTABLES_URL")
    has_token = os.environ.get("LRTABLES_TOKEN") or os.environ.get("LRTABLES_TOKEN_FILE")
    if known and has_token and known.rstrip("/") != url:
        raise UsageError(
            f"the token in the environment is for {known}, and would be sent to {url}: say {name} --url {url}"
        )


def _is_file(word: str) -> bool:
    return word.endswith((".json", TABLE_SUFFIX)) or Path(word).exists()


def asked_spec(words: CommandWords, steps: str | None) -> Spec:
    """The spec that was typed. Raises `UsageError` for a schedule without an end where no length was typed."""
    spec, why = typed_spec(words, None if steps is None else step_count(steps))
    if why.startswith(ENDLESS):
        raise UsageError(f"--steps is needed: {spec.schedules[0].kind} has no end of its own")
    return spec


def _option_parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"lrtables {command}", add_help=False, allow_abbrev=False)
    add_service_options(parser)
    parser.add_argument("--steps", metavar="N", help="length of a schedule's table (default: what it states)")
    if command == "fetch":
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help=f"the file (default: the digest's begin, {TABLE_SUFFIX})"
        )
        parser.add_argument("--version", metavar="N", type=int, help="an earlier version of the run")
    return parser


def _typed(parsed: argparse.Namespace, command: str) -> tuple[CommandWords, argparse.Namespace]:
    """The words that were typed, and the arguments with the options among them."""
    words = CommandWords.sort(parsed.words, flags=_FLAGS, options=_OPTIONS)
    if {"--help", "-h"}.intersection(words.options):
        parsed.parser.parse_args(["--help"])
    parsed = _option_parser(command).parse_args(words.options, namespace=parsed)
    if not words.positional:
        raise UsageError(f"what to {command} is needed: 'lrtables {command} --help' says what it may be")
    return words, parsed


def _fetch(parsed: argparse.Namespace) -> int:
    words, parsed = _typed(parsed, "fetch")
    find = named_table(words, parsed)
    if parsed.output is not None and parsed.output.suffix != TABLE_SUFFIX:
        raise UsageError(f"--output must end in {TABLE_SUFFIX}, got {parsed.output}")
    if find is None:
        spec = _wanted(words, parsed)
        find = lambda client: client.fetch(spec)  # noqa: E731  # beside that of a name
    elif parsed.steps is not None:
        raise UsageError(f"--steps makes no sense beside a table, which has its own, got {parsed.steps}")
    with connected(parsed) as client:
        table, source = find(client), _SOURCES[client.last_source or "received"]
    path = Path(f"{table.digest[:_DIGITS]}{TABLE_SUFFIX}") if parsed.output is None else parsed.output
    table.save(path)
    lines = [f"digest {table.digest}", length_in_words(table), source, f"file {path}"]
    show_result(_description(table) | {"source": source, "file": str(path)}, lines, as_json=parsed.json)
    return 0


def _wanted(words: CommandWords, parsed: argparse.Namespace) -> Spec:
    if words.positional[0].endswith(TABLE_SUFFIX):
        raise UsageError(f"{words.positional[0]} is a table's file already: 'lrtables show' shows it")
    return asked_spec(words, parsed.steps)


def _publish(parsed: argparse.Namespace) -> int:
    words, parsed = _typed(parsed, "publish")
    table = typed_table(words, parsed.steps)
    if table is None:
        table = Table.compute(asked_spec(words, parsed.steps))
    with connected(parsed) as client:
        client.publish(table)
    show_result(_description(table), [f"digest {table.digest}", length_in_words(table)], as_json=parsed.json)
    return 0


def _description(table: Table) -> dict[str, Any]:
    layout = {"axis": table.axis, "stride": table.stride, "columns": sorted(table.columns)}
    return {"digest": table.digest, "total_steps": table.total_steps} | layout
