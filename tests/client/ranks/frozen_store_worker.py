"""A gloo process whose group's store, in a process of its own, is stopped; it prints what its next exchange raises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import torch.distributed as dist

from client import ClientError
from client.ranks.torch_group import TorchGroup

STORE = """
import sys
import torch.distributed as dist
store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
sys.stdin.read()
"""


def main() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", STORE], stdin=pipe, stdout=pipe, text=True) as host:
        assert host.stdout is not None
        port = int(host.stdout.readline())
        store = dist.TCPStore("127.0.0.1", port, wait_for_workers=False)  # type: ignore[attr-defined]  # torch has it
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        ranks = TorchGroup()
        assert ranks.all_gather(b"before", timeout=60.0) == [b"before"]
        host.send_signal(signal.SIGSTOP)
        try:
            ranks.all_gather(b"after", timeout=0.5)
        except ClientError as error:
            print(type(error).__name__, error, flush=True)
        host.kill()
    os._exit(0)  # the group cannot be taken down in order without its store


if __name__ == "__main__":
    main()
