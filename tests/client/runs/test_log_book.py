"""The text and picture of a log book, from versions that are made here."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from client.runs.documents import Change, Proposal, Run, parse_change, parse_run
from client.runs.log_book import LogBook
from client.runs.standalone import standalone_spec
from scheduler import Spec, Table
from scheduler.amendments import amend, parse_amendment, spec_of_table
from scheduler.compose import Literal
from scheduler.custom import WarmupWithDecay
from scheduler.named_tables import resolved

PLAN = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)
HOLD: dict[str, Any] = {"template": "hold", "from_step": 600}


def version(number: int, table: Table, **fields: Any) -> Run:
    document = {
        "namespace": "team-a",
        "name": "bert_base",
        "version": number,
        "action": "create" if number == 1 else "amend",
        "digest": table.digest,
        "total_steps": table.total_steps,
        "axis": table.axis,
        "stride": table.stride,
        "created_at": f"2026-11-30T16:50:0{number}+00:00",
        "parent": number - 1 or None,
    }
    return parse_run({**document, **fields})


def book(**fields: Any) -> LogBook:
    """The book of a run that was held from step 600 on."""
    held = amend(PLAN, parse_amendment(HOLD))
    tables = [PLAN.table(), held.table()]
    versions = [
        version(1, tables[0], author="ada", reason="first"),
        version(2, tables[1], amendment=HOLD, from_step=600, **{"author": "bob", **fields}),
    ]
    return LogBook(versions, {table.digest: table for table in tables}, held)


def test_each_version_is_told() -> None:
    """Who, when, what from which step on, why, the rates there, the digest, and how to compute it all again."""
    found = book(reason="the loss rose", link="https://example.com/7")
    text = found.markdown("log.svg", "spec.json")
    assert text.startswith("# Log book of team-a/bert\\_base\n\n![")
    assert "(log.svg)" in text
    assert "| 2 | 600 | from step 600 on: hold the rate | bob | 2026-11-30 16:50:02 | the loss rose |" in text
    assert "## Version 2: from step 600 on: hold the rate\n\nBy bob at 2026-11-30 16:50:02 UTC.\n" in text
    assert "> the loss rose\n\n<https://example.com/7>\n" in text
    assert f"At step 600 lr is {PLAN.table().get_lr(600)!r}, as before." in text
    assert f"Table `{found.final.digest}`" in text
    assert json.dumps(HOLD) in text
    assert f"    {found.final.digest}\n" in text
    assert "    lrtables show spec.json\n" in text


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("| a | b |", "\\| a \\| b \\|"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("two\n\nlines", "two lines"),
        ("\x1b[2J\x07 \u202e", "\\\\x1b\\[2J\\\\x07 \\\\u202e"),
        ("<script>alert(1)</script>", "\\<script\\>alert(1)\\</script\\>"),
        ("[x](javascript:y)", "\\[x\\](javascript:y)"),
        ("`code` *bold* ~~no~~ &amp;", "\\`code\\` \\*bold\\* \\~\\~no\\~\\~ \\&amp;"),
    ],
)
def test_texts_are_shown_as_they_are(reason: str, shown: str) -> None:
    """A reason is somebody's words, never Markdown or markup of the page."""
    text = book(reason=reason).markdown("log.svg", "spec.json")
    assert f"| {shown} |\n" in text
    assert f"> {shown}\n" in text


def test_a_link_that_is_no_address_is_a_text() -> None:
    """Only http and https are linked."""
    text = book(link="javascript:alert(1)").markdown("log.svg", "spec.json")
    assert "<javascript" not in text
    assert "javascript:alert(1)" in text
    assert "\x9b" not in book(link="https://example.com/\x9b2J").markdown("log.svg", "spec.json")


def test_every_kind_of_change_is_a_sentence() -> None:
    """A rollback says to which version; an amendment that this version of lrtables does not know stands as JSON."""
    found = book()
    first, second = found.versions
    more = [
        dataclasses.replace(first, version=3, action="rollback", from_step=600, parent=2),
        dataclasses.replace(second, version=4, action="move", amendment=None, parent=3),
        dataclasses.replace(second, version=5, amendment={"template": "wave", "from_step": 700}, parent=4),
        dataclasses.replace(second, version=6, action="delete", amendment=None, parent=5, from_step=None),
    ]
    text = LogBook([first, second, *more], found.tables, found.spec).markdown("log.svg", None)
    assert "## Version 3: rolled back to version 1\n" in text
    assert "## Version 4: moved to another schedule\n" in text
    assert '## Version 5: {"template": "wave", "from\\_step": 700}\n' in text
    assert "The run was deleted with version 6." in text
    assert "Its values are all that is known of it: its file stands beside this one." in text


def test_a_run_that_was_created_again_is_told() -> None:
    """The newest table has the rates since the run was created again, not those of before."""
    found = book()
    versions = [
        *found.versions,
        dataclasses.replace(found.final, version=3, action="delete", amendment=None, from_step=None),
        dataclasses.replace(found.versions[0], version=4, action="create"),
    ]
    text = LogBook(versions, found.tables, found.spec).markdown("log.svg", None)
    assert "\nEvery rate of this run since it was created again with version 4 is in the table" in text
    assert "\nEvery rate of this run is in the table" in found.markdown("log.svg", None)


def change(number: int, action: str, **details: Any) -> Change:
    document = {
        "sequence": number,
        "namespace": "team-a",
        "name": "bert_base",
        "version": 1,
        "action": action,
        "digest": PLAN.table().digest,
        "created_at": f"2026-11-30T17:00:{number:02}+00:00",
        "author": "ada",
        "reason": f"because {number}",
        "details": details or None,
    }
    return parse_change(document)


