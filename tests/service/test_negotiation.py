"""What the Accept and If-None-Match headers mean."""

import pytest

from service.formats import MEDIA_TYPES
from service.negotiation import has_already, preferred

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
    ],
)
def test_has_already(if_none_match: bytes, known: bool) -> None:
    """A tag counts alone, in a list, weakly, and by the star; anything else does not."""
    assert has_already(if_none_match, b'"a"') is known
