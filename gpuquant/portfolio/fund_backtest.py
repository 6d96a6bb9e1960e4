"""The signals of a portfolio's strategy at the last date, and its out-of-sample back-test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant.backtesting.result import Backtest
from gpuquant.backtesting.summary import LINES, shown
from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.errors import unknown
from gpuquant.portfolio.benchmark import equal_weight, excess
from gpuquant.shown import Shown
from gpuquant.validation.overfitting import Counted, TrialLog, uncounted

if TYPE_CHECKING:
    import pandas as pd

ONE_TRIAL = "nothing is deflated: one trial is counted; ledger= counts all that is tried"
TOLD = ("cagr", "volatility", "max_drawdown", "turnover", "fees")


@dataclass(frozen=True)
class Signals(Shown):
    """Target positions of a fund at the last date: `frame` has forecast, weight and shares of each
    asset; `holdings` maps each asset to its shares.
    """

    frame: pd.DataFrame
    date: pd.Timestamp

    @property
    def holdings(self) -> dict[str, float]:
        """Whole shares by asset, without the empty ones."""
        shares = self.frame.set_index("asset")["shares"]
        return {str(name): float(n) for name, n in shares.items() if n != 0}

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))


@dataclass(frozen=True)
class FundBacktest(Shown):
    """The out-of-sample dates of a fund's strategies.

    Attributes
    ----------
    account : Backtest
        One account with shared cash.
    weights : array, shape (bars, assets)
        Target weights.
    panel : Panel
        The out-of-sample bars.
    costs : Cost or None
    ic : tuple of float
        Mean information coefficient and its standard error.
    sample : str
        How the dates are out of sample.
    """

    account: Backtest
    weights: np.ndarray
    panel: Panel
    costs: Cost | None
    ic: tuple[float, float]
    sample: str
    ledger: TrialLog | Counted | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """Of the account."""
        return self.account.meta

    @property
    def returns(self) -> pd.Series:
        """Simple returns per bar after costs."""
        return self.account.returns()[0]

    @property
    def equity(self) -> pd.Series:
        """Equity at each close."""
        return self.account.equity()[0]

    def orders(self) -> pd.DataFrame:
        """Every fill."""
        return self.account.orders()

    @property
    def frame(self) -> pd.DataFrame:
        """Every measure, one row."""
        return self.account.frame

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    @uncounted()
    def benchmark(self, name: str = "equal_weight") -> Backtest:
        """A naive account over the same bars and costs: every asset that is listed the same
        share, bought once a month.
        """
        if name != "equal_weight":
            raise unknown("benchmark", name, ("equal_weight",))
        return equal_weight(self.panel, self.costs, self.account.account.cash, self.meta["fill"])

    def excess(self, benchmark: str = "equal_weight") -> pd.Series:
        """Returns less those of a naive account, per bar: what the strategy adds to holding the
        market.
        """
        return excess(self.account, self.benchmark(benchmark))

    def deflated_sharpe(self, benchmark: str = "equal_weight") -> float:
        """Probability that the true Sharpe ratio of the excess return is above the best ratio that
        the trials in the ledger would reach by luck; without a ledger there is one trial.
        """
        trials, spread = self.ledger.trials() if self.ledger else (1, 0.0)
        return measures.deflated_sharpe(self.excess(benchmark).to_numpy(), trials, spread)

    def headline(self) -> str:
        """The excess over equal weight with its error, and its luck."""
        beyond, periods = self.excess(), self.account.account.periods
        ratio, error = (f(beyond, periods) for f in (measures.sharpe, measures.sharpe_error))
        trials, spread = self.ledger.trials() if self.ledger else (1, 0.0)
        deflated = measures.deflated_sharpe(beyond.to_numpy(), trials, spread)
        luck = (
            f"deflated Sharpe: probability {deflated:.2f} of a ratio above the luck "
            f"of {trials} recorded trials"
            if trials > 1
            else ONE_TRIAL
        )
        return (
            f"excess over equal weight {beyond.mean() * periods:+.1%} a year, its Sharpe ratio "
            f"{ratio:.2f} +- {error:.2f}; {luck}"
        )

    def summary(self) -> str:
        """Out-of-sample figures after costs, beside the equal-weight baseline."""
        base = self.benchmark()
        rows = [
            ("", "fund", "equal weight"),
            *(
                (label, *(shown(one.measures[k][0], form) for one in (self.account, base)))
                for label, k, form in LINES
                if k in TOLD
            ),
            (
                "Sharpe",
                *(
                    f"{one.measures['sharpe'][0]:.2f} +- {one.measures['sharpe_error'][0]:.2f}"
                    for one in (self.account, base)
                ),
            ),
        ]
        text = "\n".join(f"{a:<18}{b:>16}{c:>16}" for a, b, c in rows)
        dates = self.panel.clock.astype("datetime64[D]")
        return (
            f"out of sample {dates[0]} to {dates[-1]} ({self.sample}), "
            f"{'without costs: trading is free here' if self.costs is None else 'after costs'}, "
            "filled at the "
            f"{'next bar' if self.meta['fill'] == 'next' else 'same close'}\n{self.headline()}\n"
            f"{text}\ninformation coefficient {self.ic[0]:+.4f} +- {self.ic[1]:.4f}"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{self.summary()}</pre>"

    def plot(self, ax: Any = None) -> Any:
        """Equity beside the baseline."""
        import pandas as pd

        from gpuquant.reporting.plots import equity_plot

        return equity_plot(
            pd.DataFrame({"fund": self.equity, "equal weight": self.benchmark().equity()[0]}), ax
        )

    def report(self, path: str | Path, benchmark: str = "equal_weight") -> Path:
        """The tear sheet: one offline HTML file."""
        from gpuquant.portfolio.pages import tear_sheet

        return tear_sheet(self, self.benchmark(benchmark), path)
