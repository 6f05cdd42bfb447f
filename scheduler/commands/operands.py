"""A table that was typed: its file, or its digest."""

from __future__ import annotations

from scheduler import Table, TableError
from scheduler.commands.documents import TABLE_SUFFIX
from scheduler.commands.typed import CommandWords, TypingError
from scheduler.texts import is_digest


def typed_table(words: CommandWords, steps: str | None = None) -> Table | None:
    """The table of the file that was typed, its values verified; None where something else was typed.

    Args:
        words: what was typed.
        steps: the length that was typed, which a table has by itself.

    Raises `TypingError` for parameters or a length beside it; `TableError`, with the file's name, for a file that is
    no table or is damaged; `OSError` where it cannot be read.
    """
    path = words.positional[0]
    if not path.endswith(TABLE_SUFFIX):
        return None
    _refuse_more(words, steps)
    try:
        return Table.load(path)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error


def typed_digest(words: CommandWords, steps: str | None = None) -> str | None:
    """The digest that was typed; None where something else was. Raises `TypingError` as `typed_table` does."""
    if not is_digest(words.positional[0]):
        return None
    _refuse_more(words, steps)
    return words.positional[0]


def _refuse_more(words: CommandWords, steps: str | None) -> None:
    words.refuse_parameters("beside a table")
    if steps is not None:
        raise TypingError(f"--steps makes no sense beside a table, which has its own, got {steps}")
