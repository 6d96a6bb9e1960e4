"""Directions of derivatives: which columns of a row one bump moves, and how far."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import TYPICAL, Bumps, clocks_of


class Move(NamedTuple):
    """How one bump moves a column.

    Parameters
    ----------
    how : str
        spot: by a share that is the row's own bump of the spot; scale: by the share `size`;
        variance: as the square of a volatility that moves by the share size / 2; shift: by `size`;
        later: by `size` times the years to the row's first date.
    column : str
    size : float
    asset : int
        Of a list column: which number moves, from 1; 0 for all.
    """

    how: str
    column: str
    size: float
    asset: int = 0


class Direction(NamedTuple):
    """A direction.

    Parameters
    ----------
    kind : str
        spot, volatility, rate, dividend, time, or column.
    asset : int
        Whose spot or volatility, from 1; 0 where there is one asset.
    column : str
        Which column of the model or the payoff.
    """

    kind: str
    asset: int = 0
    column: str = ""

    def moves(self, model: type[Model], payoff: type[Payoff], bumps: Bumps) -> list[Move]:
        """What one bump moves; empty where the row has no such direction."""
        own = domains(model)
        if self.kind == "time":  # all dates come nearer by the same time
            return [Move("later", name, -bumps.maturity) for name in clocks_of(model, payoff)]
        if self.kind == "column":
            return _of_column(self.column, model, payoff, bumps)
        if self.kind == "spot":
            name = "spots" if self.asset else "spot"
            return [Move("spot", name, 1.0, self.asset)] if name in own else []
        if self.kind in ("rate", "dividend"):
            name = model.rate_column if self.kind == "rate" else model.dividend_column
            return [Move("shift", name, bumps.rate)] if name in own else []
        if self.asset:
            several = "volatilities" in own and model.assets != 1
            move = Move("scale", "volatilities", bumps.volatility, self.asset)
            return [move] if several else []
        how = "variance" if model.vega_is_variance else "scale"
        return [
            Move("shift", name, bumps.volatility * TYPICAL)
            if own[name].listed
            else Move(how, name, bumps.volatility)
            for name in model.variance_columns or (model.vega_column,)  # move in proportion
            if name in own
        ]

    def size(self, model: Model, payoff: Payoff, bumps: Bumps, first: np.ndarray) -> Any:
        """The size of one bump, in the unit of what the first of its moves moves, per row; NaN
        where the row has no such direction. `first` are the years to each row's first date.
        """
        moves = self.moves(type(model), type(payoff), bumps)
        if not moves:
            return np.full(1, np.nan)
        how, column, size, asset = moves[0]
        if how == "later":
            return -size * first
        if how == "shift":
            return size
        value = {**model.columns(), **payoff.columns()}[column]
        if asset:
            value = value[:, asset - 1] if asset <= value.shape[1] else np.full(1, np.nan)
        if how == "variance":  # its root is the volatility
            return 0.5 * size * np.sqrt(value)
        return (bumps.spot if how == "spot" else size) * value


def _of_column(name: str, model: type[Model], payoff: type[Payoff], bumps: Bumps) -> list[Move]:
    """The move of one column of numbers: a price by the bump of the spot, what is positive by a
    share of itself, another number by an absolute bump. Empty where there is no such column, where
    it is a time (the dates of a payoff would not follow), and where other columns are derived from
    the member's.
    """
    for member in (model, payoff):
        every = domains(member)
        domain = every.get(name)
        if domain is None:
            continue
        plain = not (domain.words or domain.whole or domain.listed or domain.host_only)
        derived = any(one.derived for one in every.values())
        if not plain or derived or name in clocks_of(model, payoff):
            return []
        if name in ("spot", "strike", *payoff.levels):
            return [Move("spot", name, 1.0)]
        if domain.low >= 0.0:
            return [Move("scale", name, bumps.volatility)]
        return [Move("shift", name, bumps.rate)]
    return []
