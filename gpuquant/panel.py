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

TAIL = 64  # places after the last bar, which loops of a fixed length read
EXACT = 2.0**53
LONGEST_WINDOW = 512  # a sum over this many bars, times as many, stays exact


PRICES = ("open", "high", "low")
NOTHING = {"volume": 0.0, "splits": 1.0, "dividends": 0.0, "delistings": -2.0}  # where nothing is said of a bar
MORE = (*PRICES, "volume", "splits", "dividends", "delistings")  # what a panel may hold besides its closes


def lead_of(bars: int) -> int:
    """The places of NaN before the first of so many bars: no window reaches further."""
    return bars + 1


@dataclass(frozen=True)
class Resident:
    """A panel on a device: prices of shape (assets, lead + bars + TAIL) and prefix sums of ticks, one place longer.

    Each begins with `lead` places of NaN, what a rule finds that looks back beyond the first bar, and ends with TAIL more. Where assets halt, `close` holds
    the last known price and `traded` NaN; `more` has, one after the other, what else the panel knows.
    """

    close: Any
    traded: Any
    open: Any
    sums: Any
    more: Any
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
    open, high, low : array, optional
        Of the bars. Orders of the next bar fill at its open, or without opens at its close; stops and limits watch the range.
    volume : array, optional
        Units traded; >= 0.
    splits : array, optional
        Shares that one share becomes at the beginning of the bar; > 0, 1 where nothing splits. Prices are not adjusted for them.
    dividends : array, optional
        Cash per share that goes ex at the beginning of the bar, before a split.
    delistings : array, optional
        At the bar after the last one, the return from the last price to what is paid out; -1 is a total loss, NaN where nothing ends.
    halts : bool
        Take a missing price for a bar at which the asset does not trade. Holdings keep their last price.
    """

    close: np.ndarray
    dates: np.ndarray
    assets: tuple[str, ...]
    open: np.ndarray | None = None
    high: np.ndarray | None = None
    low: np.ndarray | None = None
    volume: np.ndarray | None = None
    splits: np.ndarray | None = None
    dividends: np.ndarray | None = None
    delistings: np.ndarray | None = None
    halts: bool = False
    _on: dict[str, Resident] = field(default_factory=dict, init=False, compare=False, repr=False)

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
        for name in ("close", *MORE):
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != self.close.shape:
                raise DataError(f"{name} has shape {values.shape}: must be {self.close.shape}, as the closes")
            self._say(name, *_outside(name, values, self.halts))
        if self.high is not None and self.low is not None:
            self._say("high", (self.high < self.low) | (self.high < self.close), "must be the highest price of its bar")
            self._say("low", self.low > self.close, "must be the lowest price of its bar")

    def _say(self, name: str, wrong: np.ndarray, rule: str) -> None:
        if wrong.any():
            row, col = map(int, np.argwhere(wrong)[0])
            raise DataError(f"{name}[{self.dates[row]}, {self.assets[col]}] = {float(getattr(self, name)[row, col])!r}: {rule}")

    @classmethod
    def from_frames(cls, *, halts: bool = False, **frames: Any) -> Panel:
        """From a frame for each of close, open, high, low, volume, splits, dividends and delistings, all of the same dates and assets.

        Raises
        ------
        DataError, NameUnknown
            There is no `close`; frames differ in dates or assets; a name that no panel has.
        """
        for name in frames:
            if name not in ("close", *MORE):
                raise unknown("prices", name, ("close", *MORE))
        if "close" not in frames:
            raise DataError("a panel needs closes: close=frame")
        base = cls.from_frame(frames["close"], halts=halts)
        arrays = {}
        for name, frame in frames.items():
            index = dates_of(frame.index)
            if not index.equals(dates_of(frames["close"].index)) or tuple(str(c) for c in frame.columns) != base.assets:
                raise DataError(f"{name}: must have the dates and the assets of close")
            arrays[name] = np.ascontiguousarray(frame.to_numpy(dtype=np.float64))
        return cls(dates=base.dates, assets=base.assets, halts=halts, **arrays)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, halts: bool = False) -> Panel:
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
        return cls(np.ascontiguousarray(values), index.to_numpy(), tuple(str(c) for c in frame.columns), halts=halts)

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
        return Panel(self.close[rows], self.dates[rows], self.assets, halts=self.halts, **{k: v[rows] for k, v in self.more().items()})

    def columns(self, names: slice) -> Panel:
        """The panel of these assets, its ticks those of the whole."""
        cut = Panel(self.close[:, names], self.dates, self.assets[names], halts=self.halts, **{k: v[:, names] for k, v in self.more().items()})
        tick, exact = self.tick
        cut.__dict__["tick"] = (tick[names] if isinstance(tick, np.ndarray) else tick, exact)
        return cut

    def more(self) -> dict[str, np.ndarray]:
        """What the panel holds besides its closes."""
        return {name: getattr(self, name) for name in MORE if getattr(self, name) is not None}

    @cached_property
    def known(self) -> np.ndarray:
        """Closes, where an asset halts the last one before; NaN before its first."""
        if not self.halts:
            return self.close
        last = np.maximum.accumulate(np.where(np.isfinite(self.close), np.arange(self.bars)[:, None], -1), axis=0)
        return np.where(last >= 0, np.take_along_axis(self.close, np.maximum(last, 0), axis=0), np.nan)

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
        highest = float(np.nanmax(self.close))
        there = np.isfinite(self.close)
        for digits in range(10):
            if highest * 10.0**digits * max(LONGEST_WINDOW**2, self.bars) >= EXACT:
                break
            scaled = self.close * 10.0**digits
            if (np.abs(scaled - np.rint(scaled)) <= 1e-15 * scaled)[there].all():
                return 10.0**-digits, True
        first = self.close[np.argmax(there, axis=0), np.arange(len(self.assets))]
        return np.where(np.isfinite(first), first, 1.0) * 2.0**-26, False

    @cached_property
    def ticks(self) -> np.ndarray:
        """Closes in whole ticks, shape (bars, assets)."""
        return np.asarray(np.rint(self.known / self.tick[0]))

    @cached_property
    def highest(self) -> float:
        """The highest close in whole ticks."""
        return float(np.nanmax(self.ticks, initial=0.0))

    def on(self, device: str | Place = "auto") -> Resident:
        """The panel's arrays on a device; they go up the first time and stay."""
        place = choose(device)
        if place.name not in self._on:
            lead = lead_of(self.bars)

            def up(values: np.ndarray, name: str) -> Any:
                """On the device, one row for each asset."""
                beyond = np.full((TAIL, values.shape[1]), np.nan)
                return place.put(np.concatenate([np.full((lead, values.shape[1]), np.nan), values, beyond]).T, name)

            sums = np.concatenate([np.zeros((1, len(self.assets))), np.cumsum(np.nan_to_num(self.ticks), axis=0)])
            if self.halts:  # before an asset's first price there is nothing to sum
                sums[:-1][np.isnan(self.ticks)] = np.nan
            close, more = up(self.known, "close"), self.more()
            traded = up(self.close, "traded") if self.halts else close
            extra = np.full((len(more), len(self.assets), lead + self.bars), np.nan)
            for k, (name, values) in enumerate(more.items()):
                extra[k, :, lead:] = np.nan_to_num(values, nan=NOTHING[name]).T if name in NOTHING else values.T
            kept = place.put(extra, "more") if more else place.put(np.full((1, 1, 1), np.nan), "more")
            self._on[place.name] = Resident(close, traded, traded if self.open is None else up(self.open, "open"), up(sums, "sums"), kept, lead)
        return self._on[place.name]


def _outside(name: str, values: np.ndarray, halts: bool) -> tuple[np.ndarray, str]:
    """Where an array of a panel is wrong, and what it must be."""
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        if name == "delistings":
            return ~missing & ~(np.isfinite(values) & (values >= -1.0)), "must be a return >= -1, or NaN where nothing ends"
        if name in ("volume", "dividends"):
            return ~(np.isfinite(values) & (values >= 0.0)) & ~(missing & halts), "must be finite and >= 0"
        wrong = ~(np.isfinite(values) & (values > 0.0))
    return (
        (wrong & ~missing, "must be > 0, or NaN where nothing trades")
        if halts
        else (wrong, "must be finite and > 0; halts=True takes a missing price for a halt")
    )


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
