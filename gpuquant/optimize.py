"""Optimisation: holdings that lower a book's tail risk, by linear programming or by any estimator of weights."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import DataError, InputError, missing, unknown

if TYPE_CHECKING:
    import pandas as pd

OBJECTIVES = ("expected_shortfall",)


@dataclass(frozen=True)
class Optimized:
    """Holdings before and after, one row per varied position; `before` and `after` hold the book's objective."""

    frame: pd.DataFrame
    before: float
    after: float
    meta: dict[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))


def minimum_expected_shortfall(unit_pnl: np.ndarray, fixed: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Multiples of the varied positions that minimise the book's expected shortfall.

    min a + sum_s max(-fixed_s - sum_j x_j u_sj - a, 0) / ((1 - level) S), with the net value of the varied positions kept and their gross
    value not above today's (Rockafellar and Uryasev, 2000, eq. 17).

    Parameters
    ----------
    unit_pnl : array, shape (scenarios, positions)
        Profit and loss of each varied position as held today.
    fixed : array, shape (scenarios,)
        Of the rest of the book.
    values : array, shape (positions,)
        Market value of the varied positions today.
    """
    if importlib.util.find_spec("cvxpy") is None:
        raise missing("cvxpy", "opt")
    cp: Any = importlib.import_module("cvxpy")  # its types are not worth having

    scenarios = len(fixed)
    scale = max(float(np.abs(unit_pnl).max()), float(np.abs(fixed).max()), 1e-12)
    x, a, tail = cp.Variable(len(values)), cp.Variable(), cp.Variable(scenarios, nonneg=True)
    loss = -(fixed / scale) - (unit_pnl / scale) @ x
    gross = float(np.abs(values).sum())
    constraints = [tail >= loss - a, (values / gross) @ x == float(values.sum()) / gross, cp.norm1(cp.multiply(values / gross, x)) <= 1.0]
    problem = cp.Problem(cp.Minimize(a + cp.sum(tail) / ((1.0 - level) * scenarios)), constraints)
    problem.solve(solver=cp.CLARABEL)
    if x.value is None:
        raise DataError(f"the optimisation found no solution: {problem.status}")
    return np.asarray(x.value)


def optimize(risk: Any, positions: list[str], *, objective: Any, level: float = 0.975) -> Optimized:
    """Vary `positions` of a book to lower its risk.

    Parameters
    ----------
    risk : Risk
        Profits and losses of every position in every scenario.
    positions : list of str
        Columns of `risk.pnl` whose size may change.
    objective : str or estimator
        expected_shortfall, or any object with `fit(returns)` and `weights_` (skfolio's, for example): its weights spread the value of
        the varied positions.
    """
    import pandas as pd

    from gpuquant.measures import expected_shortfall

    if not positions:
        raise InputError("there is nothing to vary: the book holds no such position")
    unit = risk.pnl[positions].to_numpy()
    values = risk.value[positions].to_numpy()
    if not np.abs(values).sum() > 0:
        raise InputError("the varied positions are worth nothing: there is no value to spread")
    if np.isnan(risk.total).any():
        raise DataError("a scenario has no value: its positions cannot be optimised")
    fixed = risk.total - unit.sum(axis=1)
    if hasattr(objective, "fit"):
        objective.fit(pd.DataFrame(unit / values, columns=positions))
        multiples = np.asarray(objective.weights_) * values.sum() / values
        name = type(objective).__name__
    elif objective in OBJECTIVES:
        multiples, name = minimum_expected_shortfall(unit, fixed, values, level), str(objective)
    else:
        raise unknown("objective", objective, OBJECTIVES)
    frame = pd.DataFrame({"position": positions, "value": values, "multiple": multiples, "new_value": values * multiples})
    before, after = expected_shortfall(risk.total, level), expected_shortfall(fixed + unit @ multiples, level)
    return Optimized(frame, before, after, {"objective": name, "level": level, "scenarios": len(unit)})
