"""The explorer as one file that needs no server: for a static host, or to open from a disk.

Browsers refuse ES modules on `file://`. So the modules are joined here into one classic script: each becomes a function
of its imports, in the order in which they need one another. The script, the style and the catalogue stand in the
page itself, and its policy allows exactly their hashes. The modules keep to the few forms of `import` and `export` that
`_joined` knows; another form is an error.
"""

from __future__ import annotations

import posixpath
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from service.explorer.assets import CATALOGUE, PAGE, assets

_IMPORT = re.compile(
    r'^import\s+(?:\{(?P<names>[^}]*)\}|\*\s+as\s+(?P<all>[\w$]+))\s+from\s+"(?P<path>\.[^"]+)";?$', re.MULTILINE
)
_EXPORT = re.compile(r"^export\s+(?P<what>(?:async\s+)?function\*?|const|let|class)\s+(?P<name>[\w$]+)", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export\s+\{(?P<names>[^}]*)\}(?:\s+from\s+\"(?P<path>\.[^\"]+)\")?;?$", re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import|export)\b.*|\bimport\(.*|\bimport\.meta\b.*", re.MULTILINE)
_LINKS = re.compile(r'^<link rel="(?:stylesheet|modulepreload)".*>\n', re.MULTILINE)
_SCRIPT = '<script type="module" src="explorer/main.js"></script>'
_ENTRIES = ("main.js", "worker.js")


def write_static(folder: Path) -> Path:
    """Write the page into a folder, which is made if missing, and return the file. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(static_page(), encoding="utf-8")
    return path


def static_page() -> str:
    """Return the page as one HTML text. Raises `ValueError` for a module with an unknown form of import or export."""
    files = {path: asset.body.decode() for path, asset in assets().items()}
    script = _in_element(_program(files))
    style = files["style.css"]
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:; "
        "worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    data = f'<script type="application/json" id="catalogue">{_in_element(files[CATALOGUE])}</script>'
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>\n'
    page = _LINKS.sub("", files[PAGE])
    page = page.replace("</head>", head + "</head>", 1)
    return page.replace(_SCRIPT, f'{data}\n<script id="program">{script}</script>', 1)


def _in_element(text: str) -> str:
    """Return the text as it can stand in a script element: where it could end the element, `<` gets a backslash."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _program(files: Mapping[str, str]) -> str:
    """Return all modules as one script. In a worker it runs the worker's module, else the page's."""
    ordered: dict[str, str] = {}
    for entry in _ENTRIES:
        _collect(entry, files, ordered)
    return "\n".join(
        [
            "(() => {",
            '"use strict";',
            "const modules = {};",
            *ordered.values(),
            'modules[typeof document === "undefined" ? "worker.js" : "main.js"]();',
            "})();",
        ]
    )


def _collect(path: str, files: Mapping[str, str], ordered: dict[str, str]) -> None:
    """Add a module after those that it imports. Raises `ValueError` for modules that import each other in a circle."""
    if path in ordered:
        if not ordered[path]:
            raise ValueError(f"explorer/{path} imports itself in a circle")
        return
    ordered[path] = ""
    source = files[path]
    for match in (*_IMPORT.finditer(source), *_EXPORT_LIST.finditer(source)):
        if match["path"]:
            _collect(_resolved(path, match["path"]), files, ordered)
    ordered[path] = _joined(path, source)


def _resolved(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _joined(path: str, source: str) -> str:
    """Return a module as a function that runs it once, when it is first needed, and returns its exports."""
    exported: dict[str, str] = {}

    def imported(match: re.Match[str]) -> str:
        if match["all"]:
            return f'const {match["all"]} = modules["{_resolved(path, match["path"])}"]();'
        names = re.sub(r"\s+as\s+", ": ", " ".join(match["names"].split()))
        return f'const {{ {names} }} = modules["{_resolved(path, match["path"])}"]();'

    def declared(match: re.Match[str]) -> str:
        exported[match["name"]] = match["name"]
        return f"{match['what']} {match['name']}"

    def listed(match: re.Match[str]) -> str:
        pairs = [part.split(" as ") for part in " ".join(match["names"].split()).split(",") if part.strip()]
        for pair in pairs:
            exported[pair[-1].strip()] = pair[0].strip()
        if not match["path"]:
            return ""
        names = ", ".join(pair[0].strip() for pair in pairs)
        return f'const {{ {names} }} = modules["{_resolved(path, match["path"])}"]();'

    body = _EXPORT_LIST.sub(listed, _EXPORT.sub(declared, _IMPORT.sub(imported, source)))
    if left := _LEFT.search(_without_comments(body)):
        raise ValueError(f"explorer/{path}: this form of import or export cannot be joined: {left[0].strip()}")
    returned = ", ".join(f"{name}: {own}" for name, own in exported.items())
    return "\n".join(
        [
            f"// {path}",
            "{ let made;",
            f'modules["{path}"] = () => made ??= (() => {{',
            body,
            f"return {{ {returned} }};",
            "})(); }",
        ]
    )


def _without_comments(source: str) -> str:
    return re.sub(r"/\*.*?\*/|^\s*//.*$", "", source, flags=re.DOTALL | re.MULTILINE)
