"""The documentation page: every route of the OpenAPI document on one page, without scripts and internet access."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from html import escape
from itertools import groupby
from pathlib import Path
from string import Formatter, Template
from typing import Any, NamedTuple
from urllib.parse import urlencode

from service.documentation.examples import ERROR, recorded_responses
from service.http.error_status import ERROR_STATUSES, ErrorStatus
from service.http.problems import MEDIA_TYPE as PROBLEM

_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_TOKENS = " A request needs a token from <code>lrtables token create</code>."
_QUICK = ("post /v1/tables", "get /v1/tables/{digest}.npy", "get /v1/lr")

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: it allows only its own style."""


class _Route(NamedTuple):
    """A route of the document."""

    method: str
    path: str
    operation: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def anchor(self) -> str:
        return self.name.translate(str.maketrans(" /", "--", "{}"))

    @property
    def parameters(self) -> Mapping[str, str]:
        """The example's parameters by name. A path parameter without an example is its own name in braces."""
        values = {name: f"{{{name}}}" for _, name, _, _ in Formatter().parse(self.path) if name}
        for item in self.operation.get("parameters", ()):
            if (
                "example" in item and item["in"] != "header"
            ):  # one documented entry may cover several parameters, as an object
                values |= item["example"] if isinstance(item["example"], dict) else {item["name"]: item["example"]}
        return values

    @property
    def headers(self) -> Mapping[str, str]:
        """The example's headers by name."""
        parameters = self.operation.get("parameters", ())
        return {item["name"]: item["example"] for item in parameters if item["in"] == "header" and "example" in item}

    @property
    def body(self) -> Any:
        """The example's JSON body, or None."""
        content = self.operation.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("example")

    @property
    def responses(self) -> Mapping[str, Any]:
        """The example's, by media type."""
        return {
            media_type: content["example"]
            for status, response in self.operation["responses"].items()
            if status.startswith("2")
            for media_type, content in response.get("content", {}).items()
            if "example" in content
        }


def page(document: Mapping[str, Any], address: str) -> str:
    """The page, in HTML, that says what an OpenAPI document says of the server at this address, a URL."""
    routes = [
        _Route(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return _PAGE.substitute(
        title=escape(document["info"]["title"]),
        version=escape(document["info"]["version"]),
        description=escape(document["info"]["description"]),
        style=_STYLE,
        contents=_lines(_contents(tag, routes) for tag in document["tags"]),
        shell=_lines(_quick_start(routes, address)),
        tokens=_TOKENS if "securitySchemes" in document["components"] else "",
        sections=_lines(_section(tag, routes) for tag in document["tags"]),
        problem=_json(recorded_responses(ERROR)[PROBLEM]),
        codes=_lines(_codes()),
    )


# -- parts of the page ------------------------------------------------------------------------------------------------


def _quick_start(routes: Iterable[_Route], address: str) -> Iterator[str]:
    by_name = {route.name: route for route in routes}
    yield escape(f"LRTABLES={address}   # the address of this page")
    yield from (escape(_command(by_name[name])) for name in _QUICK if name in by_name)


def _contents(tag: Mapping[str, str], routes: Iterable[_Route]) -> str:
    links = (
        _element("a", _method(route), _element("span", escape(route.path), class_="path"), href=f"#{route.anchor}")
        for route in _tagged(tag, routes)
    )
    return _element("h2", escape(tag["name"])) + _element("ul", *(_element("li", link) for link in links))


def _section(tag: Mapping[str, str], routes: Iterable[_Route]) -> str:
    articles = map(_article, _tagged(tag, routes))
    about = _element("p", escape(tag["description"]), class_="soft")
    return _element("section", _element("h2", escape(tag["name"].capitalize())), about, *articles)


def _article(route: _Route) -> str:
    return _element(
        "article",
        _element("h3", _method(route), escape(route.path)),
        *(_element("p", _prose(part)) for part in route.operation["description"].split("\n\n")),
        _parameters(route.operation.get("parameters", ())),
        _element("pre", _element("code", escape(_command(route))), class_="command"),
        _responses(route.operation["responses"]),
        *(_example(media_type, response) for media_type, response in route.responses.items()),
        id=route.anchor,
    )


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        _row(
            _element("code", escape(item["name"])),
            f"{item['in']}, required" if item.get("required") else item["in"],
            _prose(item.get("description", "")),
        )
        for item in parameters
    ]
    return _table("Parameters", rows) if rows else ""


def _responses(responses: Mapping[str, Any]) -> str:
    """Return the table of responses: one row per success status, and one row for all errors, which look the same."""
    rows = [
        _row(status, _prose(response["description"]), _media_types(response.get("content", ())))
        for status, response in responses.items()
        if status.startswith("2")
    ]
    errors = sorted(status for status in responses if status.isdigit() and not status.startswith("2"))
    links = (_element("a", status, href=f"#error-{status}") for status in errors)
    if errors:
        rows.append(_row(", ".join(links), "an error", _media_types([PROBLEM])))
    return _table("Answers", rows)


def _example(media_type: str, response: Any) -> str:
    text = escape(response) if isinstance(response, str) else _json(response)
    summary = _element("summary", f"Example of {escape(media_type)}")
    return _element("details", summary, _element("pre", _element("code", text)))


def _command(route: _Route) -> str:
    """The example as a command line."""
    method, path, operation = route
    words = ["curl"]
    if operation.get("security") == [{"token": []}]:
        words.append('-H "Authorization: Bearer $LRTABLES_TOKEN"')
    words += [f"-H '{name}: {value}'" for name, value in route.headers.items()]
    has_body = route.body is not None
    if method in ("patch", "delete") or (method == "put" and has_body) or (method == "post" and not has_body):
        words.append(f"-X {method.upper()}")
    if has_body:
        words += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(route.body)}'"]
    elif method == "put":
        words += [f"-H 'Content-Type: {next(iter(operation['requestBody']['content']))}'", "-T table.safetensors"]
    elif not route.responses and "." in path:  # a file
        words.append(f"-o table.{path.rpartition('.')[2]}")
    if len(route.responses) > 1:
        words.append(f"-H 'Accept: {list(route.responses)[-1]}'")
    return " ".join([*words, _address(path, route.parameters)])


