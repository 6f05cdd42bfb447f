"""What one client may send, and how many may connect."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.limits import MAX_HEADER_BYTES, SPARE_CONNECTIONS, Admission, HeaderLimit, admission


@pytest.mark.parametrize(
    ("connections", "found"),
    [
        (1, Admission.ADMIT),
        (10, Admission.ADMIT),
        (11, Admission.REFUSE),
        (10 + SPARE_CONNECTIONS, Admission.REFUSE),
        (11 + SPARE_CONNECTIONS, Admission.ABORT),
    ],
)
def test_a_connection_too_many(connections: int, found: Admission) -> None:
    """Beyond the limit some are told why they are closed, so that the rest costs nothing."""
    assert admission(connections, 10) is found


@given(st.integers(0, 10**6), st.lists(st.integers(1, 2**15), max_size=20))
def test_headers_have_a_limit(first: int, more: list[int]) -> None:
    """All that comes of a request after its first bytes counts, as long as no body comes."""
    limit, request = HeaderLimit(), object()
    assert not limit.is_exceeded(request, first)
    for nbytes, total in zip(more, accumulate(more), strict=True):
        assert limit.is_exceeded(request, nbytes) == (total > MAX_HEADER_BYTES)


@given(st.lists(st.integers(1, MAX_HEADER_BYTES), max_size=20))
def test_each_request_has_the_whole_limit(sizes: list[int]) -> None:
    """What one request took is not missing for the next, and a body that comes begins anew."""
    limit, same = HeaderLimit(), object()
    for nbytes in sizes:
        request = object()
        assert not limit.is_exceeded(request, 1)
        assert not limit.is_exceeded(request, nbytes)
        limit.restart()
        assert not limit.is_exceeded(same, 1)
        assert not limit.is_exceeded(same, nbytes)
        limit.restart()
