"""Computations that misbehave, in worker processes that a test starts: kinds that do what no kind of ours may."""

from pathlib import Path

from scheduler import Spec
from scheduler.compose import Constant
from service.strict_json import SMALL

ENDLESS, GREEDY, CRASHING, FAILING = 0.125, 0.25, 0.375, 0.4375
"""Values of a Constant: computed without end, with all memory there is, in a process that crashes, with an error."""
UNREADABLE = 0.46875
"""Marker of a large body that is read for ever."""

_SITE = f"""
import os, signal
from scheduler import Spec
from scheduler.compose import Constant

read = Spec.model_validate_json
fill = Constant._fill

def misbehave(self, out, start):
    if self.value == {ENDLESS}:
        while True:
            pass
    if self.value == {GREEDY}:
        kept = []
        while True:
            kept.append(bytes(range(256)) * 2**16)
    if self.value == {CRASHING}:
        os.kill(os.getpid(), signal.SIGSEGV)
    if self.value == {FAILING}:
        1 / 0
    fill(self, out, start)

def misread(text):
    while len(text) > {SMALL} and b"{UNREADABLE}" in text:
        pass
    return read(text)

Constant._fill = misbehave
Spec.model_validate_json = misread
"""


def misbehaving_path(folder: Path) -> str:
    """A folder for `PYTHONPATH`: interpreters that find it compute those values as badly as they say."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE)
    return str(folder)


def constant(value: float, steps: int = 10) -> Spec:
    """The spec of a constant rate."""
    return Spec(schedule=Constant(value), total_steps=steps)
