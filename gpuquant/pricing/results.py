"""Results: frozen records of columns with their `meta`, brought to a frame once.

A result keeps numbers as arrays; `frame` puts them beside the caller's rows with the caller's
index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpuquant.data.arrow import Words, objects, table, write_table
from gpuquant.errors import DataError
from gpuquant.pricing.greeks import GREEKS, IMPLIED

if TYPE_CHECKING:
    import pandas as pd

OK, WARNING, FAILED = 0, 1, 2


class Solution(NamedTuple):
    """What an engine that needs no paths finds for rows.

    Parameters
    ----------
    values, errors : float64 arrays, shape (n, outputs)
        Prices and Greeks, and their errors, which may be one number.
    notes : object array, shape (n,), optional
        A sentence about a row, empty for most.
    """

    values: np.ndarray
    errors: np.ndarray | float = 0.0
    notes: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Solution:
        """What it finds for these of its rows."""
        errors = self.errors if isinstance(self.errors, float) else self.errors[rows]
        return Solution(self.values[rows], errors, None if self.notes is None else self.notes[rows])


STATUS = np.array(["ok", "warning", "failed"], dtype=object)
RESULT_COLUMNS = (
    "price",
    "std_error",
    "value",
    "engine",
    "status",
    "message",
    "paths",
    *GREEKS,
    *(f"{name}_std_error" for name in GREEKS),
    IMPLIED,
    f"{IMPLIED}_std_error",
)


@dataclass(frozen=True, repr=False)
class Priced:
    """Prices of contracts, one row each, in the caller's order.

    Attributes
    ----------
    columns : dict of arrays, shape (n,)
        `price`, `std_error` (0 for closed forms, NaN where unknown), Greeks when asked for, `value`
        = price x quantity x multiplier, `engine`, `status` (ok, warning, failed), `message`.
    source : dict
        The caller's own columns.
    index : object
        The caller's index, or None.
    meta : dict
        device, precision, seed, paths, seconds, joules, versions.
    """

    columns: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)
    index: Any = None
    meta: dict[str, Any] = field(default_factory=dict)
    scalar: bool = False
    partial: bool = False

    def _values(self, name: str) -> Any:
        values = self.columns[name]
        return values.tolist()[0] if self.scalar else values

    @property
    def price(self) -> Any:
        """Price per unit: a float for one contract, else shape (n,)."""
        return self._values("price")

    @property
    def std_error(self) -> Any:
        """One standard error of the price."""
        return self._values("std_error")

    @property
    def value(self) -> Any:
        """Price x quantity x multiplier: a float for one contract, else shape (n,)."""
        return self._values("value")

    def __getattr__(self, name: str) -> Any:
        columns = self.__dict__.get("columns", {})
        if name in columns:
            return self._values(name)
        raise AttributeError(f"{name!r}: this result has {', '.join(columns)}")

    @property
    def failed(self) -> np.ndarray:
        """Positions of the rows without a price."""
        return np.flatnonzero(self.columns["status"] == "failed")

    @property
    def total(self) -> float:
        """Sum of the values; NaN when a row failed, unless `partial=True` was asked for."""
        currencies = self.source.get("currency")
        if isinstance(currencies, Words) and len(np.unique(currencies.codes)) > 1:
            raise DataError(
                f"the book holds {', '.join(map(str, currencies.words))}: a total needs "
                "one currency; group `frame` by it"
            )
        values = self.columns["value"]
        if self.failed.size and not self.partial:
            return float("nan")
        return float(np.nansum(values))

    @property
    def frame(self) -> pd.DataFrame:
        """The caller's rows, order and index, and the results beside them."""
        import pandas as pd

        everything = {**self.source, **self.columns}
        return pd.DataFrame({k: objects(v) for k, v in everything.items()}, index=self.index)

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def to_parquet(self, path: str | Path) -> None:
        """Write the caller's rows and the results, whole and with a checksum for every page;
        without pandas, so that the shell stays quick.
        """
        write_table(table({**self.source, **self.columns}), path)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        meta = ", ".join(
            f"{k}: {v}"
            for k, v in self.meta.items()
            if k in ("device", "precision", "seed", "seconds", "joules")
        )
        return f"{self.frame.head(20).to_html()}<p>{len(self.columns['price'])} rows; {meta}</p>"

    def plot(self, x: str = "strike", y: str = "price", ax: Any = None) -> Any:
        """A result column against a contract column, with bars of two standard errors."""
        from gpuquant.reporting.plots import price_plot

        return price_plot(self.frame, x, y, ax)

    def _totals(self) -> list[str]:
        currencies = self.source.get("currency")
        if not isinstance(currencies, Words) or len(np.unique(currencies.codes)) == 1:
            money = (
                f" {currencies.words[0]}"
                if isinstance(currencies, Words) and len(currencies.words)
                else ""
            )
            return [f"total value: {self.total:,.2f}{money}"]
        names, values = currencies.array(), self.columns["value"]
        kinds = sorted(set(names.tolist()), key=str)
        add = np.nansum if self.partial else np.sum
        return [f"total value in {kind}: {add(values[names == kind]):,.2f}" for kind in kinds]

    def summary(self) -> str:
        """One paragraph: how many rows, by engine and status, the total, and what it took."""
        status, counts = np.unique(self.columns["status"].astype(str), return_counts=True)
        engines, by = np.unique(self.columns["engine"].astype(str), return_counts=True)
        rows = len(self.columns["price"])
        seconds = self.meta.get("seconds", float("nan"))
        lines = [
            (
                f"{rows} contracts in {seconds:.3g} s on {self.meta.get('device')} "
                f"({rows / max(seconds, 1e-9):,.0f} a second)"
            ),
            "engine: " + ", ".join(f"{k} {n}" for k, n in zip(engines, by, strict=True) if k),
            "status: " + ", ".join(f"{k} {n}" for k, n in zip(status, counts, strict=True)),
        ]
        if self.failed.size:
            first = ", ".join(map(str, self.failed[:10])) + (
                " ..." if self.failed.size > 10 else ""
            )
            lines.append(f"failed rows: {first}; the total over them is NaN unless partial=True")
        return "\n".join([*lines, *self._totals()])
