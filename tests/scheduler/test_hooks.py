"""Hooks: a low module calls what a high one defines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scheduler.hooks import Hook


def test_a_hook_calls_what_its_provider_defines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is imported at the first call, and not before; its function gets the arguments as they are."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "provider_of_a_hook.py").write_text(
        f"import {__name__} as user\n\n\ndef power(base, *, exponent):\n    return base**exponent\n\n\n"
        "user.HOOK.provide(power)\n",
        encoding="utf-8",
    )
    assert "provider_of_a_hook" not in sys.modules
    assert HOOK(2, exponent=10) == 1024
    assert "provider_of_a_hook" in sys.modules


def test_a_provider_that_provides_nothing_is_named() -> None:
    """A hook whose provider has been imported and put nothing there says which module that is."""
    empty: Hook[[], None] = Hook("scheduler.texts")
    with pytest.raises(LookupError, match=r"scheduler\.texts has not provided"):
        empty()


HOOK: Hook[..., int] = Hook("provider_of_a_hook")
