"""Portable arithmetic: the same bytes everywhere, whatever NumPy and libc have switched on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from math import isqrt

import numpy as np
import pytest

from scheduler import Schedule, Spec, Table, parse
from scheduler.compose import Power, Ramp
from scheduler.numerics import cosine, portable, shapes
from scheduler.numerics.grid import clear_caches
from scheduler.numerics.power_law import Law, power_law
from tests.support.schedules.golden import ENTRIES, GOLDEN

PLAIN_CPU = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
}
DIGESTS = """
import json, sys, warnings
warnings.simplefilter("ignore")  # NumPy warns of features to switch off that this CPU does not have
import math
import numpy as np
from scheduler import Spec, Table
digests = [Table.compute(Spec.model_validate_json(json.dumps(entry["spec"]))).digest for entry in json.load(sys.stdin)]
powers = [math.pow(1 + 1e-3 * k, 0.3) for k in range(20000)]
exponentials = np.exp(np.linspace(-20, 1, 100000)).tobytes()
print(json.dumps({"digests": digests, "libm": hash(tuple(powers)), "numpy": hash(exponentials)}))
"""


def digests_with(environment: dict[str, str]) -> dict[str, object]:
    """The digests of the golden specs from a fresh process with some CPU features switched off."""
    variables = {**os.environ, **environment, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        input=GOLDEN.read_text(),
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]  # JSON is Any


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=[f"{n}-{entry['spec']['schedule']['kind']}" for n, entry in enumerate(ENTRIES)]
)
def test_golden_digest(entry: dict[str, object]) -> None:
    """The digest of a portable table never changes: not with the machine, not with a release."""
    assert Table.compute(Spec.model_validate_json(json.dumps(entry["spec"]))).digest == entry["digest"]


def test_every_portable_kind_is_pinned() -> None:
    """The golden file has each of our own kinds, and each mode of those that have modes."""
    from scheduler import KINDS  # noqa: PLC0415  # only this test needs it

    pinned = {entry["spec"]["schedule"]["kind"] for entry in ENTRIES}
    assert {kind for kind in KINDS if kind.startswith("custom.")} <= pinned


def test_digests_do_not_depend_on_cpu_features() -> None:
    """With AVX-512, AVX2 and FMA off in NumPy and glibc every digest is the same, though exp and pow are not."""
    usual, plain = digests_with({}), digests_with(PLAIN_CPU)
    assert usual["digests"] == plain["digests"] == [entry["digest"] for entry in ENTRIES]
    if (usual["libm"], usual["numpy"]) == (plain["libm"], plain["numpy"]):
        pytest.skip("this machine's exp and pow do not change with these features: the comparison shows nothing")


@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 65, 4095, 4096, 100_001])
@pytest.mark.parametrize(("start", "stop"), [(0.0, 0.3), (0.3, 0.0), (0.3, 0.1), (0.2, 0.2)])
def test_ramps_reach_both_ends_exactly(length: int, start: float, stop: float) -> None:
    """A ramp is `start` at position 0 and `stop` at position length, to the last bit, and never leaves the range."""
    for ramp in (portable.linear, cosine.cosine):
        out = np.empty(length + 1)
        ramp(out, 0, start, stop, length)
        assert (out[0], out[-1]) == (start, stop)
        assert out.min() >= min(start, stop)
        assert out.max() <= max(start, stop)


POWER_LAWS = [
    Ramp(0.1, 1e-4, 50_001, "log"),
    Ramp(0.1, 0.0, 50_001, "1-sqrt"),
    Ramp(0.0, 0.1, 50_001, "polynomial", power=3.7),
    Ramp(0.1, 1e-4, 1500, "power", power=0.01),
    Ramp(0.1, 0.09, 50_001, "inverse_sqrt"),
    Power(1e-3, -0.51),
    Power(1e-3, -0.5, timescale=1e5),
]


@pytest.mark.parametrize("schedule", POWER_LAWS, ids=str)
def test_a_power_law_has_the_same_bits_in_every_window(schedule: Schedule) -> None:
    """A value depends on its position alone, wherever the window lies in the rows of the series."""
    whole = schedule.values(60_000)
    for first, count in [(0, 1), (1, 1023), (1023, 2), (1024, 1024), (3000, 5000), (48_976, 1025), (50_000, 3), (7, 0)]:
        window = np.empty(count)
        schedule.fill(window, first)
        assert window.tobytes() == whole[first : first + count].tobytes()


@pytest.mark.parametrize("exponent", [-2.0, -0.51, 0.5, 1.0, 2.5])
def test_series_and_single_values_agree(exponent: float) -> None:
    """Where a power law is computed by series it is within 4 ULP of what it is value by value."""
    law = Law(lambda position: shapes.power(position + 1.0, exponent), pole=-1.0, exponent=exponent)
    out = np.empty(1_200_000)
    power_law(out, 0, 0.0, 1.0, law)
    single = law.values(np.arange(len(out), dtype=np.float64))
    assert np.abs(out.view(np.int64) - single.view(np.int64)).max() <= 4


def test_numpys_buffer_is_left_as_it_was() -> None:
    """Computing changes NumPy's buffer size for its own loops only."""
    before = np.getbufsize()
    Ramp(0.1, 0.0, 5000, "cosine").values(5000)
    assert np.getbufsize() == before


def test_clearing_the_caches_changes_nothing() -> None:
    """Factor tables are a cache: values computed with and without them are the same."""
    schedule = parse({"kind": "custom.CosineWarmup", "base_lr": 0.1, "warmup_steps": 5000})
    before = schedule.values(5000).tobytes()
    clear_caches()
    assert schedule.values(5000).tobytes() == before


@pytest.mark.parametrize("length", [1_000_000, 10**8 + 7, 10**10])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4999, 0.5, 0.9])
def test_a_cosine_without_a_table_has_the_same_bits(length: int, share: float) -> None:
    """A window too small to be worth a table of factors is computed cell by cell, to the same last bit."""
    first, n = int(length * share), max(64, 2 * isqrt(length))
    whole = np.empty(n)
    cosine.cosine(whole, first, 0.1, 1e-5, length)
    for begin in range(0, n, max(n // 50, 1)):
        part = np.empty(min(3, n - begin))
        cosine.cosine(part, first + begin, 0.1, 1e-5, length)
        assert part.tobytes() == whole[begin : begin + 3].tobytes()


def test_few_long_tables_are_remembered() -> None:
    """Tables for lengths of billions of steps are megabytes: only the last few are kept."""
    clear_caches()
    value = np.empty(40_000)
    tracemalloc.start()
    try:
        for length in range(10**10 - 200, 10**10, 10):
            cosine.cosine(value, 5, 0.1, 0.0, length)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        clear_caches()
    assert kept < 20 * 2**20
