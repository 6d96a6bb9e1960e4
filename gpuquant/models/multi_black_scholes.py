"""Black-Scholes of several assets: correlated geometric Brownian motions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from gpuquant.data.columns import counted
from gpuquant.data.domains import (
    Column,
    boolean,
    correlation,
    derived,
    list_of,
    nonnegative,
    positive,
    real,
)
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormals


@dataclass(frozen=True)
class MultiBlackScholes(Model):
    """Lognormal prices whose Brownian motions are correlated, simulated exactly in log space.

    dS_j = (rate - dividend_yield_j) S_j dt + volatility_j S_j dW_j, d<W_j, W_k> = correlation_jk
    dt.

    Parameters
    ----------
    spots : Column of lists, shape (n, assets)
        Prices today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yields : Column of lists, shape (n, assets)
        Continuously compounded, per year. One value is for all assets; no value means 0.
    volatilities : Column of lists, shape (n, assets)
        Per square root of a year; >= 0. One value is for all assets.
    correlations : Column of lists, shape (n, assets^2)
        The correlation matrix, row by row.
    correlation : Column, shape (n,)
        Of every pair, where `correlations` is not given; within [-1, 1].
    repair : Column, shape (n,)
        True replaces a matrix with a negative eigenvalue, which is no correlation matrix, by one
        near it; False refuses it.

    Notes
    -----
    A repaired matrix has its negative eigenvalues cut to zero and its diagonal scaled back to one.

    References
    ----------
    Glasserman (2003), section 3.2.3; Imai and Tan (2006) for the first normal, which moves the mean
    of the Brownian motions as far as one can; Rebonato and Jaeckel (1999) for the repair.
    """

    spots: Column = list_of(positive(sample=100.0))
    rate: Column = real()
    dividend_yields: Column = list_of(real(sample=0.02), default=np.nan)
    volatilities: Column = list_of(nonnegative(sample=0.2))
    correlations: Column = list_of(correlation(), default=np.nan, host_only=True)
    correlation: Column = correlation(default=0.0)
    repair: Column = boolean(default=False)
    factor: Column = derived(listed=True, sample=0.5)

    normals = "spots"
    assets = "spots"
    vega_column = ""
    dividend_column = "dividend_yields"
    by_asset: ClassVar[dict[str, str]] = {
        "spots": "spot",
        "dividend_yields": "dividend_yield",
        "volatilities": "volatility",
    }

    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        root = math.sqrt(dt)
        drifts = tuple(
            (m.rate[i] - m.dividend_yields[i][j] - 0.5 * m.volatilities[i][j] ** 2) * dt
            for j in range(len(m.spots[i]))
        )
        spread = tuple(
            m.volatilities[i][k // len(m.spots[i])] * root * m.factor[i][k]
            for k in range(len(m.spots[i]) * len(m.spots[i]))
        )
        return drifts + spread, tuple(math.log(m.spots[i][j]) for j in range(len(m.spots[i])))

    @staticmethod
    def step(c, x, z, u, k):
        return tuple(
            x[j] + c[j] + sum(c[len(x) + j * len(x) + q] * z[q] for q in range(len(x)))
            for j in range(len(x))
        )

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def bridge(c, x0, x1):
        return tuple(
            0.0
            if j % 3 == 2
            else sum(
                c[len(x0) + j // 3 * len(x0) + q] * c[len(x0) + j // 3 * len(x0) + q]
                for q in range(len(x0))
            )
            for j in range(3 * len(x0))
        )

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormals:
        time = xp.atleast_1d(t)[:, None]
        forwards = m.spots * xp.exp((m.rate[:, None] - m.dividend_yields) * time)
        assets = m.spots.shape[1]
        spread = m.volatilities[:, :, None] * m.factor.reshape(len(m.factor), assets, assets)
        covariance = xp.einsum("njl,nkl->njk", spread, spread) * time[:, :, None]
        return Lognormals(
            xp.broadcast_to(m.spots, forwards.shape), forwards, covariance, xp.exp(-m.rate * t)
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> None:
        return None

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray((self.volatilities > 0.0).any(axis=1))

    def with_derived_columns(self) -> Self:
        assets = self.spots.shape[1]
        n = max(self.rows, 1)
        dividends = np.broadcast_to(
            np.nan_to_num(self.dividend_yields), (len(self.dividend_yields), assets)
        )
        volatilities = np.broadcast_to(self.volatilities, (len(self.volatilities), assets))
        factor = _turned(_cholesky(_matrices(self, assets)))
        columns = {
            **self.columns(),
            "dividend_yields": dividends,
            "volatilities": volatilities,
            "factor": factor.reshape(-1, assets * assets),
        }
        assert len(factor) in (1, n)
        return type(self).from_columns(columns)

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        assets = m.spots.shape[1]
        n = max(
            len(m.spots),
            len(m.correlations),
            len(m.correlation),
            len(m.volatilities),
            len(m.dividend_yields),
        )
        out = np.full(n, "", dtype=object)
        for name, allowed in (
            ("dividend_yields", (0, 1, assets)),
            ("volatilities", (1, assets)),
            ("correlations", (0, assets * assets)),
        ):
            wrong = ~np.isin(counted(getattr(m, name)), allowed)
            out = np.where(
                wrong & (out == ""),
                f"{name} has {counted(getattr(m, name))[0]} values where spots has {assets}",
                out,
            )
        if (out != "").any():
            return out
        given = np.isfinite(m.correlations).any(axis=1)
        matrix = _given(m.correlations, assets) if given.any() else np.eye(assets)[None]
        plain = np.abs(matrix - matrix.transpose(0, 2, 1)).max(axis=(1, 2)) > 1e-12
        plain |= np.abs(np.einsum("njj->nj", matrix) - 1.0).max(axis=1) > 1e-12
        out = np.where(
            given & plain, "correlations must be symmetric with ones on the diagonal", out
        )
        least = np.linalg.eigvalsh(_matrices(m, assets, repair=False))[:, 0]
        wrong = (least < -1e-10) & (m.repair == 0.0) & (out == "")
        for row in np.flatnonzero(np.broadcast_to(wrong, n)):
            value = float(np.broadcast_to(least, n)[row])
            out[row] = (
                f"correlations: smallest eigenvalue {value:.3g}: must be >= 0 in a "
                "correlation matrix; repair=True takes a matrix near it"
            )
        return out


def _given(flat: np.ndarray, assets: int) -> np.ndarray:
    """Matrices of the rows that have one, the identity elsewhere."""
    result = (
        flat if flat.shape[1] == assets * assets else np.full((len(flat), assets * assets), np.nan)
    )
    return np.where(
        np.isfinite(result).all(axis=1)[:, None], result, np.eye(assets).ravel()
    ).reshape(-1, assets, assets)


def _matrices(m: Any, assets: int, *, repair: bool = True) -> np.ndarray:
    """The correlation matrix of each row, shape (n, assets, assets)."""
    alike = m.correlation[:, None, None] + (1.0 - m.correlation[:, None, None]) * np.eye(assets)
    given = np.isfinite(m.correlations).any(axis=1)[:, None, None]
    matrix = np.where(given, _given(m.correlations, assets), alike) if given.any() else alike
    if repair and (m.repair != 0.0).any():
        values, vectors = np.linalg.eigh(matrix)
        cut = np.einsum("njl,nl,nkl->njk", vectors, np.maximum(values, 0.0), vectors)
        scale = 1.0 / np.sqrt(np.einsum("njj->nj", cut))
        near = cut * scale[:, :, None] * scale[:, None, :]
        matrix = np.where(
            (m.repair != 0.0)[:, None, None] & (values[:, :1, None] < 0.0), near, matrix
        )
    return np.asarray(matrix)


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower factors, also of singular matrices."""
    n, assets = matrix.shape[:2]
    factor = np.zeros((n, assets, assets))
    for j in range(assets):
        for k in range(j):
            rest = matrix[:, j, k] - (factor[:, j, :k] * factor[:, k, :k]).sum(axis=1)
            diagonal = factor[:, k, k]
            factor[:, j, k] = np.where(
                diagonal > 1e-8, rest / np.where(diagonal > 1e-8, diagonal, 1.0), 0.0
            )
        factor[:, j, j] = np.sqrt(
            np.maximum(matrix[:, j, j] - (factor[:, j, :j] ** 2).sum(axis=1), 0.0)
        )
    return factor


def _turned(factor: np.ndarray) -> np.ndarray:
    """The factor whose first column moves the mean of the Brownian motions as far as one can:
    Sobol points are at their best in their first coordinates. The factor is reflected (Householder,
    1958), so that its matrix stays.
    """
    towards = factor.sum(axis=1)
    length = np.sqrt((towards * towards).sum(axis=1, keepdims=True))
    mirror = -towards / np.where(length > 0.0, length, 1.0)
    mirror[:, 0] += np.where(length[:, 0] > 0.0, 1.0, 0.0)
    square = (mirror * mirror).sum(axis=1)[:, None, None]
    moved = (factor * mirror[:, None, :]).sum(axis=2, keepdims=True) * mirror[:, None, :]
    return np.asarray(factor - 2.0 * moved / np.where(square > 1e-30, square, 1.0))
