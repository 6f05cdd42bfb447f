"""Tables: identity, look-up, file."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from scheduler import PastEndError, Spec, Table, TableError
from scheduler.builtin import OneCycleLR
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.numerics.progress import MAX_PROGRESS
from scheduler.recipes import RECIPES, Recipe
from scheduler.table_format import TableLayout

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)


def small(**layout: Any) -> Table:
    """Three steps of values that every format holds exactly."""
    return Table({"lr": [0.5, 0.25, 0.125]}, **layout)


def test_the_digest_is_of_frame_and_values() -> None:
    """SHA-256 of the frame's canonical JSON, a newline and the little-endian float64 of the columns in name order."""
    table = Table({"momentum": [0.9, 0.95], "lr": [0.5, 0.25]})
    layout = b'{"after":"hold","axis":"step","columns":["lr","momentum"],"stride":1,"total_steps":2}\n'
    assert table.digest == hashlib.sha256(layout + struct.pack("<4d", 0.5, 0.25, 0.9, 0.95)).hexdigest()


@pytest.mark.parametrize("layout", [{"axis": "sample"}, {"stride": 2}, {"after": "error"}], ids=str)
def test_the_frame_is_part_of_the_identity(layout: dict[str, Any]) -> None:
    """A digest in a checkpoint says what the rows count and what happens past the last: another frame, another name."""
    assert small(**layout) != small()


def test_compute_fills_every_column() -> None:
    """The table of a spec holds the schedule's values, read-only, and remembers its spec."""
    table = Table.compute(SPEC)
    assert table.lr.tobytes() == SPEC.schedules[0].values(1000).tobytes()
    assert table.spec is SPEC
    with pytest.raises(ValueError, match="read-only"):
        table.lr[0] = 1.0


def test_get_lr_is_a_python_float_at_every_row() -> None:
    """get_lr(k) is row k as a Python float, never a NumPy one; index total_steps itself never raises."""
    table = small(after="error")
    assert [table.get_lr(step) for step in range(4)] == [0.5, 0.25, 0.125, 0.125]
    assert {type(table.get_lr(step)) for step in range(4)} == {float}
    assert type(table.get_lr(np.int64(1))) is float  # type: ignore[arg-type]  # people pass NumPy steps


@pytest.mark.parametrize("after", ["hold", "release"])
def test_past_the_end_the_last_row_is_held(after: Any) -> None:
    """With hold and release a look-up past the end gives the last row."""
    assert small(after=after).get_lr(10**9) == 0.125


def test_past_the_end_is_an_error_where_asked() -> None:
    """With after="error" a step beyond total_steps raises, naming step and end."""
    with pytest.raises(PastEndError, match="step 4 is past the end of this table, which ends at 3"):
        small(after="error").get_lr(4)


def test_a_row_lasts_for_its_stride() -> None:
    """On the sample axis with stride 256, row k is in force for samples 256 k .. 256 k + 255."""
    table = small(axis="sample", stride=256)
    assert [table.get_lr(n) for n in (0, 255, 256, 511, 512, 768)] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize(
    ("progress", "error", "message"),
    [
        (-1, ValueError, "progress must be from 0 to 9223372036854775807, got -1"),
        (2**63, ValueError, "progress must be from 0 to 9223372036854775807, got 9223372036854775808"),
        (1.5, TypeError, "progress must be an integer, got 1.5"),
        ("1", TypeError, "progress must be an integer, got '1'"),
        (True, TypeError, "progress must be an integer, got True"),
    ],
)
@pytest.mark.parametrize("stride", [1, 256])
def test_a_bad_progress_is_refused_by_every_way(
    stride: int, progress: Any, error: type[Exception], message: str
) -> None:
    """No negative progress from the end of the array, none between two rows, none beyond 64 bits."""
    table = small(stride=stride)
    for look_up in (
        table.get_lr,
        functools.partial(table.get_lr, group=1),
        table.row,
        functools.partial(table.row, group=1),
    ):
        with pytest.raises(error, match=message):
            look_up(progress)


