"""`lrtables audit` with the tables of a service: by a run's name, its version, a digest, or the log's own word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.audit.applied import AppliedRatesWriter, Origin
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SCHEDULE = ("WarmupWithDecay", "5e-4", "100", "1000")
TABLE = WarmupWithDecay(5e-4, 100, 1000).table(1000)


def _applied(path: Path, *, skip: int = 0) -> str:
    with AppliedRatesWriter(path, Origin(TABLE.digest)) as writer:
        for update in range(200):
            writer.write(update, TABLE.get_lr(update + skip))
    return str(path)


def test_the_table_of_a_run_is_the_plan(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """A run's name, with a version or not, and a digest each lead to the table of the service."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    log = _applied(tmp_path / "rates.csv")
    for words in ([name], [name, "--version", "1"], [TABLE.digest]):
        assert "equal to the table's lr, every bit" in lrtables.ok("audit", log, *words)
    result = lrtables("audit", _applied(tmp_path / "early.csv", skip=1), name)
    assert (result.code, "next step's rate logged" in result.out) == (1, True)


def test_applied_rates_name_their_table_themselves(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """Where a service can be asked, our own file needs no operand: it has the digest."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    assert lrtables.json("audit", _applied(tmp_path / "rates.csv"))["verdict"] == "equal"


def test_a_run_that_there_is_not_is_one_line(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """The service's refusal is one line, and exit status 1."""
    assert name in lrtables.refused(1, "audit", _applied(tmp_path / "rates.csv"), name)
