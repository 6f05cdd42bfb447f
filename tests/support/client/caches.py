"""Tables for the cache, and what lies in its folder."""

from __future__ import annotations

from pathlib import Path

from client.cache.folders import DEFAULT_BYTES
from client.cache.node_cache import NodeCache
from scheduler import Table
from scheduler.custom import WarmupWithDecay


def make_table(number: int = 0, rows: int = 1000) -> Table:
    """Another table for every number."""
    return WarmupWithDecay(1e-3 + 1e-6 * number, 10, rows).table(rows)


def cache_in(folder: Path, max_bytes: int = DEFAULT_BYTES) -> NodeCache:
    return NodeCache(folder / "cache", max_bytes)


def file_of(cache: NodeCache, table: Table) -> Path:
    """The file of a table in a cache."""
    return cache.folder / "tables" / f"{table.digest}.safetensors"


def names_in(cache: NodeCache, room: str = "tables") -> list[str]:
    """The names of the files in a folder of a cache."""
    folder = cache.folder / room
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def whole(table: Table) -> list[str]:
    """The names of the files that a table has in a cache."""
    return [f"{table.digest}.mark", f"{table.digest}.safetensors"]
