"""Learning-rate schedules as served tables: the names that people import, in one place.

`scheduler`, `client` and `service` hold the code. Other software uses these three names too, so this module first
checks that they lead to ours (see `lrtables.packages`). Each name is imported when it is first used: `TableLR` needs
torch, `Client` urllib3, and the command line none of these.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtables.packages import ShadowedPackageError, check_packages

# The command line (argv[0] is "-m" while `python -m lrtables` imports this) checks by itself, and prints one line.
if Path(next(iter(sys.argv), "")).name not in ("lrtables", "-m"):
    check_packages()

if TYPE_CHECKING:
    from client import (
        AmendmentRefusedError,
        BundleError,
        Client,
        ClientError,
        DeadlineExceededError,
        DigestMismatchError,
        NotAllowedError,
        OfflineError,
        OutcomeUnknownError,
        RankFailedError,
        RanksDisagreeError,
        RankTimeoutError,
        RequestRefusedError,
        Run,
        RunChangedError,
        RunLockedError,
        RunNotFoundError,
        ServiceUnreachableError,
        UnexpectedResponseError,
    )
    from client.distributed import share_table
    from client.lr_scheduler import TableLR
    from client.plain_loop import bind_table, set_lr
    from client.ranks.applied import check_applied_rates
    from client.ranks.following import follow
    from lrtables import schedules
    from scheduler import (
        CachedScheduler,
        PastEndError,
        Schedule,
        ScheduleError,
        ScheduleWarning,
        Spec,
        Table,
        TableError,
        parse,
        share_of,
    )
    from scheduler.importing.files import import_file
    from scheduler.interop.capture import capture
    from scheduler.interop.lightning import from_lightning
    from scheduler.interop.recognise import describe
    from scheduler.interop.torch_state import from_torch_state
    from scheduler.libraries.deepspeed import from_deepspeed
    from scheduler.libraries.transformers import from_training_arguments
    from scheduler.recipes import recipe
    from scheduler.views.compare import compare

__all__ = [
    "AmendmentRefusedError",
    "BundleError",
    "CachedScheduler",
    "Client",
    "ClientError",
    "DeadlineExceededError",
    "DigestMismatchError",
    "NotAllowedError",
    "OfflineError",
    "OutcomeUnknownError",
    "PastEndError",
    "RankFailedError",
    "RankTimeoutError",
    "RanksDisagreeError",
    "RequestRefusedError",
    "Run",
    "RunChangedError",
    "RunLockedError",
    "RunNotFoundError",
    "Schedule",
    "ScheduleError",
    "ScheduleWarning",
    "ServiceUnreachableError",
    "ShadowedPackageError",
    "Spec",
    "Table",
    "TableError",
    "TableLR",
    "UnexpectedResponseError",
    "bind_table",
    "capture",
    "check_applied_rates",
    "compare",
    "describe",
    "follow",
    "from_deepspeed",
    "from_lightning",
    "from_torch_state",
    "from_training_arguments",
    "import_file",
    "parse",
    "recipe",
    "schedules",
    "set_lr",
    "share_of",
    "share_table",
]

_MODULES = {
    "check_applied_rates": "client.ranks.applied",
    "follow": "client.ranks.following",
    "share_table": "client.distributed",
    "TableLR": "client.lr_scheduler",
    "bind_table": "client.plain_loop",
    "set_lr": "client.plain_loop",
    "capture": "scheduler.interop.capture",
    "compare": "scheduler.views.compare",
    "describe": "scheduler.interop.recognise",
    "recipe": "scheduler.recipes",
}
"""Where a name is defined, unless `client` or `scheduler` exports it."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lrtables' has no attribute {name!r}")
    value = _find(name)
    globals()[name] = value
    return value


def _find(name: str) -> Any:
    if name == "schedules":
        return import_module("lrtables.schedules")
    scheduler = import_module("scheduler")
    module = _MODULES.get(name) or ("scheduler" if name in scheduler.__all__ else "client")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
