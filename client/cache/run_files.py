"""Runs in the node cache: small JSON files, from which an offline client knows what a run's name means.

```text
FOLDER/runs/NAMESPACE/NAME/head.json   the run as the service last described it
FOLDER/runs/NAMESPACE/NAME/3.json      its version 3, which never changes
```
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from client.cache.folders import write_file
from client.runs.documents import Run, parse_run, run_name

_HEAD = "head"

_logger = logging.getLogger(__name__)


class RunFiles:
    """The runs that this machine knows, in the folder of the node cache.

    A file is complete, or it is not there. One that is damaged, or was written by another user, counts as missing.
    No method raises an error of the file system.

    Args:
        folder: of the cache; made when the first run is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, run: Run, *, as_head: bool) -> None:
        """Write a version of a run; as its head too, unless a newer one is there."""
        self._write(run, str(run.version))
        if as_head:
            known = self._read(run.full_name, _HEAD)
            if known is None or known.state <= run.state:
                self._write(run, _HEAD)

    def forget(self, name: str) -> None:
        """Forget the head of a run that the service does not have, or not any more. A deletion stays known."""
        known = self._read(name, _HEAD)
        if known is not None and not known.deleted:
            with suppress(OSError):
                self._path(name, _HEAD).unlink()

    def find(self, name: str, version: int | None = None) -> Run | None:
        """The run as it was last known, or one of its versions; None where it is unknown.

        What was last known is flagged stale, with the seconds since it was written here.

        Raises `ValueError` for what is no run's name.
        """
        found = self._read(name, _HEAD if version is None else str(version))
        if found is None or version is not None:
            return found
        return dataclasses.replace(found, stale=True, age_seconds=self._age(name))

    def heads(self) -> Iterator[Run]:
        """Every run as it was last known, by name, flagged stale as by `find`; without those that were deleted."""
        for path in sorted(self.folder.glob(f"runs/*/*/{_HEAD}.json")):
            with suppress(ValueError):  # a folder that no run's name gives
                known = self.find(f"{path.parent.parent.name}/{path.parent.name}")
                if known is not None and not known.deleted:
                    yield known

    def versions(self, name: str) -> dict[int, Run]:
        """The versions of a run that are known, by number.

        Raises `ValueError` for what is no run's name.
        """
        paths = self._path(name, _HEAD).parent.glob("*.json")
        numbers = sorted(int(path.stem) for path in paths if path.stem.isdecimal() and path.stem.isascii())
        found = {number: self._read(name, str(number)) for number in numbers}
        return {number: run for number, run in found.items() if run is not None}

    def _path(self, name: str, what: str) -> Path:
        namespace, own = run_name(name)
        return self.folder / "runs" / namespace / own / f"{what}.json"

    def _age(self, name: str) -> float:
        with suppress(OSError):
            return max(0.0, time.time() - self._path(name, _HEAD).lstat().st_mtime)
        return 0.0

    def _read(self, name: str, what: str) -> Run | None:
        path = self._path(name, what)
        try:
            if path.lstat().st_uid not in (os.geteuid(), 0):
                return None
            found = parse_run(json.loads(path.read_bytes()), str(path))
        except (OSError, ValueError, RecursionError):  # UnexpectedResponseError is a ValueError
            return None
        return found if found.full_name == name and what in (_HEAD, str(found.version)) else None

    def _write(self, run: Run, what: str) -> None:
        path, content = self._path(run.full_name, what), json.dumps(run.to_dict()).encode()
        try:
            if _is_there(path, content):
                os.utime(path)  # the same was read again now
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, [content], sync=False)
        except OSError as error:
            _logger.warning("the run %s is not kept in the cache: %s", run.full_name, error)


def _is_there(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
