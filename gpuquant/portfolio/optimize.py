"""Optimisation: holdings that lower a book's tail risk, by linear programming or by any
estimator of weights.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import DataError, InputError, missing, unknown
from gpuquant.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

OBJECTIVES = ("expected_shortfall",)
MOST = 10.0  # largest multiple of a position's size today
SURE = 1e-6  # share of today's expected shortfall; a smaller sure gain is rounding


@dataclass(frozen=True)
class Optimized(Shown):
    """Holdings before and after, one row per varied position; `before` and `after` hold the
    book's objective.
    """

    frame: pd.DataFrame
    before: float
    after: float
    meta: dict[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))


def minimum_expected_shortfall(
    unit_pnl: np.ndarray, fixed: np.ndarray, values: np.ndarray, level: float
) -> np.ndarray:
    """Multiples of the varied positions that minimise the book's expected shortfall.

    min a + sum_s max(-fixed_s - sum_j x_j u_sj - a, 0) / ((1 - level) S), with every x_j from 0 to
    MOST, the net value of the varied positions kept and their gross value not above today's
    (Rockafellar and Uryasev, 2000, eq. 17): a long stays long, a short stays short.

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
    constraints = {
        "each multiple from 0": x >= 0.0,
        f"each multiple up to {MOST:g}": x <= MOST,
        "the net value of the varied positions kept": (values / gross) @ x
        == float(values.sum()) / gross,
        "the gross value of the varied positions not above today's": cp.sum(
            cp.multiply(np.abs(values) / gross, x)
        )
        <= 1.0,
    }
    problem = cp.Problem(
        cp.Minimize(a + cp.sum(tail) / ((1.0 - level) * scenarios)),
        [tail >= loss - a, *constraints.values()],
    )
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.error.SolverError as failure:
        raise DataError(f"the optimisation failed: {failure}") from failure
    if x.value is None:
        raise DataError(
            f"the optimisation is {problem.status} under its constraints: {'; '.join(constraints)}"
        )
    return np.asarray(np.clip(x.value, 0.0, MOST))


def _check(
    risk: Any, positions: list[str], unit: np.ndarray, values: np.ndarray, weighs: bool
) -> None:
    """Refuse positions without a price or without a value to spread."""
    if np.isnan(risk.total).any() or np.isnan(unit).any():
        lost = risk.failed
        raise DataError(
            f"position {lost['position'].iloc[0]!r} has no price: "
            f"{lost['message'].iloc[0]}; it cannot be optimised"
        )
    if not np.abs(values).sum() > 0:
        raise InputError("the varied positions are worth nothing: there is no value to spread")
    nothing = np.flatnonzero(values == 0.0)
    if nothing.size and weighs:
        raise InputError(
            f"position {positions[nothing[0]]!r} is worth nothing: an estimator of "
            "weights needs returns, profit over value, of each"
        )


def optimize(risk: Any, positions: list[str], *, objective: Any, level: float = 0.975) -> Optimized:
    """Vary `positions` of a book to lower its risk.

    Parameters
    ----------
    risk : Risk
        Profits and losses of every position in every scenario.
    positions : list of str
        Columns of `risk.pnl` whose size may change.
    objective : str or estimator
        expected_shortfall, or any estimator with `fit(returns)` and `weights_`, such as skfolio's.
        The weights of the estimator, divided by their sum, distribute the gross value of the
        varied positions. A long position stays long, and a short position stays short.

    Raises
    ------
    DataError
        A position has no price in a scenario or today; or no holdings meet the constraints, which
        the message names; or the best holdings gain on average even in the worst scenarios, so that
        the scenarios do not show the risk; or the estimator fails, and the message gives the cause.

    Warns
    -----
    UserWarning
        There are more positions to vary than scenarios. Holdings that look safe in so few
        scenarios may be risky.
    """
    import warnings

    import pandas as pd

    from gpuquant.measures import expected_shortfall, level_of

    if not positions:
        raise InputError("there is nothing to vary: the book holds no such position")
    level = level_of(level)
    unit = risk.pnl[positions].to_numpy()
    values = risk.value[positions].to_numpy()
    _check(risk, positions, unit, values, hasattr(objective, "fit"))
    if len(positions) > len(unit):
        warnings.warn(
            f"{len(positions)} positions over {len(unit)} scenarios: what looks safe in "
            "so few need not be; give more scenarios",
            stacklevel=3,
        )
    fixed = risk.total - unit.sum(axis=1)
    if hasattr(objective, "fit"):
        multiples, name = _spread(objective, unit, values, positions), type(objective).__name__
    elif objective in OBJECTIVES:
        multiples, name = minimum_expected_shortfall(unit, fixed, values, level), str(objective)
    else:
        raise unknown("objective", objective, OBJECTIVES)
    frame = pd.DataFrame(
        {
            "position": positions,
            "value": values,
            "multiple": multiples,
            "new_value": values * multiples,
        }
    )
    before, after = (
        expected_shortfall(risk.total, level),
        expected_shortfall(fixed + unit @ multiples, level),
    )
    if after < -SURE * max(abs(before), 1e-12):
        raise DataError(
            f"the optimum gains for sure: its {level:.1%} expected shortfall is "
            f"{after:,.4g} over {len(unit)} scenarios of {len(positions)} positions; "
            "nothing does, so give "
            "scenarios that tell the positions apart, more of them than positions"
        )
    return Optimized(
        frame, before, after, {"objective": name, "level": level, "scenarios": len(unit)}
    )


def _spread(
    estimator: Any, unit: np.ndarray, values: np.ndarray, positions: list[str]
) -> np.ndarray:
    """Multiples that distribute the gross value of the positions by an estimator's weights.

    The estimator sees profit over absolute value: a short position that gains has a return > 0.
    """
    import pandas as pd

    name = type(estimator).__name__
    try:
        estimator.fit(pd.DataFrame(unit / np.abs(values), columns=positions))
    except Exception as failure:
        raise DataError(
            f"the estimator {name} failed on {unit.shape[0]} scenarios of {unit.shape[1]} "
            f"positions: {failure}"
        ) from failure
    weights = np.asarray(getattr(estimator, "weights_", np.nan), dtype=float)
    if weights.shape != values.shape or not np.isfinite(weights).all():
        raise DataError(
            f"the estimator {name} gave weights of shape {weights.shape}: must be "
            f"{len(values)} finite numbers"
        )
    if (weights < -1e-9).any() or not weights.sum() > 0.0:
        k = int(np.argmin(weights))
        raise DataError(
            f"the estimator {name} gives {positions[k]!r} the weight {weights[k]:.4g}, "
            "which would turn it round: weights must be >= 0"
        )
    return np.asarray(
        np.maximum(weights, 0.0) / weights.sum() * np.abs(values).sum() / np.abs(values)
    )
