"""Every kind of schedule by name, and how a field that holds a schedule finds its class.

`MODULES` says which module holds which kinds. A module is imported when one of its kinds is first asked for, so that
`import scheduler` costs the same however many libraries there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from threading import RLock
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, SchemaValidator, core_schema
from typing_extensions import override

from scheduler.fields import plain
from scheduler.messages.errors import Owner, read_json, schedule_error
from scheduler.names.lookup import in_any_case, meant_by, not_one_name
from scheduler.schedule import Schedule
from scheduler.texts import abbreviate, encodable

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "scheduler.custom": (
            "custom.LinearWarmup",
            "custom.ExponentialWarmup",
            "custom.CosineWarmup",
            "custom.WarmupWithDecay",
            "custom.CyclicLR",
            "custom.OneCycleLR",
            "custom.CosineAnnealingWarmRestarts",
            "custom.ExponentialCyclicLR",
        ),
        "scheduler.compose": (
            *("Constant", "Ramp", "Power"),
            *("Sequence", "Product", "Sum", "Minimum", "Maximum"),
            *("Scale", "Clamp", "PerEpoch", "Shift", "Cycle", "Splice"),
            "Literal",
        ),
        "scheduler.builtin": (
            "torch.SWALR",
            "torch.SequentialLR",
            "torch.ChainedScheduler",
            "torch.CosineAnnealingLR",
            "torch.CosineAnnealingWarmRestarts",
            "torch.CyclicLR",
            "torch.OneCycleLR",
            "torch.StepLR",
            "torch.MultiStepLR",
            "torch.ExponentialLR",
            "torch.ConstantLR",
            "torch.LinearLR",
            "torch.PolynomialLR",
        ),
        "scheduler.libraries.transformers": (
            "transformers.constant",
            "transformers.constant_with_warmup",
            "transformers.linear",
            "transformers.cosine",
            "transformers.cosine_with_restarts",
            "transformers.polynomial",
            "transformers.inverse_sqrt",
            "transformers.cosine_with_min_lr",
            "transformers.cosine_warmup_with_min_lr",
            "transformers.warmup_stable_decay",
        ),
        "scheduler.libraries.deepspeed": (
            "deepspeed.WarmupLR",
            "deepspeed.WarmupDecayLR",
            "deepspeed.WarmupCosineLR",
            "deepspeed.OneCycle",
            "deepspeed.LRRangeTest",
        ),
    }
)
"""Module to the names of the kinds that it exports."""


# A fork waits for the end of an import that is under way: the child would wait for ever, for the lock of a module whose
# import only the parent goes on with. It does not wait long, since what is imported may wait for who forks.
_loading = RLock()
_LONGEST_WAIT = 10.0  # seconds


def _release() -> None:
    with suppress(RuntimeError):  # the wait was given up
        _loading.release()


os.register_at_fork(
    before=lambda: _loading.acquire(timeout=_LONGEST_WAIT), after_in_parent=_release, after_in_child=_release
)


class UnknownKindError(LookupError):
    """A name that means no kind, or several. The message names those that it may mean."""


class Kinds(Mapping[str, type[Schedule]]):
    """Kind name to class. Names are known from the start; a class is imported, with its module, when it is asked for.

    Args:
        modules: module to the names of the kinds that it exports.
    """

    def __init__(self, modules: Mapping[str, tuple[str, ...]]) -> None:
        self._modules = {kind: module for module, kinds in modules.items() for kind in kinds}
        self._classes: dict[str, type[Schedule]] = {}

    @override
    def __getitem__(self, kind: str) -> type[Schedule]:
        module = self._modules[kind]
        if kind not in self._classes:
            with _loading:
                self._classes |= _exported(module)
        if kind not in self._classes:
            raise ImportError(f"{module} exports no kind {kind!r}, which scheduler/registry.py lists for it")
        return self._classes[kind]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    @override
    def __len__(self) -> int:
        return len(self._modules)

    @override
    def __contains__(self, kind: object) -> bool:
        return kind in self._modules

    def named(self, name: str) -> type[Schedule]:
        """The class that a name means as people type it: in any case, without a library's prefix, or by an alias.

        Raises `UnknownKindError` where it means none, or several.

        Example: `KINDS.named("wsd")` is `KINDS["transformers.warmup_stable_decay"]`.
        """
        found = meant_by(name, self)
        if len(found) == 1:
            return self[found[0]]
        raise UnknownKindError(not_one_name(name, found, self))

    def load(self) -> None:
        """Import the modules of all kinds now, so that no request of a server waits for it."""
        for kind in self:
            self[kind]

    @override
    def __repr__(self) -> str:
        return f"<{len(self)} kinds of schedules: {abbreviate(', '.join(self))}>"


def _exported(module: str) -> dict[str, type[Schedule]]:
    """The kinds that a module exports, by name."""
    values = vars(import_module(module)).values()
    classes = [value for value in values if isinstance(value, type) and issubclass(value, Schedule)]
    return {value.kind: value for value in classes if "kind" in vars(value)}


KINDS = Kinds(MODULES)
"""Kind name to class: `KINDS["custom.WarmupWithDecay"]`."""


_FROM_JSON = object()  # the context of what is validated inside of JSON data, where dicts stand for schedules
_json_validators: dict[type[Schedule], SchemaValidator] = {}
_is_describing: ContextVar[bool] = ContextVar("is_describing", default=False)


class KindLookup:
    """Marks a field that holds a schedule. Its class is looked up, and its module imported, by its `kind`.

    Args:
        prefix: what the kinds that the field takes begin with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._taken = dict.fromkeys(kind for kind in KINDS if kind.startswith(prefix))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema that validates and serialises a value of the field."""
        return core_schema.with_info_plain_validator_function(
            self._validated, serialization=core_schema.simple_ser_schema("any")
        )

    def _validated(self, value: Any, info: ValidationInfo) -> Schedule:
        from_json = info.mode == "json" or info.context is _FROM_JSON or isinstance(value, dict)
        kind = self._class(value, from_json=from_json)
        if isinstance(value, kind):
            return value
        if value["kind"] != kind.kind:  # in another case
            value = {**value, "kind": kind.kind}
        if not from_json:
            raise PydanticKnownError("dataclass_exact_type", {"class_name": kind.__name__})
        made: Schedule = _json_validator(kind).validate_python(value, context=_FROM_JSON)
        return made

    def _class(self, value: Any, *, from_json: bool) -> type[Schedule]:
        if isinstance(value, dict):
            if "kind" not in value:
                raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
            name = value["kind"]
            name = (isinstance(name, str) and in_any_case(name, self._taken)) or name
        elif isinstance(value, Schedule):
            name = getattr(value, "kind", None)
        else:
            raise PydanticKnownError("dict_type" if from_json else "model_attributes_type")
        if isinstance(name, str) and name in self._taken:
            return KINDS[name]
        raise PydanticCustomError(  # short: those who tell people of it look for kinds of a similar name
            "union_tag_invalid",
            "Input tag '{tag}' found using 'kind' does not match any of the registered kinds",
            {"tag": encodable(str(name)), "expected_tags": ", ".join(map(repr, self._taken))},
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON schema: one of the kinds, told by `kind`, each described once however deep schedules hold others."""
        kinds = {name: _core_schema(KINDS[name]) for name in self._taken}
        references: dict[Any, Any] = {
            name: core_schema.definition_reference_schema(kind["ref"]) for name, kind in kinds.items()
        }
        union: CoreSchema = core_schema.tagged_union_schema(references, discriminator="kind")
        if _is_describing.get():
            return handler(union)
        token = _is_describing.set(True)
        try:
            return handler(core_schema.definitions_schema(union, list(kinds.values())))
        finally:
            _is_describing.reset(token)


