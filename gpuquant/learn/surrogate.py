"""A differential surrogate: a network that learns a function from values and derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.config import History, TrainingConfig
from gpuquant.learn.draws import chosen
from gpuquant.learn.networks.mlp import MLP
from gpuquant.learn.optimise import Training, optimise
from gpuquant.learn.programs import Single
from gpuquant.learn.train import usual_settings
from gpuquant.params import Tunable
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Surrogate(Tunable, Shown):
    """A network that learns y = f(x) from noisy samples of y, and of dy/dx where they are known.

    The loss is mean (f - y)^2 / var(y) + weight x the mean over columns of
    mean (df/dx_j - dy/dx_j)^2 / mean (dy/dx_j)^2. A derivative of each sample says how a whole
    neighbourhood lies, so that far fewer samples are needed.

    Parameters
    ----------
    network : nn.Module or factory
        From windows of one bar (batch, 1, columns) to (batch,); smooth, so that its derivative is
        one.
    weight : float
        Of the derivatives; >= 0.
    training : TrainingConfig
        `batch_windows` is how many samples a step sees; without a weight decay of its own, none.
    seed : int

    References
    ----------
    Huge and Savine (2020), "Differential machine learning", section 2.

    Examples
    --------
    Prices of one path each, at many spots, teach the price and the delta at all of them:

    >>> import numpy as np
    >>> import gpuquant as gq
    >>> from gpuquant import learn
    >>> spot = np.linspace(70.0, 130.0, 4096)
    >>> call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    >>> model = gq.models.BlackScholes(spot=spot, volatility=0.2, rate=0.0)
    >>> made = gq.price(call, model, engine="monte_carlo", paths=1, greeks=True)
    >>> fitted = learn.Surrogate().fit(spot[:, None], made.price, made.delta[:, None])
    >>> price, delta = fitted.predict(np.array([[100.0]]))
    >>> model = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.0)
    >>> exact = gq.price(call, model, greeks=True)
    >>> bool(abs(price[0] - exact.price) < 0.5), bool(abs(delta[0, 0] - exact.delta) < 0.05)
    (True, True)
    """

    network: Any = field(default_factory=lambda: MLP(hidden=32, activation="softplus"))
    weight: float = 1.0
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=1000, batch_windows=512, learning_rate=1e-2, weight_decay=0.0
        )
    )
    seed: int = 0

    def __post_init__(self) -> None:
        scalar("Surrogate weight", self.weight, closed=True)
        whole_number("Surrogate seed", self.seed, 0)
        members.plain("Surrogate", self.network)
        self.training.unjudged("Surrogate")

    @usual_settings()
    def fit(
        self, x: Any, y: Any, derivatives: Any = None, *, device: str = "cpu"
    ) -> FittedSurrogate:
        """Learn from samples.

        Parameters
        ----------
        x : array, shape (samples, columns)
        y : array, shape (samples,)
        derivatives : array, shape (samples, columns), optional
            dy/dx; a column of NaN where they are not known.
        device : str
            Of torch.

        Raises
        ------
        DataError
            A shape is wrong, or a number is not finite. The message names it.
        """
        x, y = _numbers("x", x, 2), _numbers("y", y, 1)
        slopes = np.full(x.shape, np.nan)
        if derivatives is not None:
            slopes = np.asarray(derivatives, dtype=np.float64)
        for name, value, shape in (("y", y, x.shape[:1]), ("derivatives", slopes, x.shape)):
            if value.shape != shape:
                raise DataError(f"{name} has shape {value.shape}: must be {shape}")
        told = np.isfinite(slopes).all(axis=0)
        part = ~told & ~np.isnan(slopes).all(axis=0)
        if part.any():
            column = int(part.argmax())
            row = int((~np.isfinite(slopes[:, column])).argmax())
            raise DataError(
                f"derivatives[{row}, {column}] = {slopes[row, column]}: a column must be finite, "
                "or NaN throughout"
            )
        scale = Scale.of(x, y)
        given = torch.from_numpy(scale.standard(x)).to(device)
        wanted = torch.from_numpy(((y - scale.level) / scale.size).astype(np.float32)).to(device)
        slopes = np.where(told, slopes, 0.0) * scale.spread / scale.size
        steep = torch.from_numpy(slopes.astype(np.float32)).to(device)
        size = steep.square().mean(0)
        count = (size > 0).sum().clamp(min=1)
        weights = torch.where(size > 0, self.weight / count / size.clamp(min=1e-30), 0.0)
        program = Single(members.member(self.network, (1, x.shape[1]), self.seed), device)
        members.answers(program.network, x.shape[1], (), device)

        def stream(first: int) -> Iterator[Tensor]:
            size = min(self.training.batch_windows, len(x))
            return chosen(self.seed, len(x), size, first, device)

        def losses(at: Tensor) -> Tensor:
            value, slope = differentiated(program.network, given[at], create_graph=True)
            wrong = (value - wanted[at]).square().mean()
            return (wrong + ((slope - steep[at]).square().mean(0) * weights).sum())[None]

        with members.seeded(self.seed, device):
            training = optimise(Training(program, losses, self.training.undecayed()), stream)
        history = History(*training.told(), "sequential")
        return FittedSurrogate(self, training.weights(), scale, history, device)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each column of x, and of y."""

    centre: np.ndarray
    spread: np.ndarray
    level: float
    size: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Scale:
        """Of samples; what does not vary has a deviation of one."""
        spread, size = x.std(axis=0), float(y.std())
        return cls(
            x.mean(axis=0), np.where(spread > 0.0, spread, 1.0), float(y.mean()), size or 1.0
        )

    def standard(self, x: np.ndarray) -> np.ndarray:
        """x with mean zero and deviation one, in 32 bits."""
        return ((x - self.centre) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class FittedSurrogate(Shown):
    """What a `Surrogate` has learnt.

    Attributes
    ----------
    surrogate : Surrogate
    weights : dict of Tensor
        Of its network.
    scale : Scale
    history : History
        The loss of each step.
    """

    surrogate: Surrogate
    weights: dict[str, Tensor]
    scale: Scale
    history: History
    device: str = "cpu"

    @usual_settings()
    def predict(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """f(x), shape (samples,), and df/dx, shape (samples, columns)."""
        x = _numbers("x", x, 2)
        if x.shape[1] != len(self.scale.centre):
            raise DataError(f"x has {x.shape[1]} columns: must have {len(self.scale.centre)}")
        made = members.member(self.surrogate.network, (1, x.shape[1]), self.surrogate.seed)
        network = members.restore(made, self.weights, 0).to(self.device).eval()
        given = torch.from_numpy(self.scale.standard(x)).to(self.device)
        value, slope = (one.double().cpu().numpy() for one in differentiated(network, given))
        scale = self.scale
        return value * scale.size + scale.level, slope * scale.size / scale.spread


def differentiated(
    network: nn.Module, x: Tensor, *, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """The values of a network, shape (batch,), and their derivatives by its inputs."""
    x = x.detach().requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):  # whose recurrent layers lack this derivative
        value = network(x[:, None]).reshape(len(x))
        (slope,) = torch.autograd.grad(value.sum(), x, create_graph=create_graph)
    return (value if create_graph else value.detach()), slope


def _numbers(name: str, values: Any, dimensions: int) -> np.ndarray:
    """Finite numbers of the caller's, with so many axes."""
    result = np.asarray(values, dtype=np.float64)
    if result.ndim != dimensions or not result.size:
        raise DataError(f"{name} has shape {result.shape}: must have {dimensions} axes")
    wrong = ~np.isfinite(result)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise DataError(f"{name}{list(at)} = {result[at]}: must be finite")
    return result
