"""Deep hedging: a network that holds what makes the risk of a payoff small, after costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import DataError, InputError
from gpuquant.learn import members
from gpuquant.learn.config import History, TrainingConfig
from gpuquant.learn.draws import chosen
from gpuquant.learn.losses.entropic import Entropic
from gpuquant.learn.losses.positions import Positions
from gpuquant.learn.networks.mlp import MLP
from gpuquant.learn.optimise import Training, optimise
from gpuquant.learn.programs import Single
from gpuquant.learn.train import usual_settings
from gpuquant.params import Tunable
from gpuquant.shown import Shown

PATHS_AT_ONCE = 1 << 16  # that are hedged at once


@dataclass(frozen=True)
class DeepHedger(Tunable, Shown):
    """A network that says at every step how many shares to hold against a payoff that was sold.

    It is trained on simulated paths to make small the risk of the profit

        p = sum_k d_k g_k - cost sum_k |d_k - d_(k-1)| s_k - z,

    with d the shares held, g what a share earns in a step, s its price and z the payment, all at
    their value today; the last position is sold, at that cost. The network sees the log of the
    price over today's, the share of time that is left, and what is held.

    Parameters
    ----------
    network : nn.Module or factory, optional
        From windows of one bar (batch, 1, columns) to (batch, assets); by default an MLP.
    loss : Entropic, ExpectedShortfall or Sharpe
        Of profits, whose unit is currency; its own `cost` is not set.
    cost : float
        Of what is traded, a share of its value.
    training : TrainingConfig
        `batch_windows` is how many paths a step of training sees; without a weight decay of its
        own, none; paths that only judge are not set aside: other paths judge.
    features : callable, optional
        Of `SimulatedPaths`: more columns to see, shape (paths, steps, columns), which must be known
        at the beginning of each step.
    seed : int

    References
    ----------
    Buehler, Gonon, Teichmann and Wood (2019), "Deep hedging", sections 3 and 4.

    Examples
    --------
    >>> import gpuquant as gq
    >>> from gpuquant import learn
    >>> call = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.25)
    >>> model = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.0)
    >>> paths = gq.simulate(call, model, paths=20_000, steps=10)
    >>> hedge = learn.DeepHedger(learn.networks.MLP(hidden=16)).fit(paths)
    >>> new = gq.simulate(call, model, paths=20_000, steps=10, seed=1)
    >>> bool(hedge.profit(new).std() < 0.4 * new.payments.std())
    True
    """

    network: Any = None
    loss: Positions = field(default_factory=lambda: Entropic(risk_aversion=1.0))
    cost: float = 0.0
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=400, batch_windows=2048, learning_rate=1e-2, weight_decay=0.0
        )
    )
    features: Callable[[Any], Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        scalar("DeepHedger cost", self.cost, closed=True)
        whole_number("DeepHedger seed", self.seed, 0)
        if not isinstance(self.loss, Positions) or self.loss.cost is not None:
            raise InputError(
                f"loss = {self.loss!r}: must be of profits, such as learn.losses.Entropic(), whose "
                "costs are DeepHedger(cost=)"
            )
        members.plain("DeepHedger", self.network)
        self.training.unjudged("DeepHedger")

    @usual_settings()
    def fit(self, paths: Any, *, device: str = "cpu") -> Hedge:
        """Learn from `SimulatedPaths`.

        Parameters
        ----------
        paths : SimulatedPaths
            Of `gpuquant.simulate`; profits on other paths tell how good the hedge is.
        device : str
            Of torch.
        """
        scene = Scene.of(paths, self.features, device)
        scale = torch.stack([scene.seen.mean((0, 1)), scene.seen.std((0, 1)).clamp(min=1e-12)])
        scene = scene.standardised(scale)
        columns = scene.seen.shape[2] + scene.assets
        program = Single(self.made(columns, scene.assets), device)
        members.answers(program.network, columns, (scene.assets,), device)
        everyone = torch.ones(min(self.training.batch_windows, scene.paths), dtype=torch.bool)
        everyone = everyone.to(device)

        def stream(first: int) -> Iterator[Tensor]:
            return chosen(self.seed, scene.paths, len(everyone), first, device)

        def losses(at: Tensor) -> Tensor:
            _, profit = walk(program.network, scene.take(at), self.cost)
            return self.loss.of(profit, everyone)[None]

        with members.seeded(self.seed, device):
            training = optimise(Training(program, losses, self.training.undecayed()), stream)
        history = History(*training.told(), "sequential")
        return Hedge(self, training.weights(), scale, history, scene.assets, device)

    def made(self, columns: int, assets: int) -> nn.Module:
        """Its network for so many columns and assets, untrained."""
        network = MLP(hidden=32, outputs=assets) if self.network is None else self.network
        return members.member(network, (1, columns), self.seed)


@dataclass(frozen=True)
class Scene:
    """Simulated paths as a hedger sees them, in 32 bits.

    Parameters
    ----------
    seen : Tensor, shape (paths, steps, columns)
        What is known at the beginning of each step.
    gains, prices : Tensor, shape (paths, steps, assets) and (paths, steps + 1, assets)
        At their value today.
    payments : Tensor, shape (paths,)
    """

    seen: Tensor
    gains: Tensor
    prices: Tensor
    payments: Tensor

    @property
    def paths(self) -> int:
        """How many."""
        return len(self.payments)

    @property
    def assets(self) -> int:
        """How many there are to hold."""
        return self.gains.shape[2]

    @classmethod
    def of(cls, paths: Any, features: Any, device: str) -> Scene:
        """Paths and further features on a device of torch.

        Raises
        ------
        DataError
            A price, a payment or a feature is not finite, or features are of another shape.
        """
        if not hasattr(paths, "gains"):
            raise InputError(f"paths = {type(paths).__name__}: must be of gpuquant.simulate")
        spots, gains = (_tensor(one, device) for one in (paths.spots, paths.gains))
        _finite("payments", _tensor(paths.payments, device))
        _finite("spots", spots)
        if spots.ndim == 2:
            spots, gains = spots[..., None], gains[..., None]
        count, steps = gains.shape[:2]
        times = _tensor(paths.times, device)
        left = (1.0 - times[:-1] / times[-1]).expand(count, -1)[..., None]
        seen = [torch.log(spots[:, :-1] / spots[:, :1]), left]
        if features is not None:
            more = _tensor(features(paths), device)
            if tuple(more.shape[:2]) != (count, steps) or more.ndim != 3:
                raise DataError(
                    f"features have shape {tuple(more.shape)}: must be ({count}, {steps}, columns)"
                )
            _finite("features", more)
            seen.append(more)
        worth = spots * _tensor(paths.discounts, device)[:, None]
        payments = _tensor(paths.payments, device)
        return cls(torch.cat(seen, dim=2).float(), gains.float(), worth.float(), payments.float())

    def standardised(self, scale: Tensor) -> Scene:
        """With columns less the first row of `scale`, over the second."""
        if scale.shape[1] != self.seen.shape[2]:
            raise DataError(
                f"the paths show {self.seen.shape[2]} columns, the hedge has learnt from "
                f"{scale.shape[1]}"
            )
        centre, spread = scale.to(self.seen)
        return replace(self, seen=(self.seen - centre) / spread)

    def take(self, at: Any) -> Scene:
        """Some of the paths."""
        return Scene(self.seen[at], self.gains[at], self.prices[at], self.payments[at])


def walk(network: nn.Module, scene: Scene, cost: float) -> tuple[Tensor, Tensor]:
    """The positions of a network on paths, shape (paths, steps, assets), and the profits."""
    held = torch.zeros_like(scene.prices[:, 0])
    profit = -scene.payments
    positions = []
    for k in range(scene.gains.shape[1]):
        given = torch.cat([scene.seen[:, k], held], dim=1)[:, None]
        wanted = network(given).reshape(held.shape)
        if cost:
            profit = profit - cost * ((wanted - held).abs() * scene.prices[:, k]).sum(-1)
        profit = profit + (wanted * scene.gains[:, k]).sum(-1)
        held = wanted
        positions.append(wanted)
    if cost:
        profit = profit - cost * (held.abs() * scene.prices[:, -1]).sum(-1)
    return torch.stack(positions, dim=1), profit


@dataclass(frozen=True)
class Hedge(Shown):
    """What a `DeepHedger` has learnt.

    Attributes
    ----------
    hedger : DeepHedger
    weights : dict of Tensor
        Of its network.
    scale : Tensor, shape (2, columns)
        Mean and deviation of what it sees, in training.
    history : History
        The loss of each step.
    assets : int
        How many there are to hold.
    """

    hedger: DeepHedger
    weights: dict[str, Tensor]
    scale: Tensor
    history: History
    assets: int = 1
    device: str = "cpu"

    def positions(self, paths: Any) -> np.ndarray:
        """Shares held over each step, shape (paths, steps), or (paths, steps, assets)."""
        result = self._walked(paths)[0]
        return result[..., 0] if result.shape[2] == 1 else result

    def profit(self, paths: Any) -> np.ndarray:
        """The profit of each path, without the premium: what hedging earns, less its costs and the
        payment; shape (paths,).
        """
        return self._walked(paths)[1]

    def premium(self, paths: Any) -> float:
        """The least premium with which selling and hedging is no worse than doing nothing: the risk
        of the profits without it. Paths that it has not learnt from tell more.
        """
        if not self.hedger.loss.cash_invariant:
            raise InputError(
                f"loss = {self.hedger.loss!r}: has no premium, since a sure amount does not add to "
                "it; Entropic and ExpectedShortfall do"
            )
        profit = torch.from_numpy(self.profit(paths))
        return float(self.hedger.loss.of(profit, torch.ones(len(profit), dtype=torch.bool)))

    @usual_settings()
    def _walked(self, paths: Any) -> tuple[np.ndarray, np.ndarray]:
        scene = Scene.of(paths, self.hedger.features, self.device).standardised(self.scale)
        if scene.assets != self.assets:
            raise DataError(f"the paths have {scene.assets} assets, the hedge holds {self.assets}")
        columns = scene.seen.shape[2] + scene.assets
        made = self.hedger.made(columns, self.assets)
        network = members.restore(made, self.weights, 0).to(self.device).eval()
        parts = []
        with torch.no_grad():
            for begin in range(0, scene.paths, PATHS_AT_ONCE):
                some = scene.take(slice(begin, begin + PATHS_AT_ONCE))
                parts.append(walk(network, some, self.hedger.cost))
        positions, profit = (
            torch.cat(one).double().cpu().numpy() for one in zip(*parts, strict=True)
        )
        return positions, profit


def _finite(name: str, values: Tensor) -> None:
    """Refuse a number that is not finite, by its path, its step and its column."""
    wrong = ~torch.isfinite(values)
    if bool(wrong.any()):
        at = [int(k) for k in wrong.nonzero()[0]]
        words = ("path", "step", "column")
        where = ", ".join(f"{word} {k}" for word, k in zip(words, at, strict=False))
        raise DataError(f"{name}: {where} is {float(values[tuple(at)])}: must be finite")


def _tensor(values: Any, device: str) -> Tensor:
    """An array of the host or of a GPU."""
    if isinstance(values, np.ndarray | list | tuple):
        values = np.asarray(values, dtype=np.float64)
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)
    if isinstance(values, Tensor):
        return values.to(device)
    return torch.utils.dlpack.from_dlpack(values).to(device)
