"""A learner: anything with `fit` and `predict`, trained fold by fold on features and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.errors import InputError
from gpuquant.learn import estimators, fitted, fitting, members
from gpuquant.learn.callbacks import Callback
from gpuquant.learn.config import TrainingConfig
from gpuquant.learn.fitted import Fitted
from gpuquant.learn.forecasting import Forecaster
from gpuquant.learn.jobs import Folds
from gpuquant.learn.labels.forward_return import ForwardReturn
from gpuquant.learn.losses.base import find, several
from gpuquant.learn.resume import Checkpoints
from gpuquant.learn.train import Aside, usual_settings
from gpuquant.learn.weights import product
from gpuquant.learn.windows import Samples, Windows
from gpuquant.params import Tunable
from gpuquant.shown import Shown, identity

HOW = ("engine", "microbatch", "parallel", "recompute")  # change no more than rounding


@dataclass(frozen=True)
class Learner(Tunable, Shown):
    """A network or any estimator with `fit` and `predict`, and how it is trained.

    Parameters
    ----------
    estimator : nn.Module, factory or object
        A network of ours, or any with a method `build(window, features)` that makes it; a class or
        a callable without arguments that makes an `nn.Module`: each seed is made anew. An
        `nn.Module` of the caller's: all seeds begin with its weights, nothing is reset, and they
        differ by their batches. A network goes from windows (batch, bars, features) to (batch,) or
        (batch, outputs); with an attribute `cross_sectional = True` from (days, assets, bars,
        features) to (days, assets) or (days, assets, outputs). Or an estimator such as
        scikit-learn's and LightGBM's, which sees the window as one row per bar and asset; a
        classifier learns the signs of labels.
    loss : str, Loss or callable
        mse, ic, rank, sharpe, entropic, expected_shortfall, quantile or cross_entropy; a member of
        `learn.losses`; or a callable of (outputs, labels, mask), see `learn.losses.Loss`. An
        estimator uses its own loss.
    horizon : int
        Holding period in bars; the label is the return per bar of it.
    ensemble : int
        Number of seeds that are trained; their outputs are averaged.
    window : int
        Bars of features that are seen.
    training : TrainingConfig
        Steps, batch and learning rate of a network.
    target : Label, optional
        Another label, such as `learn.labels.Ranked(learn.labels.ForwardReturn(21))`, with a
        horizon of its own; or `learn.labels.Several`, for a network with as many outputs.
    weights : sequence of Weights
        Of labels, multiplied, such as [learn.weights.TimeDecay(half_life=500)]: a network's batches
        hold a label as often as its weight says; an estimator is given them as `sample_weight`.
    seed : int
        Seed of initialisation, batches and dropout; each fold and member has its own from it.
    warm_start : bool
        Each fold of a walk forward begins with the weights of the fold before.
    callbacks : sequence of callable
        Called with each `learn.callbacks.Event` of a network's training; they are no part of what
        is saved.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant import learn
    >>> draw = np.random.default_rng(0)
    >>> features = draw.normal(size=(500, 10, 1))
    >>> labels = 0.01 * (features[..., 0] + draw.normal(size=(500, 10)))
    >>> samples = learn.Samples(features, labels)
    >>> learner = learn.Learner(learn.networks.MLP(hidden=8), ensemble=2)
    >>> fitted = learner.fit(samples, np.arange(400))
    >>> forecast = learner.predict(fitted, samples, np.arange(400, 500))
    >>> bool(np.corrcoef(forecast.ravel(), labels[400:].ravel())[0, 1] > 0.6)
    True
    """

    estimator: Any
    loss: Any = "mse"
    horizon: int = 1
    ensemble: int = 8
    window: int = 1
    training: TrainingConfig = field(default_factory=TrainingConfig)
    target: Any = None
    weights: Sequence[Any] = ()
    seed: int = 0
    warm_start: bool = False
    callbacks: Sequence[Callback] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        fits = hasattr(self.estimator, "fit") and hasattr(self.estimator, "predict")
        if isinstance(self.estimator, type) and not issubclass(self.estimator, nn.Module):
            raise InputError(
                f"estimator = {self.estimator.__name__}: is a class; give {self.estimator.__name__}"
                "(...) where it is an estimator, or the class of an nn.Module"
            )
        if not self.is_network and not fits:
            raise InputError(
                f"estimator = {type(self.estimator).__name__}: must be an nn.Module, make one, or "
                "have fit and predict"
            )
        find(self.loss)
        if self.target is not None and not hasattr(self.target, "of"):
            raise InputError(
                f"target = {self.target!r}: must be a label such as learn.labels.ForwardReturn(5)"
            )
        if self.target is not None and self.horizon != 1:
            raise InputError(
                f"horizon = {self.horizon}: the target has a horizon of its own, "
                f"{self.target.horizon}"
            )
        if not isinstance(self.warm_start, bool):
            raise InputError(f"warm_start = {self.warm_start!r}: must be True or False")
        if self.warm_start and not self.is_network:
            raise InputError(
                f"warm_start = True: {type(self.estimator).__name__} begins anew each time; only a "
                "network begins with the weights of the fold before"
            )
        for name in ("horizon", "ensemble", "window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} = {value!r}: must be a whole number >= 1")

    @property
    def label_horizon(self) -> int:
        """Bars after a bar that its label looks at: filled one bar later, held for the horizon."""
        return 1 + int(self._target.horizon)

    @property
    def _target(self) -> Any:
        return ForwardReturn(self.horizon) if self.target is None else self.target

    @property
    def count(self) -> int:
        """Labels of each bar and asset."""
        return int(getattr(self.target, "count", 1))

    @property
    def is_network(self) -> bool:
        """Whether the estimator is a network of torch."""
        return members.is_network(self.estimator)

    def label(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset: by default what the back-tester pays for a position that
        is decided at the bar, per bar; see `labels.ForwardReturn`.
        """
        return np.asarray(self._target.of(prices))

    def weights_of(self, prices: Any, values: np.ndarray) -> np.ndarray | None:
        """The weights of labels, shape (bars, assets); None where all count the same."""
        if not self.weights:
            return None
        first = values if values.ndim == 2 else values[..., 0]
        spans = np.full(first.shape, float(self.label_horizon))
        if hasattr(self._target, "spans"):
            spans = self._target.spans(prices)
        return product(self.weights, first, spans)

    def fit(
        self,
        samples: Samples,
        rows: np.ndarray,
        *,
        fold: int = 0,
        cost: float = 0.0,
        device: str = "cpu",
        start: Fitted | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
    ) -> Fitted:
        """Train on `rows` of samples: features are standardised by those rows alone, and no label
        is used that looks past the last of all bars.

        Parameters
        ----------
        samples : Samples
        rows : int array
            Training bars.
        fold : int
            Number of the fold, from which its seeds follow.
        cost : float
            Of one unit of turnover, where the loss counts it.
        device : str
            Of torch; or auto: where a short measurement finds a step of all members the fastest,
            the CPU or the accelerator.
        start : Fitted, optional
            The model whose weights a network begins with.
        checkpoint : path or Checkpoints, optional
            The folder that keeps the state of a network's training; a training that finds its own
            state there goes on from it.
        launch : int, optional
            So many new processes on this machine share a network's training, as
            `TrainingConfig(parallel=)` says; see `learn.joined` for those that torchrun starts.
        """
        how = {"cost": cost, "device": device, "start": start, "checkpoint": checkpoint}
        return self.fit_folds(samples, [rows], first=fold, launch=launch, **how)[0]

    @usual_settings()
    def fit_folds(
        self,
        samples: Samples,
        folds: Sequence[np.ndarray],
        *,
        first: int = 0,
        cost: float = 0.0,
        device: str = "cpu",
        start: Fitted | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
        tick: Callable[[float], Any] | None = None,
    ) -> list[Fitted]:
        """Train on several folds: the models of `fit` for each, all of them at once where that is
        faster.

        Parameters
        ----------
        samples : Samples
        folds : sequence of int array
            The training bars of each fold.
        first : int
            Number of the first fold.
        cost, device, start, checkpoint, launch
            See `fit`.
        tick : callable, optional
            Told the folds done since the last call, in parts.
        """
        if checkpoint is not None and not self.is_network:
            raise InputError(
                f"checkpoint: {type(self.estimator).__name__} is no network: it has no steps"
            )
        asked = Folds(list(folds), first, cost, start)
        beside = Aside(self.callbacks, tick, Checkpoints.of(checkpoint))
        if launch is not None:
            return fitting.launch(launch, self, samples, asked, device, beside)
        return fitting.fit(self, samples, asked, device, beside)

    @usual_settings()
    def predict(
        self,
        state: Fitted,
        samples: Samples,
        rows: np.ndarray,
        *,
        device: str = "cpu",
        label: int = 0,
    ) -> np.ndarray:
        """Forecasts at `rows`, shape (rows, assets), in units of their typical size in the
        training rows, `state.units(label)[0]`; NaN where a feature is unknown. Of several labels
        they are of number `label`.
        """
        whole_number("label", label, 0, self.count - 1)
        rows = np.asarray(rows)
        windows = Windows(samples.on(state.place(device)), state.scale, self.window)
        if state.weights is not None:
            loss = several(self.loss, self.count, label)
            told = Forecaster.of(self.estimator, state.weights, windows, loss).predict(rows)
            return np.asarray(told.numpy() / state.units(label)[0])
        return estimators.predicted(state.models, windows, rows) / state.size

    @usual_settings()
    def attribute(
        self, state: Fitted, samples: Samples, rows: np.ndarray, *, device: str = "cpu"
    ) -> np.ndarray:
        """What each feature adds to a network's forecasts at `rows`, shape (rows, assets, columns),
        in units of forecasts, by integrated gradients; see `Forecaster.attribute`.
        """
        if state.weights is None:
            raise InputError(
                f"estimator = {type(self.estimator).__name__}: has no gradients; only a network has"
            )
        windows = Windows(samples.on(state.place(device)), state.scale, self.window)
        loss = several(self.loss, self.count)
        told = Forecaster.of(self.estimator, state.weights, windows, loss)
        return np.asarray(told.attribute(np.asarray(rows)).numpy() / state.size)

    def networks(self, state: Fitted) -> list[torch.nn.Module]:
        """The trained members, ready to be called or looked into: each sees windows (batch, bars,
        features) of standardised features.
        """
        if state.weights is None:
            raise InputError(f"estimator = {type(self.estimator).__name__}: has no networks")
        count = len(next(iter(state.weights.values())))
        shape = (self.window, len(state.scale.mean))
        made = members.ensemble(self.estimator, shape, self.seed, count, state.weights)
        return [network.eval() for network in made]

    def restored(
        self, tensors: dict[str, Tensor], name: str, models: list[Any] | None = None
    ) -> Fitted:
        """The model of a fold from the tensors of `Fitted.tensors`; see `fitted.restored`."""
        return fitted.restored(self, tensors, name, models)

    def describe(self) -> dict[str, Any]:
        """What identifies this learner in a ledger."""
        return {
            "estimator": estimators.described(self.estimator),
            "loss": identity(find(self.loss)),
            **{name: getattr(self, name) for name in ("horizon", "ensemble", "window", "seed")},
            **{
                name: identity(getattr(self, name))
                for name in ("target", "weights", "warm_start")
                if getattr(self, name)
            },
            "training": {k: v for k, v in vars(self.training).items() if k not in HOW}
            | {"rates": self.training.rates(self.estimator)},
        }
