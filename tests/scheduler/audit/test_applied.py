"""The file of applied rates."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.audit.applied import (
    SIGNATURE,
    AppliedRatesError,
    AppliedRatesWriter,
    Origin,
    parse_applied_rates,
    read_applied_rates,
)

DIGEST = "ab" * 32


def test_every_bit_comes_back(tmp_path: Path) -> None:
    """What is written is read again with the same bits: subnormals, zeros of both signs and infinities too."""
    bits = [0, 1, 1 << 63, 0x7FF0 << 48, *np.random.default_rng(7).integers(0, 0x7FF0 << 48, 500).tolist()]
    values = [struct.unpack("<d", struct.pack("<Q", value))[0] for value in bits]
    with AppliedRatesWriter(tmp_path / "rates.csv", Origin(DIGEST, "team-a/bert", 3), ("lr.0", "lr.1")) as writer:
        for update, value in enumerate(values):
            writer.write(update, value, values[-1 - update])
    found = read_applied_rates(tmp_path / "rates.csv")
    assert found.origins == ((0, Origin(DIGEST, "team-a/bert", 3)),)
    assert found.updates.tolist() == list(range(len(values)))
    assert found.columns["lr.0"].view(np.int64).tolist() == np.array(values).view(np.int64).tolist()
    assert found.columns["lr.1"].view(np.int64).tolist() == np.array(values[::-1]).view(np.int64).tolist()


def test_a_resumed_job_continues_its_file(tmp_path: Path) -> None:
    """After a kill in the middle of a line the half line goes; a comment names the table from there on."""
    path = tmp_path / "rates.csv"
    with AppliedRatesWriter(path, Origin(DIGEST, version=1)) as writer:
        writer.write(0, 0.1)
        writer.write(1, 0.2)
    with path.open("a") as file:
        file.write("2,0.2999")
    assert read_applied_rates(path).updates.tolist() == [0, 1]
    with AppliedRatesWriter(path, Origin("cd" * 32, version=2)) as writer:
        writer.write(1, 0.25)
        writer.follow(Origin())
    found = read_applied_rates(path)
    assert (found.updates.tolist(), found.columns["lr"].tolist()) == ([0, 1, 1], [0.1, 0.2, 0.25])
    assert found.origins == ((0, Origin(DIGEST, version=1)), (2, Origin("cd" * 32, version=2)), (3, Origin()))


def test_another_file_is_not_continued(tmp_path: Path) -> None:
    """A file of something else, or of other columns, is refused and stays as it was."""
    path = tmp_path / "rates.csv"
    path.write_text("step,lr\n0,0.1\n")
    with pytest.raises(AppliedRatesError, match=r"rates.csv is no file of applied rates: it begins with 'step,lr'"):
        AppliedRatesWriter(path, Origin(DIGEST))
    path.write_text(f"{SIGNATURE} {{}}\nupdate,lr\n0,0.1\n")
    with pytest.raises(AppliedRatesError, match=r"has the columns update,lr, not update,lr.0,lr.1"):
        AppliedRatesWriter(path, Origin(DIGEST), ("lr.0", "lr.1"))
    assert path.read_text() == f"{SIGNATURE} {{}}\nupdate,lr\n0,0.1\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", r"must begin with '# lrtables applied rates 1'"),
        (f"{SIGNATURE} {{}}\n", r"line 2: must be the header"),
        (f"{SIGNATURE} {{\nupdate,lr\n", r"line 1: names no table"),
        (f'{SIGNATURE} {{"digest": "ab"}}\nupdate,lr\n', r"line 1: names no table"),
        (f"{SIGNATURE} {{}}\nupdate,Lr\n", r"a column must be named like lr or lr.0, got 'Lr'"),
        (f"{SIGNATURE} {{}}\nupdate,lr,lr\n", r"columns must be different names"),
        (f"{SIGNATURE} {{}}\nupdate,lr\n-1,0.1\n", r"line 3: update must be a whole number from 0, got '-1'"),
        (f"{SIGNATURE} {{}}\nupdate,lr\n0,0.1,0.2\n", r"line 3: has 2 values for 1 columns"),
        (f"{SIGNATURE} {{}}\nupdate,lr\n0,0.1\n1,x\n", r"line 4: a rate must be a number, got 'x'"),
        (f"{SIGNATURE} {{}}\nupdate,lr\n# hello\n", r"line 3: a comment must begin with"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(text: str, error: str) -> None:
    """Each kind of damage is an error that names the line and the value."""
    with pytest.raises(AppliedRatesError, match=error):
        parse_applied_rates(text)


@given(st.text(max_size=200))
def test_no_text_gives_another_error(text: str) -> None:
    """Whatever follows the signature, it is read or refused by name."""
    for whole in (text, f"{SIGNATURE} {text}", f"{SIGNATURE} {{}}\nupdate,lr\n{text}\n"):
        try:
            parse_applied_rates(whole)
        except AppliedRatesError:
            continue


def test_an_origin_is_checked() -> None:
    """A digest, run or version that is none is refused, and so are values for other columns."""
    for given_fields, error in (
        ({"digest": "x"}, "digest must be 64 hexadecimal digits, got 'x'"),
        ({"run": ""}, "run must be a name, got ''"),
        ({"version": 0}, "version must be a whole number from 1, got 0"),
    ):
        with pytest.raises(AppliedRatesError, match=error):
            Origin(**given_fields)


def test_each_column_needs_its_value(tmp_path: Path) -> None:
    """An update with too few values is refused, and a bad name of a column too."""
    with (
        AppliedRatesWriter(tmp_path / "rates.csv", Origin(), ("lr.0", "lr.1")) as writer,
        pytest.raises(AppliedRatesError, match=r"values must be one for each of lr.0, lr.1, got 1"),
    ):
        writer.write(0, 0.1)
    with pytest.raises(AppliedRatesError, match="a column must be named like"):
        AppliedRatesWriter(tmp_path / "other.csv", Origin(), ("learning rate",))
