"""A file system of its own, in memory, to be filled and made read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class SmallDisk:
    """A file system of so many bytes, mounted at an empty directory until exit.

    Raises `PermissionError` where this process may not mount.
    """

    def __init__(self, directory: Path, nbytes: int) -> None:
        self.directory = directory
        _mount("-t", "tmpfs", "-o", f"size={nbytes}", "small-disk", str(directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._unmount()

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free."""
        filling = self.directory / "filling"
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            filling.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let no file be made, opened for writing or removed. Files that are open for writing already stay so.

        A second mount on top of the first: while a file is open for writing, the system refuses to change the first.
        """
        _mount("--bind", str(self.directory), str(self.directory))
        try:
            _mount("-o", "remount,bind,ro", str(self.directory))
            yield
        finally:
            self._unmount()

    def _unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.directory)], check=True)


def _mount(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
