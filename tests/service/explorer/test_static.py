"""The explorer as one file."""

import json
import re
from pathlib import Path
from types import MappingProxyType

import pytest

from service.__main__ import main
from service.explorer import static
from service.explorer.assets import CATALOGUE, Asset, assets
from service.explorer.static import static_page


def test_the_static_page_names_no_other_file() -> None:
    """Everything stands in the one file, and its policy allows two hashes and workers made of the page itself."""
    html = static_page()
    head, _, body = html.partition("</head>")
    assert not re.search(r'(?:href|src)="explorer/', html)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', head)
    assert policy
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; img-src data: blob:; worker-src blob:; "
        r"base-uri 'none'; form-action 'none'",
        policy[1],
    )
    assert "\nimport " not in body
    data = body.partition('id="catalogue">')[2].partition("</script>")[0]
    assert json.loads(data) == json.loads(assets()[CATALOGUE].body)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export default 3;", "main.js: this form of import or export cannot be joined: export default 3;"),
        ('const later = import("./dom.js");', "main.js: this form of import or export cannot be joined"),
        ('import { a } from "./main.js";', "main.js imports itself in a circle"),
    ],
    ids=["default", "dynamic", "circle"],
)
def test_an_unknown_form_of_module_is_an_error(monkeypatch: pytest.MonkeyPatch, source: str, said: str) -> None:
    """What the joining does not know is named with its file, and not written wrongly."""
    files = {**assets(), "main.js": Asset("", source.encode(), "", b"", "")}
    monkeypatch.setattr(static, "assets", lambda: MappingProxyType(files))
    with pytest.raises(ValueError, match=re.escape(said)):
        static_page()


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lrtables explorer --static` makes the folder, and says in a line why it cannot."""
    assert main(["explorer", "--static", str(tmp_path / "new" / "folder")]) == 0
    assert (tmp_path / "new/folder/index.html").read_text(encoding="utf-8") == static_page()
    assert "index.html" in capsys.readouterr().out
    assert main(["explorer", "--static", str(tmp_path / "new/folder/index.html")]) == 2
    assert "File exists" in capsys.readouterr().err