def _address(path: str, parameters: Mapping[str, str]) -> str:
    url = "$LRTABLES" + path.format_map(parameters)
    query = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
    return f'"{url}?{urlencode(query, safe=",")}"' if query else url


def _codes() -> Iterator[str]:
    """Yield a row for each problem code, by status. The first row of a status has an anchor."""
    for status, items in groupby(sorted(ERROR_STATUSES.items(), key=_status), key=_status):
        for number, (error, found) in enumerate(items):
            code, retryable = _element("code", found.code), "yes" if found.retryable else ""
            yield _row(
                str(status), code, _explanation(error), retryable, **({} if number else {"id": f"error-{status}"})
            )


def _status(item: tuple[type[Exception], ErrorStatus]) -> int:
    return item[1].status


def _explanation(error: type[Exception]) -> str:
    """Return the explanation of an error: the first line of its class docstring."""
    ours = error.__module__.startswith(("service.", "scheduler."))
    return _prose((error.__doc__ or "").partition("\n")[0]) if ours else ""


# -- HTML -------------------------------------------------------------------------------------------------------------


def _element(name: str, *content: str, **attributes: str) -> str:
    """Return an HTML element. The content is HTML, the attributes are plain text."""
    written = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{' '.join(content)}</{name}>"


def _row(*cells: str, **attributes: str) -> str:
    return _element("tr", *(_element("td", cell) for cell in cells), **attributes)


def _table(title: str, rows: Iterable[str]) -> str:
    return _element("h4", title) + _element("table", _element("tbody", *rows))


def _media_types(names: Iterable[str]) -> str:
    return " ".join(_element("code", escape(name)) for name in names)


def _method(route: _Route) -> str:
    return _element("span", route.method, class_=f"method {route.method}")


def _tagged(tag: Mapping[str, str], routes: Iterable[_Route]) -> Iterator[_Route]:
    """Yield the routes of a section in their order; those that delete come last, so that a reader can try each."""
    tagged = [route for route in routes if route.operation["tags"] == [tag["name"]]]
    return iter(sorted(tagged, key=lambda route: route.method == "delete"))


def _prose(text: str) -> str:
    """Return text as HTML, with the parts between backquotes as code."""
    parts = text.split("`")
    return "".join(_element("code", escape(part)) if index % 2 else escape(part) for index, part in enumerate(parts))


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)
