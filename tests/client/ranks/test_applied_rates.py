"""Rates in force, compared among the ranks while they train."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from client import RanksDisagreeError
from client.distributed import check_applied_rates
from client.ranks.file_group import FileGroup
from tests.support.client.ranks import as_ranks, messages
from tests.support.client.tables import make_sgd
from tests.support.client.training import update

SIZE = 3


def train(ranks: FileGroup, optimizer: Any, changes: dict[int, float], every: int = 2) -> int:
    """The updates of a rank, before some of which its last group gets another rate."""
    with check_applied_rates(optimizer, every=every, group=ranks) as check:
        for step in range(6):
            optimizer.param_groups[-1]["lr"] = changes.get(step, optimizer.param_groups[-1]["lr"])
            update(optimizer)
    return check.updates


def test_equal_rates_are_no_news(tmp_path: Path) -> None:
    """Ranks with the same rates train on, whatever the rates are, and a tensor counts as its number."""
    changes = {2: 0.0, 3: 1e-300, 4: -0.0}

    def work(ranks: FileGroup) -> int:
        optimizer = make_sgd(2)
        optimizer.param_groups[0]["lr"] = torch.tensor(0.5) if ranks.rank else 0.5
        return train(ranks, optimizer, changes)

    assert as_ranks(SIZE, tmp_path, work) == [6] * SIZE


def test_one_ulp_on_one_rank_is_found_at_the_next_comparison(tmp_path: Path) -> None:
    """A last bit that differs stops every rank before the update, and names group, ranks and both rates."""
    other = math.nextafter(0.25, 1)

    def work(ranks: FileGroup) -> int:
        return train(ranks, make_sgd(2), {1: 0.25, 3: other if ranks.rank == 1 else 0.25})

    found = as_ranks(SIZE, tmp_path, work)
    assert {type(error) for error in found} == {RanksDisagreeError}
    assert messages(found) == {
        "the ranks differ in the rate of parameter group 1, in force for update 4: ranks 0, 2: 0.25; "
        "rank 1: 0.25000000000000006"
    }


def test_zeros_of_different_sign_differ(tmp_path: Path) -> None:
    """Rates are compared by their bits."""
    found = as_ranks(2, tmp_path, lambda ranks: train(ranks, make_sgd(), {0: -0.0 if ranks.rank else 0.0}))
    assert messages(found) == {
        "the ranks differ in the rate of parameter group 0, in force for update 0: rank 0: 0.0; rank 1: -0.0"
    }


def test_a_group_more_on_one_rank_is_named(tmp_path: Path) -> None:
    """Ranks with different numbers of groups are told so, and none hangs."""
    found = as_ranks(2, tmp_path, lambda ranks: train(ranks, make_sgd(1 + ranks.rank), {}))
    assert messages(found) == {"the ranks differ in the number of parameter groups: rank 0: 1; rank 1: 2"}


def test_it_compares_only_every_so_often_and_while_it_is_open(tmp_path: Path) -> None:
    """Between two comparisons, and after it was closed, rates may differ without a word; `check` compares at once."""

    def work(ranks: FileGroup) -> int:
        optimizer = make_sgd()
        updates = train(ranks, optimizer, {1: float(ranks.rank), 2: 0.5}, every=5)
        check = check_applied_rates(optimizer, group=ranks)
        check.close()
        check.close()
        optimizer.param_groups[0]["lr"] = float(ranks.rank)
        update(optimizer)
        with pytest.raises(RanksDisagreeError, match=r"for update 0: rank 0: 0\.0; rank 1: 1\.0; rank 2: 2\.0"):
            check.check()
        return updates

    assert as_ranks(SIZE, tmp_path, work) == [6] * SIZE


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_an_interval_that_is_none_is_refused(every: Any) -> None:
    """The number of updates between two comparisons is a whole one, from 1."""
    with pytest.raises(ValueError, match="every must be a whole number of updates from 1, got"):
        check_applied_rates(make_sgd(), every=every)