TOKEN_AND_SAMPLE_RECIPES = [found for found in RECIPES.values() if found.spec.axis in ("token", "sample")]


@pytest.mark.parametrize("found", TOKEN_AND_SAMPLE_RECIPES, ids=lambda found: found.name)
@pytest.mark.parametrize("after", ["hold", "release"])
def test_every_way_reaches_the_end_of_a_recipe_in_tokens(found: Recipe, after: Any) -> None:
    """A recipe's last token, its end and all beyond give the last row, by get_lr and row, for every group."""
    last = found.schedule.get_lr(found.spec.total_steps - 1)
    table = Table(
        {"lr": found.schedule.values(found.spec.total_steps)},
        axis=found.spec.axis,
        stride=found.spec.stride,
        after=after,
    )
    end = found.spec.total_steps * found.spec.stride
    for progress in (end - 1, end, end + 1, 10 * end, MAX_PROGRESS):
        assert table.get_lr(progress) == table.get_lr(progress, group=1) == table.row(progress)["lr"] == last


@given(data=st.data())
def test_all_ways_of_asking_agree(data: st.DataObject) -> None:
    """get_lr and row give the row that integer division says, or the same error, for any stride, end and progress."""
    stride, after = data.draw(st.integers(1, 10**15)), data.draw(st.sampled_from(["hold", "error", "release"]))
    table = small(axis="token", stride=stride, after=after)
    near = st.integers(0, 5).flatmap(lambda row: st.integers(max(row * stride - 2, 0), row * stride + 2))
    progress = data.draw(near | st.integers(0, MAX_PROGRESS))
    row = progress // stride
    if after == "error" and row > 3:
        for group in (0, 1):
            with pytest.raises(PastEndError, match=f"token {progress} is past the end"):
                table.get_lr(progress, group=group)
    else:
        rate = [0.5, 0.25, 0.125][min(row, 2)]
        assert table.get_lr(progress) == table.get_lr(progress, group=1) == table.row(progress)["lr"] == rate


def test_groups_have_rows_of_their_own() -> None:
    """A suffixed column belongs to its group; one without suffix to all."""
    table = Table({"lr.0": [0.1], "lr.1": [0.2], "weight_decay": [0.01]})
    assert table.groups == 2
    assert table.row(0, group=1) == {"lr": 0.2, "weight_decay": 0.01}
    assert table.get_lr(0) == 0.1
    with pytest.raises(ValueError, match="group must be from 0 to 1, got 2"):
        table.row(0, group=2)
    with pytest.raises(TableError, match=r"no column 'lr', only lr\.0, lr\.1, weight_decay"):
        table.lr  # noqa: B018  # the property raises


def test_a_group_without_a_rate_is_said_to_have_none() -> None:
    """A table whose columns leave a group out, or have no rate, says so; a group is a whole number."""
    with pytest.raises(TableError, match=r"this table has no rate for group 1, only lr\.0, lr\.2"):
        Table({"lr.0": [0.1], "lr.2": [0.3]}).get_lr(0, group=1)
    with pytest.raises(TableError, match="this table has no rate for group 0, only weight_decay"):
        Table({"weight_decay": [0.1]}).get_lr(0)
    for table in (small(), Table({"lr.0": [0.5], "lr.1": [0.5]})):
        assert table.get_lr(0, group=1) == table.get_lr(0, group=True) == 0.5
        with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
            table.get_lr(0, group=0.5)  # type: ignore[arg-type]  # what a wrong call gives


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "at least one column"),
        ({"lr": []}, "at least one column and one step"),
        ({"lr": [1.0], "momentum": [1.0, 2.0]}, "equal lengths, got lr 1, momentum 2"),
        ({"lr": [1.0, float("nan")]}, "'lr' must be finite, got nan at step 1"),
        ({"lr": [[1.0]]}, r"one value per step, got shape \[1, 1\]"),
        ({"LR!": [1.0]}, "got 'LR!'"),
        ({"../lr": [1.0]}, r"got '\.\./lr'"),
    ],
)
def test_what_is_no_table_is_refused(columns: Any, message: str) -> None:
    """Bad names, lengths, shapes and values are named."""
    with pytest.raises(TableError, match=message):
        Table(columns)


