"""Every place where a text goes in: whatever it is, no response is an error of the server, and each is strict JSON.

The suite asks a seeded share of the questions; `LRTABLES_EVERY_TEXT=1 pytest tests/service/test_texts.py` asks all.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from starlette.testclient import TestClient

from scheduler import KINDS, Schedule
from service.__main__ import main
from service.routes.registry import ROUTES
from tests.service.conftest import MakeClient
from tests.support.schedules.strategies import schedules

SHARE = 1.0 if os.environ.get("LRTABLES_EVERY_TEXT") else 0.05
TEXTS = {
    "high-surrogate": "\ud800",
    "low-surrogate": "lr\udfff",
    "nul": "\0",
    "control": "\x1b[2J\r\n\x7f\x85",
    "noncharacters": "\ufffe\uffff\U0001fffe",
    "line-separators": "\u2028\u2029\ufeff\u202e",
    "empty": "",
    "long": "9" * 100_000,
    "pointer": "~0/~1/\"'\\",
    "braces": "{0!r:>{1}} %s %(x)s",
}
Path_ = tuple[str | int, ...]


def positions(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, bool]]:
    """The place of every text in JSON data, and whether it is a key; a number's place is one for a text, too."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*path, key), True
            yield from positions(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data[:2]):
            yield from positions(value, (*path, index))
    else:
        yield path, False


def changed(data: Any, path: Path_, text: str, *, key: bool) -> Any:
    """The data with a text in this place."""
    data = copy.deepcopy(data)
    holder = data
    for part in path[:-1]:
        holder = holder[part]
    if key:
        holder[text] = holder.pop(path[-1])
    else:
        holder[path[-1]] = text
    return data


def share(items: list[Any], seed: str) -> list[Any]:
    """What of the questions is asked: at least eight of them."""
    count = max(min(8, len(items)), round(SHARE * len(items)))
    return random.Random(seed).sample(items, count)


def check(answer: Any, question: object) -> int:
    """Not an error of the server, and JSON that any reader takes."""
    assert answer.status_code < 500, (question, answer.text[:300])
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", question
        problem = json.loads(answer.content.decode())
        json.dumps(problem, ensure_ascii=False).encode()  # no half of a pair, escaped or not
        assert len(answer.content) < 10_000, question
    return int(answer.status_code)


def bodies(data: Any) -> Iterator[bytes]:
    """JSON with escapes, and as it stands."""
    yield json.dumps(data).encode()
    yield json.dumps(data, ensure_ascii=False).encode(errors="surrogatepass")


def spec_of(kind: str) -> dict[str, Any]:
    """A small spec with every field of a kind; or of what is no kind."""
    usual = {"total_steps": 1, "axis": "step", "stride": 1, "after": "hold"}
    if kind == "columns":
        return {**usual, "schedule": {"kind": "Constant"}, "columns": {"weight_decay": [{"kind": "Constant"}]}}
    if kind == "digest":
        return {**usual, "schedule": {"kind": "Literal", "digest": "0" * 64, "column": "lr"}}
    drawn: list[Schedule] = []

    @settings(max_examples=1, derandomize=True, database=None)
    @given(schedules(kind))
    def draw(schedule: Schedule) -> None:
        drawn.append(schedule)

    draw()
    return {**usual, "schedule": drawn[0].to_dict()}


@pytest.mark.parametrize("kind", [*KINDS, "columns", "digest"])
def test_any_text_anywhere_in_a_spec(client: TestClient, kind: str) -> None:
    """A surrogate is malformed JSON, wherever it stands; any other text is refused or taken."""
    spec = spec_of(kind)
    questions = [(path, key, name) for path, key in positions(spec) for name in TEXTS]
    seen = Counter[int]()
    for path, key, name in share(questions, kind):
        for body in bodies(changed(spec, path, TEXTS[name], key=key)):
            answer = client.post("/v1/tables", content=body, headers={"content-type": "application/json"})
            status = check(answer, (path, key, name))
            assert (status == 400) == name.endswith("surrogate"), (path, key, name, answer.text)
            seen[status] += 1
    print(f"{kind}: {sum(seen.values())} requests, {dict(seen)}")


