"""Does one thing to a store in many processes, each killed some steps later than the last, until one comes to its end.

A step is a call into C or a return from one: every system call has a step before and a step after it. A process that
is killed at step n works in the directory `n`, which holds an object already where the thing needs one. Printed is the
last step at which one was killed.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from service.storage.local import LocalStore

KEY = f"tables/ab/{'ab' * 32}.safetensors"
PARTS = [b"head", bytes(100_000), b"tail"]


def quarantine(store: LocalStore) -> None:
    """Set aside what is there."""
    found = store.stat(KEY)
    assert found is not None
    store.quarantine(KEY, found.version)


ACTIONS: dict[str, Callable[[LocalStore], object]] = {
    "put": lambda store: store.put(KEY, PARTS),
    "put again": lambda store: store.put(KEY, PARTS),
    "set aside": quarantine,
    "delete": lambda store: store.delete(KEY),
}


def prepare(directory: Path, action: str) -> None:
    """Make the directory what the action starts from."""
    if action != "put":
        store = LocalStore(directory)
        store.put(KEY, PARTS)
        store.close()


def die_at(step: int) -> None:
    """Let this process kill itself at its `step`-th step from here."""
    left = step

    def step_on(_: FrameType, event: str, __: Any) -> None:
        nonlocal left
        if event in ("c_call", "c_return"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(step_on)


def is_killed_at(step: int, directory: Path, action: str) -> bool:
    """Whether a process that does it is killed at the step, rather than coming to its end before."""
    prepare(directory, action)
    child = os.fork()
    if child == 0:
        die_at(step)
        ACTIONS[action](LocalStore(directory))
        sys.setprofile(None)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"the writer failed at step {step} of {action}: {status}")
    return status == signal.SIGKILL


root, what, stride = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
died_last = next(step - stride for step in count(0, stride) if not is_killed_at(step, root / str(step), what))
print(died_last)
