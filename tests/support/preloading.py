"""What `Preloaded` starts: imports packages once, then forks for each script or module that it is asked to run.

    python preloading.py SOCKET MODULE...

A request is one message with three descriptors: the standard output, the standard error, and a pipe that gets a line
with the process, then one with its exit status. The child returns from here to what it runs, so that it ends as any
process does.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from contextlib import suppress
from typing import Any

LARGEST = 2**18  # bytes of a request


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork for each request until nobody can ask any more. It returns in each child, with what that one is to do."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready = select.select([requests.fileno(), woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            tell_ended(running)
        if requests.fileno() in ready:
            text, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 3)
            if not text:
                os._exit(0)
            process = os.fork()
            if not process:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for unused in (requests.detach(), woken, wake, descriptors[2], *running.values()):
                    os.close(unused)
                return become(json.loads(text), *descriptors[:2])
            running[process] = descriptors[2]
            os.write(descriptors[2], b"%d\n" % process)
            for each in descriptors[:2]:
                os.close(each)


def tell_ended(running: dict[int, int]) -> None:
    """Tell how each child ended that has."""
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        told = running.pop(process)
        with suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(told)


def become(request: dict[str, Any], output: int, errors: int) -> dict[str, Any]:
    """Take the folder, environment and streams of the request, as a new process would."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for descriptor, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    buffering = 0 if unbuffered else -1
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", buffering, closefd=False), write_through=unbuffered)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", buffering, closefd=False), errors="backslashreplace", line_buffering=True
    )
    if request["warnings"]:
        warnings.simplefilter(request["warnings"])
    return request


def run(words: list[str]) -> None:
    """Run a script with its arguments, or with `-m` a module."""
    is_module = words[0] == "-m"
    sys.argv[:] = words[is_module:]
    own = os.getcwd() if is_module else os.path.dirname(os.path.abspath(sys.argv[0]))
    packages = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [own, *packages, *(path for path in sys.path[1:] if path not in packages)]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # no child looks through what the packages have made
    run(serve(socket.socket(fileno=int(sys.argv[1])))["words"])
