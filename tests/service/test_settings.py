"""The settings of the server."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import Settings, default_data_directory


def test_the_environment_sets_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is read from its LRTABLES_ variable; an argument overrides the variable."""
    monkeypatch.setenv("LRTABLES_MAX_STEPS", "7")
    monkeypatch.setenv("LRTABLES_DATA_DIR", "somewhere")
    assert (Settings().max_steps, Settings().data_dir) == (7, Path("somewhere"))
    assert Settings(max_steps=8).max_steps == 8


@pytest.mark.parametrize(("name", "value"), [("max_steps", 0), ("port", 70_000), ("max_depth", 1000)])
def test_an_invalid_value_is_rejected(name: str, value: int) -> None:
    """The error about a setting out of its range has the setting's name."""
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


@pytest.mark.parametrize("source", ["argument", "variable", "file"])
def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A `~` is replaced by the home directory in an argument, a variable and a file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file.toml").write_text('data_dir = "~/tables"\n' if source == "file" else "")
    if source == "variable":
        monkeypatch.setenv("LRTABLES_DATA_DIR", "~/tables")
    given: dict[str, Any] = {"data_dir": "~/tables"} if source == "argument" else {}
    settings = Settings(config=Path("~/file.toml"), **given)
    assert (settings.config, settings.data_dir) == (tmp_path / "file.toml", tmp_path / "tables")


def test_an_empty_path_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable does not mean the current directory."""
    monkeypatch.setenv("LRTABLES_DATA_DIR", "")
    with pytest.raises(ValidationError, match=r"data_dir\n.* must be a path, got ''"):
        Settings()


@pytest.mark.parametrize("content", [b"port = \n", b"host = '\xff'\n"])
def test_an_invalid_toml_file_is_named(tmp_path: Path, content: bytes) -> None:
    """The error about an invalid file has the file's name."""
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"config must be a TOML file: .*settings\.toml: "):
        Settings(config=file)


def test_every_limit_is_reported() -> None:
    """The limits are all the settings whose names start with `max_`."""
    assert set(Settings().limits) == {name for name in Settings.model_fields if name.startswith("max_")}


def test_the_default_data_directory_is_in_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the data directory is in XDG_DATA_HOME, or in its default, ~/.local/share."""
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert default_data_directory() == Path("data/lrtables")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_directory() == Path.home() / ".local" / "share" / "lrtables"
