"""The limit of open files of this process."""

from __future__ import annotations

import resource

from service.server.limits import SPARE_CONNECTIONS

_OTHER_FILES = 256  # of the store, the database and the interpreter


def raise_file_limit(max_connections: int) -> None:
    """Raise the limit of open files, which include connections, to the hard limit.

    Raises `ValueError` if that is not enough for `max_connections`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = SPARE_CONNECTIONS + _OTHER_FILES
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, max_connections + others)
    if max_connections + others > hard:
        raise ValueError(
            f"max_connections must be at most {hard - others}, got {max_connections}: "
            f"this process may open {hard} files (ulimit -Hn), and needs {others} of them for other purposes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
