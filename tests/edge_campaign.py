"""Legal specs at the edges of their ranges, read and computed: python -m tests.edge_campaign COUNT [SEED [KIND ...]].

For every kind COUNT random specs are drawn, read as a server reads them, computed at random windows up to step 10^10,
and wrapped in composites. Each must end, be finite, and not depend on where a window begins. The work is counted
in calls of functions, which is the same on every machine: so many per byte of the spec and per row of the window.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from scheduler import KINDS, Schedule, Spec
from scheduler.fields import MAX_STEP, Values
from scheduler.named_tables import resolved
from scheduler.numerics.rates import first_bad_rate
from scheduler.table_format import TableError
from service.errors import LimitExceededError
from service.settings import Settings
from service.tables.specs import read_spec
from tests.support.calls import calls
from tests.support.schedules.edges import TABLES, WALKED, legal, wrapped

CALLS_PER_BYTE = 10
"""Calls of functions, Python's and C's, that reading a spec takes per byte of its JSON; a hundred more are free."""
CALLS_PER_BYTE_COMPUTED = 20
"""Calls that any window takes per byte of its spec, and per row beyond the first."""
WRAPPED = 3
"""Composites around each spec, drawn from all."""
COUNTED = 20
"""Of so many specs the work of one is counted, which takes ten times as long as doing it."""


@dataclass
class Found:
    """What a campaign has seen."""

    specs: int = 0
    windows: int = 0
    reading: float = 0.0
    """Most calls per byte."""
    computing: float = 0.0
    """Most calls per byte and row."""
    slowest: float = 0.0
    """Seconds of the slowest window."""
    no_rates: Counter[str] = field(default_factory=Counter)
    """Kinds that made values which are no learning rates."""


def campaign(kind: str, count: int, seed: int, found: Found) -> None:
    """Draw, read and compute so many specs of a kind."""
    random = Random(f"{kind} {seed}")
    settings = Settings()
    with resolved(TABLES):
        for number in range(count):
            _one(kind, number, seed, random, settings, found)


def _one(kind: str, number: int, seed: int, random: Random, settings: Settings, found: Found) -> None:
    schedule = legal(kind, random, depth=random.choice([1, 2, 3]))
    counted = number % COUNTED == 0
    try:
        _read(schedule, settings, found, counted=counted)
        composites = wrapped(schedule, random)
        for whole in [schedule, *random.sample(composites, min(len(composites), WRAPPED))]:
            _compute(whole, random, found, counted=counted)
    except Exception as error:
        error.add_note(f"campaign({kind!r}, seed={seed}), spec {number}: {schedule!r}")
        raise
    found.specs += 1


def _read(schedule: Schedule, settings: Settings, found: Found, *, counted: bool) -> None:
    body = Spec(schedule=schedule, total_steps=1).canonical().encode()

    def read() -> None:
        spec = read_spec(body, settings)
        assert spec.id
        assert len(spec.schedules[0].boundaries(MAX_STEP)) <= 1002
        spec.warnings()

    try:
        if not counted:
            read()
            return
        taken = (calls(read) - 1100) / len(body)  # a thousand boundaries, which a short text may have, are free
    except LimitExceededError:
        return
    found.reading = max(found.reading, taken)
    assert taken <= CALLS_PER_BYTE, f"{taken} calls per byte to read {body!r}"


def _compute(schedule: Schedule, random: Random, found: Found, *, counted: bool) -> None:
    if schedule.head_start > WALKED:
        return
    rows = random.choice([1, 2, 3, 30, 300, 1025])
    start = _start(schedule, rows, random)
    values, column = np.empty(rows), random.choice(schedule.column_names)
    begun = time.thread_time()
    with np.errstate(all="raise", under="ignore"):
        try:
            if counted:
                _count(lambda: schedule.fill(values, start, column=column), schedule, rows, found)
            else:
                schedule.fill(values, start, column=column)
        except (TableError, FloatingPointError) as error:
            if not isinstance(error, TableError) and "overflow" not in str(error) and not schedule.is_stepped:
                raise
            found.no_rates[schedule.kind] += 1  # rates that grow beyond every rate: a table refuses them by name
            return
    if schedule.is_stepped and not np.isfinite(values).all():  # growth, whose overflow a Python loop does not report
        found.no_rates[schedule.kind] += 1
        return
    found.slowest = max(found.slowest, time.thread_time() - begun)
    assert np.isfinite(values).all(), f"not finite from {start}: {schedule!r}"
    cut = random.randint(0, rows)
    parts = np.empty(rows)
    schedule.fill(parts[cut:], start + cut, column=column)
    schedule.fill(parts[:cut], start, column=column)
    assert _bits(values) == _bits(parts), f"{column} from {start}, cut at {cut} of {rows}: {schedule!r}"
    if first_bad_rate(values) is not None:
        found.no_rates[schedule.kind] += 1
    found.windows += 1


def _count(fill: Callable[[], object], schedule: Schedule, rows: int, found: Found) -> None:
    size = len(Spec(schedule=schedule, total_steps=1).canonical())
    taken = calls(fill) / (size + rows + (WALKED if schedule.is_stepped else 0))
    found.computing = max(found.computing, taken)
    assert taken <= CALLS_PER_BYTE_COMPUTED, f"{taken} calls per byte and row: {schedule!r}"


def _bits(values: Values) -> bytes:
    return values.tobytes()


def _start(schedule: Schedule, rows: int, random: Random) -> int:
    """A step to begin at: at the edges, near the schedule's own numbers, or anywhere."""
    last = (WALKED if schedule.is_stepped else MAX_STEP) - rows
    own = [value for part in schedule.walk() for value in vars(part).values() if type(value) is int]
    near = random.choice(own or [0]) + random.randint(-rows, 1)
    start = random.choice([0, 1023, 1024, 32_768, 2**20, near, near, last, int(last ** random.random())])
    return min(max(start, 0), last)


def main(count: int, seed: int = 1, kinds: Sequence[str] = ()) -> None:
    """Run the campaign for these kinds, or for every kind, and say what it found."""
    found, begun = Found(), time.monotonic()
    for kind in kinds or sorted(KINDS):
        campaign(kind, count, seed, found)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{kind}: {memory} MiB, {time.monotonic() - begun:.0f} s", flush=True)
    print(
        f"{found.specs} specs, {found.windows} windows: at most {found.reading:.1f} calls per byte to read and "
        f"{found.computing:.1f} per byte and row to compute; the slowest window took {found.slowest:.3f} s of CPU; "
        f"no learning rates: {dict(found.no_rates)}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, sys.argv[3:])
