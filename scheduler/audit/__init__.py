"""The rates that a run really applied, compared with what was planned. No HTTP, no torch."""

from scheduler.audit.auditing import audit, identify
from scheduler.audit.logs.logged import LogError
from scheduler.audit.result import Audit, ColumnAudit, ColumnFit, Deviation, Identified

__all__ = ["Audit", "ColumnAudit", "ColumnFit", "Deviation", "Identified", "LogError", "audit", "identify"]
