"""What a person may give a command as JSON, well-formed or not."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.commands.documents import read_document
from scheduler.importing.configurations import BadFileError
from scheduler.importing.files import import_file

SCHEDULE = {"kind": "Constant", "value": 0.5}
SPEC = {"schedule": SCHEDULE, "total_steps": 10}
TEXT = json.dumps(SPEC, indent=1)
NO_KIND = "there is no kind of schedule called '{}', nor a recipe: 'lrtables show' lists them all"
NO_NUMBER = "Spec: schedule.value must be a valid number or 'previous'"
Show = Callable[..., tuple[int, str]]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Show:
    """Run `lrtables show` in an empty folder: its status, and what it printed to either stream."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, stdin: bytes | None = b"") -> tuple[int, str]:
        from lrtables.__main__ import main  # noqa: PLC0415  # as the command does

        monkeypatch.setattr(sys, "stdin", None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(["show", *words])
        out, err = capsys.readouterr()
        assert (code == 0) is (err == "")
        return code, out or err.removesuffix("\n")

    return run


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bom.json", codecs.BOM_UTF8 + TEXT.encode()),
        ("windows.json", TEXT.replace("\n", "\r\n").encode()),
        ("powershell.json", codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")),
        ("big-endian.json", codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be")),
        ("without-a-suffix", TEXT.encode()),
        ("spec.yaml", b"schedule: {kind: Constant, value: 0.5}\ntotal_steps: 10\n"),
        ("no-length.json", json.dumps({"schedule": {"kind": "Literal", "given": [0.5] * 10}}).encode()),
    ],
)
def test_every_common_way_to_write_a_spec_is_read(show: Show, name: str, data: bytes) -> None:
    """Marks of Windows' editors, their line ends, UTF-16 and YAML are a spec like any other; so it is from a pipe."""
    Path(name).write_bytes(data)
    code, out = show(name)
    assert (code, "10 steps" in out) == (0, True)
    if not name.endswith(".yaml"):
        assert show("-", stdin=data) == (0, out)


def test_a_pipe_is_read_like_a_file(show: Show) -> None:
    """What a shell names by `<(...)` is no regular file, and can be read once."""
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    try:
        code, out = show(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
    assert (code, "10 steps" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("none.json", "No such file or directory: 'none.json'"),
        ("in/none.json", "No such file or directory: 'in/none.json'"),
        ("folder/none", "No such file or directory: 'folder/none'"),
        ("a/b/none", "No such file or directory: 'a/b/none'"),
        ("team/bert", "No such file or directory: 'team/bert'; a run is shown by 'lrtables run show team/bert'"),
        ("folder.json", "Is a directory: 'folder.json'"),
        ("folder", f"{NO_KIND.format('folder')}; it is a directory here, and a file is needed"),
        ("-", "standard input is empty"),
        ("/dev/null", "/dev/null is empty"),
        ("not.json", "not.json is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("twice.json", "twice.json is ambiguous: 'value' is given twice, 1 and 2"),
        ("digits.json", "digits.json has a number of more than 4,300 digits"),
        ("deep.json", "this JSON is nested too deeply"),
        ("loop.yaml", "loop.yaml holds a list or an object that holds itself"),
        ("date.yml", f"{NO_NUMBER}, got '2020-01-01'"),
        ("text.yml", f"{NO_NUMBER}, got '1e-3' as text: in YAML such a number needs a dot and a sign, as 1.0e-3"),
        ("octal.yml", "Spec: total_steps must be a valid integer, got '0o10'"),
        (
            f"Literal digest={'a' * 64}",
            f"the table {'a' * 64} of this Literal has not been looked up: "
            "fetch it from its service by its digest ('lrtables fetch'), and give that file",
        ),
        ("Constant 1 --step 5", "Constant has no parameter 'step': did you mean --steps?"),
        ("Constant 1 2", "Constant(value) takes 1 parameter, got 2: 1 2"),
        ("Constant 1 --output none/x.png", "No such file or directory: 'none/x.png'"),
        ("a" * 5000, NO_KIND.replace("{}'", f"{'a' * 99}...").format()),
    ],
)
def test_bad_documents_are_one_line_that_names_them(show: Show, words: str, line: str) -> None:
    """What is missing, empty, ambiguous or no JSON is named, in words of ours, and the status is 2."""
    Path("folder.json").mkdir()
    Path("folder").mkdir()
    texts = {
        "not.json": "schedule: {}",
        "twice.json": '{"schedule": {"kind": "Constant", "value": 1, "value": 2}, "total_steps": 10}',
        "digits.json": f'{{"total_steps": {"9" * 5000}}}',
        "deep.json": "[" * 100_000,
        "loop.yaml": "&a [*a]",
        "date.yml": "{schedule: {kind: Constant, value: 2020-01-01}, total_steps: 10}",
        "text.yml": "{schedule: {kind: Constant, value: 1e-3}, total_steps: 10}",
        "octal.yml": "{schedule: {kind: Constant, value: 1}, total_steps: 0o10}",
    }
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")
    assert show(*words.split()) == (2, f"lrtables show: {line}")


def test_standard_input_may_be_closed(show: Show) -> None:
    """Where a job has no standard input, that is what the line says."""
    assert show("-", stdin=None) == (2, "lrtables show: standard input is closed")


def test_numbers_in_yaml_are_what_yaml_says(tmp_path: Path) -> None:
    """YAML 1.1's octal and base-60 numbers are its own rule, and a spec has the number that YAML reads."""
    path = tmp_path / "octal.yaml"
    path.write_text("[010, 1:30, 1_000, 1.0e-3]", encoding="utf-8")
    assert read_document(str(path)) == [8, 90, 1000, 0.001]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("empty.json", "is empty"),
        ("table.safetensors", "is called like a table's file: 'lrtables show .*table"),
        ("digits.json", "has a number of more than 4,300 digits"),
    ],
)
def test_an_import_of_the_wrong_file_says_so(tmp_path: Path, name: str, line: str) -> None:
    """An empty file is called empty, and a table's file one that `show` takes."""
    (tmp_path / name).write_text("9" * 5000 if name == "digits.json" else "", encoding="utf-8")
    with pytest.raises(BadFileError, match=line):
        import_file(tmp_path / name)
