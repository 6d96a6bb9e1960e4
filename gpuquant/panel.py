"""Panel: prices of several assets over common dates, checked once, kept as arrays, put on a device once.

Prices are also kept as whole ticks in float64: their prefix sums are exact, so averages are compared without rounding and the
same orders come out on every device.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.device import Place, choose
from gpuquant.errors import DataError, InputError, unknown

if TYPE_CHECKING:
    import pandas as pd

EXACT = 2.0**53
LONGEST_WINDOW = 512  # a sum over this many bars, times as many, stays exact


@dataclass(frozen=True)
class Resident:
    """A panel on a device: prices of shape (assets, lead + bars) and prefix sums of ticks, shape (assets, lead + bars + 1).

    Each begins with `lead` places of NaN: what a rule finds that looks back beyond the first bar.
    """

    close: Any
    open: Any
    sums: Any
    lead: int


@dataclass(frozen=True)
class Panel:
    """Prices of `assets` at `dates`.

    Parameters
    ----------
    close : array, shape (bars, assets)
        Finite and > 0, in currency units.
    dates : datetime64 array, shape (bars,)
        Increasing.
    assets : tuple of str
    open : array, optional
        Opening prices, where orders of the next bar fill; without them they fill at its close.
    """

    close: np.ndarray
    dates: np.ndarray
    assets: tuple[str, ...]
    open: np.ndarray | None = None
    _on: dict[str, Resident] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.close.ndim != 2 or self.close.shape != (len(self.dates), len(self.assets)):
            raise DataError(f"prices have shape {self.close.shape}: must be ({len(self.dates)} dates, {len(self.assets)} assets)")
        if not self.close.size:
            raise DataError("the panel is empty: needs at least one date and one asset")
        if len(set(self.assets)) != len(self.assets):
            raise DataError(f"asset {next(a for a in self.assets if self.assets.count(a) > 1)!r} stands twice")
        steps = np.diff(self.dates)
        for wrong, what in ((steps == np.timedelta64(0), "stands twice"), (steps < np.timedelta64(0), "comes after a later one")):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0]) + 1
                raise DataError(f"dates[{row}] = {self.dates[row]} {what}: dates must increase")
        for name, prices in (("close", self.close), ("open", self.open)):
            if prices is None:
                continue
            wrong = ~(np.isfinite(prices) & (prices > 0))
            if wrong.any():
                row, col = map(int, np.argwhere(wrong)[0])
                raise DataError(f"{name}[{self.dates[row]}, {self.assets[col]}] = {float(prices[row, col])!r}: must be finite and > 0")

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Panel:
        """From a frame of closes: dates as the index, one column per asset."""
        import pandas as pd

        if isinstance(frame, pd.Series):
            frame = frame.to_frame()
        if not len(frame) or not len(frame.columns):
            raise DataError("the frame is empty: needs at least one date and one asset")
        index = dates_of(frame.index)
        try:
            values = frame.to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as failure:
            raise DataError(f"prices must be numbers: {failure}") from failure
        return cls(np.ascontiguousarray(values), index.to_numpy(), tuple(str(c) for c in frame.columns))

    @classmethod
    def read(cls, path: str | Path) -> Panel:
        """From a Parquet or CSV file of closes, dates in the first column or the index."""
        import pandas as pd

        path = Path(path)
        if not path.exists():
            raise DataError(f"price file {path} does not exist")
        if path.suffix not in (".parquet", ".csv", ".gz"):
            raise DataError(f"price file {path}: must end in .parquet, .csv or .csv.gz")
        try:
            frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, index_col=0)
        except (ValueError, OSError) as failure:  # pandas' and Arrow's parsing errors are ValueErrors
            raise DataError(f"price file {path} cannot be read: {str(failure).splitlines()[0]}") from failure
        if path.suffix == ".parquet" and not isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.set_index(frame.columns[0])
        return cls.from_frame(frame)

    @classmethod
    def of(cls, prices: Any) -> Panel:
        """A panel from what a user has: a panel, a frame, or the path of a file."""
        if isinstance(prices, cls):
            return prices
        if isinstance(prices, str | Path):
            return cls.read(prices)
        if hasattr(prices, "index") and hasattr(prices, "to_numpy"):
            return cls.from_frame(prices)
        raise InputError(f"prices = {type(prices).__name__}: must be a Panel, a frame or the path of a file")

    @property
    def bars(self) -> int:
        """Number of dates."""
        return len(self.dates)

    def to_frame(self) -> pd.DataFrame:
        """Closes as a frame."""
        import pandas as pd

        return pd.DataFrame(self.close, index=pd.DatetimeIndex(self.dates, name="date"), columns=list(self.assets))

    def to_parquet(self, path: str | Path) -> None:
        """Write the closes; `Panel.read` gives them back."""
        self.to_frame().to_parquet(path)

    def between(self, first: Any = None, last: Any = None) -> Panel:
        """The dates from `first` to `last`, both included."""
        keep = np.ones(self.bars, bool)
        if first is not None:
            keep &= self.dates >= np.datetime64(first)
        if last is not None:
            keep &= self.dates <= np.datetime64(last)
        return self.rows(np.flatnonzero(keep))

    def rows(self, rows: Any) -> Panel:
        """The panel of these bars."""
        return Panel(self.close[rows], self.dates[rows], self.assets, None if self.open is None else self.open[rows])

    def asset(self, name: str) -> int:
        """The column of an asset."""
        if name not in self.assets:
            raise unknown("asset", name, self.assets)
        return self.assets.index(name)

    @cached_property
    def tick(self) -> tuple[Any, bool]:
        """The coarsest power of ten that every close is a multiple of, and True.

        Where there is none that keeps sums exact in float64: a tick per asset, 2^-26 of its first close, and False. Closes are
        rounded to it for signals alone; it depends on no later price.
        """
        highest = float(self.close.max())
        for digits in range(10):
            if highest * 10.0**digits * max(LONGEST_WINDOW**2, self.bars) >= EXACT:
                break
            scaled = self.close * 10.0**digits
            if (np.abs(scaled - np.rint(scaled)) <= 1e-15 * scaled).all():
                return 10.0**-digits, True
        return self.close[0] * 2.0**-26, False

    @cached_property
    def ticks(self) -> np.ndarray:
        """Closes in whole ticks, shape (bars, assets)."""
        return np.asarray(np.rint(self.close / self.tick[0]))

    def on(self, device: str | Place = "auto") -> Resident:
        """The panel's arrays on a device; they go up the first time and stay."""
        place = choose(device)
        if place.name not in self._on:
            lead = self.bars + 1  # no window reaches further

            def up(values: np.ndarray, name: str) -> Any:
                """On the device, one row for each asset."""
                return place.put(np.concatenate([np.full((lead, values.shape[1]), np.nan), values]).T, name)

            sums = np.concatenate([np.zeros((1, len(self.assets))), np.cumsum(self.ticks, axis=0)])
            close = up(self.close, "close")
            self._on[place.name] = Resident(close, close if self.open is None else up(self.open, "open"), up(sums, "sums"), lead)
        return self._on[place.name]


def dates_of(index: Any) -> pd.DatetimeIndex:
    """An index of dates as naive UTC, the form in which panels, weights and features meet."""
    import pandas as pd

    if not isinstance(index, pd.DatetimeIndex):
        if getattr(index, "dtype", None) is not None and index.dtype.kind in "iufb":
            raise DataError(f"the index must hold dates, got {index.dtype}")
        try:
            index = pd.DatetimeIndex(index)
        except (TypeError, ValueError) as failure:
            raise DataError(f"the index must hold dates of one time zone: {failure}") from failure
    if index.hasnans:
        raise DataError(f"dates[{int(np.flatnonzero(index.isna())[0])}] is missing")
    return index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
