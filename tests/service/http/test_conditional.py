"""The Accept, If-None-Match and If-Match headers."""

import sys

import pytest

from service.http.conditional import is_not_modified, precondition_holds, preferred
from service.representations.formats import MEDIA_TYPES

SAFETENSORS, NPY, JSON, CSV = MEDIA_TYPES


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        pytest.param("", SAFETENSORS, id="none"),
        pytest.param("*/*", SAFETENSORS, id="anything"),
        pytest.param("application/*", SAFETENSORS, id="any-application"),
        pytest.param("text/*", CSV, id="any-text"),
        pytest.param("application/json", JSON, id="exact"),
        pytest.param("Application/JSON; charset=utf-8", JSON, id="case-and-parameters"),
        pytest.param("text/csv;q=0.5, application/json;q=0.9", JSON, id="higher-q"),
        pytest.param("application/json;q=0.9, text/csv", CSV, id="no-q-is-one"),
        pytest.param("text/csv, application/json", JSON, id="a-tie-is-decided-by-the-server"),
        pytest.param("*/*;q=0.1, application/x-npy", NPY, id="specific-wins"),
        pytest.param("application/vnd.safetensors;q=0, */*", NPY, id="q-zero-refuses"),
        pytest.param("application/*;q=0.2, */*;q=0.8", CSV, id="more-specific-range-lowers"),
        pytest.param("text/html, application/xhtml+xml, */*;q=0.8", SAFETENSORS, id="browser"),
        pytest.param("image/png", None, id="nothing-acceptable"),
        pytest.param("*/*;q=0", None, id="everything-refused"),
        pytest.param("application/json;q=2", None, id="q-out-of-range-is-ignored"),
        pytest.param("application/json;q=nan", None, id="q-no-number-is-ignored"),
        pytest.param(",,;q=1,/", None, id="garbage"),
    ],
)
def test_preferred(accept: str, chosen: str | None) -> None:
    """The most specific range decides a type's quality; the best type wins, the server's first among equals."""
    assert preferred(accept, MEDIA_TYPES) == chosen


@pytest.mark.parametrize(
    ("if_none_match", "matches"),
    [
        (b'"a"', True),
        (b'W/"a"', True),
        (b'"b", "a"', True),
        (b"*", True),
        (b'"b"', False),
        (b"a", False),
        (b"", False),
        (b'"a', False),
        (b'"b", *', False),
        (b'"b,*,c"', False),
        (b'"b" "a"', False),
        (b' "b,c"  ,, W/"a" ,', True),
    ],
)
def test_is_not_modified(if_none_match: bytes, matches: bool) -> None:
    """If-None-Match matches a tag alone, in a list, as a weak tag, and by `*`; nothing else matches."""
    assert is_not_modified(if_none_match, b'"a"') is matches


@pytest.mark.parametrize(
    ("if_match", "holds"),
    [
        (b'"a"', True),
        (b'"b", "a"', True),
        (b"*", True),
        (b'W/"a"', False),
        (b'"b"', False),
        (b'"b,a"', False),
        (b"", False),
    ],
)
def test_precondition_holds(if_match: bytes, holds: bool) -> None:
    """If-Match matches a tag alone, in a list, and by `*`; a weak tag matches nothing."""
    assert precondition_holds(if_match, b'"a"') is holds


def test_a_comma_between_quotes_belongs_to_the_tag() -> None:
    """An entity tag may contain commas."""
    assert is_not_modified(b'"x", "a,b"', b'"a,b"')


def test_long_lists_of_tags_are_parsed_in_linear_time() -> None:
    """The largest headers that a client can send do not make the pattern backtrack."""
    for sent in (b'"a",' * 2**15 + b"!", b", " * 2**16 + b"!", b'"' * 2**17, b'"a' * 2**16, b"W/" * 2**16):
        assert not is_not_modified(sent, b'"b"')


def test_a_long_header_is_not_cached() -> None:
    """A long Accept header does not stay in memory after its request."""
    sent = "a" * 100_000
    before = sys.getrefcount(sent)
    assert preferred(sent, MEDIA_TYPES) is None
    assert sys.getrefcount(sent) == before
