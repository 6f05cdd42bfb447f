"""A table's file: its bytes, what a damaged or hostile one does, and what a loaded table is."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import safetensors.torch
from hypothesis import given
from hypothesis import strategies as st

from scheduler import Spec, Table, TableError
from scheduler.custom import LinearWarmup
from scheduler.table_format import TableLayout
from tests.support.schedules.small_tables import SPEC, small


def test_the_file_is_safetensors(tmp_path: Path) -> None:
    """The package people have reads the file: one F64 tensor per column, the rest in the metadata."""
    table = Table.compute(SPEC)
    table.save(tmp_path / "t.safetensors")
    assert safetensors.numpy.load_file(tmp_path / "t.safetensors")["lr"].tobytes() == table.lr.tobytes()
    assert safetensors.torch.load_file(tmp_path / "t.safetensors")["lr"].numpy().tobytes() == table.lr.tobytes()
    with safetensors.safe_open(tmp_path / "t.safetensors", "numpy") as file:
        metadata = file.metadata()
    assert metadata["digest"] == table.digest
    assert Spec.model_validate_json(metadata["spec"]) == SPEC


def test_save_and_load_keep_everything(tmp_path: Path) -> None:
    """A loaded table is equal, with layout and spec; saving leaves no other file behind."""
    table = Table({"lr": [0.5, 0.25], "beta1": [0.9, 0.8]}, axis="token", stride=512, after="release")
    for original in (table, Table.compute(SPEC)):
        original.save(tmp_path / "t.safetensors")
        loaded = Table.load(tmp_path / "t.safetensors")
        assert (loaded, loaded.digest, loaded.spec) == (original, original.digest, original.spec)
        assert (loaded.axis, loaded.stride, loaded.after) == (original.axis, original.stride, original.after)
        assert pickle.loads(pickle.dumps(loaded)) == original  # our own bytes, to other processes
    assert [path.name for path in tmp_path.iterdir()] == ["t.safetensors"]


def test_the_exact_bytes_of_a_small_file() -> None:
    """The format, byte for byte: a change of it is a decision."""
    table = small()
    metadata = {"format": "pt", "digest": table.digest}
    metadata |= {"axis": "step", "stride": "1", "after": "hold", "check": "0" * 64}
    column = {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]}
    text = json.dumps({"__metadata__": metadata, "lr": column}, separators=(",", ":")).ljust(312)
    check = hashlib.sha256(text.encode()).hexdigest()
    header, values = table.parts()
    assert header == struct.pack("<Q", 312) + text.replace("0" * 64, check).encode()
    assert bytes(values) == struct.pack("<3d", 0.5, 0.25, 0.125)


def test_what_a_file_claims_stays_a_claim(tmp_path: Path) -> None:
    """A saved file says what its table was computed from and with; the file of the digest is the same without it."""
    table = Table.compute(SPEC)
    table.provenance = {"cpu": "another"}
    table.save(tmp_path / "t.safetensors")
    loaded = Table.load(tmp_path / "t.safetensors")
    assert (loaded.spec, loaded.provenance) == (SPEC, {"cpu": "another"})
    again = pickle.loads(pickle.dumps(loaded))
    assert (again.spec, again.provenance) == (SPEC, {"cpu": "another"})
    assert loaded.to_bytes() == again.to_bytes() == table.to_bytes() == Table(table.columns).to_bytes()
    assert (bare := Table.from_bytes(table.to_bytes())).spec is None
    assert bare.provenance == {}


@given(st.data())
def test_a_flipped_bit_is_never_served(data: st.DataObject) -> None:
    """Any single changed bit is found: in the values, in the layout, and in the rest of the header.

    Only the check's own name is not covered: without it the header is one that was written elsewhere, unchecked.
    """
    original = Table.compute(Spec(schedule=LinearWarmup(0.1, 3), total_steps=5)).to_bytes()
    damaged = bytearray(original)
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        Table.from_bytes(bytes(damaged))
    except TableError:
        return
    assert bit // 8 - original.index(b'"check":') in range(len('"check":'))


def header_of(**tensors: Any) -> bytes:
    """The start of a safetensors file with any header."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "too few", id="empty"),
        pytest.param(b"\xff" * 16, "does not fit", id="huge-header"),
        pytest.param(struct.pack("<Q", 2) + b"[]", "must be a JSON object", id="list"),
        pytest.param(struct.pack("<Q", 3) + b"{'}", "cannot be read", id="not-json"),
        pytest.param(header_of(lr={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}) + b"1234", "F64", id="f32"),
        pytest.param(
            header_of(lr={"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}) + b"12345678", "F64", id="cut"
        ),
        pytest.param(
            header_of(lr={"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}) + b"12345678", "digest", id="no-digest"
        ),
        pytest.param(header_of(), "at least one column", id="no-columns"),
        pytest.param(header_of(__metadata__={"a": 1}), "object of strings", id="metadata-number"),
        pytest.param(header_of(lr=3), "F64", id="not-a-tensor"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes, message: str) -> None:
    """Bytes that are no table raise TableError, whatever they are."""
    with pytest.raises(TableError, match=message):
        Table.from_bytes(data)


@given(st.binary(max_size=400))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    """Reading noise is a TableError, never another exception."""
    with pytest.raises(TableError, match=r"."):
        Table.from_bytes(data)


def test_a_file_with_negative_rates_is_refused(tmp_path: Path) -> None:
    """A complete file whose digest matches is refused, too, if its rates are out of range."""
    values = struct.pack("<2d", 0.5, -0.5)
    layout = TableLayout(("lr",), 2)
    hasher = layout.hasher()
    hasher.update(values)
    file = layout.header(hasher.hexdigest()) + values
    (tmp_path / "t").write_bytes(file)
    message = r"'lr' must be not negative, got -0\.5 at step 1"
    with pytest.raises(TableError, match=message):
        Table.from_bytes(file)
    with pytest.raises(TableError, match=message):
        Table.load(tmp_path / "t")


@pytest.mark.parametrize("change", ["cp", "truncate"])
def test_a_loaded_table_does_not_change(tmp_path: Path, change: str) -> None:
    """Writing to a file in place, as `cp` does, or truncating it after it was loaded does not change the table."""
    path = tmp_path / "t.safetensors"
    small().save(path)
    loaded = Table.load(path)
    other = Table({"lr": [9.5, 9.25, 9.125]}).to_bytes()
    with path.open("r+b") as file:  # the same file, as `cp new old` leaves it
        file.truncate(0 if change == "truncate" else None)
        file.write(b"" if change == "truncate" else other)
    assert [loaded.get_lr(step) for step in range(3)] == [0.5, 0.25, 0.125]


def test_bytes_that_may_change_are_copied() -> None:
    """A table keeps read-only memory as it is, and copies what its owner can still write to."""
    buffer = bytearray(small().to_bytes())
    copied, kept = Table.from_bytes(buffer), Table.from_bytes(memoryview(buffer).toreadonly())
    buffer[-24:] = bytes(24)
    assert (copied.lr.tolist(), kept.lr.tolist()) == ([0.5, 0.25, 0.125], [0.0, 0.0, 0.0])


def test_a_table_may_be_mapped(tmp_path: Path) -> None:
    """With mmap=True the values stay in the file: for those whose owner promises not to write in place."""
    small().save(tmp_path / "t.safetensors")
    mapped = Table.load(tmp_path / "t.safetensors", mmap=True)
    assert (mapped, mapped.get_lr(1)) == (small(), 0.25)
    with (tmp_path / "t.safetensors").open("r+b") as file:
        file.seek(-8, 2)
        file.write(struct.pack("<d", 7.0))
    assert mapped.lr[-1] == 7.0


@pytest.mark.parametrize("mmap", [False, True])
def test_what_is_no_file_is_not_loaded(tmp_path: Path, mmap: bool) -> None:
    """An empty file, a short one, a pipe and a device are refused at once; a folder and nothing are the system's."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "short").write_bytes(small().to_bytes()[:-1])
    refused = {"fifo": "no regular file", "/dev/zero": "no regular file", "empty": "too few", "short": "do not fill"}
    for name, message in refused.items():
        with pytest.raises(TableError, match=message):
            Table.load(tmp_path / name, mmap=mmap)
    with pytest.raises(IsADirectoryError, match="directory"):
        Table.load(tmp_path, mmap=mmap)
    with pytest.raises(FileNotFoundError, match="nothing"):
        Table.load(tmp_path / "nothing", mmap=mmap)
