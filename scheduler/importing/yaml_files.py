"""YAML, where PyYAML is installed."""

from __future__ import annotations

from typing import Any

from scheduler.importing.configurations import BadFileError

YAML_SUFFIXES = (".yaml", ".yml")
"""Endings of the names of YAML files."""


def yaml_data(text: str, name: str) -> Any:
    """The data in YAML text; nothing in it is executed.

    Raises `BadFileError`, in one line with the file's name, for what is no YAML, and where PyYAML is not installed.
    """
    try:
        import yaml  # noqa: PLC0415  # only for such files, and not one of our dependencies
    except ImportError:
        raise BadFileError(f"{name} needs PyYAML to be read: pip install pyyaml, or give it as JSON") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadFileError(f"{name} is no YAML: {' '.join(str(error).split())}") from None