def _json_validator(kind: type[Schedule]) -> SchemaValidator:
    """A kind's validator for an object of JSON: a `strict` dataclass takes nothing but instances from Python."""
    if kind not in _json_validators:
        _json_validators[kind] = SchemaValidator(_taking_objects(_core_schema(kind)))
    return _json_validators[kind]


def _core_schema(kind: Any) -> Any:
    """The schema that pydantic made of a kind."""
    return kind.__pydantic_core_schema__


def _taking_objects(schema: Any) -> CoreSchema:
    if schema["type"] == "dataclass":  # with an origin pydantic builds it, in place of taking the class's validator
        return {**schema, "strict": False, "generic_origin": schema["cls"]}
    return {**schema, "schema": _taking_objects(schema["schema"])}


AnySchedule = Annotated[Schedule, KindLookup()]
"""A schedule of any kind that is registered, as the type of a field."""


@cache
def _adapter() -> TypeAdapter[Schedule]:
    return TypeAdapter(AnySchedule)


def parse(data: Any) -> Schedule:
    """A schedule from JSON text, or from JSON data, whatever its mappings and sequences are: OmegaConf's, too.

    Raises `ScheduleError` (a `ValueError`), a line for each thing that is wrong with it, `TypeError` for data that JSON
    cannot hold.
    """
    text = data if isinstance(data, (str, bytes)) else _json(data)
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        given = read_json(text)
        name = given.get("kind") if isinstance(given, dict) else None
        kind = in_any_case(name, KINDS) if isinstance(name, str) else None
        owner = Owner("") if kind is None else Owner(kind, KINDS[kind])
        raise schedule_error(error, given, owner, KINDS) from None


def _json(data: Any) -> str:
    try:
        return json.dumps(plain(data))
    except TypeError as error:
        raise TypeError(f"parse takes JSON text, or data that JSON can hold: {error}") from None
