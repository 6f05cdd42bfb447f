"""Bundles: runs in one file, with every table that they need, for machines without a network.

A bundle is a plain zip file, not compressed:

```text
bundle.json                     {"format": "lrtables bundle", "revision": 1, "runs": [...], "tables": [...]}
runs/NAMESPACE/NAME.json        {"head": {...}, "versions": [{...}, ...]}
tables/DIGEST.safetensors       the one file that the digest has
```
"""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import BundleError, UnexpectedResponseError
from client.runs.documents import Run, parse_run, run_name
from client.runs.standalone import named_tables
from scheduler import Table, TableError
from scheduler.texts import abbreviate, is_digest, json_object

_FORMAT, _REVISION = "lrtables bundle", 1
_MOST_JSON = 2**28  # bytes of one JSON file
_BAD_ZIP = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError)  # what zipfile may raise
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same runs give the same file


@dataclass(frozen=True)
class BundledRun:
    """A run in a bundle: its head, and every version, the oldest first."""

    head: Run
    versions: Sequence[Run]

    @property
    def digests(self) -> set[str]:
        """The tables that its versions name, and those that their specs name."""
        return {run.digest for run in self.versions} | set().union(*(named_tables(run.spec) for run in self.versions))


def write_bundle(path: Path, runs: Sequence[BundledRun], tables: Mapping[str, Table]) -> None:
    """Write runs and their tables, atomically: the file is complete, or it is not there.

    Args:
        path: of the file.
        runs: the runs.
        tables: every table that a run names, by digest.

    Raises `OSError`.
    """
    content = {
        "format": _FORMAT,
        "revision": _REVISION,
        "runs": sorted(run.head.full_name for run in runs),
        "tables": sorted(tables),
    }
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                _add(archive, "bundle.json", [json.dumps(content, indent=2).encode()])
                for run in runs:
                    _add(archive, f"runs/{run.head.full_name}.json", [json.dumps(_document(run)).encode()])
                for digest in sorted(tables):
                    _add(archive, _table_name(digest), tables[digest].parts())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Bundle:
    """A bundle that is read. Nothing in it is believed before it is verified.

    Raises `BundleError` for what is no bundle, `OSError` from the system.
    """

    def __init__(self, archive: zipfile.ZipFile, path: str) -> None:
        self._archive = archive
        self._path = path
        found = self._json("bundle.json")
        if found.get("format") != _FORMAT or found.get("revision") != _REVISION:
            raise BundleError(
                f"{path} is no bundle that this version of lrtables reads: its format is "
                f"{abbreviate(found.get('format'))}, revision {abbreviate(found.get('revision'))}"
            )
        self.names = self._list(found, "runs", lambda name: run_name(name) is not None)
        self.digests = self._list(found, "tables", is_digest)

    def run(self, name: str) -> BundledRun:
        """A run of the bundle: its head is one of its versions, and every table that it names is in the bundle."""
        file = f"runs/{name}.json"
        found = self._json(file)
        versions = found.get("versions")
        if not isinstance(versions, list) or not versions:
            raise self._broken(f"{file} has no versions")
        try:
            run = BundledRun(parse_run(found.get("head"), file), [parse_run(item, file) for item in versions])
            digests = run.digests
        except UnexpectedResponseError as error:
            raise self._broken(str(error)) from None
        if {each.full_name for each in (run.head, *run.versions)} != {name}:
            raise self._broken(f"{file} is about another run")
        if missing := sorted(digests - set(self.digests)):
            raise self._broken(f"{file} names table {missing[0]}, which is not in it")
        known = {each.version: each.digest for each in run.versions}
        if len(known) < len(versions):
            raise self._broken(f"{file} has a version twice")
        if known.get(run.head.version) != run.head.digest:
            raise self._broken(
                f"the head of {file}, version {run.head.version} with table {run.head.digest}, is none of its versions"
            )
        return run

    def table(self, digest: str) -> Table:
        """A table of the bundle, verified."""
        content = self._read(_table_name(digest), None)
        try:
            table = Table.from_bytes(memoryview(content).toreadonly())
        except TableError as error:
            raise self._broken(f"table {digest}: {error}") from error
        if table.digest != digest:
            raise self._broken(f"the file of table {digest} holds table {table.digest}")
        return table

    def _list(self, found: Mapping[str, Any], member: str, is_one: Any) -> list[str]:
        items = found.get(member)
        try:
            if isinstance(items, list) and all(is_one(item) for item in items):
                return items
        except ValueError:
            pass
        raise self._broken(f"its list of {member} is malformed")

    def _json(self, name: str) -> dict[str, Any]:
        found = json_object(self._read(name, _MOST_JSON))
        if found is None:
            raise self._broken(f"{name} is no JSON object")
        return found

    def _read(self, name: str, most: int | None) -> bytes:
        try:
            entry = self._archive.getinfo(name)
        except KeyError:
            raise self._broken(f"{name} is missing") from None
        if entry.compress_type != zipfile.ZIP_STORED:  # so nothing in it is larger than the file
            raise self._broken(f"{name} is compressed")
        if most is not None and entry.file_size > most:
            raise self._broken(f"{name} must have at most {most} bytes, got {entry.file_size}")
        try:
            return self._archive.read(entry)
        except _BAD_ZIP as error:
            raise self._broken(f"{name} cannot be read ({error})") from error

    def _broken(self, problem: str) -> BundleError:
        return BundleError(f"the bundle {self._path} is damaged: {problem}")


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open a bundle, for a `with` block. Raises `BundleError` for what is none, `OSError` from the system."""
    try:
        archive = zipfile.ZipFile(path)
    except _BAD_ZIP as error:
        raise BundleError(f"{path} is no bundle: {error}") from error
    with archive:
        yield Bundle(archive, str(path))


def _document(run: BundledRun) -> dict[str, Any]:
    return {"head": run.head.to_dict(), "versions": [version.to_dict() for version in run.versions]}


def _add(archive: zipfile.ZipFile, name: str, parts: Sequence[bytes | memoryview]) -> None:
    with archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as file:
        for part in parts:
            file.write(part)


def _table_name(digest: str) -> str:
    return f"tables/{digest}.safetensors"
