"""The log as text and as JSON."""

import asyncio
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from service.http.request_id import REQUEST_ID, current
from service.observability.logs import HumanLines, JsonLines

TOKEN = "lrt_" + "aB3" * 8
TRACE = "0af7651916cd43dd8448eb211c80319c"
SCOPE = {
    REQUEST_ID: "mine",
    "headers": [(b"traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())],
}


def record(message: str, *arguments: object, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("lrtables", logging.ERROR, "", 0, message, arguments, None)
    made.created = 0.25
    vars(made).update(attributes)
    return made


def failing(error: Exception) -> dict[str, Any]:
    """Return the attributes of a record about an exception."""
    try:
        raise error  # only a raised exception has a traceback
    except type(error):
        return {"exc_info": sys.exc_info()}


def test_a_text_line_has_all_parts() -> None:
    """A text line has the time in UTC, the level, the logger and the message."""
    assert HumanLines().format(record("%d is bad", 3)) == "1970-01-01T00:00:00.250Z error lrtables: 3 is bad"


def test_a_json_line_has_all_parts() -> None:
    """A JSON line has the same parts, and the record's fields."""
    text = JsonLines().format(record("%d is bad", 3, fields={"status": 500, "path": "/"}))
    assert json.loads(text) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "error",
        "logger": "lrtables",
        "message": "3 is bad",
        "status": 500,
        "path": "/",
    }


def test_a_line_has_the_ids_of_its_request() -> None:
    """During a request, each line has the request's ID and its trace ID."""

    async def lines() -> tuple[str, str]:
        current.set(SCOPE)
        return HumanLines().format(record("bad")), JsonLines().format(record("bad"))

    people, programs = asyncio.run(lines())
    assert people.endswith(f"bad [request_id=mine trace_id={TRACE}]")
    assert {**json.loads(programs), "request_id": "mine", "trace_id": TRACE} == json.loads(programs)


def test_a_traceback_is_part_of_its_record() -> None:
    """A traceback is one member of the JSON object; as text it is below the line."""
    attributes = failing(ValueError("two\nlines"))
    data = json.loads(JsonLines().format(record("bad", **attributes)))
    assert data["exception"].startswith("Traceback")
    assert data["exception"].endswith("ValueError: two\nlines")
    assert HumanLines().format(record("bad", **attributes)).splitlines()[1].startswith("Traceback")


@pytest.mark.parametrize("bad", ["\n", "\r", "\x1b[31m", "\x85", "\u2028", "\x00"])
def test_a_message_stays_on_its_line(bad: str) -> None:
    """Text from a client cannot look like another line, or control a terminal."""
    people, programs = HumanLines().format(record("a%sb", bad)), JsonLines().format(record("a%sb", bad))
    assert len(people.splitlines()) == len(programs.splitlines()) == 1
    assert "\x1b" not in people + programs
    assert json.loads(programs)["message"] == f"a{bad}b"


def test_any_text_can_be_logged() -> None:
    """A lone surrogate in a message is no error."""
    assert json.loads(JsonLines().format(record("\ud800")))["message"] == "\ud800"


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        (f"no such token: {TOKEN}", "no such token: ***"),
        ("connect to postgresql://me:pass@host/name failed", "connect to postgresql://***@host/name failed"),
        ("host=localhost password=pass user=me", "host=localhost password=*** user=me"),
        ("see http://localhost/a@b", "see http://localhost/a@b"),
    ],
)
def test_secrets_are_left_out(message: str, logged: str) -> None:
    """Tokens and passwords are removed from the message, the fields and the traceback."""
    everywhere = record("%s", message, fields={"path": message}, **failing(ValueError(message)))
    data = json.loads(JsonLines().format(everywhere))
    assert (data["message"], data["path"]) == (logged, logged)
    assert data["exception"].endswith(f"ValueError: {logged}")
    assert HumanLines().format(everywhere).count(logged) == 2


def configured(script: str, **settings: object) -> list[str]:
    """Return the lines that a process with these log settings writes to standard error."""
    program = f"""
import logging, threading, warnings
from service.observability.logs import configure
from service.settings import Settings
configure(Settings(**{settings!r}))
{script}
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == ""
    return finished.stderr.splitlines()


def test_all_logs_have_the_same_format() -> None:
    """Our logs, uvicorn's, those of other libraries, and warnings are all lines of JSON."""
    lines = configured(
        """
for name in ("lrtables", "uvicorn.error", "sqlalchemy.pool", "asyncio"):
    logging.getLogger(name).error("from %s", name)
warnings.warn("watch out")
""",
        log_format="json",
    )
    logged = [(entry["logger"], entry["message"]) for entry in map(json.loads, lines)]
    names = ("lrtables", "uvicorn.error", "sqlalchemy.pool", "asyncio")
    assert logged[:-1] == [(name, f"from {name}") for name in names]
    assert logged[-1][0] == "py.warnings"
    assert "watch out" in logged[-1][1]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_ours(level: str, heard: list[str]) -> None:
    """`log_level` decides what of ours is written; libraries are heard from warnings on."""
    script = """
for level in ("debug", "info", "warning", "error"):
    getattr(logging.getLogger("lrtables"), level)(level)
    getattr(logging.getLogger("obstore"), level)(f"obstore {level}")
"""
    lines = configured(script, log_level=level)
    assert [line.rpartition(": ")[2] for line in lines if "obstore" not in line] == heard
    assert [line.rpartition(": ")[2] for line in lines if "obstore" in line] == ["obstore warning", "obstore error"]


def test_threads_share_the_log() -> None:
    """Lines that threads write at the same time do not mix."""
    script = """
def write(number):
    for _ in range(200):
        logging.getLogger("lrtables").error("%s", str(number) * 2000)
threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    messages = [json.loads(line)["message"] for line in configured(script, log_format="json")]
    assert sorted(messages) == sorted(str(number) * 2000 for number in range(8) for _ in range(200))
