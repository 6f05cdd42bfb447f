"""The client's commands of `lrtables`. Each is a module with a function `add_parser`."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from client.commands import audit, bundle, cache, importing, run, tables

COMMANDS: Sequence[ModuleType] = (run, tables, audit, bundle, importing, cache)