def test_any_text_anywhere_in_an_address(client: TestClient) -> None:
    """In a path, in a parameter's name or value, percent-encoded or not: refused, not found, or taken."""
    texts = [
        *TEXTS.values(),
        "\udced\udca0\udc80",
        "%ED%A0%80",
        '"\\ud800"',
        '["\\udfff"]',
        '{"\\ud800": 1}',
        "1,\ud800",
    ]
    encoded = [quote(text, safe="%", errors="surrogatepass")[:15_000] for text in texts]
    routes = [route.template for route in ROUTES if route.method == "GET"]
    held = [route for route in routes if "{" in route]  # the others are no questions, and one of them never ends
    addresses = [text.join(re.split(r"\{\w+\}", route)) for route in held for text in encoded]
    queries = [f"{route}?{text}={text}" for route in routes for text in encoded]
    rates = "/v1/lr?kind={kind}&base_lr={lr}&warmup_steps={warmup}&{other}={other}&steps={steps}"
    usual = {"kind": "custom.LinearWarmup", "lr": "0.1", "warmup": "3", "other": "total_steps", "steps": "0,1"}
    queries += [rates.format(**{**usual, name: text}) for name in usual for text in encoded]
    queries += [f"/v1/lr?kind=Literal&digest={'0' * 64}&column={text}&steps=0" for text in encoded]
    digest = client.post("/v1/tables", json={"schedule": {"kind": "Constant", "value": 0.1}, "total_steps": 4}).json()
    queries += [f"/v1/tables/{digest['digest']}/values?{name}={t}" for name in ("steps", "start", "x") for t in encoded]
    questions = share([*addresses, *queries], "addresses")
    seen = Counter(check(client.get(address), address) for address in questions)
    print(f"addresses: {len(questions)} requests, {dict(seen)}")


@pytest.mark.parametrize(
    "name", ["accept", "content-type", "content-encoding", "x-request-id", "authorization", "range"]
)
def test_any_text_in_a_header(make_client: MakeClient, name: str) -> None:
    """Bytes of any kind in a header are refused or ignored; with tokens and without."""
    for require_tokens in (False, True):
        client = make_client(require_tokens=require_tokens)
        for text in TEXTS.values():
            value = text[:5000].encode(errors="surrogatepass")
            for method, address in (
                ("POST", "/v1/tables"),
                ("PUT", "/v1/tables"),
                ("GET", "/v1/lr"),
                ("GET", "/livez"),
            ):
                check(client.request(method, address, headers={name.encode(): value}, content=b"{}"), (name, text[:9]))


@pytest.mark.parametrize(
    "command",
    [
        "show @",
        "show LinearWarmup @ 3",
        "show LinearWarmup 0.1 3 @=1",
        "show LinearWarmup 0.1 3 --steps=@",
        "show LinearWarmup 0.1 3 --at=@",
        "show LinearWarmup 0.1 3 --output=@",
        "show {folder}/@.json",
        'show {{"kind":"Literal","digest":"0","column":"\\ud800"}}',
        'compare {{"kind":"\\ud800"}} @',
        "token create @ --scope read --data-dir {folder}",
        "token create name --scope @ --data-dir {folder}",
        "token create name --scope read --namespace @ --data-dir {folder}",
        "token create name --scope read --limit @=1 --data-dir {folder}",
        "token create name --scope read --expires @ --data-dir {folder}",
        "serve --host @ --data-dir {folder}",
        "serve --config @",
        "doctor --host @ --data-dir {folder} --port 0",
        "doctor --database-url postgresql://@/name --data-dir {folder} --port 0",
    ],
)
def test_any_text_in_a_command(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is no text at all is refused in a line, in each place of every command."""
    words = [word.format(folder=tmp_path).replace("@", "\udcff") for word in command.split(" ")]
    assert main(words) in (1, 2)
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    assert said.out + said.err


def test_a_folder_whose_name_is_no_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Files may have such names: every command on the data works there."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    for words in (
        ["token", "create", "name", "--scope", "read"],
        ["token", "list"],
        ["db", "status"],
        ["doctor", "--port", "0"],
        ["verify"],
        ["backup", f"{folder}-backup"],
        ["gc"],
    ):
        assert main([*words, "--data-dir", folder]) == 0, capfd.readouterr()
    assert Path(folder, "metadata.sqlite").is_file()
