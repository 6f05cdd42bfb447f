"""The strict JSON parser."""

import json

import pytest

from service.errors import MalformedBodyError
from service.strict_json import check_json, pointer


def test_ordinary_json_is_accepted() -> None:
    """Valid JSON is parsed as the json module does."""
    text = '{"a": [1, 2.5, null, true, "\\u00e9"], "b": {"a": {}}}'
    assert check_json(text.encode(), max_depth=32, max_items=1000) == json.loads(text)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="cut-short"),
        pytest.param(b"{} {}", "not JSON", id="two-values"),
        pytest.param(b"{'a': 1}", "not JSON", id="python"),
        pytest.param(b'{"a": "\xff"}', "not UTF-8", id="latin-1"),
        pytest.param('{"a": 1}'.encode("utf-16"), "not UTF-8", id="utf-16"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte-order-mark"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, "at most 32 deep", id="deep"),
        pytest.param(b'{"a":' * 33 + b"1" + b"}" * 33, "at most 32 deep", id="one-too-deep"),
        pytest.param(b"[" + b"0," * 1000 + b"0]", "at most 1000 members and items", id="many-items"),
        pytest.param(b"[" + b"[0,0]," * 334 + b"0]", "at most 1000 members and items", id="many-items-in-all"),
        pytest.param(b"[" * 400_000, "at most 32 deep", id="deep-and-cut-short"),
    ],
)
def test_invalid_json_is_rejected(body: bytes, message: str) -> None:
    """A body that is not UTF-8, not JSON or nested too deep is rejected with the reason."""
    with pytest.raises(MalformedBodyError, match=message):
        check_json(body, max_depth=32, max_items=1000)


def test_a_complete_surrogate_pair_is_a_character() -> None:
    """The escapes of a surrogate pair are one character, and an escaped backslash before a u is no escape."""
    text = r'{"\ud83d\ude00": "\\ud800"}'
    assert check_json(text.encode(), max_depth=32, max_items=1000) == {"\U0001f600": r"\ud800"}


def test_the_deepest_allowed_nesting_is_accepted() -> None:
    """Nesting of exactly max_depth levels is accepted."""
    assert check_json(b"[" * 32 + b"]" * 32, max_depth=32, max_items=1000) is not None


@pytest.mark.parametrize(
    ("body", "at", "message"),
    [
        (b'{"a": 1, "a": 1}', "", "key 'a' is in one object twice"),
        (b'{"s": [0, {"x/y": {"b": 1, "b": 2}}]}', "/s/1/x~1y", "key 'b' is in one object twice"),
        (b'{"s": [0, {"n": 1' + b"0" * 5000 + b"}]}", "/s/1/n", "number of 5001 digits"),
        (b'{"s": [0, {"n": "ab\\ud800"}]}', "/s/1/n", r"'ab\\\\ud800' has half of a surrogate pair, at character 2"),
        (b'{"s": [0, {"\\uDFff": {"n": "\\ud800"}}]}', "/s/1", "half of a surrogate pair, at character 0"),
    ],
)
def test_what_has_no_one_meaning_is_refused_where_it_stands(body: bytes, at: str, message: str) -> None:
    """A key twice in an object and a number that no reader holds are refused, with a pointer to the place."""
    with pytest.raises(MalformedBodyError, match=message) as caught:
        check_json(body, max_depth=32, max_items=1000)
    assert [error.pointer for error in caught.value.errors] == [at]


def test_pointer_escapes() -> None:
    """A path is written as RFC 6901 says: tilde and slash escaped, the whole document empty."""
    assert pointer(["a/b", 0, "~"]) == "/a~1b/0/~0"
    assert pointer([]) == ""
