"""`lrtables show A B ...`: several schedules or tables, drawn over one another."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Any, NamedTuple

from scheduler import Spec, Table
from scheduler.commands.documents import TABLE_SUFFIX, is_document
from scheduler.commands.numbers import step_count, step_list
from scheduler.commands.operands import typed_table
from scheduler.commands.typed import (
    ENDLESS,
    CommandWords,
    TypingError,
    one_word,
    typed_recipe,
    typed_spec,
)
from scheduler.views.chart import GLYPHS, chart, value_lines
from scheduler.views.compare import compare
from scheduler.views.overlay import draw_together
from scheduler.views.summary import call, column_order, progress_in_words

_FRONT = "⠿"  # stands for the curve in front, which is drawn in such dots


class _Shown(NamedTuple):
    """One operand, ready to be drawn."""

    name: str
    table: Table
    why: str


def operands(words: CommandWords) -> list[CommandWords]:
    """The words of each operand, where several were typed as one word each; else those of the only one."""
    if not all(map(_is_whole, words.positional)):
        return [words]
    several = [one_word(text) for text in words.positional]
    if len(several) > 1 and words.named:
        given = " ".join(f"{name}={value}" for name, value in words.named.items())
        raise TypingError(f"each schedule takes its own parameters, in one word with it: {given}")
    several[0].named |= words.named
    return several


def _is_whole(word: str) -> bool:
    """Whether a word is an operand by itself: a kind with parameters behind it, JSON, a file, or a recipe."""
    is_file = is_document(word) or word.endswith(TABLE_SUFFIX)
    return " " in word.strip() or is_file or typed_recipe(CommandWords(positional=[word])) is not None


def overlaid(several: list[CommandWords], options: argparse.Namespace) -> str:
    """Several operands as the text that `show` prints. A picture is saved where `options` name one.

    Raises `TypingError` where they are too many or count different things, and what `typed_spec` raises.
    """
    if len(several) > len(GLYPHS) + 1:
        raise TypingError(f"at most {len(GLYPHS) + 1} schedules are shown over one another, got {len(several)}")
    steps = None if options.steps is None else step_count(options.steps)
    shown = dict(zip(ascii_uppercase, _shown(several, steps), strict=False))
    axes = {letter: each.table.axis for letter, each in shown.items()}
    if len(set(axes.values())) > 1:
        counted = ", ".join(f"{letter} counts {axis}s" for letter, axis in axes.items())
        raise TypingError(f"these cannot be drawn over one another: {counted}")
    if options.output:
        pictured = {f"{letter}  {each.name}": each.table for letter, each in shown.items()}
        draw_together(options.output, pictured, log=options.log or None)
    if options.json:
        return json.dumps([_description(letter, each) for letter, each in shown.items()], indent=2)
    if options.at is not None:
        return "\n".join(line for letter, each in shown.items() for line in _values(letter, each, options.at))
    saved = [f"picture: {options.output}"] if options.output else []
    return "\n".join([*_headings(shown), "", *_charts(shown, log=options.log), *_verdicts(shown), *saved])


def _shown(several: list[CommandWords], steps: int | None) -> Iterator[_Shown]:
    """Each with its own length, or `steps`; one that has none is as long as the longest that has one."""
    typed = [_typed(words, None) for words in several]
    longest = max((table.total_steps for _, table, why in typed if not why.startswith(ENDLESS)), default=None)
    for words, own in zip(several, typed, strict=True):
        is_endless = steps is None and own.why.startswith(ENDLESS)
        asked = longest if is_endless else steps
        if asked is None or words.positional[0].endswith(TABLE_SUFFIX):
            yield own
        else:
            again = _typed(words, asked)
            yield again._replace(why="as long as the longest") if is_endless else again


def _typed(words: CommandWords, steps: int | None) -> _Shown:
    if (table := typed_table(words)) is not None:
        return _Shown(f"table {table.digest[:12]}", table, "as the file says")
    spec, why = typed_spec(words, None)
    if steps is not None:
        ends = [schedule.end for schedule in spec.schedules if schedule.end is not None]
        spec, why = typed_spec(words, min([steps, *ends]))
    recipe = typed_recipe(words)
    return _Shown(_called(spec) if recipe is None else f"{recipe.name}: {recipe.title}", Table.compute(spec), why)


def _called(spec: Spec) -> str:
    return " | ".join(map(call, spec.schedules))


def _headings(shown: Mapping[str, _Shown]) -> Iterator[str]:
    for (letter, each), glyph in zip(shown.items(), (_FRONT, *GLYPHS), strict=False):
        yield f"{letter} {glyph} {each.name}"
        yield f"    {progress_in_words(each.table)} ({each.why}), digest {each.table.digest[:12]}"


def _charts(shown: Mapping[str, _Shown], *, log: bool) -> Iterator[str]:
    """A chart for each column that one of them has."""
    width = max(min(shutil.get_terminal_size((80, 24)).columns, 100), 24)
    names = dict.fromkeys(name for each in shown.values() for name in each.table.columns)
    for name in sorted(names, key=column_order):
        drawn = {letter: each.table for letter, each in shown.items() if name in each.table.columns}
        if len(names) > 1:
            glyphs = zip(drawn, (_FRONT, *GLYPHS), strict=False)
            yield f"{name}: {'  '.join(f'{letter} {glyph}' for letter, glyph in glyphs)}"
        front, *others = drawn.values()
        behind = [(table.columns[name], table.stride) for table in others]
        yield chart(front.columns[name], width, axis=front.axis, stride=front.stride, behind=behind, log=log)
        yield ""


def _verdicts(shown: Mapping[str, _Shown]) -> Iterator[str]:
    """How each relates to the first, in the steps of both."""
    (first, front), *others = shown.items()
    for letter, other in others:
        if front.table.stride == other.table.stride:
            steps = min(front.table.total_steps, other.table.total_steps)
            comparison = compare(front.table, other.table, steps)
            for columns, words in comparison.verdict_words(letter).items():
                yield f"{letter} beside {first}{columns}, {steps:,} rows: {words}"


def _values(letter: str, each: _Shown, at: str) -> Iterator[str]:
    table = each.table
    yield f"{letter}  {each.name}"
    end = table.total_steps * table.stride
    yield from value_lines(table, [step // table.stride for step in step_list(at) if step < end])


def _description(letter: str, each: _Shown) -> dict[str, Any]:
    table = each.table
    layout = {"axis": table.axis, "stride": table.stride, "total_steps": table.total_steps}
    limits = {name: {"min": float(column.min()), "max": float(column.max())} for name, column in table.columns.items()}
    return {"side": letter, "name": each.name, "digest": table.digest, **layout, "columns": limits}
