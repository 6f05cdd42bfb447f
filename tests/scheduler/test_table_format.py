"""The header of a table's file: read strictly, written in one way."""

import json
import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import Spec, Table, TableError
from scheduler.custom import LinearWarmup
from scheduler.table_format import MAX_HEADER, FileHeader

CAMPAIGN = int(os.environ.get("LRTABLES_FUZZ", "300"))
"""Headers that are tried; LRTABLES_FUZZ=100000 for a campaign."""

TABLE = Table({"lr": [0.5], "weight_decay": [0.25]})
SPEC = Spec(schedule=LinearWarmup(0.1, 3), total_steps=5)
CLAIMING = b"".join(SPEC.table().parts(claims=True))


def file_of(header: object, values: bytes = bytes(8)) -> bytes:
    """A safetensors file with this header: JSON data, or its text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


def tensor(**change: Any) -> dict[str, Any]:
    """The description of a column with one row, and something else in it."""
    return {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]} | change


def said(**metadata: Any) -> bytes:
    """A file whose metadata have something else in them."""
    return file_of({"__metadata__": metadata, "lr": tensor()})


HOSTILE = {
    "float-shape": file_of({"lr": tensor(shape=[1.0])}),
    "true-shape": file_of({"lr": tensor(shape=[True])}),
    "float-offset": file_of({"lr": tensor(data_offsets=[0, 8.0])}),
    "false-offset": file_of({"lr": tensor(data_offsets=[False, 8])}),
    "text-shape": file_of({"lr": tensor(shape="1")}),
    "no-shape": file_of({"lr": {"dtype": "F64"}}),
    "more-keys": file_of({"lr": tensor(more=1)}),
    "huge-shape": file_of({"lr": tensor(shape=[10**400])}),
    "endless-number": file_of(b'{"lr":' + b"1" * 5000 + b"}"),
    "nan": file_of(b'{"lr":NaN}'),
    "list-in-list": file_of([[1]]),
    "text-in-list": file_of(["a"]),
    "float-in-list": file_of([1.5]),
    "number": file_of(1),
    "null": file_of(None),
    "metadata-list": file_of({"__metadata__": [], "lr": tensor()}),
    "metadata-null": file_of({"__metadata__": None, "lr": tensor()}),
    "metadata-number": said(a=1),
    "surrogate-value": said(a="\ud800"),
    "surrogate-name": file_of({"__metadata__": {"\udfff": ""}, "lr": tensor()}),
    "surrogate-digest": said(digest="\ud800"),
    "surrogate-column": file_of({"l\ud800": tensor()}),
    "surrogate-check": said(check="\ud800"),
    "digest-text": said(digest="abc"),
    "stride-text": said(stride="²"),
    "stride-zeros": said(stride="01"),
    "stride-huge": said(stride="9" * 99),
    "axis": said(axis="[1]"),
    "after": said(after=""),
    "check": said(check=""),
    "long-version": said(cpu="x" * 1001),
    "key-twice": file_of(b'{"lr":%b,"lr":%b}' % ((json.dumps(tensor()).encode(),) * 2)),
    "metadata-twice": file_of(b'{"__metadata__":{"digest":"a","digest":"b"},"lr":%b}' % json.dumps(tensor()).encode()),
    "nested": file_of(b"[" * 10**5),
    "nested-objects": file_of(b'{"a":' * 10**5),
    "not-utf-8": file_of(b'{"\xff":1}'),
    "utf-16": file_of(json.dumps({"lr": tensor()}).encode("utf-16")),
    "two-dimensions": file_of({"lr": tensor(shape=[1, 1])}),
    "lr-and-lr.0": file_of({"lr": tensor(), "lr.0": tensor(data_offsets=[8, 16])}, bytes(16)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [Table.from_bytes, lambda data: FileHeader.from_bytes(memoryview(data), len(data))])
def test_a_hostile_header_is_refused_in_one_line(name: str, read: Callable[[bytes], object]) -> None:
    """Whatever is wrong with a header is a TableError of one short line that can be printed."""
    with pytest.raises(TableError, match=r"^[ -~²]{20,300}$"):
        read(HOSTILE[name])


def test_a_header_has_a_limit() -> None:
    """A longer header is refused before it is read, and none is written: the spec is left out."""
    with pytest.raises(TableError, match=f"must have at most {MAX_HEADER} bytes, got {MAX_HEADER + 1}"):
        Table.from_bytes(file_of(b" " * (MAX_HEADER + 1)))


def test_metadata_that_are_none_of_ours_are_not_kept() -> None:
    """A file that was written elsewhere may say anything; what it says beside what a table needs is dropped."""
    values = struct.pack("<d", 0.5)
    digest = Table({"lr": [0.5]}).digest
    file = file_of({"__metadata__": {"digest": digest, "junk": "x" * 10**6, "cpu": "a"}, "lr": tensor()}, values)
    table = Table.from_bytes(file)
    assert (table.digest, table.provenance, table.spec) == (digest, {"cpu": "a"}, None)
    assert table.to_bytes() == Table({"lr": [0.5]}).to_bytes()


@pytest.mark.parametrize("offset", range(8))
def test_values_may_lie_anywhere(offset: int) -> None:
    """A file at an odd place in memory, or with a header of an odd length, is a table like any other."""
    plain = TABLE.to_bytes()
    header, values = TABLE.header[8:].replace(b'"check":"', b'"chekc":"'), plain[len(TABLE.header) :]
    header, values = TABLE.header[8:].replace(b'"check":"', b'"chekc":"'), plain[len(TABLE.header) :]
    odd = struct.pack("<Q", len(header) + offset) + header + b" " * offset + values
    for file in (memoryview(bytes(offset) + plain)[offset:], memoryview(odd)):
        table = Table.from_bytes(file)
        assert (table, table.get_lr(0), table.to_bytes()) == (TABLE, 0.5, plain)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["__metadata__", "lr", "lr.0", "weight_decay", "dtype", "shape", "data_offsets"])
metadata = st.dictionaries(
    st.sampled_from(["digest", "axis", "stride", "after", "check", "spec", "cpu", "a"]), json_values, max_size=4
)
tensors = st.fixed_dictionaries({}, optional={name: json_values for name in ("dtype", "shape", "data_offsets")})


@given(
    st.dictionaries(names, json_values | metadata | tensors | st.builds(tensor), max_size=4) | json_values,
    st.binary(max_size=16),
)
@settings(max_examples=CAMPAIGN)
def test_any_json_as_a_header_is_read_or_refused(header: object, values: bytes) -> None:
    """JSON of any types and shapes is a table or a TableError, and a table can be used."""
    _read_or_refused(file_of(header, values))


@given(st.data())
@settings(max_examples=CAMPAIGN)
def test_a_mutated_file_is_read_or_refused(data: st.DataObject) -> None:
    """A legal file with some bytes changed, inserted or deleted is the same table, or a TableError."""
    file = bytearray(data.draw(st.sampled_from([CLAIMING, TABLE.to_bytes(), said(digest=Table({"lr": [0.0]}).digest)])))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(file)))
        stop = start + data.draw(st.integers(0, 3))
        file[start:stop] = data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"[", b"1.0", b"true", b"\\ud800"]))
    _read_or_refused(bytes(file))


def _read_or_refused(file: bytes) -> None:
    try:
        table = Table.from_bytes(file)
    except TableError as error:
        str(error).encode()
    else:
        assert table.row(0)
        assert table.spec is None or table.spec == SPEC
        assert Table.from_bytes(table.to_bytes()) == table
