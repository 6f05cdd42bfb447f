"""The rates that a run really applied, compared with what was planned. No HTTP, no torch."""

from scheduler.audit.auditing import audit
from scheduler.audit.logs.logged import LogError
from scheduler.audit.result import Audit, ColumnAudit, Deviation

__all__ = ["Audit", "ColumnAudit", "Deviation", "LogError", "audit"]
