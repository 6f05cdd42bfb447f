"""How many random cases the tests take: CI takes the same few each time, a campaign takes many."""

import os

EXAMPLES = int(os.environ.get("LRTABLES_EXAMPLES", "100"))
"""Examples that hypothesis draws for a law; `LRTABLES_EXAMPLES=2000 make test slow` is a campaign."""


def cases(usual: int) -> int:
    """A count of costly cases: `usual` of them, and in a campaign as many times more as hypothesis draws."""
    return max(usual * EXAMPLES // 100, 1)
