"""Panel: prices of several assets over common dates, checked once, kept as arrays, put on a device
once.

Prices are also kept as whole ticks in float64: their prefix sums are exact, so averages are
compared without rounding and the same orders come out on every device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.data import files, readers
from gpuquant.data.adjustment import AdjustedPrices
from gpuquant.data.arguments import flag
from gpuquant.data.arrow import write_frame
from gpuquant.data.calendar import check_calendar, within
from gpuquant.data.device_panel import DevicePanel, on_device
from gpuquant.data.membership import members_at
from gpuquant.data.panel_checks import EXTRA_FIELDS, check
from gpuquant.data.panel_frame import panel_frame
from gpuquant.data.panel_words import words_in_a_line, words_in_html
from gpuquant.device import Device, on_host, resolve_device
from gpuquant.errors import DataError, InputError, unknown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Panel(AdjustedPrices):
    """Prices of `assets` at `dates`.

    Parameters
    ----------
    close : array, shape (bars, assets)
        Finite and > 0, in currency units.
    dates : datetime64 array, shape (bars,)
        Increasing.
    assets : tuple of str
    open, high, low : array, optional
        Prices of the bars. An order for the next bar fills at its open, or at its close if there
        are no opens. Stops and limits use the range from low to high.
    volume : array, optional
        Units traded; >= 0.
    splits : array, optional
        Shares that one share becomes at the beginning of the bar; > 0, 1 where nothing splits.
        Prices are not adjusted for them.
    dividends : array, optional
        Cash per share, ex at the beginning of the bar and before its split. If only one of splits
        and dividends is given, the panel has no events of the other kind.
    delistings : array, optional
        The return from the last price to the final payment, at the bar after the last price; -1 is
        a total loss, NaN means no delisting.
    allow_halts : bool
        Treat a missing price as a bar at which the asset does not trade. Holdings keep their last
        price.
    timezone : str, optional
        Time zone in which dates are shown; `dates` are then UTC.
    adjusted : bool, optional
        Whether prices are adjusted for splits and dividends; None if this is not known. The value
        is only shown; it changes no result.
    members : array of bool, optional
        Which assets belong to the universe at each bar: others have no features, labels and
        forecasts there. `Panel.of` takes a frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from gpuquant import Panel
    >>> days = pd.bdate_range("2024-01-02", periods=3)
    >>> frame = pd.DataFrame({"Open": [9.0, 10.0, 11.0], "Close": [10.0, 11.0, 12.0]}, index=days)
    >>> Panel.of(frame, asset="AAPL")
    Panel of 1 asset (AAPL): open, close; 3 bars from 2024-01-02 to 2024-01-04, daily (252 a year)
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
    allow_halts: bool = False
    timezone: str | None = None
    adjusted: bool | None = None
    members: np.ndarray | None = None
    _on: dict[str, DevicePanel] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("close", *EXTRA_FIELDS):
            object.__setattr__(self, name, on_host(getattr(self, name), name))
        check(self)

    @classmethod
    def of(
        cls,
        prices: Any,
        *,
        asset: str = "asset",
        allow_halts: bool | None = None,
        adjusted: bool | None = None,
        exchange: str | None = None,
        members: Any = None,
    ) -> Panel:
        """A panel from prices in any shape.

        Parameters
        ----------
        prices : Panel, frame, series, mapping, Arrow data or path
            Closes by asset; fields (open, high, low, close, adj close, volume, splits, dividends)
            by ticker, in either order of two levels of columns; one ticker's fields; a tidy table
            with a column of dates and one of tickers; a mapping of frames by field or by ticker; of
            pandas, polars, pyarrow or anything with `__arrow_c_stream__`; or a Parquet or CSV file
            of any of these.
        asset : str
            Name of the asset if a table of one ticker has none; by default a file's name.
        allow_halts : bool, optional
            Treat a missing price as a bar at which the asset does not trade.
        adjusted : bool, optional
            With both a close and an adjusted close: True scales all prices to the adjusted close,
            False ignores it; the default is True unless dividends are given.
        exchange : str, optional
            Such as XNYS: bars must be on each of its sessions, on no other day (extra `calendars`).
        members : DataFrame of bool, optional
            Dates by assets; a row counts until the next one.

        Raises
        ------
        DataError
            Data that are not clearly prices; dates that do not increase; prices that are missing or
            not above zero. The message names the row and the column.
        """
        flag("allow_halts", allow_halts)
        flag("adjusted", adjusted)
        if not isinstance(asset, str):
            raise InputError(f"asset = {asset!r}: must be a name")
        if isinstance(prices, cls):
            if adjusted is not None and adjusted != prices.adjusted:
                raise InputError(
                    f"adjusted = {adjusted!r}: this panel has been read already; it is "
                    "said where its prices are read"
                )
            panel = (
                prices
                if allow_halts is None or allow_halts == prices.allow_halts
                else replace(prices, allow_halts=allow_halts)
            )
        elif isinstance(prices, str | Path):
            panel = cls.read(
                prices,
                asset=asset if asset != "asset" else None,
                allow_halts=allow_halts,
                adjusted=adjusted,
            )
        else:
            panel = cls._from_tables(
                readers.tables(prices, name=asset, adjusted=adjusted), allow_halts=bool(allow_halts)
            )
        if exchange is not None:
            check_calendar(panel.dates, panel.timezone, exchange)
        if members is None:
            return panel
        return replace(
            panel, members=members_at(members, panel.dates, panel.assets, panel.timezone)
        )

    @classmethod
    def from_frames(cls, *, allow_halts: bool = False, **frames: Any) -> Panel:
        """From a frame or series for each of close, open, high, low, volume, splits, dividends and
        delistings, all of the same dates and assets.

        What is called `close` is taken for closes whatever its columns are called.

        Raises
        ------
        DataError, NameUnknown
            There is no `close`; frames differ in dates or assets; a name that no panel has.
        """
        for name in frames:
            if name not in ("close", *EXTRA_FIELDS):
                raise unknown("prices", name, ("close", *EXTRA_FIELDS))
        if not frames:
            raise DataError("a panel needs closes: close=frame")
        return cls._from_tables(readers.tables(frames), allow_halts=allow_halts)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        asset: str | None = None,
        allow_halts: bool | None = None,
        adjusted: bool | None = None,
    ) -> Panel:
        """From a Parquet or CSV file, in any shape that `of` takes; what `to_parquet` wrote
        comes back as it was.
        """
        path = Path(path)
        frame = files.read_file(path)
        kept: Mapping[str, Any] = frame.attrs.get("gpuquant", {})
        belongs = frame.pop("member") if kept.get("members") else None
        result = readers.tables(frame, name=asset or path.name.split(".")[0], adjusted=adjusted)
        panel = cls._from_tables(
            result,
            allow_halts=bool(
                kept.get("allow_halts", False) if allow_halts is None else allow_halts
            ),
            adjusted=kept.get("adjusted"),
        )
        if belongs is None:
            return panel
        return replace(panel, members=belongs.to_numpy().reshape(panel.close.shape))

    @classmethod
    def _from_tables(
        cls, result: readers.Tables, *, allow_halts: bool, adjusted: bool | None = None
    ) -> Panel:
        arrays = {
            name: np.ascontiguousarray(frame.to_numpy(dtype=np.float64))
            for name, frame in result.frames.items()
        }
        close = result.frames["close"]
        known = result.adjusted if adjusted is None else adjusted
        return cls(
            dates=close.index.to_numpy(),
            assets=tuple(close.columns),
            allow_halts=allow_halts,
            timezone=result.timezone,
            adjusted=known,
            **arrays,
        )

    @property
    def bars(self) -> int:
        """Number of dates."""
        return len(self.dates)

    def __repr__(self) -> str:
        return words_in_a_line(self)

    def _repr_html_(self) -> str:
        return f"{words_in_html(self)}{self.to_frame().iloc[[0, -1]].to_html(max_cols=12)}"

    def to_frame(self) -> pd.DataFrame:
        """Closes as a frame."""
        import pandas as pd

        return pd.DataFrame(self.close, index=self.index, columns=list(self.assets))

    def to_parquet(self, path: str | Path) -> None:
        """Write the prices; `Panel.read` reads them back. With closes alone the file has a
        column for each asset, otherwise a row for each date and asset.
        """
        write_frame(panel_frame(self), path)

    def between(self, first: Any = None, last: Any = None) -> Panel:
        """The panel from `first` to `last`, both included, in local time; a date without a time
        means the whole day.
        """
        return self.rows(np.flatnonzero(within(self.clock, first, last, self.timezone)))

    def rows(self, rows: Any) -> Panel:
        """The panel of these bars.

        Raises
        ------
        InputError
            They are no bars of the panel.
        """
        try:
            dates = self.dates[rows]
        except (IndexError, TypeError) as failure:
            raise InputError(
                f"rows = {rows!r}: must be a slice, or an array of bars from 0 to {self.bars - 1}"
            ) from failure
        more = {name: values[rows] for name, values in self._fields().items()}
        return self._of(self.close[rows], dates, self.assets, more)

    def replaced(self, close: np.ndarray, more: Mapping[str, np.ndarray]) -> Panel:
        """The panel of the same dates and assets with other prices."""
        belongs = {} if self.members is None else {"members": self.members}
        return self._of(close, self.dates, self.assets, {**more, **belongs})

    def _of(
        self,
        close: np.ndarray,
        dates: np.ndarray,
        assets: tuple[str, ...],
        more: Mapping[str, np.ndarray],
    ) -> Panel:
        return Panel(
            close,
            dates,
            assets,
            allow_halts=self.allow_halts,
            timezone=self.timezone,
            adjusted=self.adjusted,
            **more,
        )

    def columns(self, names: slice) -> Panel:
        """The panel of these assets, its ticks those of the whole."""
        if not isinstance(names, slice):
            raise InputError(
                f"names = {names!r}: must be a slice of the {len(self.assets)} assets, "
                "such as slice(0, 1)"
            )
        cut = self._of(
            self.close[:, names],
            self.dates,
            self.assets[names],
            {k: v[:, names] for k, v in self._fields().items()},
        )
        tick, exact = self.tick
        cut.__dict__["tick"] = (tick[names] if isinstance(tick, np.ndarray) else tick, exact)
        return cut

    def extra_fields(self) -> dict[str, np.ndarray]:
        """What the panel holds besides its closes."""
        return {
            name: getattr(self, name) for name in EXTRA_FIELDS if getattr(self, name) is not None
        }

    def _fields(self) -> dict[str, np.ndarray]:
        """Every array besides the closes."""
        more = self.extra_fields()
        return more if self.members is None else {**more, "members": self.members}

    def asset(self, name: str) -> int:
        """The column of an asset."""
        if name not in self.assets:
            raise unknown("asset", name, self.assets)
        return self.assets.index(name)

    def to_device(self, device: str | Device = "auto") -> DevicePanel:
        """The panel's arrays on a device; they go up the first time and stay."""
        device = resolve_device(device)
        if device.name not in self._on:
            self._on[device.name] = on_device(self, device)
        return self._on[device.name]
