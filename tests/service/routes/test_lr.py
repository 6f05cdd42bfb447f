"""Learning rates in one line."""

import pytest
from starlette.testclient import TestClient

from scheduler.builtin.cycle import OneCycleLR
from scheduler.builtin.decay import ExponentialLR
from scheduler.custom import LinearWarmup, WarmupWithDecay
from tests.service.conftest import MakeClient

QUERY = "kind=custom.WarmupWithDecay&base_lr=5e-4&warmup_steps=10000&total_steps=100000&steps=0,500,99999"
SCHEDULE = WarmupWithDecay(5e-4, 10_000, 100_000)


def test_rates_are_those_of_the_table(client: TestClient) -> None:
    """The rates are exactly those of the schedule, and the digest is that of the table which a training asks for."""
    answer = client.get(f"/v1/lr?{QUERY}")
    rates = [SCHEDULE.get_lr(step) for step in (0, 500, 99_999)]
    assert answer.json() == {
        "digest": SCHEDULE.table(100_000).digest,
        "columns": {"lr": {"steps": [0, 500, 99_999], "values": rates}},
    }
    assert client.get(f"/v1/tables/{answer.json()['digest']}/manifest").json()["total_steps"] == 100_000


def test_plain_text_is_a_number_a_line(client: TestClient) -> None:
    """With Accept: text/plain the response is one number per line, in the order of the steps."""
    answer = client.get(f"/v1/lr?{QUERY}".replace("0,500,99999", "500,0"), headers={"accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [repr(SCHEDULE.get_lr(step)) for step in (500, 0)]


def test_a_schedule_without_an_end_is_asked(client: TestClient) -> None:
    """A schedule without an end tells any step that the server would compute."""
    answer = client.get("/v1/lr?kind=custom.LinearWarmup&base_lr=1&warmup_steps=500&steps=3,7000")
    assert answer.json()["columns"]["lr"]["values"] == [LinearWarmup(1.0, 500).get_lr(3), 1.0]


def test_growth_is_told_as_far_as_it_is_asked(client: TestClient) -> None:
    """A rate that grows is told while it is one; the first that is too large is refused as not computable."""
    query = "/v1/lr?kind=torch.ExponentialLR&base_lr=1e-7&gamma=1.1&steps="
    assert client.get(query + "5").json()["columns"]["lr"]["values"] == [ExponentialLR(1e-7, 1.1).get_lr(5)]
    refused = client.get(query + "5000")
    assert (refused.status_code, refused.json()["code"]) == (422, "not-computable")
    assert "at most 1e+12, got" in refused.json()["detail"]


def test_every_column_is_told(client: TestClient) -> None:
    """A schedule that drives more than the rate tells all of it."""
    answer = client.get("/v1/lr?kind=torch.OneCycleLR&max_lr=1&total_steps=100&steps=50")
    columns = OneCycleLR(1.0, 100).columns(51)
    assert {name: curve["values"] for name, curve in answer.json()["columns"].items()} == {
        name: [values[50]] for name, values in columns.items()
    }


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_the_answer_never_changes(client: TestClient, accept: str) -> None:
    """Every cache may keep the response, for each format; who has it is not sent it again."""
    first = client.get(f"/v1/lr?{QUERY}", headers={"accept": accept})
    known = client.get(f"/v1/lr?{QUERY}", headers={"accept": accept, "if-none-match": first.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable, no-transform"
    assert first.headers["vary"] == known.headers["vary"] == "Accept"


def test_what_nobody_accepts_is_406(client: TestClient) -> None:
    """A client that accepts neither format is told which there are."""
    answer = client.get(f"/v1/lr?{QUERY}", headers={"accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert "text/plain" in answer.json()["detail"]


def test_past_the_end_is_refused(client: TestClient) -> None:
    """A step past the schedule's end is refused by name."""
    answer = client.get(f"/v1/lr?{QUERY}".replace("99999", "100000"))
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "steps")


def test_the_limits_hold(make_client: MakeClient) -> None:
    """No more values are told than the server allows."""
    answer = make_client(max_points=4).get(f"/v1/lr?{QUERY}".replace("0,500", "0,1,2,3,4"))
    assert (answer.status_code, answer.json()["code"]) == (422, "limit-exceeded")
