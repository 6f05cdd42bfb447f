"""`lrtables export`: runs carried to machines without a network, in one file; and how such a file is imported."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from client.cache.folders import cache_bytes, cache_folder
from client.cache.node_cache import NodeCache
from client.cache.run_files import RunFiles
from client.client import Client
from client.commands.options import UsageError, add_command, connected
from client.commands.printing import counted, say
from client.runs.bundle import BundledRun, open_bundle, write_bundle

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_EXPORT = """
Write runs with all their versions, and every table that they need, into one file (a plain zip), for machines without a
network. 'lrtables import' puts it into the cache there; then Client(offline=True).run(NAME) works without a service.

example:
  lrtables export team-a/bert team-a/gpt runs.zip
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command. The parsed arguments' `run` is a function that returns the exit status."""
    export = add_command(subparsers, "export", _export, "write runs and their tables into one file", long=_EXPORT)
    export.add_argument("names", nargs="+", metavar="RUN", help="namespace/name")
    export.add_argument("file", type=Path, metavar="FILE", help="the bundle to write")


def _export(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        runs = [_bundled(client, name) for name in dict.fromkeys(parsed.names)]
        digests = set[str]().union(*(run.digests for run in runs))
        tables = {digest: client.get(digest) for digest in digests}
    write_bundle(parsed.file, runs, tables)
    versions = sum(len(run.versions) for run in runs)
    counts = (counted(len(runs), "run"), counted(versions, "version"), counted(len(tables), "table"))
    say(f"{parsed.file}: {', '.join(counts)}")
    return 0


def _bundled(client: Client, name: str) -> BundledRun:
    return BundledRun(client.run(name), client.run_versions(name))


def import_bundle(path: Path, cache_path: Path | None) -> int:
    """Put a bundle's runs and tables into this machine's cache, or into `cache_path`. Returns the exit status.

    Raises `UsageError` where there is no cache, `BundleError` for what is no bundle, `OSError` from the system.
    """
    folder = cache_folder(cache_path)
    if folder is None:
        raise UsageError("there is no cache to import into: LRTABLES_CACHE is off, or this user has no home; --cache")
    cache, files = NodeCache(folder, cache_bytes()), RunFiles(folder)
    with open_bundle(path) as bundle:
        runs = [bundle.run(name) for name in bundle.names]  # before anything is written
        for digest in bundle.digests:
            cache.keep(bundle.table(digest))
    for run in runs:
        for version in run.versions:
            files.keep(version, as_head=False)
        files.keep(run.head, as_head=True)
    if cache.counts.failures or not all(files.find(name) for name in bundle.names):
        raise OSError(f"the cache {folder} cannot be written: {cache.counts.last_failure or 'see the warnings'}")
    counts = (counted(len(runs), "run"), counted(len(bundle.digests), "table"))
    say(f"{folder}: {', '.join(counts)}, every digest verified")
    return 0
