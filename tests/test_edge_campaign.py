"""A small share of the campaign over specs at the edges of their ranges, for every kind."""

import pytest

from scheduler import KINDS
from tests.edge_campaign import Found, campaign


@pytest.mark.timeout(300)  # what never ends
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_legal_specs_at_the_edges_are_read_and_computed_in_proportion(kind: str) -> None:
    """Random specs of every kind, alone and in composites, end, are finite and the same from every start."""
    found = Found()
    campaign(kind, 20, 10, found)
    assert found.specs == 20
    assert found.windows >= 10
