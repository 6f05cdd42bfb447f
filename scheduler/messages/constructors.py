"""The constructors of kinds: their parameters by position and by name, and errors that say which one is meant."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from pydantic import ValidationError

from scheduler.fields import plain
from scheduler.messages.errors import Owner, schedule_error


def name_arguments(kind: Any) -> None:
    """Pass positional parameters on by name, so that an error says which one it means."""
    names = [field.name for field in dataclasses.fields(kind) if not field.kw_only]
    validate = kind.__init__

    @functools.wraps(validate)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) > len(names):
            raise TypeError(f"{kind.__name__} takes {len(names)} parameters ({', '.join(names)}), got {len(args)}")
        if twice := kwargs.keys() & names[: len(args)]:
            raise TypeError(f"{kind.__name__} got {', '.join(sorted(twice))} twice")
        name = type(self).__name__
        if not hasattr(type(self), "kind"):
            raise TypeError(f"{name} must have a kind of its own: kind: Literal['mine.{name}'] = 'mine.{name}'")
        given = plain(dict(zip(names, args, strict=False)) | kwargs)
        try:
            validate(self, **given)
        except ValidationError as error:
            raise schedule_error(error, given, Owner(name, type(self))) from None
        if self.kind != type(self).kind:
            raise TypeError(f"{name} has a kind of its own, and must be decorated with scheduler.schedule.schedule")

    kind.__init__ = init
