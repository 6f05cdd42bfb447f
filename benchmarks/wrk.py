"""Load from wrk: keep-alive connections that ask for one address again and again, from one thread."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Load(NamedTuple):
    """Responses per second, and the median and 99th percentile of the seconds to the complete response."""

    rate: float
    p50: float
    p99: float


def load(url: str, connections: int, seconds: int, headers: Mapping[str, str]) -> Load:
    """Ask for so many seconds. Raises `RuntimeError` where wrk fails, or a response was an error."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", url]
    command += [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{' '.join(command)}:\n{said}")
    return Load(float(_found(r"Requests/sec:\s+([\d.]+)", said)), _percentile("50", said), _percentile("99", said))


def _percentile(name: str, said: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", _found(rf"\s{name}%\s+(\S+)", said)).groups()  # type: ignore[union-attr]  # a figure has a unit
    return float(number) * _UNITS[unit]


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"no {pattern} in:\n{said}")
    return found[1]
