"""Portfolio: strategies, contracts, shares and cash under one name each. Thin: each method calls
one function of its noun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.costs.base import Cost
from gpuquant.data.market import Market
from gpuquant.errors import InputError, unknown
from gpuquant.portfolio.fund_backtest import FundBacktest, Signals
from gpuquant.portfolio.optimize import Optimized, optimize
from gpuquant.portfolio.risk import Risk
from gpuquant.portfolio.scenarios import Scenarios
from gpuquant.portfolio.strategy import Strategy
from gpuquant.portfolio.valuation import revalued, value
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.results import Priced
from gpuquant.shown import Shown
from gpuquant.validation.overfitting import Counted, TrialLog

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Portfolio(Shown):
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
        strategies = [(k, p) for k, p in self.positions.items() if isinstance(p, Strategy)]
        if len(strategies) != 1:
            raise InputError(
                f"the portfolio holds {len(strategies)} strategies: this needs exactly one"
            )
        return strategies[0]

    def train(
        self,
        prices: Any,
        *,
        splits: Any,
        costs: Cost | None = None,
        ledger: Any = None,
        device: Any = "auto",
        progress: bool | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
    ) -> Portfolio:
        """The portfolio with its strategy trained; see `Strategy.train`."""
        name, strategy = self._strategy()
        book = (
            None if ledger is None else ledger if isinstance(ledger, TrialLog) else TrialLog(ledger)
        )
        how = {"device": device, "progress": progress, "checkpoint": checkpoint, "launch": launch}
        trained = strategy.train(prices, splits=splits, costs=costs, ledger=book, **how)
        return Portfolio({**self.positions, name: trained}, book)

    def retrain(
        self,
        prices: Any,
        *,
        splits: Any,
        costs: Cost | None = None,
        device: Any = "auto",
        progress: bool | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
    ) -> Portfolio:
        """The portfolio with the models of the folds that are new; see `Strategy.retrain`."""
        name, strategy = self._strategy()
        how = {"device": device, "progress": progress, "checkpoint": checkpoint, "launch": launch}
        trained = strategy.retrain(prices, splits=splits, costs=costs, **how)
        return Portfolio({**self.positions, name: trained}, self.ledger)

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
        trained = strategy.fitted()
        return FundBacktest(account, weights, panel, costs, trained.ic, trained.sample, self.ledger)

    def price(
        self,
        market: Market,
        *,
        greeks: bool | str | Sequence[str] = False,
        progress: bool | None = None,
        **how: Any,
    ) -> Priced:
        """Every position at the market: contracts by `gpuquant.price`, shares at their spot,
        cash as it is.
        """
        return value(self, market, greeks=greeks, progress=progress, **how)

    def greeks(
        self, market: Market, names: bool | str | Sequence[str] = True, **how: Any
    ) -> Priced:
        """As `price`, with the Greeks of each position: the usual five, or those that `names`
        tells, as `gpuquant.price` knows them.
        """
        return value(self, market, greeks=names, **how)

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

        If a position has no price today or in a scenario, its status and its message
        (`Risk.failed`) say so, and the other positions are still valued. Totals are then NaN,
        unless `partial=True` leaves the failed position out of the totals.

        Raises
        ------
        DataError
            The book holds several currencies; or the history lacks an underlying of the book.
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
        result: set[str] = set()
        for position in self.positions.values():
            if isinstance(position, Contracts):
                baskets = position.columns.get("underlyings", np.full(len(position), None))
                result |= {
                    str(word or "")
                    for word, basket in zip(
                        position.text("underlying", "").array(), baskets, strict=True
                    )
                    if word or basket is None
                }
                result |= {name for basket in baskets if basket is not None for name in basket}
            elif isinstance(position, Mapping):
                result |= set(position)
        return result

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
        """Save the portfolio as a folder of Parquet, safetensors and JSON files.

        `Portfolio.load` reads the portfolio back. Of the trial log, only the number of trials
        and the spread of their Sharpe ratios are saved. The previous save stays in the folder until
        the next save. If a save fails, the folder still holds the save before it.

        Raises
        ------
        InputError
            A position holds an object that cannot be read back, such as an estimator of another
            library.
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
        """Read a portfolio that `save` wrote.

        Every file is checked against its hash, and no code from a file is run.

        Parameters
        ----------
        folder : path
        allow : sequence of classes
            The caller's own classes that a file may hold; the classes of gpuquant are always
            allowed.
        ledger : path or TrialLog, optional
            The trial log to continue; by default the portfolio keeps the count of trials that was
            saved.
        previous : bool
            Load the save before the last one.

        Raises
        ------
        DataError
            There is no such save; or a file is damaged, holds a class that is not allowed, or
            holds a value outside its range. The message names the file.
        """
        from gpuquant.portfolio.fund_folder import load

        return load(folder, allow=allow, ledger=ledger, previous=previous)
