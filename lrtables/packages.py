"""Whether `scheduler`, `client` and `service` are this distribution's packages.

Each name is common: a distribution called `scheduler` installs a folder of that name over ours, and a `client.py`
beside a training script is found before anything that is installed. Their `__init__` files therefore carry a mark,
which is looked for without importing them.
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("scheduler", "client", "service")
MARK = "# package of the distribution lrtables"
_HERE = Path(__file__).resolve().parent.parent


class ShadowedPackageError(ImportError):
    """Another module or package has the name of one of ours; `path` is where it is."""


def check_packages() -> None:
    """Raise `ShadowedPackageError` where one of the three names leads to something else; import nothing."""
    for name in PACKAGES:
        _check(name)


def _check(name: str) -> None:
    spec = _spec(name)
    if spec is None or spec.origin is None:  # without an origin it is a plain folder
        raise ShadowedPackageError(f"lrtables: its package {name!r} is missing: {_REINSTALL}", name=name)
    path = spec.origin if spec.loader is None else str(Path(spec.origin).resolve())
    if path == str(_HERE / name / "__init__.py") and _has_mark(spec):
        return
    raise ShadowedPackageError(_message(name, path, spec), name=name, path=path)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:  # of a module that was made by hand, and put into sys.modules without a spec
        return ModuleSpec(name, None, origin=f"sys.modules[{name!r}]")


def _has_mark(spec: ModuleSpec) -> bool:
    loader: Any = spec.loader
    if not hasattr(loader, "get_source"):
        return False
    source = loader.get_source(spec.name)
    return source is None or MARK in source  # None: an application was built without its sources


_REINSTALL = "reinstall with: pip install --force-reinstall --no-deps lrtables"


def _message(name: str, path: str, spec: ModuleSpec) -> str:
    begin = f"lrtables: its package {name!r} is hidden by {path}"
    if spec.loader is None:
        return f"{begin}, a module without a file, which this process made before"
    if owners := _owners(name, path):
        return (
            f"{begin}, of the distribution {owners[0]!r}, which installs the same name. Use a virtual environment "
            f"without it; or: pip uninstall {owners[0]}, then {_REINSTALL.removeprefix('reinstall with: ')}"
        )
    file = Path(path)
    if file.is_relative_to(_HERE / name):
        return f"{begin}, which has been changed: {_REINSTALL}"
    if _has_mark(spec):
        return f"{begin}, of another copy of lrtables than {_HERE}: remove one of them from sys.path"
    what = file.parent if file.name == "__init__.py" else file
    return f"{begin}, which Python finds first. Rename {what}, or start the script with: python -P"


def _owners(name: str, path: str) -> list[str]:
    """The other distributions that installed this file."""
    return [each.name for each in distributions() if each.name != "lrtables" and _installed(each, name, path)]


def _installed(distribution: Distribution, name: str, path: str) -> bool:
    files = (file for file in distribution.files or () if file.parts[0] in (name, f"{name}.py"))
    return any(str(Path(str(distribution.locate_file(file))).resolve()) == path for file in files)
