"""What becomes known later than it is dated: fundamentals, releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.calendar import dates_of
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import DataError, InputError
from gpuquant.features.base import Feature


@dataclass(frozen=True)
class Released(Feature):
    """The latest values of each asset that were known before the bar.

    A row of the table counts from the first bar that is dated after `known_at`: a release on the
    day of a daily bar may come after its close. Of two rows that are known, the one known later
    counts; of two known at once, the later row of the table.

    Parameters
    ----------
    table : DataFrame
        A row for each asset and release.
    columns_of : sequence of str
        The columns with values.
    known_at : str
        The column that says when a row became known.
    lag : str, optional
        A time such as "45D" after `known_at`, where this column says what date the values belong
        to and nothing says when they were known.
    asset : str
        The column with the asset.

    Examples
    --------
    >>> import pandas as pd
    >>> from gpuquant import features
    >>> table = pd.DataFrame(
    ...     {"asset": ["A"], "quarter": [pd.Timestamp("2024-03-31")], "earnings": [1.2]}
    ... )
    >>> features.Released(table, ["earnings"], known_at="quarter", lag="45D").columns
    ('earnings',)
    """

    table: Any
    columns_of: Sequence[str]
    known_at: str = "known_at"
    lag: str | None = None
    asset: str = "asset"

    def __post_init__(self) -> None:
        for name in (self.asset, self.known_at, *self.columns_of):
            if name not in self.table.columns:
                raise InputError(
                    f"Released: the table has no column {name!r}; it has "
                    f"{', '.join(map(str, self.table.columns))}"
                )

    @property
    def lookback(self) -> int:
        return 0

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.columns_of)

    def compute(self, panel: Panel, device: Device) -> Any:
        known, values, names = self._rows()
        clock = panel.clock if self._naive() else panel.dates
        out = np.full((*panel.close.shape, len(self.columns_of)), np.nan)
        for j, asset in enumerate(panel.assets):
            own = names == asset
            if not own.any():
                continue
            row = np.searchsorted(known[own], clock, side="left") - 1  # known before the bar
            out[row >= 0, j] = values[own][row[row >= 0]]
        return out

    def _naive(self) -> bool:
        return getattr(self.table[self.known_at].dt, "tz", None) is None

    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """When each row is known, its values and its asset, in the order in which they are."""
        import pandas as pd

        known = self.table[self.known_at]
        if known.isna().any():
            row = int(np.flatnonzero(known.isna())[0])
            raise DataError(f"Released: {self.known_at}[{row}] is missing: when is this row known?")
        when = dates_of(pd.DatetimeIndex(known))[0]
        if self.lag is not None:
            when = when + pd.Timedelta(self.lag)
        at = when.to_numpy()
        order = np.argsort(at, kind="stable")
        values = self.table[list(self.columns_of)].to_numpy(dtype=np.float64)
        names = self.table[self.asset].astype(str).to_numpy()
        return at[order], values[order], names[order]
