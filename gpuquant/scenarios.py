"""Scenarios: sets of market moves, historical or on a grid, with what is held fixed said by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.errors import DataError, InputError, unknown
from gpuquant.market import Market
from gpuquant.panel import Panel

MOVED = ("spot", "volatility", "rate", "dividend_yield")
RELATIVE = ("spot",)


@dataclass(frozen=True)
class Scenarios:
    """A list of moves; each maps a column to (relative, absolute), or to one such pair per underlying.

    Attributes
    ----------
    moves : sequence of mappings
    labels : sequence of str
    historical_span : int
        Bars by which neighbouring scenarios overlap plus one; 1 when they are independent.
    """

    moves: Sequence[Mapping[str, Any]]
    labels: Sequence[str]
    overlap: int = 1

    def __len__(self) -> int:
        return len(self.moves)

    @classmethod
    def historical(cls, prices: Any, *, horizon: int = 1, hold: Sequence[str], last: int = 500) -> Scenarios:
        """The relative price moves of every `horizon` bars of history, all assets together.

        Parameters
        ----------
        prices : Panel, frame or path
        horizon : int
            Bars of a move; neighbouring moves overlap.
        hold : sequence of str
            What history does not move and the scenarios hold fixed: volatility, rate and dividend_yield must be named.
        last : int
            The most recent moves that are used.
        """
        panel = Panel.of(prices)
        if not isinstance(horizon, int) or not 1 <= horizon < panel.bars:
            raise InputError(f"horizon = {horizon!r}: must be a whole number from 1 to {panel.bars - 1} bars")
        for name in hold:
            if name not in MOVED[1:]:
                raise unknown("held column", name, MOVED[1:])
        silent = [name for name in MOVED if name not in hold and name != "spot"]
        if silent:
            raise InputError(f"history holds prices alone: name what stays fixed in hold=[...]; missing: {', '.join(silent)}")
        moves = panel.total_return_index[horizon:] / panel.total_return_index[:-horizon] - 1.0
        kept = range(max(len(moves) - last, 0), len(moves))
        rows = [{"spot": {asset: (float(moves[t, j]), 0.0) for j, asset in enumerate(panel.assets)}} for t in kept]
        return cls(rows, [str(panel.clock[t + horizon].astype("datetime64[D]")) for t in kept], horizon)

    @classmethod
    def grid(cls, **changes: Sequence[float]) -> Scenarios:
        """Every combination of changes: relative for spot, absolute for volatility, rate and dividend_yield."""
        for name, values in changes.items():
            if name not in MOVED:
                raise unknown("scenario column", name, MOVED)
            try:
                finite = len(values) > 0 and bool(np.isfinite(np.asarray(values, dtype=float)).all())
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
            rows.append({n: (float(v), 0.0) if n in RELATIVE else (0.0, float(v)) for n, v in zip(changes, combination, strict=True)})
            labels.append(", ".join(f"{n} {v:+.4g}" for n, v in zip(changes, combination, strict=True)))
        return cls(rows, labels)

    def check(self, underlyings: Iterable[str]) -> None:
        """Refuse a history that lacks an underlying of the book: its price would stand still and nobody would know."""
        spots = self.moves[0].get("spot")
        if isinstance(spots, Mapping):
            absent = sorted(name for name in underlyings if name not in spots)
            if absent:
                raise DataError(f"the scenarios have no history of the underlying {absent[0]!r}: its price would stand still unsaid")

    def markets(self, market: Market) -> list[Market]:
        """The market under each move."""
        return [market.shocked_by(move) for move in self.moves]
