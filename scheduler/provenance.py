"""Provenance: the versions that computed a table, kept in its file to explain a difference between machines."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from types import MappingProxyType

import numpy as np

NAMES = ("lrtables", "numpy", "libm", "cpu")
"""The entries of a provenance."""


@cache
def provenance() -> Mapping[str, str]:
    """The versions of lrtables, NumPy and the C library, and the processor's class as NumPy sees it."""
    return MappingProxyType(
        {
            "lrtables": version("lrtables"),
            "numpy": np.__version__,
            "libm": " ".join(platform.libc_ver()).strip() or platform.platform(),
            "cpu": " ".join([platform.machine(), *np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])]),
        }
    )
