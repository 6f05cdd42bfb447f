"""Wrapped optimizers: find the inner optimizers' hooks, groups and steps behind a wrapper."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_HOOKS = "_optimizer_load_state_dict_post_hooks"
Hook = Callable[[Any], None]
"""Called with an optimizer."""
Around = tuple[Hook, Hook]
"""What is called before a step, and after it."""


def with_hooks(optimizer: Any) -> list[Any]:
    """The optimizers that call the hooks of a loaded state: this one, or else those within it, at any depth.

    A wrapper that did not run torch's constructor has no hooks. The optimizer or optimizers that it wraps are among
    its attributes, under any name. Without hooks in any of them, none is called.
    """
    return [each for each in _walk(optimizer) if has_hooks(each)]


def renew_groups(optimizer: Any) -> None:
    """Update the group lists of wrappers that still hold the groups their optimizers had before.

    Loading an optimizer's state replaces its groups. A wrapper that has kept its own list of them, as PyTorch's
    PostLocalSGDOptimizer does, would otherwise pass a scheduler's rates to groups that are no longer used.
    """
    within = with_hooks(optimizer)
    used = {id(group["params"]): group for each in within for group in each.param_groups}
    for wrapper in _walk(optimizer):
        if has_hooks(wrapper) or "param_groups" not in getattr(wrapper, "__dict__", {}):
            continue
        groups = [used.get(id(group["params"]), group) for group in wrapper.param_groups]
        if any(one is not other for one, other in zip(groups, wrapper.param_groups, strict=True)):
            wrapper.param_groups = within[0].param_groups if len(within) == 1 else groups


def _walk(optimizer: Any) -> Iterator[Any]:
    """An optimizer and, unless it has hooks, the optimizers in its attributes, recursively: each once."""
    waiting, seen = [optimizer], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if not has_hooks(current):
            attributes = getattr(current, "__dict__", {})
            waiting += [inner for name, value in attributes.items() if name != "state" for inner in _optimizers(value)]


def has_hooks(optimizer: Any) -> bool:
    """Whether an optimizer itself has run torch's constructor, and so calls hooks."""
    # not through its __dict__: once that was asked for, CPython 3.11 looks up every attribute in twice the time
    try:
        object.__getattribute__(optimizer, _HOOKS)  # past a wrapper's __getattr__, which may ask what it wraps
    except AttributeError:
        return False
    return not hasattr(type(optimizer), _HOOKS)


def _optimizers(value: Any) -> list[Any]:
    several = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    return [each for each in several if hasattr(each, "param_groups")]


def track_steps(optimizer: Any) -> None:
    """Let torch see the calls of an `optimizer.step` that is not a method it can wrap, such as a compiled one."""
    if not hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        _wrap(optimizer)


def leads_to_hooks(optimizer: Any) -> bool:
    """Whether a call of `optimizer.step` comes to the optimizer's hooks: it is the method, or torch's wrapper of it.

    What else has been put in its place, such as a compiled step, may not.
    """
    step = optimizer.step
    while not hasattr(step, "__func__") and step is not type(optimizer).step:
        inner = getattr(step, "__wrapped__", None)
        if inner is None or not hasattr(step, "_wrapped_by_lr_sched"):
            return False
        step = inner
    return has_hooks(optimizer)


def wrap_step(optimizer: Any, before: Hook, after: Hook) -> Callable[[], None]:
    """Call one function before each call of `optimizer.step`, and another after it. Returns what ends that.

    A step that was wrapped here before is not wrapped again: its calls call these functions, too.
    """
    hooks = getattr(optimizer.step, "_around", None)
    if hooks is None:
        hooks = _wrap(optimizer)
    around = (before, after)
    hooks.append(around)
    return functools.partial(_remove, hooks, around)


def _remove(hooks: list[Around], around: Around) -> None:
    hooks[:] = [each for each in hooks if each is not around]


def _wrap(optimizer: Any) -> list[Around]:
    """Wrap a step, and return the functions to call around it, of which there are none yet."""
    step, me = optimizer.step, weakref.ref(optimizer)
    hooks: list[Around] = []

    def tracked(*args: Any, **kwargs: Any) -> Any:
        stepped: Any = me()
        stepped._opt_called = True
        for before, _ in hooks:
            before(stepped)
        result = step(*args, **kwargs)
        for _, after in hooks:
            after(stepped)
        return result

    tracked.__wrapped__ = step  # type: ignore[attr-defined]  # a GradScaler asks for the parameters of a step
    tracked._wrapped_by_lr_sched = True  # type: ignore[attr-defined]  # by this mark torch knows a tracked step
    tracked._around = hooks  # type: ignore[attr-defined]  # by this we know one of ours
    optimizer.step = tracked
    return hooks


def on_load(optimizer: Any, before: Callable[[], None], after: Callable[[], None]) -> Callable[[], None]:
    """Call a bound method before, and another after, an optimizer's state is loaded. Returns what ends that.

    The optimizer does not keep alive what they are bound to: it outlives its schedulers.
    """
    first, second = weakref.WeakMethod(before), weakref.WeakMethod(after)

    def pre_hook(_optimizer: Any, _state: dict[str, Any]) -> None:
        if (call := first()) is not None:
            call()

    def post_hook(_optimizer: Any) -> None:
        if (call := second()) is not None:
            call()

    removals = []
    for inner in with_hooks(optimizer):
        removals.append(inner.register_load_state_dict_pre_hook(pre_hook).remove)
        removals.append(inner.register_load_state_dict_post_hook(post_hook).remove)

    def end() -> None:
        for remove in removals:
            remove()

    return end
