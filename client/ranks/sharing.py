"""The three ways in which the ranks of a job come to one table."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Literal

from client.errors import DigestMismatchError, RankFailedError
from client.pinned_table import PinnedTable
from client.ranks.attempt import Attempt
from client.ranks.group import Group
from client.ranks.proof import digest_in_memory
from client.ranks.resolution import Checkpoint, Resolved, Source, described, resolve
from scheduler import Table

Strategy = Literal["rank0", "node", "all"]
"""Who gets the table from the service or the cache: rank 0 for all, one rank of each machine, or each for itself."""


class Sharing:
    """The ranks of a job on their way to one table. Each makes the same calls.

    Args:
        ranks: the group.
        client: where tables come from.
        what: what names the table.
        checkpoint: the one that is resumed.
        timeout: seconds to wait for another rank.

    Attributes:
        digest: that the table must have: the one of the run or the checkpoint, as rank 0 has resolved it.
        warning: on rank 0, what the user should know about the table; for when no rank waits for another any more.
    """

    def __init__(
        self, ranks: Group, client: Any, what: Source | None, checkpoint: Checkpoint | None, *, timeout: float
    ) -> None:
        self._ranks = ranks
        self._client = client
        self._what = what
        self._checkpoint = checkpoint
        self._timeout = timeout
        self.digest = ""
        self.warning = ""

    def proven(self, table: Table, strategy: Strategy) -> str:
        """The digest of the values in this rank's memory. Of bytes that it was sent it has just been computed."""
        return table.digest if strategy == "rank0" and self._ranks.rank else digest_in_memory(table)

    def table(self, strategy: Strategy, leaders: Collection[int], *, follow: bool) -> PinnedTable:
        """The table, pinned to its run and version.

        Args:
            strategy: who gets it.
            leaders: the first rank of each machine.
            follow: whether a job that is resumed takes up what its run has become.
        """
        found = self._resolved(follow=follow)
        self.digest = found.digest
        everyone = range(self._ranks.size)
        table: Table | None
        if strategy == "rank0":
            table = self._sent(found)
        elif strategy == "all":
            table = self._got(found, everyone)
        else:  # two rounds: the others of a machine find the table in the cache that their leader has filled
            mine = self._got(found, leaders)
            table = self._got(found, {*everyone} - {*leaders}, mine)
        if table is None:
            raise RankFailedError(f"rank {self._ranks.rank} has been told to get no table")
        return PinnedTable(table, run=found.run, version=found.version, replaces=found.replaces)

    def _resolved(self, *, follow: bool) -> Resolved:
        """Rank 0 resolves; what it found, or its error, reaches every rank."""
        attempt: Attempt[Resolved] | None = None
        announced = None
        if self._ranks.rank == 0:
            what = described(self._what, self._checkpoint)
            attempt = Attempt(
                f"resolve {what}", lambda: resolve(self._client, self._what, self._checkpoint, follow=follow)
            )
            found = None if attempt.error is not None else attempt.result.to_dict()
            announced = json.dumps({"found": found, "error": attempt.error, "what": what}).encode()
        heard = json.loads(bytes(self._ranks.broadcast(announced, source=0, timeout=self._timeout)))
        if heard["error"] is not None:
            raise RankFailedError(
                f"rank 0 could not resolve {heard['what']}, so every rank stops: {heard['error']}"
            ) from (attempt.cause if attempt else None)
        if attempt is None:
            return Resolved.from_dict(heard["found"])
        self.warning = attempt.result.warning
        return attempt.result

    def _sent(self, found: Resolved) -> Table:
        """Rank 0 gets the table and sends its file."""
        is_first = self._ranks.rank == 0
        attempt = Attempt("get the table", lambda: self._get(found) if is_first else None)
        attempt.settle(self._ranks, timeout=self._timeout)
        data = bytearray().join(attempt.result.parts(claims=True)) if attempt.result is not None else None
        sent = self._ranks.broadcast(data, source=0, timeout=self._timeout)
        received = Attempt("read the table that rank 0 sent", lambda: attempt.result or Table.from_bytes(sent))
        return received.settle(self._ranks, timeout=self._timeout)

    def _got(self, found: Resolved, getting: Collection[int], mine: Table | None = None) -> Table | None:
        """These ranks get the table, each by itself."""
        is_getting = self._ranks.rank in getting
        attempt = Attempt("get the table", lambda: self._get(found) if is_getting else mine)
        return attempt.settle(self._ranks, timeout=self._timeout)

    def _get(self, found: Resolved) -> Table:
        is_schedule = self._what is not None and not isinstance(self._what, str)
        if found.table is not None or not is_schedule or self._checkpoint is not None:
            return found.get_from(self._client)
        table: Table = self._client.fetch(self._what)
        if table.digest != found.digest:
            raise DigestMismatchError(f"{described(self._what)} is {table.digest} here, and {found.digest} on rank 0")
        return table
