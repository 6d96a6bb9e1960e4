"""The bias of a scheme, told by paths on two grids and removed.

A scheme of weak order p whose steps have the length h errs by c h^p, and a little more. Paths on
the grid of a run and on one of steps half as long tell

    d = E[Y(h/2)] - E[Y(h)],    so that    E[Y] = E[Y(h)] + d / (1 - 2^-p)    nearly

(Talay and Tubaro, 1990). Both grids have the same draws: a step of the coarse grid has the sum of
the normals of the two steps of the fine one, and uniforms that are large, or small, where theirs
are. So d has a small variance, and a share of the paths tells it. The error holds what is left
where the order is lower than stated by a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gpuquant.pricing.kernels.launch import Launch, Rows
from gpuquant.pricing.kernels.launches import Launches
from gpuquant.pricing.kernels.records import Variants

WATCHED_ORDER = 1.0  # at most, where the payoff watches between the steps
LEFT = 0.25  # of what is removed: what may be left
SHARE, LEAST = 16, 256  # one path in so many is coupled at first, and the fewest of a row
MOST = 8  # coupled paths for each of the run's, which may err less by their draws
COST = 2.5  # of a coupled path, in paths of the run: three walks that share their draws


class Bias(NamedTuple):
    """What a scheme adds to each output, the standard error of this estimate, and what may be left
    after it is removed; each of shape (n, outputs).
    """

    size: np.ndarray
    error: np.ndarray
    left: np.ndarray


def first_share(paths: np.ndarray) -> np.ndarray:
    """How many paths are coupled at first beside so many, shape (n,)."""
    return np.asarray(np.minimum(np.maximum(paths // SHARE, LEAST), paths))


def best_share(
    coupled: np.ndarray, bias_error: np.ndarray, paths: np.ndarray, error: np.ndarray
) -> np.ndarray:
    """How many coupled paths take the least time for the error of both, shape (n,). With them the
    time and the variance of `paths` grow by the same share.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = bias_error / error * np.sqrt(coupled / paths)  # of the deviations of one path
        best = np.nan_to_num(ratio / np.sqrt(COST), nan=0.0, posinf=0.0)
    return np.clip(best * paths, coupled, MOST * paths).astype(np.int64)


@dataclass(frozen=True)
class Extrapolation:
    """Coupled paths of some rows.

    Parameters
    ----------
    launch : Launches
        On the grid of half the steps. Their outputs are fine less coarse.
    order : float
        Weak order of the scheme.
    """

    launch: Launches
    order: float

    @classmethod
    def of(cls, launch: Launches) -> Extrapolation:
        """The extrapolation of what is simulated, whose scheme is not exact."""
        order = launch.pair.model.weak_order
        if launch.pair.bridged:
            order = min(order, WATCHED_ORDER)
        rows = replace(launch.rows, grid=launch.grid.refined())
        return cls(launch.each(lambda one: _coupled(one, rows)), order)

    def bias(self, coupled: np.ndarray, betas: np.ndarray, purpose: int) -> Bias:
        """The bias by so many coupled paths of each row, in the units of the launch's outputs."""
        moved, error, *_ = self.launch.run(coupled, betas, purpose)
        whole = 1.0 / (1.0 - 0.5**self.order)
        return Bias(-whole * moved, whole * error, LEFT * whole * np.abs(moved))


def _coupled(launch: Launch, rows: Rows) -> Launch:
    """The launch on two grids: fine less coarse; `rows` have the fine one."""
    pair, one = launch.pair, launch.variants
    scale, spot, shift, later = (np.concatenate([part, part]) for part in one[:4])
    weights = np.concatenate([one.weights, -one.weights], axis=1)
    return Launch(
        # random draws: the difference is too rough for Sobol points
        replace(pair, coupled=True, variants=2 * pair.variants, sobol=False),
        rows,
        Variants(scale, spot, shift, later, one.slopes, weights),
    )
