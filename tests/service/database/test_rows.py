"""Rows and their checksums."""

from dataclasses import replace

import pytest

from service.database.rows import checksum, describe, is_intact, stored
from service.database.schema import SPECS, TABLES, TOKENS
from service.database.tables import SpecRow, TableRow
from service.database.tokens import TokenRow

_TABLE = TableRow("ab", 8, None, 1.5)
_TOKEN = TokenRow("id", "name", "5e" * 32, ["read"], ["*"], {"max_steps": 3}, 1.0, None, None)


def test_a_row_comes_back_as_it_was_stored() -> None:
    """A row is stored as plain values with their checksum, and is read back equal."""
    assert TableRow.of(stored(TABLES, _TABLE)) == _TABLE
    assert TokenRow.of(stored(TOKENS, _TOKEN)) == _TOKEN
    assert SpecRow.of(stored(SPECS, SpecRow("s", "{}", "d", 1.0))) == SpecRow("s", "{}", "d", 1.0)
    assert is_intact(TOKENS, stored(TOKENS, _TOKEN))


def test_a_checksum_covers_the_table_and_every_value() -> None:
    """The checksum changes with any value and with the table."""
    values = stored(TABLES, _TABLE)
    others = [stored(TABLES, replace(_TABLE, **change)) for change in ({"nbytes": 9}, {"claim": ""}, {"digest": "b"})]
    sums = {checksum(TABLES, values), checksum(SPECS, values), *(checksum(TABLES, other) for other in others)}
    assert len(sums) == 5


def test_a_column_that_is_added_empty_changes_no_checksum() -> None:
    """A later revision may add a column without a value, and every row stays intact."""
    assert is_intact(TABLES, {**stored(TABLES, _TABLE), "later": None})


@pytest.mark.parametrize("value", [float("inf"), 2**60, b"\xff", {1}])
def test_a_value_that_canonical_json_cannot_hold_is_damage(value: object) -> None:
    """Such a value makes the row damaged, and raises nothing."""
    assert not is_intact(TABLES, {**stored(TABLES, _TABLE), "nbytes": value})


def test_the_log_shows_no_hash() -> None:
    """A damaged row is described whole but for a token's hash, whatever its values have become."""
    text = describe({**stored(TOKENS, _TOKEN), "name": b"\xff"})
    assert _TOKEN.hash not in text
    assert '"token_id": "id"' in text
    assert "xff" in text
