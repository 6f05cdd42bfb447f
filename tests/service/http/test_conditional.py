"""What the Accept, If-None-Match and If-Match headers mean."""

import sys

import pytest

from service.http.conditional import has_already, is_meant, preferred
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
    ("if_none_match", "known"),
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
def test_has_already(if_none_match: bytes, known: bool) -> None:
    """A tag counts alone, in a list, weakly, and by the star; anything else does not."""
    assert has_already(if_none_match, b'"a"') is known


@pytest.mark.parametrize(
    ("if_match", "meant"),
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
def test_is_meant(if_match: bytes, meant: bool) -> None:
    """If-Match means what it names, and by the star anything; a weak tag names nothing."""
    assert is_meant(if_match, b'"a"') is meant


def test_a_tag_with_commas_is_one() -> None:
    """A comma between quotes belongs to the tag."""
    assert has_already(b'"x", "a,b"', b'"a,b"')


def test_long_tags_are_read_quickly() -> None:
    """What a client may send of tags, or of what looks like them, is read in one go."""
    for sent in (b'"a",' * 2**15 + b"!", b", " * 2**16 + b"!", b'"' * 2**17, b'"a' * 2**16, b"W/" * 2**16):
        assert not has_already(sent, b'"b"')


def test_what_is_long_is_not_remembered() -> None:
    """A header as long as a client likes does not stay in memory."""
    sent = "a" * 100_000
    before = sys.getrefcount(sent)
    assert preferred(sent, MEDIA_TYPES) is None
    assert sys.getrefcount(sent) == before
