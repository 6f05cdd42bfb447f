"""A table as a data frame."""

import pandas as pd

from scheduler import Table


def test_a_frame_has_the_columns_and_the_progress() -> None:
    """Each column of the table is one of the frame, in memory of its own; the index is where rows begin."""
    table = Table({"lr": [0.5, 0.25], "momentum": [0.9, 0.8]}, axis="sample", stride=256)
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict() == {"lr": {0: 0.5, 256: 0.25}, "momentum": {0: 0.9, 256: 0.8}}
    assert frame.index.name == "sample"
    frame.loc[0, "lr"] = 1.0
    assert table["lr"][0] == 0.5
