"""Portfolio: strategies, contracts, shares and cash under one name each. Thin: each method calls
one function of its noun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant.backtesting.engine import backtest
from gpuquant.backtesting.result import LINES, Backtest, shown
from gpuquant.costs.base import Cost
from gpuquant.data.market import Market
from gpuquant.data.panel import Panel
from gpuquant.errors import InputError, unknown
from gpuquant.portfolio.optimize import Optimized, optimize
from gpuquant.portfolio.risk import Risk
from gpuquant.portfolio.scenarios import Scenarios
from gpuquant.portfolio.strategy import Strategy
from gpuquant.portfolio.valuation import revalued, value
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.results import Priced
from gpuquant.validation.overfitting import Counted, TrialLog, uncounted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Signals:
    """What a fund wants at the last date: `frame` with forecast, weight and shares; `holdings`
    as shares by asset.
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
class FundBacktest:
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
    """

    account: Backtest
    weights: np.ndarray
    panel: Panel
    costs: Cost | None
    ic: tuple[float, float]
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
        """A naive account over the same bars and costs: every asset the same share, bought once
        a month.
        """
        if name != "equal_weight":
            raise unknown("benchmark", name, ("equal_weight",))
        months = self.panel.clock.astype("datetime64[M]")
        first = np.concatenate([[True], months[1:] != months[:-1]])
        weights = np.full(self.panel.close.shape, np.nan)
        weights[first] = 1.0 / len(self.panel.assets)
        return backtest(
            self.panel,
            weights=weights,
            costs=self.costs,
            cash=self.account.account.cash,
            fill=self.meta["fill"],
        )

    def deflated_sharpe(self) -> float:
        """Probability that the true Sharpe ratio beats the luck of everything in the ledger (of
        one trial without a ledger).
        """
        trials, spread = self.ledger.trials() if self.ledger else (1, 0.0)
        return measures.deflated_sharpe(self.returns.to_numpy(), trials, spread)

    def summary(self) -> str:
        """Out-of-sample figures after costs, beside the equal-weight baseline."""
        base = self.benchmark()
        trials = self.ledger.trials()[0] if self.ledger else 1
        rows = [
            ("", "fund", "equal weight"),
            *(
                (label, *(shown(found.measures[k][0], form) for found in (self.account, base)))
                for label, k, form in LINES
                if k in TOLD
            ),
            (
                "Sharpe",
                *(
                    f"{found.measures['sharpe'][0]:.2f} +- {found.measures['sharpe_error'][0]:.2f}"
                    for found in (self.account, base)
                ),
            ),
        ]
        text = "\n".join(f"{a:<18}{b:>16}{c:>16}" for a, b, c in rows)
        dates = self.panel.clock.astype("datetime64[D]")
        return (
            f"out of sample {dates[0]} to {dates[-1]}, "
            f"{'without costs: trading is free here' if self.costs is None else 'after costs'}, "
            "filled at the "
            f"{'next bar' if self.meta['fill'] == 'next' else 'same close'}\n{text}\n"
            f"information coefficient {self.ic[0]:+.4f} +- {self.ic[1]:.4f}\n"
            + (
                (
                    f"deflated Sharpe: probability {self.deflated_sharpe():.2f} of a Sharpe "
                    f"ratio above the luck of {trials} recorded trials"
                )
                if trials > 1
                else "nothing is deflated: one trial is counted; ledger= counts all that is tried"
            )
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
        from gpuquant.reporting.html import tear_sheet

        return tear_sheet(self, self.benchmark(benchmark), path)


TOLD = ("cagr", "volatility", "max_drawdown", "turnover", "fees")


@dataclass(frozen=True)
class Portfolio:
    """Positions by name: a Strategy, Contracts, shares by asset (a mapping), or cash (a number).

    Examples
    --------
    >>> from gpuquant import Portfolio
    >>> sorted(Portfolio({"shares": {"AAPL": 10}, "cash": 1000.0}).positions)
    ['cash', 'shares']
    """

    positions: Mapping[str, Any]
    ledger: TrialLog | Counted | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, position in self.positions.items():
            if isinstance(position, bool) or not isinstance(
                position, Strategy | Contracts | Mapping | int | float
            ):
                raise InputError(
                    f"position {name!r} is a {type(position).__name__}: must be a "
                    "Strategy, Contracts, shares by asset or cash"
                )
            numbers = (
                position.items()
                if isinstance(position, Mapping)
                else [(name, position)]
                if isinstance(position, int | float)
                else []
            )
            for key, number in numbers:
                if isinstance(number, bool | str) or not np.isfinite(number):
                    raise InputError(f"position {name!r}, {key} = {number!r}: must be finite")

    @property
    def cash(self) -> float:
        """Sum of the cash positions."""
        return float(sum(p for p in self.positions.values() if isinstance(p, int | float)))

    def _strategy(self) -> tuple[str, Strategy]:
        found = [(k, p) for k, p in self.positions.items() if isinstance(p, Strategy)]
        if len(found) != 1:
            raise InputError(f"the portfolio holds {len(found)} strategies: this needs exactly one")
        return found[0]

    def train(
        self,
        prices: Any,
        *,
        splits: Any,
        costs: Cost | None = None,
        ledger: Any = None,
        device: Any = "auto",
        progress: bool | None = None,
    ) -> Portfolio:
        """The portfolio with its strategy trained; see `Strategy.train`."""
        name, strategy = self._strategy()
        book = (
            None if ledger is None else ledger if isinstance(ledger, TrialLog) else TrialLog(ledger)
        )
        trained = strategy.train(
            prices, splits=splits, costs=costs, ledger=book, device=device, progress=progress
        )
        return Portfolio({**self.positions, name: trained}, book)

    def signals(self, prices: Any, *, device: Any = "auto") -> Signals:
        """Forecast, weight and whole shares of each asset at the last date."""
        import pandas as pd

        _, strategy = self._strategy()
        panel, forecast, weight = strategy.latest(prices, device)
        shares = np.trunc(weight * self.cash / panel.close[-1])
        frame = pd.DataFrame(
            {
                "asset": list(panel.assets),
                "forecast": forecast,
                "weight": weight,
                "price": panel.close[-1],
                "shares": shares,
            }
        )
        return Signals(frame, panel.index[-1])

    def backtest(
        self, prices: Any, *, costs: Cost | None = None, fill: str = "next"
    ) -> FundBacktest:
        """The strategy's out-of-sample dates, with the portfolio's cash."""
        _, strategy = self._strategy()
        if not self.cash > 0:
            raise InputError(f"cash = {self.cash}: a back-test needs cash > 0")
        panel, _ = strategy.weights(prices)
        account, weights = strategy.backtest(prices, costs=costs, fill=fill, cash=self.cash)
        return FundBacktest(account, weights, panel, costs, strategy.fitted().ic, self.ledger)

    def price(
        self, market: Market, *, greeks: bool = False, progress: bool | None = None, **how: Any
    ) -> Priced:
        """Every position at the market: contracts by `gpuquant.price`, shares at their spot,
        cash as it is.
        """
        return value(self, market, greeks=greeks, progress=progress, **how)

    def greeks(self, market: Market, **how: Any) -> Priced:
        """As `price`, with the Greeks of each position."""
        return value(self, market, greeks=True, **how)

    def risk(
        self,
        market: Market,
        shocks: Scenarios,
        *,
        paths: int = 10_000,
        seed: int = 0,
        device: Any = "auto",
        partial: bool = False,
        progress: bool | None = None,
    ) -> Risk:
        """Full revaluation of every position in every scenario, on the same draws.

        A position that has no price, today or in a scenario, has a status and a message
        (`Risk.failed`), and the others go on; totals are NaN then, unless `partial=True` leaves it
        out.

        Raises
        ------
        DataError
            The book holds several currencies; a history that lacks one of its underlyings.
        NameUnknown
            A scenario moves a column that no model reads, or an underlying that neither the book
            nor the market has.
        """
        return revalued(
            self,
            market,
            shocks,
            paths=paths,
            seed=seed,
            device=device,
            partial=partial,
            progress=progress,
        )

    def underlyings(self) -> set[str]:
        """Every underlying of the positions, those of baskets among them; `""` for a contract
        without one.
        """
        found: set[str] = set()
        for position in self.positions.values():
            if isinstance(position, Contracts):
                baskets = position.columns.get("underlyings", np.full(len(position), None))
                found |= {
                    str(word or "")
                    for word, basket in zip(
                        position.text("underlying", "").array(), baskets, strict=True
                    )
                    if word or basket is None
                }
                found |= {name for basket in baskets if basket is not None for name in basket}
            elif isinstance(position, Mapping):
                found |= set(position)
        return found

    def optimize(
        self, risk: Risk, *, vary: str, objective: Any = "expected_shortfall", level: float = 0.975
    ) -> Optimized:
        """Vary the sizes inside one position to lower the risk of the whole book: no long
        becomes a short, see `gpuquant.portfolio.optimize.optimize`.
        """
        if vary not in self.positions:
            raise unknown("position", vary, self.positions)
        if not isinstance(risk, Risk):
            raise InputError(
                f"risk = {type(risk).__name__}: must be what risk(market, shocks) gives"
            )
        return optimize(
            risk,
            [name for name in risk.pnl.columns if name.startswith(f"{vary}/")],
            objective=objective,
            level=level,
        )

    def save(self, folder: str | Path) -> None:
        """A folder of Parquet, safetensors and JSON; `Portfolio.load` gives the portfolio back, but
        for its trial log, of which it keeps the count.

        What was saved there before is kept until the next save but one, and whatever goes wrong it
        is what the folder holds.

        Raises
        ------
        InputError
            A position holds what cannot be read back, such as another library's estimator.
        DiskError
            The folder cannot be written.
        """
        from gpuquant.portfolio.fund_folder import save

        save(self, folder)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        allow: Sequence[type] = (),
        ledger: Any = None,
        previous: bool = False,
    ) -> Portfolio:
        """What `save` wrote: every file is checked against its hash, and nothing in a file is run.

        Parameters
        ----------
        folder : path
        allow : sequence of classes
            Of the caller's own that the file may hold; gpuquant's are known.
        ledger : path or TrialLog, optional
            The trial log to go on with; by default the trials counted when it was saved stand.
        previous : bool
            Load the save before the last one.

        Raises
        ------
        DataError
            There is no such save; a file is damaged, holds a class that is not allowed, or a value
            out of its range: the message names it.
        """
        from gpuquant.portfolio.fund_folder import load

        return load(folder, allow=allow, ledger=ledger, previous=previous)
