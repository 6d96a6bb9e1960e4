"""The demonstration: all parts of the library in one run, on real prices, in a few minutes.

A signal is trained on 20 US stocks, back-tested out of sample and reported; a book of 20,000
contracts on their last closes is priced. Everything is written to one folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import data, disk, features, learn, measures, rules, sizing
from gpuquant.backtesting.engine import backtest
from gpuquant.costs import Proportional
from gpuquant.data.arrow import Words, write_frame
from gpuquant.data.market import Market
from gpuquant.data.panel import Panel
from gpuquant.device import Device, resolve_device
from gpuquant.indicators import rolling_mean
from gpuquant.meter import Meter
from gpuquant.models import Heston
from gpuquant.portfolio.fund_backtest import FundBacktest
from gpuquant.portfolio.portfolio import Portfolio
from gpuquant.portfolio.strategy import Strategy
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.engine import price
from gpuquant.pricing.results import Priced
from gpuquant.validation.splits import WalkForward

SURVIVORS = (
    "These 20 names are survivors, chosen with hindsight: every long strategy on them looks "
    "better than it was."
)


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    first: str
    train: str
    test: str
    steps: int
    every: int
    contracts: int
    paths: int


FULL = Size("1990-01-01", "8Y", "1Y", 100, 5, 20_000, 8_192)
SMALL = Size("2008-01-01", "4Y", "3Y", 20, 21, 600, 1_024)


def demo(folder: Path, *, device: str | Device = "auto", small: bool = False) -> dict[str, Any]:
    """Run the demonstration into `folder`; the summary, which is also written there."""
    size = SMALL if small else FULL
    disk.ready_folder(folder)
    with Meter(resolve_device(device)) as meter:
        panel = data.us20().between(size.first)
        fees = Proportional(rate=0.0005)
        print(
            f"gpuquant demo on {meter.device.name} ({meter.device.reason}); results go to {folder}/"
        )
        grid = backtest(
            panel,
            rules.MovingAverageCross(fast=range(5, 25), slow=range(30, 80)),
            costs=fees,
            device=device,
        )
        print(f"\n1. {len(grid)} moving-average rules, one launch\n{grid.summary()}")
        print(
            "\n"
            "2. a signal trained walk-forward, with and without the simulated and the "
            "rule features",
            flush=True,
        )
        fund, plain = funds(panel, fees, size, folder, device)
        result = fund.backtest(panel, costs=fees)
        result.report(folder / "tearsheet.html")
        write_frame(result.orders(), folder / "orders.parquet")
        fund.positions["alpha"].trained.forecast.to_parquet(folder / "forecast.parquet")
        print(result.summary())
        print("\n3. a book on the last closes", flush=True)
        priced = _book(panel, size, folder, device)
        print(priced.summary())
    summary = _summary(result, fund, plain, priced, grid, meter)
    disk.write(folder / "summary.json", json.dumps(summary, indent=1))
    print("\n" + _summary_text(summary, folder))
    return summary


def funds(
    panel: Panel, fees: Proportional, size: Size, folder: Path, device: str | Device
) -> tuple[Portfolio, Portfolio]:
    """Two trained funds in one trial log: with every feature, and with features of prices only."""
    simple = [features.Momentum(window=21), features.RealizedVolatility(window=21)]
    rich = [
        features.SimulatedOptions(model=Heston, window=252, maturity=21, every=size.every),
        features.RuleReturns(window=63),
    ]
    ledger = folder / "trials.parquet"
    ledger.unlink(missing_ok=True)
    made = []
    for wanted in (simple, [*simple, *rich]):
        training = learn.TrainingConfig(steps=size.steps)
        learner = learn.Learner(
            learn.networks.MLP(hidden=32), loss="sharpe", horizon=1, ensemble=8, training=training
        )
        alpha = Strategy(
            features=wanted, learner=learner, sizing=sizing.VolatilityTarget(0.10, max_gross=1.0)
        )
        fund = Portfolio({"alpha": alpha, "cash": 1_000_000.0})
        made.append(
            fund.train(
                panel,
                splits=WalkForward(train=size.train, test=size.test),
                costs=fees,
                ledger=ledger,
                device=device,
            )
        )
    return made[1], made[0]


def _book(panel: Panel, size: Size, folder: Path, device: str | Device) -> Priced:
    """Contracts on the last closes and their market, written, read back and priced."""
    contracts, market = book(panel, size.contracts)
    contracts.to_parquet(folder / "contracts.parquet")
    market.write(folder / "market.toml")
    priced = price(
        folder / "contracts.parquet", market=folder / "market.toml", paths=size.paths, device=device
    )
    priced.to_parquet(folder / "priced.parquet")
    return priced


def book(panel: Panel, count: int) -> tuple[Contracts, Market]:
    """A third each of Europeans, Asians and barriers around the last closes; every sixth
    European under Heston.
    """
    draw = np.random.default_rng(7)
    asset = draw.integers(0, len(panel.assets), count)
    product = np.arange(count) % 3
    returns = np.diff(np.log(panel.close), axis=0)
    volatility = np.sqrt(
        rolling_mean(returns * returns, min(252, len(returns)))[-1] * panel.frequency.periods
    )
    spot = panel.close[-1]
    up = draw.random(count) < 0.5
    level = np.where(up, draw.uniform(1.15, 1.4, count), draw.uniform(0.6, 0.85, count))
    kinds = np.array(["down-and-out", "down-and-in", "up-and-out", "up-and-in"], dtype=object)
    barrier = product == 2
    watched = np.where(draw.random(count) < 0.5, 0, 1)
    columns = {
        "id": np.arange(count),
        "product": Words(product, np.array(["european", "asian", "barrier"], dtype=object)),
        "model": Words(
            ((product == 0) & (np.arange(count) % 18 == 0)).astype(np.int64),
            np.array(["black_scholes", "heston"], dtype=object),
        ),
        "underlying": Words(asset, np.array(panel.assets, dtype=object)),
        "option_type": Words(
            (draw.random(count) < 0.5).astype(np.int64), np.array(["call", "put"], dtype=object)
        ),
        "quantity": draw.integers(-20, 21, count).astype(float),
        "multiplier": np.full(count, 100.0),
        "strike": np.round(spot[asset] * draw.uniform(0.8, 1.2, count), 2),
        "maturity": draw.integers(1, 9, count) / 4.0,
        "fixings": np.where(product == 1, 12.0, np.nan),
        "barrier_type": Words(np.where(barrier, 2 * up + draw.integers(0, 2, count), -1), kinds),
        "barrier": np.where(barrier, np.round(spot[asset] * level, 2), np.nan),
        "monitoring": Words(
            np.where(barrier, watched, -1), np.array(["continuous", "discrete"], dtype=object)
        ),
        "observations": np.where(barrier & (watched == 1), 52.0, np.nan),
    }
    values: dict[str, Any] = {"rate": 0.04}
    for j, name in enumerate(panel.assets):
        variance = float(volatility[j] ** 2)
        heston = {
            "v0": variance,
            "long_variance": variance,
            "kappa": 2.0,
            "vol_of_vol": 0.4,
            "correlation": -0.6,
        }
        values[name] = {
            "spot": float(spot[j]),
            "dividend_yield": 0.015,
            "volatility": float(volatility[j]),
            "heston": heston,
        }
    asof = panel.dates[-1].astype("datetime64[D]").item()
    return Contracts(columns), Market(values, asof)


def _summary(
    result: FundBacktest,
    fund: Portfolio,
    plain: Portfolio,
    priced: Priced,
    grid: Any,
    meter: Meter,
) -> dict[str, Any]:
    returns, base = result.returns.to_numpy(), result.benchmark().returns()[0].to_numpy()
    with_them, without = fund.positions["alpha"].trained, plain.positions["alpha"].trained
    rich = {k: v for k, v in with_them.seconds.items() if k in ("SimulatedOptions", "RuleReturns")}
    return {
        "seconds": meter.seconds,
        "joules": meter.joules,
        "joules_source": meter.source,
        "device": meter.device.name,
        "device_reason": meter.device.reason,
        "sharpe": measures.sharpe(returns),
        "sharpe_std_error": measures.sharpe_error(returns),
        "equal_weight_sharpe": measures.sharpe(base),
        "equal_weight_sharpe_std_error": measures.sharpe_error(base),
        "excess": float(result.excess().mean() * result.account.account.periods),
        "excess_sharpe": measures.sharpe(result.excess()),
        "excess_sharpe_std_error": measures.sharpe_error(result.excess()),
        "deflated_sharpe": result.deflated_sharpe(),
        "trials": result.ledger.trials()[0] if result.ledger else 1,
        "ic": with_them.ic[0],
        "ic_std_error": with_them.ic[1],
        "ic_without": without.ic[0],
        "ic_without_std_error": without.ic[1],
        "feature_seconds": rich,
        "training_seconds": with_them.seconds["training"],
        "contracts": len(priced.price),
        "contracts_per_second": len(priced.price) / priced.meta["seconds"],
        "paths": priced.meta["paths"],
        "rules_per_second": len(grid) / grid.meta["seconds"],
        "note": SURVIVORS,
        "where": {
            "rules": grid.meta["device"],
            "contracts": priced.meta["device"],
            "networks": meter.device.name,
        },
    }


def _summary_text(s: dict[str, Any], folder: Path) -> str:
    features_cost = ", ".join(f"{k} {v:.1f} s" for k, v in s["feature_seconds"].items())
    joules = (
        f"{s['joules']:.0f} J ({s['joules_source']})"
        if s["joules"] is not None
        else "joules unreadable here"
    )
    return "\n".join(
        [
            f"in {s['seconds']:.0f} s, {joules}",
            (
                f"  excess over equal weight            {s['excess']:+.1%} a year, its Sharpe "
                f"ratio {s['excess_sharpe']:.2f} +- {s['excess_sharpe_std_error']:.2f}"
            ),
            (
                f"  Sharpe after costs, out of sample   {s['sharpe']:.2f} +- "
                f"{s['sharpe_std_error']:.2f}   (equal weight {s['equal_weight_sharpe']:.2f} "
                f"+- {s['equal_weight_sharpe_std_error']:.2f})"
            ),
            (
                f"  deflated                            {s['deflated_sharpe']:.2f}   "
                f"(probability that the excess beats the luck of {s['trials']} trials)"
            ),
            (
                f"  IC with simulated and rule features {s['ic']:+.4f} +- "
                f"{s['ic_std_error']:.4f}   (they cost {features_cost})"
            ),
            (
                f"  IC without them                     {s['ic_without']:+.4f} +- "
                f"{s['ic_without_std_error']:.4f}"
            ),
            (
                f"  contracts                           {s['contracts']:,} at "
                f"{s['contracts_per_second']:,.0f} a second, {s['paths']:,} paths each where "
                "simulated"
            ),
            f"  ran on                              {s['device']}: {s['device_reason']}",
            f"  {s['note']}",
            f"results: {folder}/tearsheet.html and the files beside it",
        ]
    )
