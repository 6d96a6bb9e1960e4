"""A learner: anything with `fit` and `predict`, trained fold by fold on features and next-bar
returns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.errors import DataError, InputError
from gpuquant.learn import losses, train
from gpuquant.learn.train import TrainingConfig
from gpuquant.learn.windows import Standardizer, Windows
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Fitted(Shown):
    """What training one fold leaves: how features were scaled, and the stacked weights of a
    network or fitted estimators.
    """

    scale: Standardizer
    weights: dict[str, Tensor] | None = None
    models: list[Any] = field(default_factory=list)
    size: float = 1.0

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for a checkpoint."""
        if self.weights is None:
            raise InputError(
                "an estimator of another library is not ours to save: keep it as its library says"
            )
        return {
            **self.weights,
            "scale.mean": torch.from_numpy(self.scale.mean),
            "scale.deviation": torch.from_numpy(self.scale.deviation),
        }


@dataclass(frozen=True)
class Learner(Shown):
    """A network or any estimator with `fit` and `predict`, and how it is trained.

    Parameters
    ----------
    estimator : nn.Module or object
        A network of ours, the caller's own `nn.Module` from windows (batch, bars, features) to
        (batch,), or an estimator such as scikit-learn's and LightGBM's, which sees one row per bar
        and asset.
    loss : str
        sharpe (after costs) or ic, for a network; an estimator uses its own loss.
    horizon : int
        Holding period of the label, in bars.
    ensemble : int
        Number of seeds that are trained; their outputs are averaged.
    window : int
        Bars of features that a network sees.
    training : TrainingConfig
        Steps, batch and learning rate of a network.
    seed : int
        Seed of initialisation and batches.
    """

    estimator: Any
    loss: str = "sharpe"
    horizon: int = 1
    ensemble: int = 8
    window: int = 1
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.estimator, nn.Module) and not (
            hasattr(self.estimator, "fit") and hasattr(self.estimator, "predict")
        ):
            raise InputError(
                f"estimator = {type(self.estimator).__name__}: must be an nn.Module or "
                "have fit and predict"
            )
        losses.find(self.loss)
        for name in ("horizon", "ensemble", "window"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} = {value!r}: must be a whole number >= 1")

    @property
    def label_horizon(self) -> int:
        """Bars after a bar that its label looks at: filled one bar later, held for the horizon."""
        return 1 + self.horizon

    @property
    def is_network(self) -> bool:
        """Whether the estimator is a network of torch."""
        return isinstance(self.estimator, nn.Module)

    def label(self, close: np.ndarray) -> np.ndarray:
        """Return per bar of a position decided at each bar, shape (bars, assets). The position is
        filled at the next close and held for `horizon` bars.
        """
        out = np.full(close.shape, np.nan)
        h = self.horizon
        out[: -1 - h] = (close[1 + h :] / close[1:-h] - 1.0) / h
        return out

    @train.usual_settings()
    def fit(
        self,
        features: np.ndarray,
        close: np.ndarray,
        rows: np.ndarray,
        *,
        cost: float = 0.0,
        device: str = "cpu",
    ) -> Fitted:
        """Train on `rows` of features (bars, assets, columns), which are standardised by those
        rows alone.
        """
        label = self.label(close)
        scale = Standardizer.of(features, rows)
        rows = rows[rows < len(label) - self.label_horizon]
        if self.is_network:
            windows = Windows.of(features, scale, self.window, device)
            loss = losses.find(self.loss)
            weights = train.fit(
                self.estimator,
                windows,
                label,
                rows,
                loss=loss,
                cost=cost,
                ensemble=self.ensemble,
                training=self.training,
                seed=self.seed,
            )
            return Fitted(scale, weights=weights)
        x, y = features[rows].reshape(-1, features.shape[2]), label[rows].reshape(-1)
        known = np.isfinite(x).all(axis=1) & np.isfinite(y)
        models = [
            _seeded(self.estimator, self.seed + k).fit(x[known], y[known])
            for k in range(self._copies())
        ]
        size = float(np.std(np.mean([model.predict(x[known]) for model in models], axis=0)))
        return Fitted(scale, models=models, size=size if size > 0 else 1.0)

    @train.usual_settings()
    def predict(
        self, state: Fitted, features: np.ndarray, rows: np.ndarray, *, device: str = "cpu"
    ) -> np.ndarray:
        """Forecasts at `rows`, shape (rows, assets), within [-1, 1]; NaN where a feature is
        unknown.
        """
        if state.weights is not None:
            return train.predict(
                self.estimator,
                state.weights,
                Windows.of(features, state.scale, self.window, device),
                rows,
            )
        x = features[rows].reshape(-1, features.shape[2])
        known = np.isfinite(x).all(axis=1)
        out = np.full(len(x), np.nan)
        if known.any():
            # the position is tanh of the return forecast over the typical size of forecasts in the
            # training rows
            out[known] = np.tanh(
                np.mean([model.predict(x[known]) for model in state.models], axis=0) / state.size
            )
        return out.reshape(len(rows), -1)

    def restored(self, tensors: dict[str, Tensor], name: str) -> Fitted:
        """The model of a fold from the tensors of `Fitted.tensors`, which must be of this network.

        Raises
        ------
        DataError
            A tensor is missing, unknown, of another shape, or not finite. The message names the
            tensor.
        """
        if not self.is_network:
            raise DataError(
                f"{name}: {type(self.estimator).__name__} is no network: it has no tensors"
            )
        mean, deviation = (
            tensors.get(f"scale.{part}", torch.empty(0)) for part in ("mean", "deviation")
        )
        if (
            not mean.is_floating_point()
            or not deviation.is_floating_point()
            or mean.ndim != 1
            or not len(mean)
            or mean.shape != deviation.shape
            or not bool((deviation > 0).all())
        ):
            raise DataError(
                f"{name}: scale.mean and scale.deviation must be of one length, the deviation > 0"
            )
        with torch.device("meta"):  # the shapes alone: nothing is allocated
            network = train.seeded(self.estimator, self.window * len(mean), self.seed)
        shaped = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        shapes = {key: (self.ensemble, *value.shape) for key, value in shaped.items()}
        weights = {
            key: value
            for key, value in tensors.items()
            if key not in ("scale.mean", "scale.deviation")
        }
        for key in sorted(set(shapes) ^ set(weights)):
            raise DataError(
                f"{name}: {key!r} is {'missing' if key in shapes else 'no tensor of this network'}"
            )
        for key, value in tensors.items():
            if key in shapes and tuple(value.shape) != shapes[key]:
                raise DataError(
                    f"{name}: {key} has shape {tuple(value.shape)}: must be {shapes[key]}"
                )
            if (
                (key in shaped and value.is_floating_point() != shaped[key].is_floating_point())
                or value.is_complex()
                or not bool(torch.isfinite(value).all())
            ):
                raise DataError(f"{name}: {key} must hold finite numbers")
        return Fitted(
            Standardizer(mean.double().numpy(), deviation.double().numpy()), weights=weights
        )

    def _copies(self) -> int:
        return self.ensemble if "random_state" in _parameters(self.estimator) else 1

    def describe(self) -> dict[str, Any]:
        """What identifies this learner in a ledger."""
        return {
            "estimator": f"{self.estimator!r} {_parameters(self.estimator)}",
            **{
                name: getattr(self, name)
                for name in ("loss", "horizon", "ensemble", "window", "seed")
            },
            "training": vars(self.training),
        }


def _parameters(estimator: Any) -> dict[str, Any]:
    if hasattr(estimator, "get_params"):
        return dict(estimator.get_params())
    return (
        {k: v for k, v in vars(estimator).items() if isinstance(v, int | float | str)}
        if isinstance(estimator, nn.Module)
        else {}
    )


def _seeded(estimator: Any, seed: int) -> Any:
    fresh = copy.deepcopy(estimator)
    if "random_state" in _parameters(fresh):
        fresh.set_params(random_state=seed)
    return fresh


def walk_forward(
    learner: Any,
    features: np.ndarray,
    close: np.ndarray,
    folds: list[Any],
    *,
    cost: float,
    device: str,
    tick: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, list[Fitted]]:
    """Forecasts of every fold's test bars by a model trained on its own past, shape (bars,
    assets), and the models.
    """
    forecast = np.full(close.shape, np.nan)
    states = []
    for fold in folds:
        state = learner.fit(features, close, fold.train, cost=cost, device=device)
        forecast[fold.test] = learner.predict(state, features, fold.test, device=device)
        states.append(state)
        if tick:
            tick(1)
    return forecast, states
