"""`lrtables cache ls`, `verify` and `prune`: the tables that this machine keeps."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from client.cache.folders import cache_bytes, cache_folder
from client.cache.node_cache import NodeCache

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_CACHE = """The tables that clients on this machine keep in files. The folder is LRTABLES_CACHE, else the user's cache
folder."""
_VERIFY = """Read every table and compare its digest. A damaged one is set aside, and printed. Exits with 1 if there is
one."""
_PRUNE = """Remove the least recently used tables until the rest fits, and what killed processes left behind. Processes
that use a table keep it in memory."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser("cache", help="the tables that this machine keeps", description=_CACHE)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("ls", help="list the tables", description="List the tables, the last used one last.")
    listing.set_defaults(run=_list)
    verify = actions.add_parser("verify", help="verify every table", description=_VERIFY)
    verify.set_defaults(run=_verify)
    prune = actions.add_parser("prune", help="remove tables", description=_PRUNE)
    prune.set_defaults(run=_prune)
    prune.add_argument(
        "--max-bytes", type=_nbytes, metavar="N", help="bytes that stay (LRTABLES_CACHE_BYTES, else 2 GiB)"
    )
    for action in (listing, verify, prune):
        action.add_argument("--cache", type=Path, metavar="FOLDER", help="another folder")


def _nbytes(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number of bytes, got {text!r}")
    return int(text)


def _opened(parsed: argparse.Namespace) -> NodeCache | None:
    folder = cache_folder(parsed.cache)
    if folder is None:
        print("there is no cache: LRTABLES_CACHE is off, or this user has no home")
        return None
    try:
        return NodeCache(folder, cache_bytes())
    except ValueError as error:
        raise SystemExit(f"lrtables: {error}") from error


def _list(parsed: argparse.Namespace) -> int:
    cache = _opened(parsed)
    if cache is None:
        return 0
    entries = cache.entries()
    for entry in entries:
        used = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used_at))
        print(f"{entry.digest} {entry.nbytes:>12} {used}")
    print(f"{len(entries)} tables, {sum(entry.nbytes for entry in entries)} bytes in {cache.folder}")
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    cache = _opened(parsed)
    if cache is None:
        return 0
    sound = damaged = 0
    for entry, is_sound in cache.verify():
        sound += is_sound
        damaged += not is_sound
        if not is_sound:
            print(f"{entry.digest} is damaged: set aside")
    print(f"{sound} tables verified, {damaged} damaged, in {cache.folder}")
    return min(damaged, 1)


def _prune(parsed: argparse.Namespace) -> int:
    cache = _opened(parsed)
    if cache is None:
        return 0
    removed = cache.prune(cache.max_bytes if parsed.max_bytes is None else parsed.max_bytes)
    for entry in removed:
        print(f"{entry.digest} {entry.nbytes}")
    print(f"{len(removed)} tables, {sum(entry.nbytes for entry in removed)} bytes removed from {cache.folder}")
    return 0
