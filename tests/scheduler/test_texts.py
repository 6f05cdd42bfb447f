"""Texts and values from elsewhere, in errors and as digests."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.texts import abbreviate, encodable, is_digest, lone_surrogate

anything = st.text(st.characters(codec=None, exclude_categories=()))


@given(anything)
def test_a_lone_surrogate_is_found_where_utf_8_stops(text: str) -> None:
    """The text up to the place can be written, and one character more cannot; without a place all of it can."""
    place = lone_surrogate(text)
    assert text[:place].encode().decode() == text[:place]
    if place is not None:
        with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
            text[: place + 1].encode()


@given(anything)
def test_every_text_can_be_written_escaped(text: str) -> None:
    """Escaped, it has no half of a surrogate pair, and all else is as it was."""
    assert lone_surrogate(encodable(text)) is None
    assert encodable(text) == text or lone_surrogate(text) is not None


class Lines:
    """A value whose text has several lines, as an optimizer's."""

    def __repr__(self) -> str:
        return "first\nsecond\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("\ud800", r"'\ud800'"),
        (Lines(), "first second "),
        ([0.1] * 100, str([0.1] * 100)[:100] + "..."),
        (10**5000, "a number of int with too many digits to show"),
    ],
    ids=["text", "surrogate", "lines", "long", "digits"],
)
def test_a_value_in_an_error_is_short_and_on_one_line(value: object, text: str) -> None:
    """Whatever it is, it can be shown."""
    assert abbreviate(value) == text


@given(st.text("0123456789abcdefABCDEF\n", min_size=62, max_size=66) | st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_a_digest_is_64_hexadecimal_digits(text: str) -> None:
    """Lower case, nothing before or after, and a text: not what JSON may have in its place."""
    assert is_digest(text) == bool(re.match(r"[0-9a-f]{64}\Z", text))
    assert not is_digest([text])
    assert not is_digest(json.dumps(text))
    assert not is_digest(text.encode())