def test_what_was_set_is_told() -> None:
    """Locks, labels, rules with what they were, proposals and forgotten positions are a list of their own."""
    found = book()
    changes = [
        change(1, "create", rules={"max_lr": 1, "margin_steps": 100}),
        change(2, "lock"),
        change(3, "unlock"),
        change(5, "rules", rules={"max_lr": 0.5}),
        change(7, "labels", labels={"model": "bert"}),
        change(8, "propose", proposal=1),
        change(9, "reject", proposal=1),
        change(10, "amend", proposal=2, proposed_by="eve"),
        change(11, "forget", worker="rank_0"),
        change(12, "rules", rules={}),
    ]
    text = dataclasses.replace(found, changes=changes).markdown("log.svg", None)
    section = text[text.index("## Settings and proposals") :].splitlines()[4:-1]
    assert section == [
        "| 2026-11-30 17:00:01 | 1 | rules: margin\\_steps=100 max\\_lr=1 | ada | because 1 |",
        "| 2026-11-30 17:00:02 | 1 | locked | ada | because 2 |",
        "| 2026-11-30 17:00:03 | 1 | unlocked | ada | because 3 |",
        "| 2026-11-30 17:00:05 | 1 | rules: max\\_lr=0.5 (was 1) (without margin\\_steps) | ada | because 5 |",
        "| 2026-11-30 17:00:07 | 1 | labels: model=bert | ada | because 7 |",
        "| 2026-11-30 17:00:08 | 1 | proposal 1 | ada | because 8 |",
        "| 2026-11-30 17:00:09 | 1 | rejected proposal 1 | ada | because 9 |",
        "| 2026-11-30 17:00:11 | 1 | forgot the position of rank\\_0 | ada | because 11 |",
        "| 2026-11-30 17:00:12 | 1 | rules: none (without max\\_lr) | ada | because 12 |",
    ]
    assert "## Settings" not in found.markdown("log.svg", None)


def test_a_proposal_names_both_people() -> None:
    """Who proposed a version, and when, stands beside who approved it."""
    proposal = Proposal(3, 1, HOLD, "approved", "2026-11-30T16:00:00+00:00", "eve", version=2)
    text = dataclasses.replace(book(), proposals=[proposal]).markdown("log.svg", None)
    assert "| from step 600 on: hold the rate | bob, proposed by eve | 2026-11-30 16:50:02 |" in text
    assert (
        "Proposed by eve at 2026-11-30 16:00:00 UTC (proposal 3), approved by bob at 2026-11-30 16:50:02 UTC.\n" in text
    )


def test_the_legend_names_every_version_of_a_table() -> None:
    """After a rollback the coloured curve is that of the newest version, and of the one that it came from."""
    found = book()
    first, second = found.versions
    back = dataclasses.replace(first, version=3, action="rollback", from_step=600, parent=2)
    gone = dataclasses.replace(back, version=4, action="delete", from_step=None, parent=3)
    root = ElementTree.fromstring(dataclasses.replace(found, versions=[first, second, back, gone]).svg())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"versions 1, 3", "version 2"} <= set(texts)
    assert "version 1" not in texts


def test_the_picture_has_few_lines() -> None:
    """Of many tables the first and the newest are drawn; each change is marked."""
    tables = [Table({"lr": np.full(100, 0.01 * number)}) for number in range(1, 20)]
    versions = [
        version(number, table, from_step=5 * number) for number, table in zip(range(1, 9), tables, strict=False)
    ]
    found = LogBook(versions, {table.digest: table for table in tables}, None)
    root = ElementTree.fromstring(found.svg())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 6
    assert {"version 1, ..., version 7", "version 8", "v2", "v8"} <= set(texts)


def test_a_spec_without_names_needs_no_service() -> None:
    """A spec that names a table by its digest gets that table's values; one that is computed stays as it is."""
    table = Table({"lr": np.linspace(0.1, 0.0, 300)})
    named = {table.digest: table}
    amended = amend(spec_of_table(table), parse_amendment({**HOLD, "from_step": 200}))
    with resolved(named):
        final = amended.table()
    found = standalone_spec(amended.model_dump(mode="json"), final, named)
    assert found is not None
    assert found.table() == final
    assert table.digest not in found.model_dump_json()
    assert standalone_spec(PLAN.model_dump(mode="json"), PLAN.table(), {}) == PLAN


@pytest.mark.parametrize("rows", [300, 100_000, 250_001])
def test_values_alone_are_a_spec(rows: int) -> None:
    """A table without a spec is a Literal; a long one a Sequence of them."""
    table = Table({"lr": np.linspace(0.1, 0.0, rows), "momentum": np.linspace(0.9, 0.95, rows)}, axis="token", stride=7)
    found = standalone_spec(None, table, {})
    assert found is not None
    assert found.table() == table
    assert isinstance(found.schedule, Literal) == (rows <= 100_000)


def test_a_spec_that_gives_other_bits_here_is_replaced() -> None:
    """A twin may differ in a last bit on another machine: the values are what was applied."""
    values = PLAN.table().lr.copy()
    values[500] = np.nextafter(values[500], 1.0)
    applied = Table({"lr": values})
    found = standalone_spec(PLAN.model_dump(mode="json"), applied, {})
    assert found is not None
    assert found.table() == applied


def test_too_many_values_are_no_spec() -> None:
    """A million values are 20 MB of JSON: a longer table is kept as a file."""
    assert standalone_spec(None, Table({"lr": np.linspace(0.1, 0.0, 1_000_001)}), {}) is None
    assert standalone_spec({"schedule": {"kind": "mine.Own"}}, Table({"lr": [0.1, 0.2]}), {}) is not None
