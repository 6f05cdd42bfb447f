"""Deadlines: one for all queries of a call."""

import math

from service.database.drivers.deadline import deadline, extend, remaining


def test_without_a_deadline_time_is_unlimited() -> None:
    """Without a deadline, and after one, the remaining time is infinite."""
    assert remaining() == math.inf
    with deadline(1.0):
        assert 0 < remaining() <= 1.0
    assert remaining() == math.inf


def test_a_deadline_that_has_passed_leaves_nothing() -> None:
    """The time that remains is never negative."""
    with deadline(-1.0):
        assert remaining() == 0.0


def test_an_answer_extends_the_deadline_until_its_end() -> None:
    """`extend` counts from now, and ends with the deadline that it extends; an inner one leaves the outer alone."""
    with deadline(10.0):
        extend(1000.0)
        assert remaining() > 900.0
        with deadline(1.0):
            assert remaining() <= 1.0
        assert remaining() > 900.0
    assert remaining() == math.inf
