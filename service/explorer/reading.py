"""What the page knows of texts from trainings: the names and defaults that Python's readers use, told once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.audit.applied import SIGNATURE
from scheduler.audit.logs.rate_columns import OTHER_NAME, RATE_NAME, USUAL_NAMES
from scheduler.audit.logs.readers import HUGGING_FACE_OFFSETS, LIGHTNING_NAME, STEP_NAMES
from scheduler.builtin import NOT_TWINNED
from scheduler.importing.configurations import OTHER_NAMES
from scheduler.importing.files import ARGUMENT_MARKS, DEEPSPEED_MARKS
from scheduler.interop import torch_state
from scheduler.libraries.deepspeed import configuration
from scheduler.libraries.transformers import ADAPTIVE, arguments, names


def reading() -> dict[str, Any]:
    """Return the facts as JSON data, by what they are about."""
    return {
        "names": dict(OTHER_NAMES),
        "training_arguments": _training_arguments(),
        "deepspeed": _deepspeed(),
        "torch_state": _torch_state(),
        "logs": _logs(),
    }


def _training_arguments() -> dict[str, Any]:
    return {
        "marks": sorted(ARGUMENT_MARKS),
        "defaults": dict(arguments.DEFAULTS),
        "types": list(arguments.TWINS),
        "adaptive": dict(ADAPTIVE),
        "classes": list(names.CLASSES),
        "names": sorted(names.NAMES),
        "other_rates": list(names.OTHER_RATES),
        "alike": names.ALIKE,
        "of_epochs": list(arguments.OF_EPOCHS),
        "free": list(arguments.FREE),
        "of_any_text": arguments.OF_ANY_TEXT,
        "not_converted": arguments.NOT_CONVERTED,
    }


def _deepspeed() -> dict[str, Any]:
    return {
        "marks": sorted(DEEPSPEED_MARKS),
        "kinds": list(configuration.KINDS),
        "resumed": sorted(configuration.RESUMED),
        "without_betas": sorted(configuration.WITHOUT_BETAS),
        "of_objects": list(configuration.OF_OBJECTS),
        "not_twinned": dict(NOT_TWINNED),
    }


def _torch_state() -> dict[str, Any]:
    return {
        "common": sorted(torch_state.COMMON_KEYS),
        "keys": _lists(torch_state.KEYS),
        "optional": sorted(torch_state.OPTIONAL_KEYS),
        "refused": dict(torch_state.REFUSED),
    }


def _logs() -> dict[str, Any]:
    return {
        "signature": SIGNATURE,
        "steps": list(STEP_NAMES),
        "usual": list(USUAL_NAMES),
        "rate": RATE_NAME.pattern,
        "other": OTHER_NAME.pattern,
        "lightning": LIGHTNING_NAME.pattern,
        "hugging_face": list(HUGGING_FACE_OFFSETS),
    }


def _lists(sets: Mapping[str, set[str]]) -> dict[str, Sequence[str]]:
    return {name: sorted(each) for name, each in sets.items()}
