"""Ridge regression in closed form."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.data.arguments import scalar
from gpuquant.errors import DataError, InputError
from gpuquant.shown import Shown

COEFFICIENTS = "ridge.coefficients"


@dataclass(frozen=True)
class Moments:
    """The weights of samples, their weighted means, and the sums of squares and products about
    them: all that a linear regression needs, so that samples come and go some at a time. The first
    axis of each is that of folds.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1, for the sum of two.
    """

    total: Tensor
    center: Tensor
    level: Tensor
    squares: Tensor
    products: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, weight: Tensor) -> Moments:
        """Of windows, shape (folds, samples, columns), their labels, shape (samples,), and their
        weights in each fold, shape (folds, samples).
        """
        total = weight.sum(1)
        share = weight / total.clamp(min=1e-300)[:, None]
        center, level = (share[:, None] @ x)[:, 0], share @ y
        away = x - center[:, None]
        weighted = away * weight[..., None]
        above = y - level[:, None]
        return cls(total, center, level, away.mT @ weighted, (above[:, None] @ weighted)[:, 0])

    @classmethod
    def none(cls, folds: int, columns: int, device: torch.device | str) -> Moments:
        """Of no samples."""
        shapes = ((), (columns,), (), (columns, columns), (columns,))
        return cls(
            *(torch.zeros((folds, *one), dtype=torch.float64, device=device) for one in shapes)
        )

    def add(self, folds: Tensor, other: Moments) -> None:
        """Add those of some folds."""
        names = [one.name for one in fields(self)]
        total = Moments(*(getattr(self, name)[folds] for name in names)) + other
        for name in names:
            getattr(self, name)[folds] = getattr(total, name)

    def of_fold(self, number: int) -> Moments:
        """Those of one fold."""
        return Moments(*(getattr(self, one.name)[number, None] for one in fields(self)))

    def __add__(self, other: Moments) -> Moments:
        total = self.total + other.total
        share = other.total / total.clamp(min=1e-300)
        away, above = other.center - self.center, other.level - self.level
        between = self.total * share
        outer = away[:, :, None] * away[:, None, :]
        return Moments(
            total,
            self.center + share[:, None] * away,
            self.level + share * above,
            self.squares + other.squares + between[:, None, None] * outer,
            self.products + other.products + (between * above)[:, None] * away,
        )


@dataclass(frozen=True)
class Ridge(Shown):
    """The linear forecast with the least mean squared error plus `penalty` times the sum of its
    squared coefficients; the intercept is free.

        b = (X'W X / n + penalty I)^-1 X'W y / n, of centred X and y,

    with n the sum of the weights W. Features are standardised by the learner, so that the penalty
    is in units of their variance: 1 halves the coefficients of independent features.

    Parameters
    ----------
    penalty : float
        >= 0.
    coefficients : array, optional
        Of the flattened window, and the intercept; set by `fit`.

    References
    ----------
    Hoerl and Kennard (1970), equation 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant import learn
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> learn.Ridge(penalty=0.0).fit(x, 2.0 * x[:, 0] + 1.0).coefficients.round(6).tolist()
    [2.0, 0.0, 1.0]
    """

    penalty: float = 0.01
    coefficients: Any = None

    def __post_init__(self) -> None:
        scalar("Ridge penalty", self.penalty, closed=True)

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Ridge:
        """With the coefficients of windows `x`, shape (samples, columns), and labels `y`."""
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        given = (np.asarray(x, float)[None], np.asarray(y, float), weight[None])
        return self.of_moments(Moments.of(*(torch.from_numpy(one) for one in given)))

    def of_moments(self, moments: Moments) -> Ridge:
        """With the coefficients of samples of one fold of which only the moments are known."""
        if not bool(moments.total[0] > 0.0):
            raise DataError("Ridge: the weights of all labels are zero")
        center, level, squares, products = (
            one[0].cpu().numpy()
            for one in (
                moments.center,
                moments.level,
                moments.squares / moments.total[:, None, None],
                moments.products / moments.total[:, None],
            )
        )
        squares[np.diag_indices_from(squares)] += self.penalty
        # columns that say the same have no single answer: the shortest one is taken
        slopes = np.linalg.lstsq(squares, products, rcond=None)[0]
        return replace(self, coefficients=np.append(slopes, level - center @ slopes))

    def deviation(self, moments: Moments) -> float:
        """The deviation of its forecasts of the samples that the moments are of."""
        slopes = torch.from_numpy(self.coefficients[:-1]).to(moments.squares)
        return float((slopes @ moments.squares[0] @ slopes / moments.total[0]).clamp(min=0).sqrt())

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The forecasts of windows `x`."""
        if self.coefficients is None:
            raise InputError("Ridge is not fitted: keep what fit returns")
        return np.asarray(x @ self.coefficients[:-1] + self.coefficients[-1])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is learnt, for a checkpoint."""
        return {COEFFICIENTS: torch.from_numpy(np.asarray(self.coefficients))}

    def restored(self, tensors: dict[str, Tensor], columns: int, name: str) -> Ridge:
        """With the coefficients of `tensors`, for windows of `columns` numbers."""
        value = tensors.get(COEFFICIENTS, torch.empty(0))
        if value.dtype != torch.float64 or tuple(value.shape) != (columns + 1,):
            raise DataError(f"{name}: {COEFFICIENTS} must be {columns + 1} numbers of 64 bits")
        if not bool(torch.isfinite(value).all()):
            raise DataError(f"{name}: {COEFFICIENTS} must hold finite numbers")
        return replace(self, coefficients=value.numpy())
