"""A schedule in a query."""

import asyncio
import dataclasses
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.types import Message

from scheduler import KINDS
from service.concurrency.executors import Executors
from service.errors import LimitExceededError, ServiceError
from service.representations.specs import SpecReader
from service.routes.query import KIND, STEPS, Question, read_query
from service.settings import Settings

WARMUP = "kind=custom.LinearWarmup&base_lr=0.1&warmup_steps=500"


async def stays() -> Message:
    """A client that does not go away."""
    await asyncio.Event().wait()
    return {}


def asked(query: str, **settings: Any) -> Question:
    """What a query asks for."""

    async def read() -> Question:
        executors, chosen = Executors(), Settings(**settings)
        try:
            found = parse_qsl(query, keep_blank_values=True)
            return await read_query(found, SpecReader(chosen, executors), chosen, stays)
        finally:
            executors.close()

    return asyncio.run(read())


def refusal(query: str, **settings: Any) -> ServiceError:
    """Why a query is refused."""
    with pytest.raises(ServiceError, match=r".") as caught:
        asked(query, **settings)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_no_parameter_is_hidden(kind: str) -> None:
    """No kind has a parameter that is called like one of the query's own."""
    fields: Any = KINDS[kind]
    assert {KIND, STEPS} & {field.name for field in dataclasses.fields(fields)} <= {KIND}


def test_a_schedule_that_states_a_length_has_the_table_of_that_length() -> None:
    """As where a spec has no length. A step after it is told by the table that a schedule without a length has."""
    query = "kind=transformers.cosine&base_lr=5e-4&num_warmup_steps=100&num_training_steps=1000&steps="
    assert [asked(query + step).spec.total_steps for step in ("999", "1000")] == [1000, 1024]
    assert asked(query + "5", max_steps=900).spec.total_steps == 900


def test_a_schedule_with_an_end_has_its_own_table() -> None:
    """Where the schedule has an end, the table is the one that a training asks for."""
    question = asked("kind=custom.WarmupWithDecay&base_lr=5e-4&warmup_steps=10000&total_steps=100000&steps=0,500,99999")
    assert (question.spec.total_steps, question.steps) == (100_000, "0,500,99999")


@pytest.mark.parametrize(
    ("steps", "rows"), [("0", 1024), ("1023", 1024), ("1024", 2048), ("5000,3", 8192), ("99999", 100_000)]
)
def test_a_schedule_without_an_end_has_a_round_one(steps: str, rows: int) -> None:
    """Without an end the table has the next power of two of rows, up to the server's limit: many questions share it."""
    assert asked(f"{WARMUP}&steps={steps}", max_steps=100_000).spec.total_steps == rows


def test_a_long_schedule_is_computed_as_far_as_it_is_asked_for() -> None:
    """A schedule that is longer than the server computes still tells its first steps."""
    query = "kind=custom.WarmupWithDecay&base_lr=1&warmup_steps=10&total_steps=1000000000&steps=5"
    assert asked(query).spec.total_steps == 1024


def test_values_are_json_lists_or_texts() -> None:
    """A value is written as JSON has it, a list also with commas, a text also without quotes."""
    lists = [asked(f"kind=torch.MultiStepLR&base_lr=0.1&milestones={text}&steps=0") for text in ("[30,60]", "30,60")]
    assert lists[0] == lists[1]
    assert asked("kind=torch.MultiStepLR&base_lr=0.1&milestones=30,&steps=0").spec != lists[0].spec
    cyclic = "kind=custom.CyclicLR&base_lr=0.1&max_lr=1&step_size=9&steps=0&mode="
    assert asked(cyclic + "triangular2") == asked(cyclic + "%22triangular2%22")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "kind"),
        ("steps=0", "kind"),
        ("kind=custom.Nope", "kind"),
        ("kind=custom.Nope&steps=0", "kind"),
        (WARMUP, "steps"),
        (f"{WARMUP}&steps=", "steps"),
        (f"{WARMUP}&steps=-1", "steps"),
        (f"{WARMUP}&steps=1.5", "steps"),
        (f"{WARMUP}&steps=0,,1", "steps"),
        (f"{WARMUP}&steps=%D9%A0", "steps"),
        (f"{WARMUP}&steps=20000000", "steps"),
        (f"{WARMUP}&steps=0&steps=1", "steps"),
        (f"{WARMUP}&steps=0&base_lr=2", "base_lr"),
        (f"{WARMUP}&steps=0&nope=2", "nope"),
        ("kind=custom.LinearWarmup&base_lr=0.1&steps=0", "warmup_steps"),
        ("kind=custom.LinearWarmup&base_lr=NaN&warmup_steps=5&steps=0", "base_lr"),
        ("kind=custom.LinearWarmup&base_lr=1e999&warmup_steps=5&steps=0", "base_lr"),
        ("kind=custom.LinearWarmup&base_lr=&warmup_steps=5&steps=0", "base_lr"),
        ("kind=custom.LinearWarmup&base_lr=much&warmup_steps=5&steps=0", "base_lr"),
        ("kind=custom.LinearWarmup&base_lr=1&warmup_steps=true&steps=0", "warmup_steps"),
        (f"kind=custom.LinearWarmup&base_lr={'9' * 5000}&warmup_steps=5&steps=0", "base_lr"),
        ('kind=custom.LinearWarmup&base_lr={"a":1,"a":2}&warmup_steps=5&steps=0', "base_lr"),
        ('kind=Sequence&schedules=[{"kind":"custom.Nope"}]&lengths=[1]&steps=0', "schedules"),
    ],
)
def test_a_bad_parameter_is_named(query: str, parameter: str) -> None:
    """What is missing, unknown, given twice or out of range is refused by the name that it has in the query."""
    errors = [error.to_dict() for error in refusal(query).errors]
    assert parameter in [error.get("parameter") for error in errors]
    assert not any("pointer" in error for error in errors)


@pytest.mark.parametrize("value", ["[" * 5000, "[" * 5000 + "]" * 5000, '{"kind":' * 500 + "1" + "}" * 500])
def test_deep_values_are_refused(value: str) -> None:
    """Values that are nested without end are refused as they are in a body."""
    assert str(refusal(f"kind=Sequence&schedules={value}&steps=0"))


def test_nothing_can_be_smuggled_in() -> None:
    """A value that closes the JSON it is put into is a text like any other."""
    error = refusal('kind=custom.LinearWarmup&base_lr=1},"total_steps":5,"x":{&warmup_steps=5&steps=0')
    assert [item.parameter for item in error.errors] == ["base_lr"]


def test_a_list_has_its_limit() -> None:
    """A list is refused by its length, before an item of it is looked at; a text without an end as well."""
    error = refusal(f"kind=Literal&given={'x,' * 40}x&steps=0", max_items=40)
    assert isinstance(error, LimitExceededError)
    assert str(error) == "given must have at most 40 items on this server (max_items)"
    assert asked(f"kind=Literal&given={'1,' * 30}1&steps=0", max_items=40).spec.total_steps == 31
    assert len(str(refusal(f"{WARMUP}&steps={'x' * 50_000}"))) < 300
