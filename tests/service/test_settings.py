"""The knobs of the server."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, default_data_directory


def test_the_environment_sets_every_knob(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is read from its LRTABLES_ variable, and an argument wins over the variable."""
    monkeypatch.setenv("LRTABLES_MAX_STEPS", "7")
    monkeypatch.setenv("LRTABLES_DATA_DIR", "somewhere")
    assert (Settings().max_steps, Settings().data_dir) == (7, Path("somewhere"))
    assert Settings(max_steps=8).max_steps == 8


@pytest.mark.parametrize(("name", "value"), [("max_steps", 0), ("port", 70_000), ("max_depth", 1000)])
def test_a_senseless_value_is_refused(name: str, value: int) -> None:
    """A setting out of its range is refused by its name."""
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


def test_every_limit_is_announced() -> None:
    """The limits are all the settings that begin with max_."""
    assert set(Settings().limits) == {name for name in Settings.model_fields if name.startswith("max_")}


def test_tables_are_kept_with_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting, the data directory is in XDG_DATA_HOME, or where that is by default."""
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert default_data_directory() == Path("data/lrtables")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_directory() == Path.home() / ".local" / "share" / "lrtables"
