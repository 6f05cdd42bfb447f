"""The files of a table, read from a real server by the tools that people have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pytest
from accelerate.utils import load_state_dict

from client import Client
from scheduler import Table
from scheduler.builtin import OneCycleLR
from tests.support.servers.process import ServerProcess

READERS: dict[str, Callable[[str], Any]] = {
    "pandas": lambda url: pd.read_csv(url),
    "pandas-fsspec": lambda url: pd.read_csv(url.replace("http://", "simplecache::http://")),
    "polars": lambda url: pl.read_csv(url),
    "polars-lazy": lambda url: pl.scan_csv(url).collect(),
    "polars-lazy-part": lambda url: pl.scan_csv(url).slice(0, 20_000).collect(),
    "pyarrow": lambda url: pa.csv.read_csv(fsspec.open(url).open()),
    "fsspec-cat": lambda url: pa.csv.read_csv(pa.BufferReader(fsspec.filesystem("http").cat_file(url))),
}


@pytest.fixture(scope="module")
def table(shared_server: ServerProcess) -> Table:
    """A table of two columns, of 20,000 rows: nearly a megabyte of text."""
    with Client(shared_server.url, cache=False) as client:
        return client.fetch(OneCycleLR(max_lr=0.1, total_steps=20_000), 20_000)


@pytest.mark.parametrize("name", READERS)
def test_a_csv_is_read_from_its_address(shared_server: ServerProcess, table: Table, name: str) -> None:
    """Whole, lazily or through a file system over ranges: every value is the table's, bit for bit."""
    frame = READERS[name](f"{shared_server.url}/v1/tables/{table.digest}.csv")
    columns = {str(column): np.asarray(frame[str(column)]) for column in ("step", *table.columns)}
    np.testing.assert_array_equal(columns.pop("step"), np.arange(20_000))
    for column, values in columns.items():
        np.testing.assert_array_equal(values.view(np.int64), table.columns[column].view(np.int64))


def test_a_part_of_a_csv_is_read_as_a_part(shared_server: ServerProcess, table: Table) -> None:
    """fsspec knows the length from HEAD, and reads the end without the rest."""
    with fsspec.open(f"{shared_server.url}/v1/tables/{table.digest}.csv", block_size=1000) as file:
        assert file.size > 900_000
        file.seek(-100, 2)
        last = file.read().decode().splitlines()[-1]
    assert last == f"19999,{float(table['lr'][-1])!r},{float(table['momentum'][-1])!r}"


def test_duckdb_reads_a_saved_file(shared_server: ServerProcess, table: Table, tmp_path: Path) -> None:
    """A saved CSV, and a saved JSON, are tables for DuckDB."""
    for ending in ("csv", "json"):
        (tmp_path / f"table.{ending}").write_bytes(shared_server.get(f"/v1/tables/{table.digest}.{ending}"))
    lowest = float(table["lr"].min())
    assert duckdb.sql(f"SELECT count(*), min(lr) FROM '{tmp_path}/table.csv'").fetchall() == [(20_000, lowest)]
    json = f"SELECT list_min(columns.lr), len(columns.momentum), digest FROM '{tmp_path}/table.json'"
    assert duckdb.sql(json).fetchall() == [(lowest, 20_000, table.digest)]


def test_pyarrow_reads_json(shared_server: ServerProcess, table: Table) -> None:
    """The JSON is one object, which pyarrow reads as one row."""
    options = pa.json.ReadOptions(block_size=2**22)
    with fsspec.open(f"{shared_server.url}/v1/tables/{table.digest}.json") as file:
        read = pa.json.read_json(pa.BufferReader(file.read()), options)
    np.testing.assert_array_equal(read["columns"][0]["lr"].values.to_numpy(), table["lr"])


def test_accelerate_loads_the_file(shared_server: ServerProcess, table: Table, tmp_path: Path) -> None:
    """Accelerate takes the served file, and one that is saved with its spec, for a state dict: they say "pt"."""
    served, saved = tmp_path / "served.safetensors", tmp_path / "saved.safetensors"
    served.write_bytes(shared_server.get(f"/v1/tables/{table.digest}.safetensors"))
    table.save(saved)
    for file in (served, saved):
        state = load_state_dict(str(file))
        assert {name: list(state[name].numpy()) for name in state} == {
            name: list(column) for name, column in table.columns.items()
        }