@pytest.mark.parametrize("columns", [[0.1, 0.2], np.array([0.1]), "lr", None], ids=["list", "array", "text", "none"])
def test_columns_have_names(columns: Any) -> None:
    """Values without the name of a column are refused with what to write instead."""
    with pytest.raises(TypeError, match=r"^columns must be a mapping such as \{'lr': \[0\.1, 0\.05\]\}, got "):
        Table(columns)


def test_a_schedule_may_be_used_twice() -> None:
    """One schedule object that drives two hyperparameters, or two groups, fills a column for each."""
    shape = OneCycleLR(max_lr=0.5, total_steps=40)
    decay = LinearWarmup(0.25, 10)
    for spec in (
        Spec(schedule=(shape, shape), columns={"weight_decay": decay, "dampening": decay}, total_steps=40),
        Spec(schedule=decay, columns={"weight_decay": decay}, total_steps=40),
    ):
        table = spec.table()
        for name, (schedule, column) in spec.plan().items():
            assert table.columns[name].tobytes() == schedule.columns(40)[column].tobytes(), name


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
    """A loaded table is equal, with frame and spec; saving leaves no other file behind."""
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
    """Any single changed bit is found: in the values, in the frame, and in what else the file says of itself.

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


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lr": [0.1, -0.1]}, "'lr' must be not negative, got -0.1 at step 1"),
        ({"lr.0": [0.1, 0.1], "lr.1": [0.1, 1e300]}, "'lr.1' must be at most 1e.12, got 1e.300 at step 1"),
        ({"lr": [0.1], "lr.0": [0.1]}, "one for all groups or one for each: got both 'lr' and 'lr.0'"),
        ({"lr": [0.1], "weight_decay": [0.1], "weight_decay.3": [0.1]}, "both 'weight_decay' and 'weight_decay.3'"),
        ({"lr": ["0.1"]}, "'lr' must have numbers, got <U3 like "),
        ({"lr": [True]}, "'lr' must have numbers, got bool like "),
        ({"lr": [1j]}, "'lr' must have numbers, got complex128 like "),
        ({"lr": np.zeros(2, dtype=[("rate", "f8")])}, "'lr' must have numbers, got "),
        ({"lr": torch.ones(2, requires_grad=True)}, "'lr' must have one number per step: .* requires grad"),
        ({"lr": [None, {}]}, "'lr' must have one number per step"),
        ({"lr": [[1.0], [1.0, 2.0]]}, "'lr' must have one number per step"),
        ({3: [0.1]}, "got 3"),
    ],
)
def test_what_is_no_rate_is_no_table(columns: Any, message: str) -> None:
    """What is no rate, text for a number, a column plain and per group: refused by name."""
    with pytest.raises(TableError, match=message):
        Table(columns)


@pytest.mark.parametrize("stride", [1.5, True, "2", 0, 10**16, None])
def test_a_stride_is_an_integer(stride: Any) -> None:
    """A stride that is no whole number, or too large for JSON, is refused."""
    with pytest.raises(TableError, match="stride must be an integer from 1"):
        small(stride=stride)


def test_other_columns_may_be_negative() -> None:
    """Only rates have limits: another hyperparameter may be any finite number."""
    assert Table({"lr": [0.0, -1e-12], "weight_decay": [-1e300, 1e300]}).row(0) == {"lr": 0.0, "weight_decay": -1e300}


def test_a_file_with_negative_rates_is_refused(tmp_path: Path) -> None:
    """What was written with rates that are none, whole and under its own digest, is no table either."""
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
    """What is written to a file in place, as `cp` does, or cut from it, after it was loaded changes nothing."""
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
