"""Market: spots, rates, yields, volatilities and model parameters by underlying, as read from
`market.toml`.

A value for an underlying replaces the value for the whole market. A value in a model's own table
(`[AAPL.heston]`) replaces both.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import disk
from gpuquant.data.arrow import read_frame
from gpuquant.errors import DataError, InputError
from gpuquant.shown import Shown

BAD = "a market value is a number, or the file of a volatility surface"


@dataclass(frozen=True)
class Surface:
    """Implied volatilities on a rectangle of strikes and maturities, linear in strike and in total
    variance over time.

    Parameters
    ----------
    strikes, maturities : array
        Increasing; strikes in currency units, maturities in years.
    volatilities : array, shape (maturities, strikes)
        Per square root of a year. Outside the rectangle the nearest edge holds.
    """

    strikes: np.ndarray
    maturities: np.ndarray
    volatilities: np.ndarray

    @property
    def smiles(self) -> bool:
        """Whether a volatility depends on its strike."""
        return bool(np.ptp(self.volatilities, axis=1).any())

    @classmethod
    def read(cls, path: Path) -> Surface:
        """From a Parquet or CSV table with columns strike, maturity and volatility, one row per
        node.
        """
        import pandas as pd

        disk.present(path, "volatility surface")
        try:
            frame = read_frame(path) if path.suffix == ".parquet" else pd.read_csv(path)
        except (OSError, ValueError) as failure:
            raise DataError(
                f"volatility surface {path} cannot be read: {str(failure).splitlines()[0]}"
            ) from failure
        absent = {"strike", "maturity", "volatility"} - set(frame)
        if absent:
            raise DataError(f"volatility surface {path} lacks the column {sorted(absent)[0]!r}")
        try:
            grid = frame.astype(float).pivot(
                index="maturity", columns="strike", values="volatility"
            )
        except (TypeError, ValueError) as failure:
            raise DataError(f"volatility surface {path}: {failure}") from failure
        if grid.isna().to_numpy().any() or (grid.to_numpy() <= 0).any():
            raise DataError(
                f"volatility surface {path}: needs one positive volatility for every pair "
                "of strike and maturity"
            )
        return cls(grid.columns.to_numpy(float), grid.index.to_numpy(float), grid.to_numpy(float))

    def at(self, strike: np.ndarray, maturity: np.ndarray) -> np.ndarray:
        """Volatility at each (strike, maturity)."""
        strike = np.clip(strike, self.strikes[0], self.strikes[-1])
        inside = np.clip(maturity, self.maturities[0], self.maturities[-1])
        row = np.clip(
            np.searchsorted(self.maturities, inside) - 1, 0, max(len(self.maturities) - 2, 0)
        )
        col = np.clip(np.searchsorted(self.strikes, strike) - 1, 0, max(len(self.strikes) - 2, 0))
        down, right = (
            np.minimum(row + 1, len(self.maturities) - 1),
            np.minimum(col + 1, len(self.strikes) - 1),
        )
        across = (strike - self.strikes[col]) / np.where(
            right > col, self.strikes[right] - self.strikes[col], 1.0
        )
        along = (inside - self.maturities[row]) / np.where(
            down > row, self.maturities[down] - self.maturities[row], 1.0
        )

        def variance(line: np.ndarray) -> np.ndarray:
            vol = (
                self.volatilities[line, col] * (1 - across)
                + self.volatilities[line, right] * across
            )
            return np.asarray(vol * vol * self.maturities[line])

        return np.asarray(np.sqrt((variance(row) * (1 - along) + variance(down) * along) / inside))


@dataclass(frozen=True)
class Market(Shown):
    """What prices depend on besides the contract.

    Parameters
    ----------
    values : mapping
        As in `market.toml`: top-level numbers are for every underlying; each underlying may have a
        table of its own, with a table for each model inside.
    asof : date, optional
        Today: the time to an `expiry` date is counted from this date; a `datetime` is a time of
        day, too.
    folder : path, optional
        Folder of the file that the market was read from; files of surfaces lie in this folder.
    shocks : mapping
        The (relative, absolute) change of each column, applied to the values that `lookup` returns.
    """

    values: Mapping[str, Any]
    asof: datetime.date | None = None
    folder: Path | None = None
    shocks: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise InputError(
                f"market = {type(self.values).__name__}: must be a mapping of names to "
                "values, or the path of a file"
            )
        object.__setattr__(
            self,
            "values",
            {str(name): _plain(value, str(name)) for name, value in self.values.items()},
        )

    @classmethod
    def read(cls, path: str | Path) -> Market:
        """From a TOML file."""
        path = disk.present(path, "market file")
        try:
            values = tomllib.loads(path.read_text())
        except (ValueError, RecursionError, OSError) as failure:
            raise DataError(f"market file {path}: {failure}") from failure
        asof = values.pop("asof", None)
        if asof is not None and not isinstance(asof, datetime.date):
            raise InputError(f"market asof = {asof!r}: must be a date such as 2022-12-28")
        return cls(values, asof, path.parent)

    def write(self, path: str | Path) -> None:
        """As TOML; `Market.read` gives the same market back."""
        lines = [f"asof = {self.asof.isoformat()}"] if self.asof else []
        lines += [f"{k} = {_toml(v)}" for k, v in self.values.items() if not isinstance(v, Mapping)]
        for name, section in self.values.items():
            if isinstance(section, Mapping):
                lines += ["", f"[{_key(name)}]"] + [
                    f"{k} = {_toml(v)}" for k, v in section.items() if not isinstance(v, Mapping)
                ]
                for model, inner in section.items():
                    if isinstance(inner, Mapping):
                        lines += [f"[{_key(name)}.{_key(model)}]"] + [
                            f"{k} = {_toml(v)}" for k, v in inner.items()
                        ]
        disk.write(path, "\n".join(lines) + "\n")

    @cached_property
    def underlyings(self) -> list[str]:
        """The names with a table of their own."""
        return [name for name, value in self.values.items() if isinstance(value, Mapping)]

    def raw(self, column: str, underlying: str | None, model: str) -> Any:
        """The value of a column for one underlying and model as written, or None."""
        section = self.values.get(underlying) if underlying is not None else None
        if isinstance(section, Mapping):
            inner = section.get(model)
            for table in (inner if isinstance(inner, Mapping) else {}, section):
                if column in table:
                    return table[column]
        value = self.values.get(column)
        return None if isinstance(value, Mapping) else value

    def lookup(
        self,
        column: str,
        underlyings: Iterable[Any],
        model: str,
        strike: np.ndarray,
        maturity: np.ndarray,
        codes: np.ndarray,
    ) -> np.ndarray:
        """The column for each row, NaN where the market has none, with the shocks of a scenario
        applied.

        Row r belongs to underlying number `codes[r]`; surfaces are read at its strike and maturity.
        """
        out = np.full(len(codes), np.nan)
        for code, name in enumerate([*underlyings, None]):
            value = self.raw(column, name, model)
            if value is None:
                continue
            rows = np.flatnonzero(codes == (code if name is not None else -1))
            out[rows] = (
                self._surface(value).at(strike[rows], maturity[rows])
                if isinstance(value, str)
                else float(value)
            )
        return self.shocked(out, column, underlyings, codes)

    def smiles(self, column: str, underlyings: Iterable[Any], model: str) -> np.ndarray:
        """Whether the column of each underlying, and of none, depends on the strike."""
        values = [self.raw(column, name, model) for name in [*underlyings, None]]
        return np.array([isinstance(v, str) and self._surface(v).smiles for v in values])

    def lists(self, column: str, names: np.ndarray, model: str, maturity: np.ndarray) -> np.ndarray:
        """The column for each asset of each row's list of names, shape (n, longest), NaN where the
        market has none or a list has ended.

        A surface is read at the asset's spot.
        """
        longest = max((len(row) for row in names if row is not None), default=1)
        flat = np.array(
            [name for row in names for name in [*(row or ()), *[""] * (longest - len(row or ()))]],
            dtype=object,
        )
        words, codes = np.unique(flat.astype(str), return_inverse=True)
        at, times = np.full(len(flat), np.nan), np.repeat(maturity, longest)
        if column != "spot":
            at = self.lookup("spot", words, "", at, times, codes)
        result = np.where(flat == "", np.nan, self.lookup(column, words, model, at, times, codes))
        return np.asarray(result.reshape(len(names), longest))

    def shocked(
        self, values: np.ndarray, column: str, underlyings: Iterable[Any], codes: np.ndarray
    ) -> np.ndarray:
        """Values after this market's shocks; a shock is one pair (relative, absolute) or one per
        underlying.
        """
        change = self.shocks.get(column)
        if change is None:
            return values
        if isinstance(change, Mapping):
            pairs = np.array(
                [change.get(name, (0.0, 0.0)) for name in [*underlyings, None]], dtype=float
            )
            relative, absolute = pairs[codes, 0], pairs[codes, 1]
        else:
            relative, absolute = change
        return np.asarray(values * (1.0 + relative) + absolute)

    def _surface(self, name: str) -> Surface:
        surfaces = self.__dict__.setdefault("_surfaces", {})
        if name not in surfaces:
            surfaces[name] = Surface.read(self._beside(name))
        return surfaces[name]

    def _beside(self, name: str) -> Path:
        """The file that a market names; one that was read from a file names those beside it, and
        no others.
        """
        if self.folder is None:
            return Path(name)
        path = self.folder / name
        if Path(name).name != name or (
            path.exists() and path.resolve().parent != self.folder.resolve()
        ):
            raise DataError(
                f"the market's file names the volatility surface {name!r}: must be the "
                f"plain name of a file in {self.folder}"
            )
        return path

    def shocked_by(self, shocks: Mapping[str, Any]) -> Market:
        """The same market in a scenario."""
        return Market(self.values, self.asof, self.folder, shocks)


def _plain(value: Any, path: str) -> Any:
    """A market value as a number or text of Python's own, a table as a dict of them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, f"{path}.{name}") for name, inner in value.items()}
    plain = (
        value.item()
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
        else value
    )
    if (
        isinstance(plain, bool)
        or not isinstance(plain, int | float | str)
        or (isinstance(plain, float) and not np.isfinite(plain))
    ):
        raise InputError(f"market {path} = {value!r}: {BAD}")
    return plain


def _toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
