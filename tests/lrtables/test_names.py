"""`import lrtables`: the same objects under one name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import client
import client.distributed
import client.lr_scheduler
import client.plain_loop
import client.ranks.applied
import client.ranks.following
import lrtables
import scheduler
import scheduler.importing.files
import scheduler.interop.capture
import scheduler.interop.lightning
import scheduler.interop.recognise
import scheduler.interop.torch_state
import scheduler.libraries.deepspeed
import scheduler.libraries.transformers
import scheduler.recipes
import scheduler.views.compare
from scheduler import KINDS, compose, custom


def test_each_name_is_the_same_object_as_where_it_is_defined() -> None:
    """No name of `lrtables` is a copy: `lrtables.Client` is `client.Client`."""
    defined = [
        client,
        client.distributed,
        client.lr_scheduler,
        client.plain_loop,
        client.ranks.applied,
        client.ranks.following,
        scheduler,
        scheduler.interop.capture,
        scheduler.views.compare,
        scheduler.importing.files,
        scheduler.interop.lightning,
        scheduler.interop.recognise,
        scheduler.interop.torch_state,
        scheduler.libraries.deepspeed,
        scheduler.libraries.transformers,
        scheduler.recipes,
    ]
    own = {"schedules", "ShadowedPackageError"}
    for name in set(lrtables.__all__) - own:
        assert any(getattr(module, name, None) is getattr(lrtables, name) for module in defined), name


def test_every_portable_kind_is_in_schedules() -> None:
    """`lrtables.schedules` has each kind of ours by its class's name, and the twins in a namespace for each library."""
    libraries = ("torch.", "transformers.", "deepspeed.")
    ours = {kind.__name__ for name, kind in KINDS.items() if not name.startswith(libraries)}
    names = {name for name in lrtables.schedules.__all__ if isinstance(getattr(lrtables.schedules, name), type)}
    assert names == ours
    assert lrtables.schedules.WarmupWithDecay is custom.WarmupWithDecay
    assert lrtables.schedules.Sequence is compose.Sequence
    assert lrtables.schedules.torch.OneCycleLR.kind == "torch.OneCycleLR"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name is refused as Python does."""
    with pytest.raises(AttributeError, match="module 'lrtables' has no attribute 'Clien'"):
        _ = lrtables.Clien


def test_dir_lists_every_name() -> None:
    """Completion shows names that have not been imported yet."""
    assert set(lrtables.__all__) <= set(dir(lrtables))


def test_the_import_loads_nothing_that_is_not_used() -> None:
    """`import lrtables` loads no numpy, urllib3 or torch: names are imported when first used."""
    script = "import json, sys, lrtables; print(json.dumps(sorted({'numpy', 'urllib3', 'torch'} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []


def test_the_module_runs_the_command_line() -> None:
    """`python -m lrtables` is `lrtables`."""
    command = [sys.executable, "-m", "lrtables", "show", "LinearWarmup", "0.5", "1", "--steps", "2", "--at", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "0.5" in done.stdout
