"""Rule returns: how a small fixed grid of rules has lately done on each asset."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gpuquant.backtesting.engine import backtest
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.features.base import Feature, bars
from gpuquant.indicators import rolling_mean
from gpuquant.rules.base import Rule
from gpuquant.validation.overfitting import uncounted


def _grid() -> Rule:
    from gpuquant.rules import MovingAverageCross

    return MovingAverageCross(fast=(5, 10, 20), slow=(50, 100, 200))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RuleReturns(Feature):
    """Mean and dispersion, over the rules of a grid, of their returns in the last `window` bars.

    The rules are back-tested once over the whole panel, each asset by itself, filled at the next
    bar: a return at bar t depends on prices up to t alone.

    Parameters
    ----------
    window : int
        Bars; >= 2.
    rule : Rule
        A rule with its grid; by default nine moving-average crosses.
    """

    window: int = 63
    rule: Rule = field(default_factory=_grid)

    def __post_init__(self) -> None:
        bars(self.window, "RuleReturns window", 2)

    @property
    def lookback(self) -> int:
        return self.window

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"rule_return_{self.window}", f"rule_dispersion_{self.window}")

    @uncounted()
    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        result = (
            backtest(panel, self.rule, device=device, progress=False, detail=False)
            .returns()
            .to_numpy()
        )
        returns = np.vstack([np.zeros((panel.bars - len(result), result.shape[1])), result])
        trailing = (
            rolling_mean(returns, self.window).reshape(panel.bars, len(panel.assets), -1)
            * self.window
        )
        values = np.stack([trailing.mean(axis=2), trailing.std(axis=2)], axis=2)
        return np.where(panel.tradable[..., None], values, np.nan)
