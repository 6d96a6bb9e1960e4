"""Scenarios: sets of market shocks, historical or on a grid, with what is held fixed said by
name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.arguments import whole_number
from gpuquant.data.market import Market
from gpuquant.data.panel import Panel
from gpuquant.errors import DataError, InputError, NameUnknown, unknown
from gpuquant.pricing.schema import market_columns
from gpuquant.shown import Shown

SHOCKED = ("spot", "volatility", "rate", "dividend_yield")
RELATIVE = ("spot",)


@dataclass(frozen=True)
class Scenarios(Shown):
    """A list of shocks; each maps a column to (relative, absolute), or to one such pair per
    underlying.

    Attributes
    ----------
    shocks : sequence of mappings
    labels : sequence of str
    overlap : int
        One plus the number of bars by which neighbouring scenarios overlap; 1 for independent
        scenarios.
    complete : bool
        True: a shock by underlying must name every underlying of the book, as history does. False:
        an underlying that the shock does not name keeps its value, as in a stress of one stock.

    Examples
    --------
    >>> from gpuquant import Scenarios
    >>> len(Scenarios([{"spot": {"AAPL": (-0.3, 0.0)}}], ["AAPL falls"]))
    1
    """

    shocks: Sequence[Mapping[str, Any]]
    labels: Sequence[str]
    overlap: int = 1
    complete: bool = False

    def _shown(self) -> dict[str, str]:
        moved = sorted({column for shock in self.shocks for column in shock})
        labels = list(self.labels)
        return {
            "shocks": f"{len(self):,} of {', '.join(moved)}",
            "labels": f"{labels[0]} to {labels[-1]}",
        }

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.shocks):
            raise InputError(
                f"{len(self.labels)} labels for {len(self.shocks)} shocks: must be one for each"
            )
        if not len(self.shocks):
            raise InputError("scenarios need at least one move, such as {'spot': (-0.1, 0.0)}")
        for move, label in zip(self.shocks, self.labels, strict=True):
            if not isinstance(move, Mapping):
                raise InputError(
                    f"scenario {label!r} = {move!r}: must map a column to (relative, "
                    "absolute), or to one such pair by underlying"
                )
            for column, change in move.items():
                for name, pair in change.items() if isinstance(change, Mapping) else [("", change)]:
                    _check_pair(
                        pair, f"scenario {label!r}, {column}{f' of {name}' if name else ''}"
                    )

    def __len__(self) -> int:
        return len(self.shocks)

    @classmethod
    def historical(
        cls, prices: Any, *, horizon: int = 1, hold: Sequence[str], window: int = 500
    ) -> Scenarios:
        """The relative price moves of every `horizon` bars of history, all assets together.

        Parameters
        ----------
        prices : Panel, frame or path
        horizon : int
            Length of a move in bars; neighbouring moves overlap.
        hold : sequence of str
            The columns that price history says nothing about: volatility, rate and dividend_yield.
            All three must be named, and the scenarios hold them fixed.
        window : int
            Number of the most recent moves to use.
        """
        panel = Panel.of(prices)
        whole_number("horizon", horizon, 1, panel.bars - 1)
        whole_number("window", window)
        for name in [hold] if isinstance(hold, str) else hold:
            if name not in SHOCKED[1:]:
                raise unknown("held column", name, SHOCKED[1:])
        silent = [
            name
            for name in SHOCKED
            if name not in ([hold] if isinstance(hold, str) else hold) and name != "spot"
        ]
        if silent:
            raise InputError(
                "history holds prices alone: name what stays fixed in hold=[...]; "
                f"missing: {', '.join(silent)}"
            )
        shocks = panel.total_return_index[horizon:] / panel.total_return_index[:-horizon] - 1.0
        kept = range(max(len(shocks) - window, 0), len(shocks))
        rows = [
            {"spot": {asset: (float(shocks[t, j]), 0.0) for j, asset in enumerate(panel.assets)}}
            for t in kept
        ]
        return cls(
            rows,
            [str(panel.clock[t + horizon].astype("datetime64[D]")) for t in kept],
            horizon,
            complete=True,
        )

    @classmethod
    def grid(cls, **changes: Sequence[float]) -> Scenarios:
        """Every combination of changes: relative for spot, absolute for volatility, rate and
        dividend_yield.
        """
        for name, values in changes.items():
            if name not in SHOCKED:
                raise NameUnknown(
                    f"{unknown('scenario column', name, SHOCKED)}; of one underlying: "
                    f"Scenarios([{{'spot': {{'AAPL': (-0.1, 0.0)}}}}], ['AAPL falls'])"
                )
            try:
                finite = len(values) > 0 and bool(
                    np.isfinite(np.asarray(values, dtype=float)).all()
                )
            except (TypeError, ValueError):
                raise InputError(f"{name} = {values!r}: must be a list of finite numbers") from None
            if not finite:
                raise InputError(f"{name} = {list(values)!r}: must be finite numbers, at least one")
            if name in RELATIVE and min(values) <= -1.0:
                raise InputError(f"{name} = {min(values)}: a relative move must be above -1")
        if not changes:
            raise InputError("a grid needs at least one column, such as spot=[-0.1, 0.0, 0.1]")
        rows, labels = [], []
        for combination in itertools.product(*changes.values()):
            rows.append(
                {
                    n: (float(v), 0.0) if n in RELATIVE else (0.0, float(v))
                    for n, v in zip(changes, combination, strict=True)
                }
            )
            labels.append(
                ", ".join(f"{n} {v:+.4g}" for n, v in zip(changes, combination, strict=True))
            )
        return cls(rows, labels)

    def check(
        self, underlyings: Iterable[str], market: Market, read: set[str] | None = None
    ) -> None:
        """Refuse names that neither the book nor the market has: a shock of such a name would
        silently have no effect.

        Raises
        ------
        NameUnknown
            No model reads the column from a market, or neither the book nor the market has the
            underlying.
        DataError
            The history lacks an underlying of the book.
        """
        held = set(underlyings)
        columns, names = market_columns(), held | set(market.underlyings)
        for move in self.shocks:
            for column, change in move.items():
                if column not in columns:
                    raise unknown("scenario column", column, columns)
                if read is not None and column not in read:
                    raise InputError(
                        f"a scenario moves {column}, which no position of the book reads: "
                        "it would lose nothing, unsaid"
                    )
                if not isinstance(change, Mapping):
                    continue
                for name in change:
                    if not self.complete and name not in names:
                        raise unknown(f"underlying in a scenario of {column}:", name, names)
                absent = (
                    sorted(name for name in held if name not in change) if self.complete else []
                )
                if absent:
                    raise DataError(
                        f"the scenarios have no history of the underlying {absent[0]!r}: "
                        "its price would stand still unsaid"
                    )

    def markets(self, market: Market) -> list[Market]:
        """The market under each shock."""
        return [market.shocked_by(shock) for shock in self.shocks]


def _check_pair(pair: Any, name: str) -> None:
    """Refuse a change that is not (relative, absolute), both finite, the relative one above -1."""
    try:
        relative, absolute = (float(x) for x in pair)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} = {pair!r}: must be a pair (relative, absolute), such as (-0.1, 0.0)"
        ) from None
    if not (np.isfinite(relative) and np.isfinite(absolute) and relative > -1.0):
        raise InputError(f"{name} = {pair!r}: must be finite, the relative change above -1")
