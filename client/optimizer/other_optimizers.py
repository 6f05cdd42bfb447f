"""Notice that another optimizer trains the parameters that are meant to be trained with a scheduler's rates."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

_LOOKS = 3  # steps of the scheduler, after which it is left alone
_MOST = 8  # optimizers that are looked at


class OtherOptimizers:
    """The optimizers that make a step while a scheduler is stepped whose own optimizer makes none.

    The hook for all optimizers of the process is there only from the scheduler's first step to its third, or to the
    first update of its own optimizer.
    """

    def __init__(self) -> None:
        self._stepped: list[weakref.ref[Any]] = []
        self._hook: Any = None
        self._looks = 0

    def find(self, optimizer: Any) -> Any:
        """An optimizer that has stepped since the first call of this, with parameters of `optimizer`. Else None."""
        self._looks += 1
        if self._looks == 1:
            self._hook = register_optimizer_step_post_hook(self._note)
        others = (each for reference in self._stepped if (each := reference()) is not None)
        found = next((each for each in others if _trains_the_same(each, optimizer)), None)
        if found is not None or self._looks > _LOOKS:
            self.close()
        return found

    def close(self) -> None:
        """Look no more."""
        if self._hook is not None:
            self._hook.remove()
        self._hook, self._stepped, self._looks = None, [], _LOOKS + 1

    def _note(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if not torch.compiler.is_compiling() and len(self._stepped) < _MOST:
            self._stepped.append(weakref.ref(optimizer))


def _trains_the_same(other: Any, optimizer: Any) -> bool:
    """Whether two optimizers share parameters, and no group, which would give both the same rate."""
    groups = {id(group) for group in optimizer.param_groups}
    if other is optimizer or any(id(group) in groups for group in other.param_groups):
        return False
    ours = {id(each) for group in optimizer.param_groups for each in group["params"]}
    return any(id(each) in ours for group in other.param_groups for each in group["params"])
