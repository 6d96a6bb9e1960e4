"""A panel as the table that a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from gpuquant.data.panel import Panel


def panel_frame(panel: Panel) -> pd.DataFrame:
    """A column for each asset where there are closes alone, else a row for each date and asset."""
    import pandas as pd

    more = panel.extra_fields()
    frame = panel.to_frame()
    if more or panel.members is not None:
        index = pd.MultiIndex.from_product(
            [panel.index, list(panel.assets)], names=["date", "asset"]
        )
        columns = {"close": panel.close, **more}
        if panel.members is not None:
            columns["member"] = panel.members
        frame = pd.DataFrame({k: np.ravel(v) for k, v in columns.items()}, index=index)
        frame = frame.reset_index()
    frame.attrs["gpuquant"] = {
        "allow_halts": panel.allow_halts,
        "adjusted": panel.adjusted,
        "members": panel.members is not None,
    }
    return frame
