"""`lrtables run export`: the log book of a run as Markdown, with its picture and the spec of the whole run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from client.client import Client
from client.commands.options import UsageError, add_command, connected
from client.commands.printing import say, say_json
from client.errors import OfflineError
from client.runs.documents import Change
from client.runs.log_book import LogBook
from client.runs.standalone import named_tables, standalone_spec
from scheduler import Table

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_LONG = """
Write the log book of a run: who changed what from which step on, when and why, with a picture, and the spec and digest
that reproduce the whole run without the service.

PATH is a folder, which gets log.md, log.svg and spec.json; or a file FILE.md, which gets FILE.svg and FILE.json beside
it. Where a run's values are too many for a spec, its table is written in its place (.safetensors).
"""


def add_parsers(commands: Subparsers) -> None:
    """Add the command."""
    export = add_command(commands, "export", _export, "write the log book of a run as Markdown", long=_LONG)
    export.add_argument("name", metavar="NAME", help="namespace/name")
    export.add_argument("--output", type=Path, required=True, metavar="PATH", help="a folder, or a file ending in .md")


def log_book(client: Client, name: str) -> LogBook:
    """The log book of a run, with every table that its versions name, and all that was set of it."""
    versions = client.run_versions(name)
    tables = {digest: client.get(digest) for digest in {run.digest for run in versions}}
    final = versions[-1]
    named = {digest: tables.get(digest) or client.get(digest) for digest in named_tables(final.spec)}
    spec = standalone_spec(final.spec, tables[final.digest], named)
    try:
        return LogBook(versions, tables, spec, [*_changes(client, name)], client.proposals(name))
    except OfflineError:  # versions and tables come from the cache
        return LogBook(versions, tables, spec)


def _changes(client: Client, name: str) -> Iterator[Change]:
    since = 0
    while (found := client.changes(since, run=name)).next > since:
        yield from found.changes
        since = found.next


def _export(parsed: argparse.Namespace) -> int:
    text, spec, drawing = _paths(parsed.output)
    with connected(parsed) as client:
        book = log_book(client, parsed.name)
    text.parent.mkdir(parents=True, exist_ok=True)
    table: Table = book.tables[book.final.digest]
    written = [text, drawing]
    if book.spec is None:
        written.append(spec.with_suffix(".safetensors"))
        table.save(written[-1])
    else:
        written.append(spec)
        spec.write_text(book.spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    drawing.write_text(book.svg(), encoding="utf-8")
    text.write_text(book.markdown(drawing.name, written[-1].name if book.spec else None), encoding="utf-8")
    if parsed.json:
        say_json({"digest": table.digest, "files": [str(path) for path in written]})
    else:
        say("\n".join([*(str(path) for path in written), f"digest {table.digest}"]))
    return 0


def _paths(output: Path) -> tuple[Path, Path, Path]:
    """The paths of the text, the spec and the picture."""
    if output.suffix.lower() == ".md":
        return output, output.with_suffix(".json"), output.with_suffix(".svg")
    if output.suffix and not output.is_dir():
        raise UsageError(f"--output must be a folder or end in .md, got {str(output)!r}")
    return output / "log.md", output / "spec.json", output / "log.svg"
