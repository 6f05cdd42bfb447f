"""Schedules within schedules without end: Python, the server and the command line refuse them in one line."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest

from lrtables.__main__ import main
from scheduler import ScheduleError, Spec, parse
from service.errors import ServiceError
from service.settings import Settings
from service.tables.specs import read_spec

INNER = '{"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 3}'
OUTER = {
    "Scale": '{"kind": "Scale", "factor": 1.0, "schedule": $}',
    "PerEpoch": '{"kind": "PerEpoch", "steps_per_epoch": 1, "schedule": $}',
    "Cycle": '{"kind": "Cycle", "length": 5, "schedule": $}',
    "Splice": '{"kind": "Splice", "at": 5, "schedule": $, "tail": {"kind": "Constant", "value": 1}}',
    "Sequence": '{"kind": "Sequence", "lengths": [5], "schedules": [{"kind": "Constant", "value": 1}, $]}',
    "torch": '{"kind": "torch.ChainedScheduler", "schedulers": [$]}',
}
DEEP = r"nested at most \d+ deep|nested too deeply"


def nested(outer: str, levels: int) -> str:
    before, after = outer.split("$")
    return before * levels + INNER + after * levels


@pytest.mark.parametrize("levels", [100, 20_000])
@pytest.mark.parametrize("kind", OUTER)
def test_nesting_without_end_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, levels: int
) -> None:
    """However deep it is, and whoever reads it: the error is ours, says what is too much, and fits a line."""
    text = nested(OUTER[kind], levels)
    spec = f'{{"schedule": {text}, "total_steps": 5}}'
    readers: list[Callable[[], object]] = [
        lambda: parse(text),
        lambda: Spec.model_validate_json(spec),
        lambda: read_spec(spec.encode(), Settings()),
    ]
    told = []
    for read in readers:
        with pytest.raises((ScheduleError, ServiceError), match=DEEP) as caught:
            read()
        told.append(str(caught.value))
    for given in (text, spec):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        assert main(["show", "-"]) == 2
        told.append(capsys.readouterr().err)
    for line in told:
        assert re.search(DEEP, line)
        assert len(line) < 500
        assert line.count("\n") == (line in told[3:])
