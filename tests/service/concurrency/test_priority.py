"""The priority of a server's threads."""

import subprocess
import sys

SCRIPT = """
import asyncio, os, threading
from service.concurrency.executors import Executors

async def priority():
    return await executors.storage(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

os.nice(15)
executors = Executors()
print(asyncio.run(priority()))
"""


def test_no_thread_gets_more_priority_than_the_server() -> None:
    """A server that was started niced keeps its threads so: only root may raise a priority, and others would fail."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "15\n"
