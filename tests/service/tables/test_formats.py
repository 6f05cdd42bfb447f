"""The formats of a table."""

import csv
import io
import json

import numpy as np

from scheduler import Table
from service.tables.formats import CsvText, JsonText, TableText, npy_parts

LONG = Table({"lr": np.linspace(0.1, 0.2, 5000), "momentum": np.linspace(0.9, 0.8, 5000)}, axis="token", stride=3)
SINGLE = Table({"lr": [0.5, 0.25, 1e-300]})


def blocks(text: TableText) -> list[bytes]:
    """Every block of a text."""
    return [text.block(index) for index in range(text.blocks)]


def test_npy_is_what_numpy_reads() -> None:
    """A table of one column is a 1-D array of its values, one of several a 2-D array in name order, bit for bit."""
    single = np.load(io.BytesIO(b"".join(npy_parts(SINGLE))), allow_pickle=False)
    np.testing.assert_array_equal(single, SINGLE.lr)
    both = np.load(io.BytesIO(b"".join(npy_parts(LONG))), allow_pickle=False)
    np.testing.assert_array_equal(both, np.stack([LONG.columns["lr"], LONG.columns["momentum"]]))
    assert (single.dtype, both.dtype) == (np.dtype("<f8"), np.dtype("<f8"))


def test_npy_copies_nothing() -> None:
    """The values in the file are the table's own memory."""
    values = np.frombuffer(npy_parts(LONG)[1], dtype="<f8")
    assert np.shares_memory(values, LONG.columns["lr"])


def test_json_reads_back_exactly() -> None:
    """The JSON holds the frame, and every value so that it reads back as the same float."""
    for table in (SINGLE, LONG):
        data = json.loads(b"".join(blocks(JsonText(table))))
        assert {name: data[name] for name in ("digest", "axis", "stride", "after", "total_steps")} == {
            name: getattr(table, name) for name in ("digest", "axis", "stride", "after", "total_steps")
        }
        assert list(data["columns"]) == list(table.columns)
        for name, values in table.columns.items():
            np.testing.assert_array_equal(data["columns"][name], values)


def test_csv_reads_back_exactly() -> None:
    """The CSV has a header, and a row per step with the progress at which it begins."""
    rows = list(csv.reader(io.StringIO(b"".join(blocks(CsvText(LONG))).decode())))
    assert rows[0] == ["token", "lr", "momentum"]
    assert [int(row[0]) for row in rows[1:]] == list(range(0, 15_000, 3))
    np.testing.assert_array_equal([float(row[2]) for row in rows[1:]], LONG.columns["momentum"])
    assert b"".join(blocks(CsvText(SINGLE))) == b"step,lr\r\n0,0.5\r\n1,0.25\r\n2,1e-300\r\n"


def test_text_is_written_in_small_blocks() -> None:
    """No block is larger than a few thousand values, however long or wide the table."""
    for table in (Table({"lr": np.full(100_000, 1 / 3)}), Table({f"lr.{k}": np.full(3000, 1 / 3) for k in range(64)})):
        for text in (JsonText(table), CsvText(table)):
            assert max(map(len, blocks(text))) < 100_000
